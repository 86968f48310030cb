"""An image: voxels, the names of their axes, and how large they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graticule.errors import SpacingError

SPATIAL = "zyx"
Array = NDArray[Any]
Floats = NDArray[np.float32]


class ArrayLike(Protocol):
    """What NumPy, zarr, dask and memory maps have in common: enough to read a window."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Voxels that know where they are.

    Attributes
    ----------
    data
        One dimension per letter of `axes`. Only ever sliced, so it may be larger than memory.
    axes
        ``"yx"``, ``"cyx"``, ``"zyx"`` or ``"czyx"``.
    spacing_um
        Distance between neighbouring voxel centres along each spatial axis, in micrometres.
    origin_um
        Where the first voxel's centre lies; zeros unless the image was cropped or resampled.
    """

    data: ArrayLike
    axes: str
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.data.shape):
            raise ValueError(f"axes {self.axes!r} name {len(self.axes)} dimensions, data has shape {self.data.shape}")
        usable = len(self.spacing_um) == self.ndim and all(np.isfinite(s) and s > 0 for s in self.spacing_um)
        if not usable:
            raise SpacingError(
                f"found voxel size {self.spacing_um} µm; axes {self.axes!r} need {self.ndim} positive numbers; "
                "give them with --spacing-um"
            )
        if not self.origin_um:
            object.__setattr__(self, "origin_um", (0.0,) * self.ndim)

    @property
    def ndim(self) -> int:
        """Number of spatial axes: 2 or 3."""
        return sum(axis in SPATIAL for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape, without channels."""
        return tuple(self.data.shape[-self.ndim :])

    def to_um(self, voxels: Array) -> Array:
        """Voxel coordinates ``(N, ndim)`` to micrometres."""
        um: Array = np.multiply(voxels, self.spacing_um) + self.origin_um
        return um

    def to_voxels(self, um: Array) -> Array:
        """Micrometres ``(N, ndim)`` to voxel coordinates: the inverse of `to_um`."""
        voxels: Array = np.subtract(um, self.origin_um) / self.spacing_um
        return voxels

    def crop(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Image:
        """The voxels from `start` up to, not including, `stop`; they stay where they are in micrometres."""
        window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        origin = tuple(o + a * s for o, a, s in zip(self.origin_um, start, self.spacing_um, strict=True))
        return replace(self, data=self.data[(..., *window)], origin_um=origin)
