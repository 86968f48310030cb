"""Change of voxel size, window by window where the image is larger than memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from graticule.box import window
from graticule.image import Array, ArrayLike, Image

SAME = 1e-3  # relative difference in voxel size below which nothing is gained by resampling
TRUNCATE = 4.0  # standard deviations after which a Gaussian is cut off


def to_spacing(image: Image, spacing_um: tuple[float, ...], order: int = 1) -> Image:
    """`image` on voxels as near `spacing_um` as whole voxels allow; nothing in it moves.

    Outer edges stay put, so the first voxel's centre shifts by half the change in spacing. Before it is coarsened an
    image is smoothed just enough that fine detail does not alias. Integer images stay integer (their range is kept);
    ``order=0`` takes the nearest voxel and is for masks and labels. An empty `spacing_um` is the image's own.

    What is not in memory is resampled when it is read, a window at a time and to the same values.
    """
    if not spacing_um or np.allclose(image.spacing_um, spacing_um, rtol=SAME):
        return image
    factors = np.array([a / b for a, b in zip(image.spacing_um, spacing_um, strict=True)])
    return with_shape(image, tuple(map(int, np.maximum(1, np.round(factors * image.shape)))), order)


def with_shape(image: Image, shape: tuple[int, ...], order: int = 1) -> Image:
    """The same piece of the world in `shape` voxels; see `to_spacing`."""
    if shape == image.shape:
        return image
    exact = tuple(float(s * n / m) for s, n, m in zip(image.spacing_um, image.shape, shape, strict=True))
    origin = tuple(o + (new - old) / 2 for o, new, old in zip(image.origin_um, exact, image.spacing_um, strict=True))
    view = Resampled(image.data, shape, order)
    return Image(view[...] if isinstance(image.data, np.ndarray) else view, image.axes, exact, origin)


def planned_shape(image: Image, spacing_um: tuple[float, ...]) -> tuple[int, ...]:
    """Of `image` once it is resampled."""
    return to_spacing(replace(image, data=_Shape(image.data.shape)), spacing_um).shape


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Stands in for voxels where only their number matters."""

    shape: tuple[int, ...]

    @property
    def dtype(self) -> Any:
        return np.dtype(np.uint8)

    def __getitem__(self, key: Any) -> Array:
        raise TypeError("there are no voxels here")


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """`data` with its last axes in `space` voxels, computed for the window that is read.

    Every voxel is a fixed sum of the same source voxels, in the same order, whatever window it is read with: windows
    equal the whole bit for bit.
    """

    data: ArrayLike
    space: tuple[int, ...]
    order: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.data.shape[: -len(self.space)], *self.space)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        first = len(self.shape) - len(self.space)
        lengths = self.data.shape[first:]
        axes = [
            _Axis(n, m, s.start, s.stop, self.order) for n, m, s in zip(lengths, self.space, read[first:], strict=True)
        ]
        voxels: Array = np.asarray(self.data[(*read[:first], *(axis.source for axis in axes))])
        kind = voxels.dtype
        voxels = voxels if self.order == 0 else voxels.astype(np.float32)
        for number, axis in enumerate(axes, start=first):
            voxels = axis.apply(voxels, number)
        return _as(kind, voxels)[then]


def _as(kind: np.dtype[Any], voxels: Array) -> Array:
    """Back in the type they came in: rounded, and never wrapped."""
    if voxels.dtype == kind or kind.kind not in "biu":
        return voxels
    if kind.kind == "b":
        return voxels >= 0.5
    limits = np.iinfo(kind)
    return np.clip(np.round(voxels), limits.min, limits.max).astype(kind)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Positions `start` … `stop` of an axis that goes from `old` to `new` voxels."""

    old: int
    new: int
    start: int
    stop: int
    order: int

    @property
    def sigma(self) -> float:
        """Of the Gaussian, in old voxels, that keeps detail finer than new voxels from aliasing."""
        coarser = self.old / self.new
        return 0.5 * float(np.sqrt(coarser**2 - 1)) if self.order and coarser > 1 else 0.0

    @property
    def source(self) -> slice:
        """The old voxels that are needed."""
        if self.old == self.new or self.stop <= self.start:
            return slice(self.start, self.stop)
        reach = int(TRUNCATE * self.sigma + 0.5)
        below = int(np.floor(self._places().min())) - reach
        above = int(np.floor(self._places().max())) + 2 + reach
        return slice(max(0, below), min(self.old, above))

    def _places(self) -> Array:
        """Where the new voxels' centres lie, in old voxels."""
        centres = (np.arange(self.start, self.stop) + 0.5) * (self.old / self.new) - 0.5
        places: Array = np.clip(np.floor(centres + 0.5) if self.order == 0 else centres, 0, self.old - 1)
        return places

    def apply(self, voxels: Array, number: int) -> Array:
        """Smoothed and interpolated along axis `number`."""
        if self.old == self.new or self.stop <= self.start:
            return voxels
        if self.sigma:
            voxels = gaussian_filter1d(voxels, self.sigma, axis=number, mode="nearest", truncate=TRUNCATE)
        low = np.floor(self._places()).astype(int)
        here: Array = voxels.take(low - self.source.start, number)
        if self.order == 0:
            return here
        high = np.minimum(low + 1, self.old - 1)
        weight = (self._places() - low).astype(np.float32)
        weight = weight.reshape([-1 if axis == number else 1 for axis in range(voxels.ndim)])
        between: Array = here + weight * (voxels.take(high - self.source.start, number) - here)
        return between
