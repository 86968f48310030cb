"""Electron micrographs, planes or volumes, of tissue that lies in resin, and which voxels are tissue.

Tissue is cells with membranes, vesicles, mitochondria and nuclei; resin is smooth, shaded and scratched; tracheae are
hollow tubes within tissue that are none. What tells them apart is drawn first, as a map of materials; how it looks (stain,
detector, noise) is drawn after, in one of several domains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Labels
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.fields import Random, band_field, smooth_field

RESIN, TISSUE, TRACHEA = 0, 1, 2
SIDE_PX = {2: 384, 3: 96}
NM = 1e-3  # µm


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """How one kind of microscope and stain shows things: ranges that each specimen is drawn from.

    Attributes
    ----------
    tissue, membrane, dark
        Grey of cytoplasm, of membranes, and of mitochondria and vesicles, where resin is 0 and 1 is as dark as things get.
    uneven
        Spread of grey from cell to cell.
    noise, grain
        White noise, and noise that is alike over about two voxels.
    shading, streaks
        Slow variation of the ground, and charging: lines along the fast axis and smears near tissue.
    blur_px
        Of the detector.
    scale
        Sizes of cells and organelles, relative to 1.
    cell_nm
        Typical diameter of a cell.
    inverted
        Resin is dark and tissue bright.
    """

    tissue: tuple[float, float] = (0.30, 0.45)
    membrane: tuple[float, float] = (0.75, 1.0)
    dark: tuple[float, float] = (0.55, 0.8)
    uneven: float = 0.06
    noise: tuple[float, float] = (0.06, 0.10)
    grain: tuple[float, float] = (0.02, 0.04)
    shading: tuple[float, float] = (0.05, 0.15)
    streaks: tuple[float, float] = (0.05, 0.2)
    blur_px: tuple[float, float] = (0.5, 0.8)
    scale: tuple[float, float] = (0.85, 1.2)
    cell_nm: float = 1200.0
    inverted: bool = False


DOMAINS: Mapping[str, Domain] = {
    # Block-face imaging of whole cells: dark tissue, bright resin that charges.
    "block-face": Domain(),
    # Milled by ions: clean, finely stained, tissue only a little darker than resin but for its membranes.
    "milled": Domain(
        tissue=(0.12, 0.25),
        membrane=(0.6, 0.9),
        noise=(0.03, 0.05),
        shading=(0.02, 0.06),
        streaks=(0.02, 0.06),
        blur_px=(0.7, 1.0),
        cell_nm=700.0,
    ),
    # The detector's raw sign: resin black, membranes white.
    "inverted": Domain(inverted=True, noise=(0.05, 0.08), uneven=0.08),
    # Weak stain and few electrons: cytoplasm is as bright as resin, texture alone tells them apart.
    "faint": Domain(
        tissue=(-0.04, 0.06),
        membrane=(0.35, 0.5),
        dark=(0.25, 0.4),
        noise=(0.09, 0.13),
        grain=(0.03, 0.06),
        uneven=0.04,
        cell_nm=900.0,
    ),
}
"""What a user types after ``--domain``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueScenes:
    """Simulated tissue in resin.

    Attributes
    ----------
    dimensions
        2 for planes, 3 for volumes.
    shape_px
        Size along each axis, two numbers or three; empty: 96 along each axis of a volume, 384 of a plane.
    spacing_um
        Voxel size.
    classes
        "tissue", or "tissue" and "trachea"; where tracheae are no class of their own they are background.
    domain
        How it looks: block-face, milled, inverted or faint.
    tissue_share
        Least and largest share of tissue.
    tracheae
        Whether there are any.
    """

    dimensions: int = 3
    shape_px: tuple[int, ...] = ()
    spacing_um: float = 0.04
    classes: tuple[str, ...] = ("tissue",)
    domain: str = "block-face"
    tissue_share: tuple[float, float] = (0.35, 0.65)
    tracheae: bool = True

    def __post_init__(self) -> None:
        refuse_impossible(self, ("tissue_share",))
        if self.dimensions not in SIDE_PX:
            raise SettingsError(f"found {self.dimensions} dimensions; need 2 or 3")
        if not self.shape_px:
            object.__setattr__(self, "shape_px", (SIDE_PX[self.dimensions],) * self.dimensions)
        object.__setattr__(self, "dimensions", len(self.shape_px))
        if self.dimensions not in SIDE_PX or min(self.shape_px) < 1 or not self.spacing_um > 0:
            raise SettingsError(f"found {self.shape_px} voxels of {self.spacing_um} µm; need 2 or 3 axes, all above 0")
        if self.domain not in DOMAINS:
            raise SettingsError(f"found domain {self.domain!r}; known are {', '.join(DOMAINS)}")
        if self.classes not in (("tissue",), ("tissue", "trachea")):
            raise SettingsError(f"found classes {self.classes}; need tissue, or tissue and trachea")

    def draw(self, seed: int | Random, *, name: str = "tissue") -> Example:
        """An 8-bit image and which of its voxels are what; the same for the same seed."""
        rng = np.random.default_rng(seed)
        domain = DOMAINS[self.domain]
        materials, rim = self._materials(rng)
        scale = rng.uniform(*domain.scale) * domain.cell_nm * NM / self.spacing_um
        stain = np.where(materials == TISSUE, _tissue(rng, domain, self.shape_px, cell_px=scale), 0)
        stain = _with_resin(rng, domain, stain, materials)
        stain = np.where(rim, rng.uniform(*domain.membrane), stain)
        pixels = _recorded(rng, domain, stain)
        axes, spacing = "zyx"[-len(self.shape_px) :], (self.spacing_um,) * len(self.shape_px)
        truth = np.where(materials <= len(self.classes), materials, RESIN).astype(np.uint8)
        return Example(name, Image(pixels, axes, spacing), Labels(Image(truth, axes, spacing)))

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"{self.domain}-{seed}-{index:03d}")

    def _materials(self, rng: Random) -> tuple[Array, Array]:
        """What each voxel is; and the dark rims of tissue and of tracheae, which belong to tissue."""
        side = min(self.shape_px)
        coast = smooth_field(rng, self.shape_px, correlation_px=side / 2.2)
        coast = coast + 0.3 * smooth_field(rng, self.shape_px, correlation_px=side / 10)
        coast = coast + 0.08 * smooth_field(rng, self.shape_px, correlation_px=side / 30)
        inside = coast > np.quantile(coast, 1 - rng.uniform(*self.tissue_share))
        lumen = np.zeros(self.shape_px, bool)
        if self.tracheae:
            lumen = _tubes(rng, self.shape_px, count=int(rng.integers(1, 4)), radius_px=(side / 24, side / 9)) & inside
        tissue = inside & ~lumen
        rim = tissue & (_near(~inside, 1.5) | _near(lumen, 2.5))
        return np.where(lumen, TRACHEA, np.where(tissue, TISSUE, RESIN)), rim


