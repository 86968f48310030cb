"""Bright (or dark) round spots on a noisy background, as in fluorescence, and where every spot is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from graticule.arrays.draw import gaussians
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Points
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.fields import Random, smooth_field

FWHM = 2 * np.sqrt(2 * np.log(2))
"""A Gaussian's full width at half its height, in standard deviations."""

APART = 3.0
"""Standard deviations that spots keep from one another: closer, two Gaussians show one peak."""

TRIES = 30
"""Places tried for a spot before it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotScenes:
    """Simulated pictures of plain spots.

    Attributes
    ----------
    shape_px
        Height and width.
    spacing_um
        Pixel size.
    count
        Spots per image on average; the number varies as chance has it.
    sigma_px
        Least and largest standard deviation of a spot.
    signal_to_noise
        Least and largest height of a spot, in standard deviations of the background's noise.
    background
        Mean counts (photons) per pixel without spots.
    read_noise
        Standard deviation of the camera's own noise, in counts.
    uneven
        Standard deviation of the background's slow variation, relative to its mean.
    dark
        Whether spots are darker than the background instead of brighter.
    """

    shape_px: tuple[int, int] = (256, 256)
    spacing_um: float = 0.1
    count: float = 30.0
    sigma_px: tuple[float, float] = (1.5, 2.0)
    signal_to_noise: tuple[float, float] = (4.0, 15.0)
    background: float = 400.0
    read_noise: float = 5.0
    uneven: float = 0.05
    dark: bool = False

    def __post_init__(self) -> None:
        refuse_impossible(self, ("signal_to_noise",))
        if min(self.shape_px) < 1 or not self.spacing_um > 0:
            raise SettingsError(f"found {self.shape_px} pixels of {self.spacing_um} µm; all must be above 0")
        if not 0 < self.sigma_px[0] <= self.sigma_px[1]:
            raise SettingsError(f"found sigma_px {self.sigma_px}; need a least and a largest one above 0")

    def draw(self, seed: int | Random, *, name: str = "spots") -> Example:
        """A 16-bit image ``(y, x)`` and all spots whose centres lie in it; the same for the same seed."""
        rng = np.random.default_rng(seed)
        place = self._places(rng)
        sigma = rng.uniform(*self.sigma_px, len(place))
        height = rng.uniform(*self.signal_to_noise, len(place)) * self._noise * (-1 if self.dark else 1)
        light = self._ground(rng) + gaussians(self.shape_px, centre=place, sigma=sigma, height=height)
        image = Image(self._record(rng, light), "yx", (self.spacing_um, self.spacing_um))
        seen = ((place >= -0.5) & (place <= np.array(self.shape_px) - 0.5)).all(axis=1)
        truth = Points.marked(image.to_um(place[seen]), kinds=("spot",))
        return Example(name, image, replace(truth, diameter_um=FWHM * sigma[seen] * self.spacing_um))

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"spots-{seed}-{index:03d}")

    @property
    def _noise(self) -> float:
        return float(np.hypot(np.sqrt(self.background), self.read_noise))

    def _places(self, rng: Random) -> Array:
        """``(N, 2)`` in pixels, also a little outside the image, so that spots cross its border."""
        border = 2 * self.sigma_px[1]
        size = np.array(self.shape_px) + 2 * border
        laid = np.zeros((0, 2))
        for _ in range(rng.poisson(self.count * size.prod() / np.prod(self.shape_px))):
            tries = rng.uniform(-border, size - border, (TRIES, 2)) - 0.5
            apart = np.linalg.norm(tries[:, None] - laid[None], axis=2)
            free = (apart >= APART * self.sigma_px[1]).all(axis=1)
            laid = np.concatenate([laid, tries[free][:1]])
        return laid

    def _ground(self, rng: Random) -> Floats:
        slow = smooth_field(rng, self.shape_px, correlation_px=max(self.shape_px) / 4)
        return np.asarray(self.background * (1 + self.uneven * slow), np.float32)

    def _record(self, rng: Random, light: Floats) -> Array:
        counts = rng.poisson(np.clip(light, 0, None)) + rng.normal(0, self.read_noise, light.shape)
        return np.clip(np.round(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)
