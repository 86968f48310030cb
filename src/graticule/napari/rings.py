"""Points as a window shows them: a row for each item, and which rows changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graticule.image import Array
from graticule.napari.colours import STATUS, SYMBOLS
from graticule.review import Item, Session

RING = 1.25
"""Outer over inner diameter of a ring; the inner one is the object's."""
RING_WIDTH = (1 - 1 / RING) / 2
"""As a share of the outer diameter."""
UNKNOWN = 1 / 40
"""Diameter of what has none, as a share of the frame."""


@dataclass(frozen=True, slots=True)
class Ring:
    """How an item looks; sizes and places in µm."""

    place_um: tuple[float, ...]
    diameter_um: float
    colour: str
    symbol: str
    shown: bool = True


class Rings:
    """Rows for the items of a session: those it began with, then those that were added, in the order they came.

    Attributes
    ----------
    rows
        Row of each id; one that is gone keeps its row, and is hidden.
    """

    def __init__(self, session: Session, diameters_um: Mapping[str, float]) -> None:
        self._session = session
        self._diameters_um = diameters_um
        self.rows: dict[int, int] = {number: row for row, number in enumerate(sorted(session.items))}

    def all(self) -> list[Ring]:
        """In the order of their rows."""
        return [self.ring(number) for number in self.rows]

    def row(self, number: int) -> int:
        """Of an item; a new one if it has none."""
        return self.rows.setdefault(number, len(self.rows))

    def ring(self, number: int) -> Ring:
        """How an item looks now; hidden where it is gone."""
        item = self._session.items.get(number)
        if item is None:
            return Ring((0.0,) * self._session.image.ndim, 0.0, STATUS["open"], SYMBOLS[0], shown=False)
        return Ring(item.position_um, RING * self._diameter(item), STATUS[item.status], self._symbol(item))

    def _symbol(self, item: Item) -> str:
        """A cross for what is not there; else its class's."""
        if item.status == "rejected":
            return "x"
        return SYMBOLS[self._session.kinds.index(item.kind) % len(SYMBOLS)]

    def _diameter(self, item: Item) -> float:
        known = item.diameter_um or self._diameters_um.get(item.kind, 0.0)
        return known or UNKNOWN * self._session.order.view_um

    @staticmethod
    def colours(rings: list[Ring]) -> Array:
        """``(N, 4)`` red, green, blue and opacity, 0 … 1."""
        return np.array([rgba(ring.colour) for ring in rings], np.float32).reshape(-1, 4)


def rgba(colour: str) -> tuple[float, float, float, float]:
    """Of ``#RRGGBB``."""
    red, green, blue = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return red, green, blue, 1.0