def _near(where: Array, reach_px: float) -> Array:
    """Voxels within `reach_px` of any of `where`."""
    if not where.any():
        return where
    near: Array = ndimage.distance_transform_edt(~where) <= reach_px
    return near


def _tubes(rng: Random, shape: tuple[int, ...], *, count: int, radius_px: tuple[float, float]) -> Array:
    """Bent tubes right through the box; in a plane, where they are cut across."""
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij"), axis=-1)
    inside = np.zeros(shape, bool)
    for _ in range(count):
        radius = rng.uniform(*radius_px) * (1 + 0.15 * smooth_field(rng, shape, correlation_px=min(shape) / 4))
        offset = grid - rng.uniform(0.15, 0.85, len(shape)) * shape
        along = rng.normal(size=len(shape))
        along /= np.linalg.norm(along)
        if len(shape) == 3:
            bend = 0.25 * min(shape) * np.sin(offset @ along / min(shape) * np.pi)[..., None] * _across(along)
            offset = offset - (offset @ along)[..., None] * along - bend
        inside |= (offset**2).sum(axis=-1) < radius**2
    return inside


def _across(along: Array) -> Array:
    """Some direction at right angles to `along`."""
    other = np.eye(len(along))[np.argmin(np.abs(along))]
    across = other - (other @ along) * along
    return np.asarray(across / np.linalg.norm(across))


def _tissue(rng: Random, domain: Domain, shape: tuple[int, ...], *, cell_px: float) -> Floats:
    """Stain of tissue everywhere, as if all were tissue."""
    cell, depth = _cells(rng, shape, cell_px=cell_px)
    grey = rng.uniform(*domain.tissue) + domain.uneven * rng.standard_normal(int(cell.max()) + 1)[cell]
    fine = band_field(rng, shape, frequency=min(0.3, 3 / cell_px), width=0.08)
    stain = grey + 0.06 * fine
    nucleus = (rng.random(int(cell.max()) + 1) < 0.12)[cell] & (depth > 0.22 * cell_px)
    stain = np.where(nucleus, grey + 0.05 * smooth_field(rng, shape, correlation_px=3), stain)
    dark = rng.uniform(*domain.dark)
    for size, share, level in ((0.3, 0.10, dark), (0.09, 0.05, rng.uniform(0.9, 1.1) * dark), (0.12, 0.02, -0.05)):
        organelle = _blobs(rng, shape, size_px=size * cell_px, share=share) & ~nucleus & (depth > 1)
        stain = np.where(organelle, level + 0.05 * fine, stain)
    membrane = (depth < 1.0) | (nucleus & (depth < 0.22 * cell_px + 1))
    return np.asarray(np.where(membrane, rng.uniform(*domain.membrane), stain), np.float32)


