"""Test-time augmentation and ensembles: forwards made of forwards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from graticule.image import Array, Floats
from graticule.inference.windows import STEPS
from graticule.task import Forward

D4 = tuple(product(range(4), (False, True)))
"""Quarter turns, and whether the image is mirrored first: the eight symmetries of a square."""


def averaged(forwards: Sequence[Forward]) -> Forward:
    """The mean of several models' maps."""

    def mean(batch: Floats) -> Floats:
        total: Floats = forwards[0](batch)
        for forward in forwards[1:]:
            total = total + forward(batch)
        return total / np.float32(len(forwards))

    return mean if len(forwards) > 1 else forwards[0]


def in_steps(forward: Forward) -> Forward:
    """`forward` in whole 255ths, as windows that are blended have to be: kept or computed anew, they are then the same."""

    def rounded(batch: Floats) -> Floats:
        maps = forward(batch) * np.float32(STEPS)
        np.rint(maps, out=maps)
        maps /= np.float32(STEPS)
        return maps

    return rounded


def symmetric(forward: Forward, vector: int | None, views: Sequence[tuple[int, bool]] = D4) -> Forward:
    """`forward` averaged over turned and mirrored views of each tile, mapped back.

    Sides of a tile are multiples of the network's stride, and a cell's place is its centre's, so cells fall on cells
    under every view: nothing shifts by half a cell. `vector` is the first of two channels (y, x) that hold a
    displacement; they are turned and mirrored back as arrows.
    """
    return averaged([_view(forward, turns, mirror, vector) for turns, mirror in views])


def _view(forward: Forward, turns: int, mirror: bool, vector: int | None) -> Forward:
    def seen(batch: Floats) -> Floats:
        view = batch[..., ::-1] if mirror else batch
        maps = forward(np.ascontiguousarray(np.rot90(view, turns, axes=(-2, -1))))
        maps = np.rot90(maps, -turns, axes=(-2, -1))
        maps = np.ascontiguousarray(maps[..., ::-1] if mirror else maps)
        if vector is not None:
            maps[:, vector : vector + 2] = np.einsum(
                "ij,bjyx->biyx", _arrow(turns, mirror), maps[:, vector : vector + 2]
            )
        return maps

    return seen


def _arrow(turns: int, mirror: bool) -> Array:
    """``(2, 2)``: an arrow (y, x) seen in the view to the same arrow in the image."""
    quarter_back = np.array([[0, 1], [-1, 0]], np.float32)  # a quarter turn takes (y, x) to (-x, y); this undoes it
    undo = np.linalg.matrix_power(quarter_back, turns)
    return np.diag([1, -1]).astype(np.float32) @ undo if mirror else undo
