"""Plain ways to tell tissue from resin: what `tissue-texture` is measured against.

By a threshold on grey levels, and by the energy of a difference of Gaussians alone: published alternatives that were
tried and given up (too brittle; noisy and fragmented). They take the same part in predictions as any other task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graticule.arrays import texture
from graticule.errors import SettingsError
from graticule.image import Array, Floats, Image
from graticule.task import Forward, Grid, Weights
from graticule.tasks.masking import Masking, by_plane, grid, prepared_planes


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueOtsu(Masking):
    """Settings for telling tissue from resin by grey level: Otsu's threshold on the smoothed image.

    Attributes
    ----------
    smooth_sigma
        Pixels, of the Gaussian before the threshold.
    min_region_size
        Regions of fewer voxels are dropped.
    max_hole_size
        Background of up to so many voxels is filled where tissue surrounds it.
    threshold
        Confidence from which a voxel is tissue.
    """

    name: ClassVar[str] = "tissue-otsu"
    objective: ClassVar[str] = "dice"
    methods: ClassVar[str] = "a threshold on grey levels (Otsu 1979, doi:10.1109/TSMC.1979.4310076)"

    smooth_sigma: float = 2.0

    def __post_init__(self) -> None:
        Masking.__post_init__(self)
        _refuse_none(self.smooth_sigma, "smooth_sigma")

    @property
    def grid(self) -> Grid:
        return grid(texture.radius(self.smooth_sigma), 1)

    def measure(self, image: Image) -> Weights:
        """``limit`` and ``unit``: confidence is half at the limit and 1 one unit beyond, on the side that is tissue.

        The side that varies more is tissue. Where all is of one grey, there is none.
        """
        planes = list(prepared_planes(self, image, texture.sampled(image)))
        smooth = [smoothed(plane, self.smooth_sigma) for plane in planes]
        rough = [(plane - even) ** 2 for plane, even in zip(planes, smooth, strict=True)]
        return _split(np.concatenate([s.ravel() for s in smooth]), np.concatenate([r.ravel() for r in rough]))

    def forward(self, weights: Weights, device: str) -> Forward:
        return by_plane(lambda plane: _graded(smoothed(plane, self.smooth_sigma), weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueDog(Masking):
    """Settings for telling tissue from resin by a difference of Gaussians alone: its energy, averaged, and Otsu's threshold.

    Attributes
    ----------
    block_size
        Pixels along the side of the windows in which energy is averaged.
    texture_sigma
        Pixels, of the narrower Gaussian.
    min_region_size
        Regions of fewer voxels are dropped.
    max_hole_size
        Background of up to so many voxels is filled where tissue surrounds it.
    threshold
        Confidence from which a voxel is tissue.
    """

    name: ClassVar[str] = "tissue-dog"
    objective: ClassVar[str] = "dice"
    methods: ClassVar[str] = (
        "a threshold on the local strength of a difference of Gaussians (Otsu 1979, doi:10.1109/TSMC.1979.4310076)"
    )

    block_size: int = 16
    texture_sigma: float = 1.0

    def __post_init__(self) -> None:
        Masking.__post_init__(self)
        _refuse_none(self.block_size, "block_size")
        _refuse_none(self.texture_sigma, "texture_sigma")

    @property
    def grid(self) -> Grid:
        return grid(texture.radius(max(self._sigmas)) + texture.radius(self._window), 1)

    def measure(self, image: Image) -> Weights:
        """Otsu's threshold on the logarithm of energy: ``limit`` and ``unit``, as for `TissueOtsu`."""
        planes = prepared_planes(self, image, texture.sampled(image))
        energy = np.concatenate([self._energy(plane).ravel() for plane in planes])
        return _split(energy, energy)

    def forward(self, weights: Weights, device: str) -> Forward:
        return by_plane(lambda plane: _graded(self._energy(plane), weights))

    @property
    def _sigmas(self) -> tuple[float, float]:
        return self.texture_sigma, self.texture_sigma * texture.RATIO

    @property
    def _window(self) -> float:
        """Standard deviation of a box of the block's size."""
        return float(self.block_size / np.sqrt(12))

    def _energy(self, plane: Floats) -> Floats:
        narrow, wider = (smoothed(plane, sigma) for sigma in self._sigmas)
        energy: Floats = np.log(np.maximum(smoothed((narrow - wider) ** 2, self._window), texture.FLOOR))
        return energy


def smoothed(plane: Floats, sigma: float) -> Floats:
    """Gaussian; beyond the plane's edge lie its edge pixels."""
    return texture.blur(np.pad(plane, texture.radius(sigma), mode="edge"), sigma)


def _split(values: Array, rough: Array) -> Weights:
    limit = texture.otsu(values)
    below, above = values <= limit, values > limit
    if not above.any():
        return {"limit": np.array(np.inf), "unit": np.array(1.0)}
    apart = float(values[above].mean() - values[below].mean())
    sign = 1 if rough[above].mean() >= rough[below].mean() else -1
    return {"limit": np.array(limit), "unit": np.array(sign * apart)}


def _graded(values: Floats, weights: Weights) -> Floats:
    """Confidence in whole 255ths."""
    limit, unit = float(weights["limit"]), float(weights["unit"])
    if np.isinf(limit):
        return np.zeros_like(values)
    graded = np.clip((values - np.float32(limit)) / np.float32(unit) + np.float32(0.5), 0, 1)
    whole: Floats = np.rint(graded * texture.STEPS) / texture.STEPS
    return whole


def _refuse_none(value: float, field: str) -> None:
    if value <= 0:
        raise SettingsError(f"found {field} {value}; need a number above 0")
