"""Electron micrographs, volumes or planes, of neurites packed side by side, and the single mitochondria in them.

What is where is drawn first, in nanometres: neurites are what lies nearest to one of many bent curves, and mitochondria are
tubes along some of these curves, inside their neurite, some of them against another one. That is done on a lattice coarser
than the voxels, as all of it is smooth. Stain follows from the distances: plasma membranes, the two membranes and the cristae
of mitochondria, vesicles, tubules, and dark bodies that are no mitochondria. Then sections are averaged over their thickness
and recorded, with what microscopes add.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import label

from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Labels
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.fields import Random, band_field, smooth_field

NM_PER_UM = 1e3

LATTICE_NM = 16.0
"""Distance of the points at which distances are computed; between them they are interpolated."""

PLANE_NM = 10.0
"""Thicker sections are drawn as several planes of about this thickness."""

NEAREST = 10
"""Points of curves looked at around each place, to find the nearest neurite and the next."""

WALL_NM = 26.0
"""Between the plasma membrane and a mitochondrion at least."""

NEAR_NM, FAR_NM = 60.0, -1e3
"""Around mitochondria depths are computed so far; how deep all that is further away is said to lie in one."""

THIN_NM = 35.0
"""Least radius of a mitochondrion; where its neurite has no room for that, it ends."""

ROUND_NM = 16.0
"""Mitochondria are rounded off as by a Gaussian of this width."""

BENDS = ((0.14, 0.5), (0.03, 0.12))
"""How far neurites are bent, and over what distance, as shares of their distance."""

SPECK_NM = 60.0
"""Smaller pieces of mitochondria, as cubes or squares of this side, are left out before anything is drawn."""

LEAST_LEFT = 0.7
"""Share of a mitochondrion that others may not have taken already."""

GAP_NM = 24.0
"""Between mitochondria of a neurite that do not touch, at least."""

PATIENCE = 10
"""How often a partner is tried for a mitochondrion that shall touch one."""

PRESSED = 0.3
"""Of two mitochondria one behind the other, what their ends leave of the sum of their radii."""

FINE_NM = 18.0
"""Distance of the points of a mitochondrion's axis."""

UNBENDING = 3
"""Steps by which a place is found that bending brings to another one."""

TRIES = 400
"""Mitochondria tried before the volume is left as full as it is."""

