"""From one store into another in bounded memory: which windows to read, and how not to decode anything twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np

from graticule.box import window
from graticule.image import Array, ArrayLike
from graticule.io.lazy import Arranged, Finite, Mean, Taken

BLOCK_BYTES = 128 * 2**20
"""Held at once while copying: 64 planes, the depth of one of our chunks, of 1400 × 1400 bytes."""

Slices = tuple[slice, ...]


def stored_chunks(data: ArrayLike) -> tuple[int, ...] | None:
    """What the store behind `data` decodes at once, one entry per dimension; None where any window is as good."""
    match data:
        case Taken() | Mean():
            inner = stored_chunks(data.data)
            return inner and (*inner[: data.axis], *inner[data.axis + 1 :])
        case Arranged():
            inner = stored_chunks(data.data)
            return inner and tuple(inner[i] for i in data.order)
        case Finite() | Watched():
            return stored_chunks(data.data)
    own = getattr(data, "chunks", None)
    return tuple(own) if own else None


def blocks(shape: Sequence[int], chunks: Sequence[int], itemsize: int, limit: int) -> Iterator[Slices]:
    """Windows that cover `shape`, whole multiples of `chunks`, of up to `limit` bytes if a chunk is no larger.

    They are as wide as they can be along the last axis, then along the one before it, and so on: files lie like that.

    >>> [len(list(blocks((4, 6), (2, 2), 1, limit))) for limit in (4, 8, 12, 24)]
    [6, 4, 2, 1]
    """
    side = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
    for axis in reversed(range(len(side))):
        room = max(1, limit // max(1, prod(side) * itemsize))
        side[axis] = min(side[axis] * room, shape[axis])
    starts = [range(0, n, s) for n, s in zip(shape, side, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(a, min(a + s, n)) for a, s, n in zip(corner, side, shape, strict=True))


def copy(source: ArrayLike, target: Any, chunks: Sequence[int], after: Callable[[], None] = lambda: None) -> None:
    """Fill `target`, which is stored in `chunks`, from `source`; `after` is called when a block is written."""
    for block in blocks(source.shape, chunks, np.dtype(source.dtype).itemsize, BLOCK_BYTES):
        target[block] = source[block]
        after()


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """The same voxels, with `seen` called after every window with how many were read so far, and how many there are."""

    data: ArrayLike
    seen: Callable[[int, int], None]
    count: list[int] = field(default_factory=lambda: [0])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        found = np.asarray(self.data[key])
        self.count[0] += found.size
        self.seen(self.count[0], prod(self.shape))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Slabs:
    """The same voxels for those who read plane by plane: a slab as deep as the stored chunks is kept for the next.

    `axis` is the one along which planes follow one another, `depth` the number of planes that are kept.
    """

    data: ArrayLike
    axis: int
    depth: int
    kept: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, data: ArrayLike, axes: str) -> ArrayLike:
        """Worthwhile only where chunks are more than a plane deep."""
        chunks = stored_chunks(data)
        axis = axes.find("z")
        if chunks is None or axis < 0 or chunks[axis] == 1:
            return data
        plane = prod(data.shape) // data.shape[axis] * np.dtype(data.dtype).itemsize
        return cls(data, axis, max(1, min(chunks[axis], BLOCK_BYTES // plane)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        wanted = read[self.axis]
        number = wanted.start // self.depth
        if wanted.stop > (number + 1) * self.depth:
            return np.asarray(self.data[read])[then]
        slab = self._slab(number)
        inside = slice(wanted.start - number * self.depth, wanted.stop - number * self.depth)
        # A copy, since a view would keep this slab while the next is read.
        return np.array(slab[(*read[: self.axis], inside, *read[self.axis + 1 :])][then])

    def _slab(self, number: int) -> Array:
        if number not in self.kept:
            self.kept.clear()
            planes = slice(number * self.depth, min((number + 1) * self.depth, self.shape[self.axis]))
            self.kept[number] = np.asarray(self.data[(slice(None),) * self.axis + (planes,)])
        return self.kept[number]
