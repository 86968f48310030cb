"""Electron micrographs of freeze-fracture replicas with gold beads, and where every bead is.

A bead is a solid sphere that dims the beam by exp(-absorption × path), on a shadowed replica (`replica`), seen through
a slight blur and with two kinds of noise: the grain of the carbon film and the counting of electrons. Where numbers
come from: design/0002-bead-simulator.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from graticule.arrays.draw import spheroids
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Points
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.fields import Random, band_field
from graticule.simulate.replica import Replica, islands, places

NM_PER_UM = 1000.0
OVERLAP = 0.75
"""Beads come no closer than this share of the sum of their radii: they may overlap, but two are never one."""

TRIES = 16
"""Places tried for a bead before it is left out."""

WEIGHT_SPREAD = 0.10
"""Spread of the logarithm of the beads' darkness within an image, apart from what their size does."""

UNMARKED = -1
"""Kind of the beads that are no part of the truth."""

DEAD_PIXELS = 4e-6
"""Share of single black pixels that the camera adds."""

MOST_EDGES = 12
"""Membrane edges in one picture, however large: each costs a pass over all pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadScenes:
    """Simulated immunogold micrographs.

    Attributes
    ----------
    shape_px
        Height and width.
    spacing_um
        Pixel size.
    diameters_nm
        Class names and mean diameters. Gold sold as 6 nm measures 7.0 nm across in the images these imitate, gold sold
        as 12 nm 12.3 nm.
    beads_per_um2
        Mean density, one per class.
    unmarked_nm
        Classes that are in the images but not in the truth.
    unmarked_per_um2
        Mean density of each of those.
    diameter_spread
        Standard deviation of diameters, relative to their mean.
    elongation
        Standard deviation of the beads' long over short axis, minus 1.
    faint
        Share of beads that are much paler than the rest.
    touching
        Share of beads that touch or overlap another of their class.
    distractors
        Whether there are protein bumps, membrane edges and dark patches.
    noise
        Factor on all noise; 0 gives none.
    """

    shape_px: tuple[int, int] = (512, 512)
    spacing_um: float = 1 / 1790
    diameters_nm: tuple[tuple[str, float], ...] = (("6nm", 7.0), ("12nm", 12.3))
    beads_per_um2: tuple[float, ...] = (250.0, 40.0)
    unmarked_nm: tuple[tuple[str, float], ...] = (("18nm", 19.0),)
    unmarked_per_um2: float = 20.0
    diameter_spread: float = 0.08
    elongation: float = 0.1
    faint: float = 0.05
    touching: float = 0.05
    distractors: bool = True
    noise: float = 1.0

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if len(self.beads_per_um2) != len(self.diameters_nm):
            raise SettingsError(
                f"found {len(self.beads_per_um2)} bead densities for {len(self.diameters_nm)} classes; "
                "give beads_per_um2 one number per class"
            )
        if any(diameter <= 0 for _, diameter in self.diameters_nm + self.unmarked_nm):
            raise SettingsError(f"found diameters {self.diameters_nm}; all must be above 0 nm")
        if min(self.shape_px) < 1 or not self.spacing_um > 0:
            raise SettingsError(f"found {self.shape_px} pixels of {self.spacing_um} µm; all must be above 0")

    def draw(self, seed: int | Random, *, name: str = "beads") -> Example:
        """An 8-bit image ``(y, x)`` and all marked beads whose centres lie in it; the same for the same seed."""
        rng = np.random.default_rng(seed)
        look = _Look.drawn(rng)
        border = self._border_px
        canvas = (self.shape_px[0] + 2 * border, self.shape_px[1] + 2 * border)
        crowded = islands(rng, canvas, correlation_px=90 / self._nm_per_px, cover=rng.uniform(0.3, 0.8))
        beads = self._beads(rng, crowded)
        gold = np.exp(-look.absorption_per_nm * beads.path_nm(canvas, self._nm_per_px))
        # Beads are blurred apart from the replica: they stick out of its plane of focus, and are no perfect spheres.
        beam = ndimage.gaussian_filter(gold, look.blur_nm / self._nm_per_px)
        if self.distractors:
            beam = beam * self._replica(rng, crowded, look.light_rad).transmission(rng)
        pixels = look.record(rng, beam, nm_per_px=self._nm_per_px, noise=self.noise)
        inside = pixels[border : border + self.shape_px[0], border : border + self.shape_px[1]]
        image = Image(inside, "yx", (self.spacing_um, self.spacing_um))
        return Example(name, image, self._truth(beads, image, border))

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"beads-{seed}-{index:03d}")

    @property
    def _nm_per_px(self) -> float:
        return self.spacing_um * NM_PER_UM

    @property
    def _border_px(self) -> int:
        """Pixels drawn around the image and cut off, so that beads and blur cross its edge as they cross any line."""
        largest = max((diameter for _, diameter in self.diameters_nm + self.unmarked_nm), default=0.0)
        return int(np.ceil(largest * (1 + 4 * self.diameter_spread) / self._nm_per_px)) + 8

    def _beads(self, rng: Random, crowded: Floats) -> _Beads:
        """All beads on the canvas; marked classes prefer the crowded places, the others do not."""
        marked = [
            _Class(kind, diameter, density, 0.4 + 0.6 * crowded / crowded.mean())
            for kind, ((_, diameter), density) in enumerate(zip(self.diameters_nm, self.beads_per_um2, strict=True))
        ]
        anywhere = np.ones_like(crowded)
        unmarked = [_Class(UNMARKED, diameter, self.unmarked_per_um2, anywhere) for _, diameter in self.unmarked_nm]
        beads = _Beads.none()
        # Largest first: small ones still find room between them, so no class falls short.
        for each in sorted([*marked, *unmarked], key=lambda one: -one.diameter_nm):
            beads = self._lay(rng, beads, each)
        return beads

    def _lay(self, rng: Random, beads: _Beads, each: _Class) -> _Beads:
        """`beads` and those of one more class."""
        mean = each.per_um2 * self.spacing_um**2 * each.share.size
        count = rng.poisson(mean * rng.gamma(6, 1 / 6))  # images of one laboratory differ about this much
        pool = places(rng, each.share, TRIES * count)
        for tries in pool.reshape(count, TRIES, 2):
            bead = self._bead(rng, each)
            beads = beads.with_one(bead, self._candidates(rng, beads, bead, tries), self._nm_per_px)
        return beads

    def _bead(self, rng: Random, each: _Class) -> _Bead:
        spread = np.clip(rng.normal(0, self.diameter_spread), -3 * self.diameter_spread, 3 * self.diameter_spread)
        pale = rng.random() < self.faint
        return _Bead(
            kind=each.kind,
            diameter_nm=each.diameter_nm * (1 + spread),
            elongation=1 + abs(rng.normal(0, self.elongation)),
            angle=rng.uniform(0, np.pi),
            weight=rng.uniform(0.2, 0.7) if pale else rng.lognormal(0, WEIGHT_SPREAD),
        )

    def _candidates(self, rng: Random, beads: _Beads, bead: _Bead, tries: Array) -> Array:
        """Where to try to put a bead, ``(TRIES, 2)`` in pixels: for some, first beside another of their class."""
        same = np.flatnonzero(beads.kind == bead.kind)
        if not len(same) or rng.random() >= self.touching:
            return tries
        other = rng.choice(same)
        reach = (beads.diameter_nm[other] + bead.diameter_nm) / 2 / self._nm_per_px * rng.uniform(OVERLAP, 1.1, TRIES)
        angle = rng.uniform(0, 2 * np.pi, TRIES)
        beside = beads.place_px[other] + reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        return np.concatenate([beside[: TRIES // 2], tries[TRIES // 2 :]])

    def _replica(self, rng: Random, crowded: Floats, light_rad: float) -> Replica:
        um2 = crowded.size * self.spacing_um**2
        return Replica(
            shape=(crowded.shape[0], crowded.shape[1]),
            nm_per_px=self._nm_per_px,
            light_rad=light_rad,
            islands=crowded,
            bumps_per_um2=rng.gamma(3, 1900),
            edges=int(rng.poisson(min(18 * um2, MOST_EDGES))),
            blots=int(rng.poisson(20 * um2)),
        )

    def _truth(self, beads: _Beads, image: Image, border_px: int) -> Points:
        """The marked beads whose centre lies on a pixel of the image."""
        place = beads.place_px - border_px
        on_image = ((place >= -0.5) & (place <= np.array(image.shape) - 0.5)).all(axis=1)
        shown = on_image & (beads.kind != UNMARKED)
        kinds = tuple(name for name, _ in self.diameters_nm)
        found = Points.marked(image.to_um(place[shown]), beads.kind[shown], kinds)
        return replace(found, diameter_um=beads.diameter_nm[shown] / NM_PER_UM)


@dataclass(frozen=True, slots=True)
class _Class:
    """Beads to lay: `share` says how the density `per_um2` is spread over the canvas."""

    kind: int
    diameter_nm: float
    per_um2: float
    share: Floats


@dataclass(frozen=True, slots=True)
class _Bead:
    kind: int
    diameter_nm: float
    elongation: float
    angle: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class _Beads:
    """``(N,)`` of everything a `_Bead` has, and their places ``(N, 2)`` in pixels of the canvas."""

    place_px: Array
    kind: Array
    diameter_nm: Array
    elongation: Array
    angle: Array
    weight: Array

    @classmethod
    def none(cls) -> _Beads:
        nothing = np.zeros(0)
        return cls(np.zeros((0, 2)), np.zeros(0, int), nothing, nothing, nothing, nothing)

    def with_one(self, bead: _Bead, candidates: Array, nm_per_px: float) -> _Beads:
        """The same beads and `bead` at the first candidate that is free; without it where none is."""
        apart = np.linalg.norm(candidates[:, None] - self.place_px[None], axis=2) * nm_per_px
        free = (apart >= OVERLAP * (self.diameter_nm + bead.diameter_nm) / 2).all(axis=1)
        if not free.any():
            return self
        place = candidates[np.argmax(free)]
        return _Beads(
            np.concatenate([self.place_px, place[None]]),
            np.append(self.kind, bead.kind),
            np.append(self.diameter_nm, bead.diameter_nm),
            np.append(self.elongation, bead.elongation),
            np.append(self.angle, bead.angle),
            np.append(self.weight, bead.weight),
        )

    def path_nm(self, shape: tuple[int, int], nm_per_px: float) -> Floats:
        """``shape``: how much gold the beam meets, in nm, counted more or less where beads are dense or pale."""
        return nm_per_px * spheroids(
            shape,
            centre=self.place_px,
            diameter=self.diameter_nm / nm_per_px,
            elongation=self.elongation,
            angle=self.angle,
            weight=self.weight,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How one micrograph was taken: ranges are those of the seven measured ones, a little widened."""

    level: float  # grey level of flat clean ground
    black: float  # grey level where no electron comes through; below 0 the 8-bit picture is clipped
    light_rad: float
    absorption_per_nm: float
    blur_nm: float
    grain: float  # standard deviation relative to the level
    grain_per_nm: float
    grain_width_per_nm: float
    shot: float  # variance per grey level

    @classmethod
    def drawn(cls, rng: Random) -> _Look:
        return cls(
            level=rng.uniform(140, 210),
            black=rng.uniform(-14, 5),
            light_rad=rng.uniform(0, 2 * np.pi),
            absorption_per_nm=rng.normal(0.168, 0.015),
            blur_nm=rng.uniform(1.0, 1.35),
            grain=rng.uniform(0.029, 0.046),
            grain_per_nm=rng.uniform(0.085, 0.15),
            grain_width_per_nm=rng.uniform(0.10, 0.14),
            shot=rng.uniform(0.13, 0.27),
        )

    def record(self, rng: Random, beam: Floats, *, nm_per_px: float, noise: float) -> Array:
        """8-bit grey levels, ``beam.shape``, of a beam that is 1 on flat ground."""
        frequency, width = self.grain_per_nm * nm_per_px, self.grain_width_per_nm * nm_per_px
        grain = noise * self.grain * band_field(rng, beam.shape, frequency=frequency, width=width)
        grey = self.black + (self.level - self.black) * beam * (1 + grain)
        grey += noise * np.sqrt(self.shot * np.clip(grey, 1, None)) * rng.standard_normal(beam.shape, np.float32)
        if noise:
            grey[rng.random(beam.shape, np.float32) < DEAD_PIXELS] = 0
        return np.clip(np.round(grey), 0, 255).astype(np.uint8)
