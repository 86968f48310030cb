"""What can be measured of numbered objects in one pass over their voxels, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from graticule.box import Box
from graticule.image import Array, ArrayLike

STEPS = 255
"""Confidences are whole 255ths."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Numbered objects, in the order of their numbers.

    Attributes
    ----------
    number
        ``(n,)``; numbers that no voxel has are left out.
    size
        ``(n,)``, in voxels.
    centre
        ``(n, ndim)``, mean place of the voxels' centres, counted in voxels.
    confidence
        ``(n,)`` in 0 … 1: the mean over the object's voxels.
    """

    number: Array
    size: Array
    centre: Array
    confidence: Array

    def __len__(self) -> int:
        return len(self.number)


def measure_objects(
    labels: ArrayLike, confidence: ArrayLike, boxes: Iterable[Box], *, kind_of: Mapping[int, int] | None = None
) -> Objects:
    """All objects in `labels` ``(*space)``, read box by box; `boxes` cover it and share no voxel.

    `confidence`, ``([kinds,] *space)``, is in 255ths; of several kinds the one that counts is the object's own (1: the
    first), as `kind_of` says by number.
    """
    ndim = len(labels.shape)
    sums: Array = np.zeros((ndim + 2, 1))  # voxels, confidence, then places
    for box in boxes:
        numbers = np.asarray(labels[box.slices()])
        inside = numbers != 0
        if not inside.any():
            continue
        own = numbers[inside].astype(np.int64)
        graded = _graded(np.asarray(confidence[(..., *box.slices())]), inside, own, kind_of)
        places = [place + start for place, start in zip(np.nonzero(inside), box.start, strict=True)]
        here: Array = np.stack([np.bincount(own, weights) for weights in (np.ones(len(own)), graded, *places)])
        if here.shape[1] > sums.shape[1]:
            here, sums = sums, here
        sums[:, : here.shape[1]] += here
    number = np.flatnonzero(sums[0])
    size, shares, places_sum = sums[0, number], sums[1, number], sums[2:, number]
    return Objects(number, size.astype(np.int64), (places_sum / size).T, shares / size / STEPS)


def _graded(confidence: Array, inside: Array, own: Array, kind_of: Mapping[int, int] | None) -> Array:
    """``(voxels,)``: each object's confidence in its own kind."""
    if confidence.ndim == inside.ndim:
        return np.asarray(confidence[inside])
    table = np.ones(int(own.max()) + 1, np.int64)
    for number, kind in (kind_of or {}).items():
        if number < len(table):
            table[number] = kind
    return np.asarray(confidence[:, inside][table[own] - 1, np.arange(len(own))])
