"""Boxes of voxels, the tiles that cover an image with them, and what an index into an array asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from operator import index
from typing import Any


@dataclass(frozen=True, slots=True)
class Box:
    """Voxels from `start` up to, not including, `stop`; one entry per spatial axis."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop):
            raise ValueError(f"start has {len(self.start)} axes, stop has {len(self.stop)}: {self}")
        if any(b < a for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"a box cannot stop before it starts: {self}")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def relative_to(self, origin: tuple[int, ...]) -> Box:
        """The same voxels, counted from `origin`."""
        return Box(
            tuple(a - o for a, o in zip(self.start, origin, strict=True)),
            tuple(b - o for b, o in zip(self.stop, origin, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """One step of blockwise work: read a box, keep the smaller one inside it.

    ::

        |------------------------|       read   (stops at the image's edge, or less than one `multiple` beyond it)
        |-----------------|              write  (always inside; the tiles' write boxes share no voxel and leave none out)
        image starts here
    """

    read: Box
    write: Box


def cover(
    shape: tuple[int, ...],
    size: tuple[int, ...],
    halo: tuple[int, ...],
    multiple: int = 1,
    align: tuple[int, ...] = (),
) -> tuple[Tile, ...]:
    """Tiles whose write boxes cover `shape` exactly once.

    `size` is the largest write box; tiles are made as equal as `align` allows. Write boxes start at multiples of `align`
    (by default of `multiple`, of which it is a multiple). All starts, and the sides of every read box, are multiples of
    `multiple`, so that a strided network lays its cells alike in every tile. Context is read up to `halo` voxels (rounded
    up to `multiple`) on each side, but not past the image: what a network sees at the image's edge is then the same in
    one pass and in many.

    >>> [tile.write.stop for tile in cover((10,), size=(4,), halo=(1,))]
    [(4,), (8,), (10,)]
    >>> cover((10,), size=(64,), halo=(8,), multiple=4)[0].read.stop
    (12,)
    """
    align = align or (multiple,) * len(shape)
    per_axis = [_spans(n, s, h, multiple, a) for n, s, h, a in zip(shape, size, halo, align, strict=True)]
    tiles = []
    for spans in product(*per_axis):
        read, write = zip(*spans, strict=True)
        tiles.append(Tile(read=Box(*zip(*read, strict=True)), write=Box(*zip(*write, strict=True))))
    return tuple(tiles)


Span = tuple[int, int]


def _spans(length: int, size: int, halo: int, multiple: int, align: int) -> list[tuple[Span, Span]]:
    """``(read, write)`` along one axis."""
    count = max(1, -(-length // max(size, 1)))
    step = round_up(-(-length // count), align)
    reach = round_up(halo, multiple)
    end = round_up(length, multiple)
    starts = range(0, max(length, 1), step)
    return [((max(0, a - reach), min(end, a + step + reach)), (a, min(a + step, length))) for a in starts]


def round_up(length: int, multiple: int) -> int:
    """The least multiple of `multiple` not below `length`."""
    return -(-length // multiple) * multiple


Slices = tuple[slice, ...]


def window(key: Any, shape: tuple[int, ...]) -> tuple[Slices, tuple[int | slice, ...]]:
    """`key` as one forward slice per dimension to read, and what then to apply to the result.

    The second part takes single entries out of their dimension, and steps other than one.

    >>> window((..., 2, slice(1, None)), (9, 4, 5))
    ((slice(0, 9, 1), slice(2, 3, 1), slice(1, 5, 1)), (slice(None, None, 1), 0, slice(None, None, 1)))
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if not any(k is Ellipsis for k in keys):
        keys.append(Ellipsis)
    gap = next(i for i, k in enumerate(keys) if k is Ellipsis)
    missing = len(shape) - len(keys) + 1
    if missing < 0:
        raise IndexError(f"{len(keys) - 1} indices for {len(shape)} dimensions")
    keys[gap : gap + 1] = [slice(None)] * missing
    pairs = [_along(k, n) for k, n in zip(keys, shape, strict=True)]
    return tuple(read for read, _ in pairs), tuple(then for _, then in pairs)


def _along(key: Any, length: int) -> tuple[slice, int | slice]:
    if isinstance(key, slice):
        chosen = range(*key.indices(length))
        if not chosen:
            return slice(0, 0, 1), slice(None)
        low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
        return slice(low, high + 1, 1), slice(None, None, chosen.step)
    at = index(key)
    if not -length <= at < length:
        raise IndexError(f"index {at} is out of range for a dimension of {length}")
    return slice(at % length, at % length + 1, 1), 0