PATCHY = 0.35
"""By how much of itself the stain of membranes varies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MitochondriaScenes:
    """Simulated neurites with mitochondria.

    Attributes
    ----------
    dimensions
        3 for volumes, 2 for planes.
    shape_px
        Size along each axis; empty: 64 x 192 x 192 voxels, or 512 x 512 pixels.
    spacing_um
        Thickness of a section and distance to the next, and pixel size. A section much thicker than its pixels are wide
        shows the mean of all it holds, as on sections cut with a knife; equal ones are as milled by ions.
    share
        Least and largest share of the image that mitochondria fill; less where neurites have no room for more.
    touching
        Share of the mitochondria that shall lie against another one; where neurites end or are narrow, fewer do. With 0 none
        touch.
    radius_nm, length_nm
        Of mitochondria, least and largest; length along the bent axis. Narrow neurites make them thinner.
    cell_nm
        Typical distance of neurites.
    matrix
        How dark the inside of a mitochondrion is, on a scale from cytoplasm, 0, to membranes, 1: least and largest mean.
    cristae
        By how much of that scale the cristae differ from the matrix.
    vesicles, tubules, bodies
        Number in a µm³ of tissue: synaptic vesicles, pieces of endoplasmic reticulum, dark bodies without cristae.
    contrast
        Grey levels between cytoplasm and membranes, least and largest.
    blur_nm
        Of the beam.
    noise
        White noise, as a share of the contrast, least and largest.
    drift
        Slow change of brightness and contrast through the image and from section to section, as a share of the contrast.
    curtains
        Stripes along y that milling leaves, as a share of the contrast.
    """

    usual_px: ClassVar[Mapping[int, tuple[int, ...]]] = {2: (512, 512), 3: (64, 192, 192)}

    dimensions: int = 3
    shape_px: tuple[int, ...] = ()
    spacing_um: tuple[float, float] = (0.008, 0.008)
    share: tuple[float, float] = (0.06, 0.12)
    touching: float = 0.3
    radius_nm: tuple[float, float] = (70.0, 170.0)
    length_nm: tuple[float, float] = (250.0, 1200.0)
    cell_nm: float = 340.0
    matrix: tuple[float, float] = (0.52, 0.66)
    cristae: float = 0.2
    vesicles: float = 1100.0
    tubules: float = 70.0
    bodies: float = 1.5
    contrast: tuple[float, float] = (120.0, 145.0)
    blur_nm: float = 7.0
    noise: tuple[float, float] = (0.07, 0.12)
    drift: float = 0.05
    curtains: float = 0.02

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if self.dimensions not in self.usual_px:
            raise SettingsError(f"found {self.dimensions} dimensions; need 2 or 3")
        if not self.shape_px:
            object.__setattr__(self, "shape_px", self.usual_px[self.dimensions])
        object.__setattr__(self, "dimensions", len(self.shape_px))
        if self.dimensions not in self.usual_px or min(self.shape_px) < 1 or not min(self.spacing_um) > 0:
            raise SettingsError(f"found {self.shape_px} voxels of {self.spacing_um} µm; need 2 or 3 axes, all above 0")
        for name in ("share", "radius_nm", "length_nm", "matrix", "contrast", "noise"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise SettingsError(f"found {name} {low:g} to {high:g}; need a least and a largest one, from 0")
        if not (self.share[1] <= 0.5 and self.radius_nm[0] > 0 and self.cell_nm > 0):
            raise SettingsError(
                f"found share {self.share[1]:g}, radius_nm {self.radius_nm[0]:g} and cell_nm {self.cell_nm:g}; need a share "
                "up to 0.5, and sizes above 0"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The one class there is."""
        return ("mitochondrion",)

    def draw(self, seed: int | Random, *, name: str = "mitochondria") -> Example:
        """An 8-bit image and every mitochondrion in it with a number of its own; the same for the same seed."""
        rng = np.random.default_rng(seed)
        space = _space(self.shape_px, self.spacing_um)
        tissue = _tissue(rng, space, self)
        mitochondria = _mitochondria(rng, space, self, tissue)
        stain = _stained(rng, space, self, tissue, mitochondria)
        pixels = _recorded(rng, space, self, _sectioned(stain, space.planes))
        truth = label(mitochondria.number[space.planes // 2 :: space.planes], connectivity=1)
        image = Image(pixels.reshape(self.shape_px), "zyx"[-self.dimensions :], self._spacing)
        kind = np.uint16 if truth.max() > 255 else np.uint8
        return Example(name, image, Labels(Image(truth.astype(kind).reshape(self.shape_px), image.axes, self._spacing)))

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"mitochondria-{seed}-{index:03d}")

    @property
    def _spacing(self) -> tuple[float, ...]:
        return (self.spacing_um[0], self.spacing_um[1], self.spacing_um[1])[-self.dimensions :]


@dataclass(frozen=True, slots=True)
class _Space:
    """Where things are drawn.

    Attributes
    ----------
    shape, spacing_nm
        Voxels that are drawn, and their size; along z several planes make a section.
    planes
        Of a section.
    step
        Voxels from one point of the lattice to the next.
    """

    shape: tuple[int, ...]
    spacing_nm: tuple[float, ...]
    planes: int
    step: tuple[int, ...]

    @property
    def size_nm(self) -> Array:
        return np.multiply(self.shape, self.spacing_nm)

    @property
    def volume_um3(self) -> float:
        """Of what is drawn; of a plane as if it were as thick as a vesicle."""
        return float(np.prod(np.maximum(self.size_nm, 40.0))) / NM_PER_UM**3

    @property
    def lattice(self) -> tuple[int, ...]:
        """Points along each axis: the last lie at or beyond the last voxel."""
        return tuple(-(-(n - 1) // s) + 1 for n, s in zip(self.shape, self.step, strict=True))

    @property
    def lattice_nm(self) -> Array:
        return np.multiply(self.step, self.spacing_nm)

    def enlarged(self, coarse: Array) -> Floats:
        """Values at the points of the lattice to values at voxels, linear between."""
        return self.part(tuple(slice(0, n) for n in coarse.shape), np.asarray(coarse, np.float32))[1]

    def part(self, box: tuple[slice, ...], coarse: Floats) -> tuple[tuple[slice, ...], Floats]:
        """The same for a box of the lattice: the box of voxels, and the values there."""
        first = [part.start * step for part, step in zip(box, self.step, strict=True)]
        last = [min(n, (b.stop - 1) * step + 1) for b, step, n in zip(box, self.step, self.shape, strict=True)]
        fine = coarse
        for axis, (a, b, step) in enumerate(zip(first, last, self.step, strict=True)):
            fine = np.moveaxis(_between(np.moveaxis(fine, axis, 0), b - a, step), 0, axis)
        return tuple(slice(a, b) for a, b in zip(first, last, strict=True)), fine

    def repeated(self, coarse: Array) -> Array:
        """Numbers at the points of the lattice to voxels: those of the nearest point."""
        nearest = [(np.arange(n) + s // 2) // s for n, s in zip(self.shape, self.step, strict=True)]
        return coarse[np.ix_(*[np.minimum(place, n - 1) for place, n in zip(nearest, coarse.shape, strict=True)])]


@dataclass(frozen=True, slots=True, eq=False)
class _Tissue:
    """Neurites, at the points of the lattice.

    Attributes
    ----------
    curves
        ``(N, 3)`` points, in nm; consecutive ones of a neurite follow one another.
    owner, along_nm
        ``(N,)``: which neurite each is of, and how far along it lies.
    places
        ``(*lattice, 3)``, in nm: where each point of the lattice lies once tissue is bent.
    straight
        The same points where they are in the image.
    cell, depth_nm
        The neurite each lies in, and how far from its membrane.
    """

    curves: Array
    owner: Array
    along_nm: Array
    places: Floats
    straight: Floats
    cell: Array
    depth_nm: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Mitochondria:
    """At every voxel: the number of the mitochondrion, 0 for none, and how deep below its surface; negative outside."""

    number: Array
    depth_nm: Floats


def _space(shape_px: tuple[int, ...], spacing_um: tuple[float, float]) -> _Space:
    """Thick sections are drawn as several planes."""
    thick, wide = (um * NM_PER_UM for um in spacing_um)
    planes = max(1, round(thick / max(wide, PLANE_NM)))
    sections, rows, columns = shape_px if len(shape_px) == 3 else (1, *shape_px)
    spacing = (thick / planes, wide, wide)
    steps = tuple(max(1, round(LATTICE_NM / s)) for s in spacing)
    return _Space((sections * planes, rows, columns), spacing, planes, steps)


def _between(coarse: Floats, n: int, step: int) -> Floats:
    """`n` values along the first axis, linear between those given for each `step`."""
    if step == 1 or len(coarse) == 1:
        return coarse[:n]
    fine = np.empty(((len(coarse) - 1) * step + 1, *coarse.shape[1:]), np.float32)
    fine[-1] = coarse[-1]
    slope = np.diff(coarse, axis=0)
    for offset in range(step):
        fine[offset:-1:step] = coarse[:-1] + slope * np.float32(offset / step)
    return fine[:n]


# -- what is where -----------------------------------------------------------------------------------------------------


def _tissue(rng: Random, space: _Space, scenes: MitochondriaScenes) -> _Tissue:
    curves, owner, along = _curves(rng, space.size_nm, scenes.cell_nm)
    grid = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in space.lattice], indexing="ij")
    straight = np.stack(grid, axis=-1) * space.lattice_nm.astype(np.float32)
    places = straight + np.stack([_bend(rng, space, scenes.cell_nm) for _ in range(3)], axis=-1)
    # Some neurites are narrower than others: their points lie off space, in a fourth direction.
    aside = rng.uniform(0, 0.75, owner.max() + 1)[owner] * scenes.cell_nm
    cell, depth = np.zeros(space.lattice, np.int32), np.zeros(space.lattice, np.float32)
    tree = KDTree(np.column_stack([curves, aside]))
    for plane, there in enumerate(places):
        cell[plane], depth[plane] = _nearest(tree, curves, owner, there)
    return _Tissue(curves, owner, along, places, straight, cell, depth)


def _bend(rng: Random, space: _Space, cell_nm: float) -> Floats:
    """Along one axis, in nm: cells are no polyhedra, and their membranes are not smooth."""
    large, small = (
        share * cell_nm * smooth_field(rng, space.lattice, correlation_px=reach * cell_nm / float(space.lattice_nm[-1]))
        for share, reach in BENDS
    )
    return large + small


def _curves(rng: Random, size_nm: Array, cell_nm: float) -> tuple[Array, Array, Array]:
    """Bent curves all through space and around it, about `cell_nm` from one another."""
    step, around = 0.25 * cell_nm, 1.5 * cell_nm
    wanted = max(20, int(np.prod(size_nm + 2 * around) / cell_nm**2 / step))
    points: list[Array] = []
    main = _unit(rng.standard_normal(3))
    while sum(map(len, points)) < wanted:
        way = _unit(rng.standard_normal(3) + 1.2 * main * rng.choice([-1, 1]))
        turns = rng.normal(0, 0.16, (int(rng.integers(12, 40)), 3))
        line = np.cumsum([step * (way := _unit(way + turn)) for turn in turns], axis=0)
        line += rng.uniform(-around, size_nm + around) - line[len(line) // 2]
        inside = ((line > -around) & (line < size_nm + around)).all(axis=1)
        if inside.any():
            points.append(line[inside])
    lengths = [*map(len, points)]
    along = np.concatenate([step * np.arange(n) for n in lengths])
    return np.concatenate(points), np.repeat(np.arange(len(points)), lengths), along


def _unit(vector: Array) -> Array:
    length: Array = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return length


def _nearest(tree: KDTree, curves: Array, owner: Array, places: Floats) -> tuple[Array, Floats]:
    """The neurite each place lies in, and how far from the plane between its own point and the next neurite's."""
    query = np.concatenate([places.reshape(-1, 3), np.zeros((places[..., 0].size, 1), np.float32)], axis=1)
    distance, point = tree.query(query, k=min(NEAREST, len(curves)), workers=1)
    own = owner[point]
    other = np.argmax(own != own[:, :1], axis=1)  # 0 where all are its own: then it is deep inside
    other[other == 0] = own.shape[1] - 1
    rows = np.arange(len(point))
    apart = np.linalg.norm(curves[point[:, 0]] - curves[point[rows, other]], axis=1)
    depth = (distance[rows, other] ** 2 - distance[:, 0] ** 2) / (2 * np.maximum(apart, 1.0))
    return own[:, 0].reshape(places.shape[:-1]), depth.reshape(places.shape[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Of a neurite, for a mitochondrion to lie along: which one, from where to where on its curve, and how thick."""

    host: int
    first_nm: float
    last_nm: float
    radius_nm: float


def _mitochondria(rng: Random, space: _Space, scenes: MitochondriaScenes, tissue: _Tissue) -> _Mitochondria:
    """One after the other until they fill their share; each gives way to those before it."""
    depth, number = np.full(space.shape, FAR_NM, np.float32), np.zeros(space.shape, np.int32)
    missing = rng.uniform(*scenes.share) * depth.size
    laid: _Stretch | None = None
    patience = 0
    for each in range(1, TRIES + 1):
        if missing <= 0:
            break
        laid, patience = (laid, patience - 1) if patience else (None, 0)
        stretch = _anywhere(rng, space, scenes, tissue) if laid is None else _behind(rng, scenes, laid)
        box, own = space.part(*_tube(space, tissue, stretch))
        left = np.minimum(own, -depth[box] - (GAP_NM if laid is None else 0.0))
        meets = laid is None or bool(((own > 0) & (depth[box] > 0)).any())
        if not meets or (left > 0).sum() <= LEAST_LEFT * (own > 0).sum():
            continue
        depth[box] = np.maximum(depth[box], np.where(left > 1 - NEAR_NM, left, FAR_NM))
        number[box] = np.where(left > 0, each, number[box])
        missing -= int((left > 0).sum())
        paired = laid is None and rng.random() < scenes.touching / (2 - scenes.touching)  # of two, one is drawn so
        laid, patience = (stretch, PATIENCE) if paired else (None, 0)
    return _without_specks(_Mitochondria(number, depth), space)


def _anywhere(rng: Random, space: _Space, scenes: MitochondriaScenes, tissue: _Tissue) -> _Stretch:
    """Around some point of a curve that lies in the image or just beside it."""
    radius, length = rng.uniform(*scenes.radius_nm), rng.uniform(*scenes.length_nm)
    within = ((tissue.curves > -radius) & (tissue.curves < space.size_nm + radius)).all(axis=1)
    point = int(rng.choice(np.flatnonzero(within) if within.any() else len(tissue.curves)))
    host = int(tissue.owner[point])
    middle = tissue.along_nm[point] + rng.uniform(-0.5, 0.5) * length
    return _Stretch(host, middle - length / 2, middle + length / 2, radius)


def _behind(rng: Random, scenes: MitochondriaScenes, laid: _Stretch) -> _Stretch:
    """Pressed against one end of another one, or the other."""
    radius, length = rng.uniform(*scenes.radius_nm), rng.uniform(*scenes.length_nm)
    apart = PRESSED * (laid.radius_nm + radius)
    first = laid.last_nm + apart if rng.random() < 0.5 else laid.first_nm - apart - length
    return _Stretch(laid.host, first, first + length, radius)


def _axis(space: _Space, tissue: _Tissue, stretch: _Stretch) -> Array:
    """``(N, 3)`` in nm: the stretch of the neurite's curve, smooth and finely sampled, where it lies in the image."""
    own = tissue.owner == stretch.host
    along, line = tissue.along_nm[own], tissue.curves[own]
    places = np.arange(max(stretch.first_nm, along[0]), min(stretch.last_nm, along[-1]) + 1, FINE_NM)
    if not len(places):
        return np.zeros((0, 3))
    smooth = ndimage.gaussian_filter1d(line, 1, axis=0, mode="nearest")
    return _unbent(space, tissue, np.column_stack([np.interp(places, along, axis) for axis in smooth.T]))


def _unbent(space: _Space, tissue: _Tissue, line: Array) -> Array:
    """Where points of a curve come to lie in the image: tissue is bent, but mitochondria are as round as elsewhere."""
    there = line
    for _ in range(UNBENDING):
        at = _points_near(space, there)
        there = line - (tissue.places[at] - tissue.straight[at])
    return np.asarray(ndimage.gaussian_filter1d(there, 4, axis=0, mode="nearest"))


def _points_near(space: _Space, places_nm: Array) -> tuple[Array, ...]:
    """The points of the lattice nearest to places; of those outside, at its edge."""
    nearest = np.clip(np.round(places_nm / space.lattice_nm), 0, np.array(space.lattice) - 1).astype(int)
    return tuple(nearest.T)


def _tube(space: _Space, tissue: _Tissue, stretch: _Stretch) -> tuple[tuple[slice, ...], Floats]:
    """A box around a tube, and how deep each of its points of the lattice lies in the tube, inside its neurite."""
    axis = _axis(space, tissue, stretch)
    if not len(axis):
        return (slice(0, 1),) * 3, np.full((1, 1, 1), FAR_NM, np.float32)
    pitch, reach, host = space.lattice_nm, stretch.radius_nm + NEAR_NM, stretch.host
    low = np.clip(np.floor((axis.min(axis=0) - reach) / pitch), 0, np.array(space.lattice) - 1).astype(int)
    high = np.clip(np.ceil((axis.max(axis=0) + reach) / pitch) + 1, low + 1, space.lattice).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    wall = np.where(tissue.cell[box] == host, tissue.depth_nm[box], -tissue.depth_nm[box]) - WALL_NM
    own, near = np.full(wall.shape, FAR_NM, np.float32), wall > -NEAR_NM
    if near.any():
        at = _points_near(space, axis)
        room = np.where(tissue.cell[at] == host, tissue.depth_nm[at], 0) - WALL_NM
        radii = np.minimum(stretch.radius_nm, ndimage.gaussian_filter1d(1.15 * room, 6, mode="nearest"))
        radii[radii < THIN_NM] = FAR_NM
        distance, point = KDTree(axis).query(tissue.straight[box][near], distance_upper_bound=reach, workers=1)
        depth = np.append(radii, FAR_NM)[point] - distance
        own[near] = np.minimum(depth, wall[near])
    # Mitochondria have no edges, and no blades as thin as a neurite may leave room for.
    return box, ndimage.gaussian_filter(np.clip(own, -NEAR_NM, 2 * NEAR_NM), ROUND_NM / pitch)


def _without_specks(found: _Mitochondria, space: _Space) -> _Mitochondria:
    """Pieces get numbers of their own, small ones go."""
    pieces = label(found.number, connectivity=1)
    size = np.bincount(pieces.ravel())
    sides = np.array(space.spacing_nm)[-3 if space.shape[0] > 1 else -2 :]
    keep = size * np.prod(sides) >= SPECK_NM ** len(sides)
    keep[0] = False
    kept = keep[pieces]
    return _Mitochondria(np.where(kept, pieces, 0), np.where(kept, found.depth_nm, np.minimum(found.depth_nm, -1)))


# -- how it looks ------------------------------------------------------------------------------------------------------


def _stained(
    rng: Random, space: _Space, scenes: MitochondriaScenes, tissue: _Tissue, mitochondria: _Mitochondria
) -> Floats:
    """0 is cytoplasm, 1 a membrane."""
    depth, cell = space.enlarged(tissue.depth_nm), space.repeated(tissue.cell)
    own_grey = rng.normal(0, 0.06, int(cell.max()) + 1).astype(np.float32)
    grain = _grain(rng, space, 38.0)
    stain = own_grey[cell] + 0.2 * grain + 0.1 * _grain(rng, space, 85.0)
    free = (depth > WALL_NM) & (mitochondria.number == 0) & (mitochondria.depth_nm < 0)
    _vesicles(rng, space, scenes, stain, free, cell)
    _tubules(rng, space, scenes, stain, free)
    _bodies(rng, space, scenes, stain, free)
    inside = mitochondria.number > 0
    stain[inside] = _organelle(rng, space, scenes, mitochondria, inside) + 0.05 * grain[inside]
    patchy = 1 - PATCHY * np.clip(0.5 + 0.5 * _slow(rng, space, 120.0), 0, 1)
    width = 10.0 + 12.0 * (_slow(rng, space, 140.0) > 2.5)  # here and there a dense patch, as at synapses
    membrane = patchy * np.exp(-((np.maximum(depth - 8, 0) / width) ** 2))
    return np.asarray(np.maximum(stain, 1.05 * membrane), np.float32)


def _grain(rng: Random, space: _Space, size_nm: float) -> Floats:
    """Clumps of about one size; what is smaller than a pixel is as fine as pixels."""
    px = size_nm / space.spacing_nm[-1]
    return band_field(rng, space.shape, frequency=min(0.4, 1 / px), width=0.5 / max(px, 2.0))


def _slow(rng: Random, space: _Space, reach_nm: float) -> Floats:
    return space.enlarged(smooth_field(rng, space.lattice, correlation_px=reach_nm / float(space.lattice_nm[-1])))


def _organelle(
    rng: Random, space: _Space, scenes: MitochondriaScenes, mitochondria: _Mitochondria, inside: Array
) -> Floats:
    """Stain at the voxels of mitochondria: two membranes, matrix, and cristae across them, alike within each."""
    number, depth = mitochondria.number[inside], mitochondria.depth_nm[inside]
    many = int(number.max(initial=0)) + 1
    dark = rng.uniform(*scenes.matrix, many).astype(np.float32)[number]
    across = _unit(rng.standard_normal((many, 3)) * [0.6, 1.0, 1.0]).astype(np.float32)[number]
    pitch_nm = rng.uniform(34.0, 48.0, many).astype(np.float32)[number]
    places = np.argwhere(inside).astype(np.float32) * np.array(space.spacing_nm, np.float32)
    wavy = 0.45 * _slow(rng, space, 70.0)[inside]
    wave = np.sin(2 * np.pi * ((places * across).sum(axis=1) / pitch_nm + wavy))
    strength = scenes.cristae * np.clip(0.7 + 0.6 * _slow(rng, space, 90.0)[inside], 0, 1.4)
    matrix = dark + strength * wave * np.clip((depth - 24) / 10, 0, 1)
    outer, inner = (np.exp(-(((depth - at) / width) ** 2)) for at, width in ((7.0, 9.0), (27.0, 5.0)))
    gap = np.exp(-(((depth - 20.0) / 4.0) ** 2))
    return np.asarray(np.maximum(matrix - 0.1 * gap, np.maximum(1.1 * outer, 0.85 * inner)), np.float32)


def _sites(rng: Random, free: Array, density_um3: float, space: _Space) -> Array:
    """``(N, 3)`` in nm: about so many free places; of a plane also just before and behind it."""
    many = rng.poisson(density_um3 * space.volume_um3)
    voxels = np.column_stack([rng.integers(0, n, many) for n in free.shape])
    voxels = voxels[free[tuple(voxels.T)]]
    return np.asarray((voxels + rng.uniform(-0.5, 0.5, voxels.shape)) * space.spacing_nm)


def _vesicles(rng: Random, space: _Space, scenes: MitochondriaScenes, stain: Floats, free: Array, cell: Array) -> None:
    """Small bubbles, in swarms, in some neurites only."""
    boutons = rng.random(int(cell.max()) + 1) < 0.35
    swarm = boutons[cell] & (_slow(rng, space, 150.0) > 0.1)
    for centre in _sites(rng, free & swarm, scenes.vesicles / 0.15, space):
        _bubble(stain, free, space, centre, rng.uniform(17, 23), lumen=0.35)


def _tubules(rng: Random, space: _Space, scenes: MitochondriaScenes, stain: Floats, free: Array) -> None:
    """Endoplasmic reticulum: short bent tubes, beads on a string so close that they are one."""
    for start in _sites(rng, free, scenes.tubules, space):
        radius, way = rng.uniform(16, 26), _unit(rng.standard_normal(3))
        turns = rng.normal(0, 0.35, (int(rng.integers(6, 24)), 3))
        line = start + np.cumsum([0.8 * radius * (way := _unit(way + turn)) for turn in turns], axis=0)
        _bubble(stain, free, space, line, radius, lumen=0.12)


def _bodies(rng: Random, space: _Space, scenes: MitochondriaScenes, stain: Floats, free: Array) -> None:
    """Lysosomes and the like: as dark as mitochondria, but round, small, and without cristae."""
    for centre in _sites(rng, free, scenes.bodies, space):
        line = centre + rng.normal(0, 22, (3, 3))
        _bubble(stain, free, space, line, rng.uniform(45, 85), lumen=rng.uniform(0.7, 1.0))


def _bubble(stain: Floats, free: Array, space: _Space, line: Array, radius: float, *, lumen: float) -> None:
    """Draw a membrane around all that lies within `radius` of some points, and what it holds; in place, where it is free."""
    points, pitch = np.atleast_2d(line), np.array(space.spacing_nm)
    low = np.clip(np.floor((points.min(axis=0) - radius - 8) / pitch), 0, space.shape).astype(int)
    high = np.clip(np.ceil((points.max(axis=0) + radius + 8) / pitch) + 1, low, space.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if not stain[box].size:
        return
    axes = [(np.arange(a, b) * p).astype(np.float32) for a, b, p in zip(low, high, pitch, strict=True)]
    squared = np.full(stain[box].shape, np.inf, np.float32)
    for z, y, x in points:
        part = (axes[0][:, None, None] - z) ** 2 + (axes[1][:, None] - y) ** 2 + (axes[2] - x) ** 2
        np.minimum(squared, part, out=squared)
    distance = np.sqrt(squared)
    wall = 0.95 * np.exp(-(((distance - radius + 4) / 6) ** 2))
    drawn = np.where(distance < radius - 4, np.maximum(wall, lumen), np.maximum(wall, stain[box]))
    stain[box] = np.where(free[box], drawn, stain[box])


def _sectioned(stain: Floats, planes: int) -> Floats:
    """The mean of the planes of each section."""
    return stain if planes == 1 else stain.reshape(-1, planes, *stain.shape[1:]).mean(axis=1)


def _recorded(rng: Random, space: _Space, scenes: MitochondriaScenes, stain: Floats) -> Array:
    """8-bit grey levels: blur, drift, stripes, noise."""
    sigma = scenes.blur_nm / np.array(space.spacing_nm)
    sigma[0] = 0 if space.planes > 1 or len(stain) == 1 else 0.6 * sigma[0]
    seen = ndimage.gaussian_filter(stain, sigma)
    sections = rng.normal(0, 0.3 * scenes.drift, (2, len(stain), 1, 1)).astype(np.float32)
    side = max(stain.shape)
    seen = seen * (1 + scenes.drift * smooth_field(rng, stain.shape, correlation_px=side / 3) + sections[0])
    seen = seen + scenes.drift * smooth_field(rng, stain.shape, correlation_px=side / 4) + sections[1]
    seen = seen + scenes.curtains * _curtains(rng, stain.shape)
    seen = seen + rng.uniform(*scenes.noise) * rng.standard_normal(stain.shape, np.float32)
    grey: Array = np.clip(np.round(rng.uniform(185, 205) - rng.uniform(*scenes.contrast) * seen), 0, 255)
    return grey.astype(np.uint8)


def _curtains(rng: Random, shape: tuple[int, ...]) -> Floats:
    """Stripes along y, much the same from section to section, stronger in some places."""
    stripes = smooth_field(rng, (shape[0], 1, shape[2]), correlation_px=1.5)
    return np.asarray(stripes * np.clip(0.5 + smooth_field(rng, shape, correlation_px=max(shape) / 4), 0, None))
