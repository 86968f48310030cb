"""What is put before a reviewer: one proposed object, with what became of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graticule.image import Array
from graticule.results import Labels, Points

Status = Literal["open", "accepted", "rejected"]
Origin = Literal["found", "added", "split"]


@dataclass(frozen=True, slots=True)
class Item:
    """One object.

    Attributes
    ----------
    id
        Never used twice in a review; of labels the number of its voxels.
    position_um
        Its centre, in the order of the image's axes (``(z,) y, x``).
    kind
        Its class by name.
    confidence
        0 … 1; of what a person added, 1.
    diameter_um
        Where a size is known.
    status
        What was decided.
    origin
        Found by a method, added by a person, or a part of something a person divided.
    """

    id: int
    position_um: tuple[float, ...]
    kind: str
    confidence: float
    diameter_um: float | None = None
    status: Status = "open"
    origin: Origin = "found"


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """All that a method found in one image.

    Attributes
    ----------
    items
        With ids from 1.
    kinds
        Names of all classes there can be.
    labels
        Outlines: each item's voxels hold its id; only ever sliced. None for points.
    """

    items: tuple[Item, ...]
    kinds: tuple[str, ...]
    labels: Labels | None = None

    @classmethod
    def of(cls, found: Points, labels: Labels | None = None, ids: Sequence[int] | Array = ()) -> Proposals:
        """Proposals from a table of objects; `ids` are their numbers in `labels`, else they are counted from 1."""
        numbers = list(ids) if len(ids) else range(1, len(found) + 1)
        diameter = found.diameter_um if found.diameter_um is not None else np.full(len(found), np.nan)
        items = tuple(
            Item(
                int(number),
                tuple(float(x) for x in found.position_um[row]),
                found.kinds[int(found.kind[row])],
                float(found.confidence[row]),
                float(diameter[row]) if np.isfinite(diameter[row]) else None,
            )
            for row, number in enumerate(numbers)
        )
        return cls(items, found.kinds, labels)


def as_points(items: Sequence[Item], kinds: Sequence[str], ndim: int) -> Points:
    """Items as points, in their order; diameters only where all have one."""
    names = tuple(kinds)
    diameters = [item.diameter_um for item in items]
    known = bool(items) and all(d is not None for d in diameters)
    return Points(
        np.array([item.position_um for item in items], float).reshape(-1, ndim),
        np.array([item.confidence for item in items], float),
        np.array([names.index(item.kind) for item in items], int),
        names,
        np.array(diameters, float) if known else None,
    )
