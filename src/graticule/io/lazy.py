"""Views of data that may be larger than memory. Each is sliced like an array, and reads what it is asked for only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graticule.box import window
from graticule.errors import FormatError
from graticule.image import Array, ArrayLike


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
