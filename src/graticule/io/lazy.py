"""Views of data that may be larger than memory. Each is sliced like an array, and reads what it is asked for only."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from graticule.errors import FormatError
from graticule.image import Array, ArrayLike

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


@dataclass(frozen=True, slots=True, eq=False)
class Contiguous:
    """Uncompressed voxels lying in one piece in a file; mapped anew for each window, so nothing stays open."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    stored: np.dtype[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """In this machine's byte order, whatever the file's."""
        return self.stored.newbyteorder("=")

    def __getitem__(self, key: Any) -> Array:
        mapped = np.memmap(self.path, self.stored, "r", self.offset, self.shape)
        return np.array(mapped[key], self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One position along one axis, e.g. a single channel; the axis is gone."""

    data: ArrayLike
    axis: int
    at: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.data.shape[: self.axis], *self.data.shape[self.axis + 1 :])

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        inside = (*read[: self.axis], self.at, *read[self.axis :])
        return np.asarray(self.data[inside])[then]


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """The mean over the first `count` positions of one axis, e.g. grey from red, green and blue, in float32."""

    data: ArrayLike
    axis: int
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.data.shape[: self.axis], *self.data.shape[self.axis + 1 :])

    @property
    def dtype(self) -> Any:
        return np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        inside = (*read[: self.axis], slice(0, self.count), *read[self.axis :])
        return np.asarray(np.mean(self.data[inside], axis=self.axis, dtype=np.float32))[then]


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """The same voxels with their axes in another order."""

    data: ArrayLike
    order: tuple[int, ...]

    @classmethod
    def ordered(cls, data: ArrayLike, axes: str, wanted: str) -> ArrayLike:
        """`data` with `axes`, in the order `wanted`; what is in memory stays so."""
        order = tuple(axes.index(axis) for axis in wanted)
        return np.ascontiguousarray(data.transpose(order)) if isinstance(data, np.ndarray) else cls(data, order)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape[i] for i in self.order)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        inside = tuple(read[self.order.index(i)] for i in range(len(self.order)))
        return np.asarray(self.data[inside]).transpose(self.order)[then]


@dataclass(frozen=True, slots=True, eq=False)
class Finite:
    """The same voxels; a window with NaN or infinite ones is refused, since one NaN silently empties a whole result."""

    data: ArrayLike
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        pixels = np.asarray(self.data[read])
        good = np.isfinite(pixels)
        if not good.all():
            raise self._refusal(pixels, np.argwhere(~good), tuple(s.start for s in read))
        return pixels[then]

    def _refusal(self, pixels: Array, bad: Array, start: tuple[int, ...]) -> FormatError:
        nan = int(np.isnan(pixels).sum())
        low, high = bad.min(axis=0) + start, bad.max(axis=0) + start
        where = ", ".join(f"{a}–{b}" if a < b else f"{a}" for a, b in zip(low, high, strict=True))
        return FormatError(
            f"{self.source}: found {nan} NaN and {len(bad) - nan} infinite pixels of {pixels.size} (at {where}, "
            "counted from 0 in the order of the axes); need numbers; fill or crop them away"
        )
