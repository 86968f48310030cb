"""Where a review says all there is: only there may a model learn that nothing else is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graticule.box import Box
from graticule.image import Array, Image
from graticule.review.decision import Field
from graticule.review.item import Item
from graticule.review.session import Session


def known(session: Session, reach_um: float) -> Array:
    """``(*image.shape)`` booleans: seen by the reviewer, and nothing in it left open.

    Seen are the fields that were on screen when something was decided, those that were searched, and at least the
    surroundings (`reach_um` around its centre, where no size is known) of whatever was decided; or everything, once the
    reviewer said the image is complete. Open proposals in there stay unknown.
    """
    image = session.image
    seen = np.full(image.shape, session.is_complete)
    for field in [*session.seen(), *(_around(i, reach_um) for i in session.items.values() if i.status != "open")]:
        seen[voxels_in(field, image).slices()] = True
    for item in session.items.values():
        if item.status == "open":
            seen[voxels_in(_around(item, reach_um), image).slices()] = False
    if session.outlined and session.state.place.shape == image.shape:
        _settle_outlines(session, seen)
    return seen


def is_known(session: Session, position_um: Sequence[float], reach_um: float) -> bool:
    """Whether the reviewer saw this place: the same for a single one."""
    if session.is_complete or any(_holds(field, position_um) for field in session.seen()):
        return True
    outlined = session.at(position_um) if session.outlined else None
    if outlined is not None:
        return outlined.status != "open"
    return any(_holds(_around(i, reach_um), position_um) for i in session.items.values() if i.status != "open")


def voxels_in(field: Field, image: Image) -> Box:
    """The voxels whose centres lie in a field."""
    low, high = (np.ceil(image.to_voxels(np.array([corner]))[0] - 1e-9).astype(int) for corner in field)
    start = np.clip(low, 0, image.shape)
    stop = np.clip(high, start, image.shape)
    return Box(tuple(int(n) for n in start), tuple(int(n) for n in stop))


def _settle_outlines(session: Session, seen: Array) -> None:
    """What is outlined counts as a whole, not by its surroundings: decided ones are known, open ones are not."""
    numbers = session.state.outlines(Box((0,) * seen.ndim, seen.shape), statuses=("open", "accepted", "rejected"))
    size = int(numbers.max(initial=0)) + 1
    decided, open_ = np.zeros(size, bool), np.zeros(size, bool)
    for item in session.items.values():
        if item.id < size:
            (open_ if item.status == "open" else decided)[item.id] = True
    seen |= decided[numbers]
    seen &= ~open_[numbers]


def _around(item: Item, reach_um: float) -> Field:
    reach = max(reach_um, item.diameter_um or 0.0)
    return tuple(x - reach for x in item.position_um), tuple(x + reach for x in item.position_um)


def _holds(field: Field, position_um: Sequence[float]) -> bool:
    return all(a <= x < b for a, x, b in zip(field[0], position_um, field[1], strict=True))
