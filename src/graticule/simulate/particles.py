"""Fluorescence volumes of single particles: copies of one shape, turned at random and each labelled only in part.

What makes picking hard is in them: particles in pairs and heaps, stray fluorophores, smears brighter than particles, haze,
a point spread function that is longer along z, shot noise and the camera's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Points
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.fields import Random, smooth_field
from graticule.simulate.templates import TEMPLATES

USUAL_SHAPE = {2: (512, 512), 3: (48, 256, 256)}
TRIES = 50
"""Places tried for a particle before it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleScenes:
    """Simulated fluorescence images of particles.

    Attributes
    ----------
    dimensions
        3 for volumes, 2 for their projections along z.
    shape_px
        Size along each axis; empty: 48 x 256 x 256 voxels, or 512 x 512 pixels.
    spacing_um
        Voxel size along z, and along y and x.
    template
        centriole, ring, rod, shell or spot.
    length_um
        Of a particle: 1.8 µm is a centriole in a gel expanded four times.
    particles
        Least and largest number in an image.
    marked
        How many of an image's particles are in its annotation, drawn at random, as if somebody had clicked so many; 0: all.
    fluorophores
        Number on a fully labelled particle.
    labelled
        Least and largest share of a particle's sites that carry one.
    holes
        Chance that all sites on one side of a particle are bare.
    shrink
        Largest relative change of a particle's size.
    paired
        Share of the particles that lie beside another one, closer than a length.
    strays
        Fluorophores that belong to no particle, as a share of those that do.
    smears
        Number of bright heaps without shape, for each ten particles.
    blur_um
        Standard deviation of the point spread function along z, and along y and x.
    photons
        From one fluorophore.
    background
        Mean photons per voxel without any.
    haze
        Standard deviation of the background's slow variation, relative to its mean.
    read_noise
        Standard deviation of the camera's own noise, in photons.
    """

    dimensions: int = 3
    shape_px: tuple[int, ...] = ()
    spacing_um: tuple[float, float] = (0.2, 0.1)
    template: str = "centriole"
    length_um: float = 1.8
    particles: tuple[int, int] = (20, 60)
    marked: int = 0
    fluorophores: int = 400
    labelled: tuple[float, float] = (0.3, 0.9)
    holes: float = 0.4
    shrink: float = 0.15
    paired: float = 0.3
    strays: float = 0.3
    smears: float = 2.0
    blur_um: tuple[float, float] = (0.35, 0.12)
    photons: float = 400.0
    background: float = 30.0
    haze: float = 0.3
    read_noise: float = 4.0

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if self.dimensions not in USUAL_SHAPE:
            raise SettingsError(f"found {self.dimensions} dimensions; need 2 or 3")
        if not self.shape_px:
            object.__setattr__(self, "shape_px", USUAL_SHAPE[self.dimensions])
        object.__setattr__(self, "dimensions", len(self.shape_px))
        if self.dimensions not in USUAL_SHAPE or min(self.shape_px) < 1 or not min(self.spacing_um) > 0:
            raise SettingsError(f"found {self.shape_px} voxels of {self.spacing_um} µm; need 2 or 3 axes, all above 0")
        if self.template not in TEMPLATES:
            raise SettingsError(f"found template {self.template!r}; known are {', '.join(TEMPLATES)}")
        if not self.fluorophores:
            raise SettingsError("found 0 fluorophores on a particle; need one or more")
        for name in ("particles", "labelled"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise SettingsError(f"found {name} {low} to {high}; need a least and a largest one, from 0")

    @property
    def classes(self) -> tuple[str, ...]:
        """The one class there is: the template's."""
        return (self.template,)

    def draw(self, seed: int | Random, *, name: str = "particles") -> Example:
        """A 16-bit image and all particles whose centres lie in it; the same for the same seed."""
        rng = np.random.default_rng(seed)
        centres = self._centres(rng)
        clouds = [self._particle(rng) + centre for centre in centres]
        sites = np.concatenate([np.zeros((0, 3)), *clouds, *self._smears(rng, len(centres))])
        sites = np.concatenate([sites, self._strays(rng, sum(map(len, clouds)))])
        image = Image(self._recorded(rng, sites), "zyx"[-self.dimensions :], self._spacing[-self.dimensions :])
        inside = centres[:, -self.dimensions :]
        seen = ((inside >= 0) & (inside <= (np.array(image.shape) - 1) * image.spacing_um)).all(axis=1)
        truth = Points.marked(inside[seen], kinds=self.classes)
        if self.marked:
            truth = truth[np.sort(rng.permutation(len(truth))[: self.marked])]
        return Example(name, image, truth)

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"{self.template}-{seed}-{index:03d}")

    @property
    def _spacing(self) -> tuple[float, float, float]:
        return (self.spacing_um[0], self.spacing_um[1], self.spacing_um[1])

    @property
    def _volume(self) -> tuple[int, ...]:
        """Voxels of the volume that is drawn, also for a projection: then as deep as two particles are long."""
        deep = max(1, round(2 * self.length_um / self.spacing_um[0]))
        return self.shape_px if self.dimensions == 3 else (deep, *self.shape_px)

    @property
    def _size_um(self) -> Array:
        return np.multiply(self._volume, self._spacing)

    def _centres(self, rng: Random) -> Array:
        """``(N, 3)`` in µm: some alone, at least a length from all others; some beside one of these, touching it."""
        count = int(rng.integers(self.particles[0], self.particles[1] + 1))
        alone = self._apart(rng, count - round(count * self.paired))
        if not len(alone):
            return alone
        beside = rng.choice(len(alone), min(round(count * self.paired), len(alone)), replace=False)
        way = rng.standard_normal((len(beside), 3))
        way *= rng.uniform(0.5, 0.9, (len(beside), 1)) * self.length_um / np.linalg.norm(way, axis=1, keepdims=True)
        return np.concatenate([alone, np.clip(alone[beside] + way, 0, self._size_um - self._spacing)])

    def _apart(self, rng: Random, count: int) -> Array:
        laid = np.zeros((0, 3))
        for _ in range(count):
            tries = rng.uniform(0, self._size_um - self._spacing, (TRIES, 3))
            free = (np.linalg.norm(tries[:, None] - laid[None], axis=2) >= self.length_um).all(axis=1)
            laid = np.concatenate([laid, tries[free][:1]])
        return laid

    def _particle(self, rng: Random) -> Array:
        """``(N, 3)`` sites with a fluorophore, around the particle's own centre, in µm."""
        sites = TEMPLATES[self.template](rng, self.fluorophores)
        kept = rng.random(len(sites)) < rng.uniform(*self.labelled)
        if rng.random() < self.holes:
            way = rng.standard_normal(3)
            depth = sites @ (way / np.linalg.norm(way))
            kept &= depth <= np.quantile(depth, rng.uniform(0.6, 0.9))  # a spot has no far side to lose
        turned: Array = Rotation.random(random_state=rng).apply(sites[kept]) if kept.any() else sites[kept]
        scaled: Array = turned * (self.length_um * rng.uniform(1 - self.shrink, 1 + self.shrink))
        return scaled

    def _smears(self, rng: Random, particles: int) -> list[Array]:
        """Heaps of fluorophores without the template's shape: what looks bright, and is no particle."""
        heaps = []
        for _ in range(rng.poisson(self.smears * particles / 10)):
            width = rng.uniform(0.1, 0.5, 3) * self.length_um
            count = int(rng.uniform(0.3, 1.5) * self.fluorophores)
            heaps.append(rng.normal(0, width, (count, 3)) + rng.uniform(0, self._size_um))
        return heaps

    def _strays(self, rng: Random, labelled: int) -> Array:
        return rng.uniform(0, self._size_um, (rng.poisson(self.strays * labelled), 3))

    def _recorded(self, rng: Random, sites: Array) -> Array:
        """What the camera counts."""
        light = self.photons * self._blurred(sites)
        if self.dimensions == 2:
            light = light.sum(axis=0)
        ground = 1 + self.haze * smooth_field(rng, light.shape, correlation_px=max(light.shape) / 5)
        expected = light + self.background * np.clip(ground, 0.1, None)
        counts = rng.poisson(expected) + rng.normal(0, self.read_noise, light.shape)
        whole: Array = np.clip(np.round(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)
        return whole

    def _blurred(self, sites: Array) -> Floats:
        """Fluorophores shared out among their eight nearest voxels, then blurred: their centroid is kept."""
        volume = np.zeros(self._volume, np.float32)
        place = sites / self._spacing
        first = np.floor(place).astype(int)
        for corner in np.ndindex(2, 2, 2):
            voxel = first + corner
            share = np.prod(np.where(corner, place - first, 1 - (place - first)), axis=1)
            inside = ((voxel >= 0) & (voxel < self._volume)).all(axis=1)
            np.add.at(volume, tuple(voxel[inside].T), share[inside].astype(np.float32))
        sigma = [self.blur_um[0] / self._spacing[0]] + [self.blur_um[1] / self._spacing[1]] * 2
        return np.asarray(gaussian_filter(volume, sigma, truncate=4), np.float32)