def _cells(rng: Random, shape: tuple[int, ...], *, cell_px: float) -> tuple[Array, Floats]:
    """A number for each voxel's cell, and how far it lies from the cell's border, in voxels."""
    pad = 2 * cell_px
    size = np.array(shape) + 2 * pad
    seeds = rng.uniform(-pad, size - pad, (max(4, round(float(np.prod(size / cell_px)))), len(shape)))
    places = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij"), axis=-1)
    for axis in range(len(shape)):  # bent, for cells are no polyhedra
        places[..., axis] += 0.22 * cell_px * smooth_field(rng, shape, correlation_px=0.6 * cell_px)
    distance, nearest = KDTree(seeds).query(places.reshape(-1, len(shape)), k=2, workers=1)
    depth = ((distance[:, 1] - distance[:, 0]) / 2).reshape(shape)
    return nearest[:, 0].reshape(shape), np.asarray(depth, np.float32)


def _blobs(rng: Random, shape: tuple[int, ...], *, size_px: float, share: float) -> Array:
    """Round things of about one size that fill about a share of space."""
    field = band_field(rng, shape, frequency=min(0.4, 0.5 / max(size_px, 1.2)), width=0.25 / max(size_px, 1.2))
    blobs: Array = field > np.quantile(field, 1 - share)
    return blobs


def _with_resin(rng: Random, domain: Domain, stain: Floats, materials: Array) -> Floats:
    """Stain with what is not tissue drawn: lumina, shading, charging, cracks and dust."""
    shape = stain.shape
    outside = materials != TISSUE
    ground = np.where(materials == TRACHEA, rng.uniform(-0.15, 0.05), 0.0)
    ground = ground + rng.uniform(*domain.streaks) * _smears(rng, materials == TISSUE)
    crack = np.abs(smooth_field(rng, shape, correlation_px=min(shape) / 3)) < rng.uniform(0, 0.012)
    crack &= smooth_field(rng, shape, correlation_px=min(shape) / 4) > 0.3
    ground = np.where(crack, rng.choice([-0.2, 0.35]), ground)
    dust = _blobs(rng, shape, size_px=rng.uniform(1.5, 3), share=0.15) & (
        smooth_field(rng, shape, correlation_px=min(shape) / 8) > 2.2
    )
    ground = np.where(dust, rng.uniform(0.3, 1.0), ground)
    both = np.where(outside, ground, stain)
    both = both + rng.uniform(*domain.shading) * smooth_field(rng, shape, correlation_px=min(shape) / 2)
    return np.asarray(both + rng.uniform(*domain.streaks) * 0.2 * _lines(rng, shape), np.float32)


def _smears(rng: Random, tissue: Array) -> Floats:
    """Dark shadows that charging casts on resin, along the scanned line and away from tissue."""
    width = [0.0] * (tissue.ndim - 2) + [min(tissue.shape) / 60, min(tissue.shape) / 6]
    cast = ndimage.gaussian_filter1d(tissue.astype(np.float32), width[-1], axis=-1)
    patchy = np.clip(smooth_field(rng, tissue.shape, correlation_px=min(tissue.shape) / 6), 0, None)
    return np.asarray(cast * patchy * 2, np.float32)


def _lines(rng: Random, shape: tuple[int, ...]) -> Floats:
    """Every scanned line a little brighter or darker than the next; along the last axis they drift slowly."""
    lines = rng.standard_normal((*shape[:-1], 1)).astype(np.float32)
    return np.asarray(lines * (1 + 0.5 * smooth_field(rng, shape, correlation_px=min(shape) / 2)), np.float32)


def _recorded(rng: Random, domain: Domain, stain: Floats) -> Array:
    """8-bit grey levels: blur, noise, contrast, sign."""
    blurred = ndimage.gaussian_filter(stain, rng.uniform(*domain.blur_px))
    noisy = blurred + rng.uniform(*domain.noise) * rng.standard_normal(stain.shape, np.float32)
    grain = ndimage.gaussian_filter(rng.standard_normal(stain.shape, np.float32), 0.8)
    noisy = noisy + rng.uniform(*domain.grain) * grain / grain.std()
    sign = 1 if domain.inverted else -1
    base = rng.uniform(40, 70) if domain.inverted else rng.uniform(170, 205)
    grey: Array = np.clip(np.round(base + sign * rng.uniform(95, 135) * noisy), 0, 255).astype(np.uint8)
    return grey
