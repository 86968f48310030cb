"""An expert looks at what was found: decides, corrects, adds; nothing is lost, and models learn from it."""

from __future__ import annotations

from graticule.review.audit import Audit, Estimate
from graticule.review.decision import Decision, Field
from graticule.review.item import Item, Proposals
from graticule.review.queue import Order, Queue, Turn
from graticule.review.region import Region
from graticule.review.session import Progress, Session, extent_um, field_around

__all__ = [
    "Audit",
    "Decision",
    "Estimate",
    "Field",
    "Item",
    "Order",
    "Progress",
    "Proposals",
    "Queue",
    "Region",
    "Session",
    "Turn",
    "extent_um",
    "field_around",
]
