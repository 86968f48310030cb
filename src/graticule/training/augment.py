"""Drawing a patch: where it is cut from, how it is bent, and how its grey levels change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from graticule.image import Array, Floats
from graticule.task import Augment

Rng = np.random.Generator
MOST_HOLES = 8  # in one patch
INVERSION_STEPS = 4  # the displacement is smooth and small: each step shrinks the error by its slope, below 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Which place of the source each voxel of a patch shows.

    ``source = centre + zoom * matrix @ (patch - middle) + displacement[patch]``, all in voxels.

    Attributes
    ----------
    shape
        Of the patch, ``(*space)``.
    centre
        Of the patch, in the source.
    matrix
        ``(ndim, ndim)``, orthogonal: quarter turns, mirrors and a small rotation.
    displacement
        ``(ndim, *shape)``, smooth; None for none.
    zoom
        Voxels of the source per voxel of the patch: above 1 things look smaller.
    """

    shape: tuple[int, ...]
    centre: Array
    matrix: Array
    displacement: Floats | None = None
    zoom: float = 1.0

    @property
    def middle(self) -> Array:
        return (np.array(self.shape) - 1) / 2

    def coordinates(self) -> Array:
        """``(ndim, *shape)``: where in the source each voxel of the patch comes from."""
        axes = [np.arange(n) - m for n, m in zip(self.shape, self.middle, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        where: Array = np.tensordot(self.zoom * self.matrix, grid, axes=1) + self.centre.reshape(
            -1, *[1] * len(self.shape)
        )
        return where if self.displacement is None else where + self.displacement

    def slices(self) -> Slices | None:
        """The same where every voxel of the patch is one of the source: quarter turns and mirrors only; else None."""
        turned = np.rint(self.matrix)
        first = self.centre - turned @ self.middle
        exact = np.allclose(self.matrix, turned, atol=1e-9) and np.allclose(first, np.rint(first), atol=1e-6)
        if self.displacement is not None or self.zoom != 1 or not exact:
            return None
        of = tuple(int(axis) for axis in np.abs(turned).argmax(axis=1))
        steps = [int(turned[axis, of[axis]]) for axis in range(len(of))]
        ends = np.rint(first).astype(int) + [s * (self.shape[a] - 1) for s, a in zip(steps, of, strict=True)]
        low = np.minimum(np.rint(first).astype(int), ends)
        return Slices(self.shape, tuple(low.tolist()), of, tuple(step < 0 for step in steps))

    def to_patch(self, source: Array) -> Array:
        """Places in the source ``(N, ndim)`` to places in the patch, possibly outside it."""
        target = source
        places: Array = (target - self.centre) @ self.matrix / self.zoom + self.middle
        if self.displacement is not None:
            for _ in range(INVERSION_STEPS):
                shift = np.stack(
                    [map_coordinates(d, places.T, order=1, mode="nearest") for d in self.displacement], axis=1
                )
                places = (target - shift - self.centre) @ self.matrix / self.zoom + self.middle
        return places


@dataclass(frozen=True, slots=True)
class Slices:
    """A patch that is a window of the source, turned and mirrored.

    Attributes
    ----------
    shape
        Of the patch.
    low
        First voxel of the window, in the source; may lie outside it.
    of
        For each axis of the source the axis of the patch that runs along it.
    mirrored
        For each axis of the source, whether the patch runs against it.
    """

    shape: tuple[int, ...]
    low: tuple[int, ...]
    of: tuple[int, ...]
    mirrored: tuple[bool, ...]

    def take(self, source: Array, *, goes_on: bool = False) -> Array:
        """The patch ``(*shape)`` of `source` ``(*space)``; 0 outside it or, if it `goes_on`, as it ends."""
        sides = [self.shape[axis] for axis in self.of]
        stops = [a + n for a, n in zip(self.low, sides, strict=True)]
        inside = [(max(0, a), min(b, n)) for a, b, n in zip(self.low, stops, source.shape, strict=True)]
        window = source[tuple(slice(a, max(a, b)) for a, b in inside)]
        around = [
            (min(n, a - low), max(0, n - (a - low) - max(0, b - a)))
            for (a, b), low, n in zip(inside, self.low, sides, strict=True)
        ]
        if any(map(any, around)):
            window = np.pad(window, around, mode="edge" if goes_on and window.size else "constant")
        window = window[tuple(slice(None, None, -1 if back else 1) for back in self.mirrored)]
        return np.ascontiguousarray(window.transpose(np.argsort(self.of)))


def draw_warp(shape: tuple[int, ...], centre: Array, augment: Augment, spacing_um: tuple[float, ...], rng: Rng) -> Warp:
    """A random quarter turn, mirror, rotation (in the plane of the last two axes), zoom and bend, around `centre`."""
    ndim = len(shape)
    matrix = np.eye(ndim)
    if shape[-1] == shape[-2]:
        matrix[-2:, -2:] = _rotation(90.0 * rng.integers(4))
    matrix = matrix @ np.diag(rng.choice([-1.0, 1.0], ndim))
    if augment.any_axis and len(set(shape)) == 1:
        matrix = np.eye(ndim)[rng.permutation(ndim)] @ matrix
    tilt = np.eye(ndim)
    tilt[-2:, -2:] = _rotation(rng.uniform(-augment.rotate_deg, augment.rotate_deg))
    if augment.tilt_deg > 0 and ndim == 3:
        tilt = _tilted(rng.uniform(-augment.tilt_deg, augment.tilt_deg), rng.uniform(0, 180)) @ tilt
    if augment.rotate_chance < 1 and rng.random() >= augment.rotate_chance:
        tilt = np.eye(ndim)
    bend = _bend(shape, augment, spacing_um, rng)
    return Warp(shape, np.asarray(centre, float), tilt @ matrix, bend, _zoom(augment, rng))


def _zoom(augment: Augment, rng: Rng) -> float:
    """Larger as often as smaller."""
    if augment.zoom <= 0 or rng.random() < 1 - augment.zoom_chance:
        return 1.0
    return float((1 + augment.zoom) ** rng.uniform(-1, 1))


def _rotation(degrees: float) -> Array:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _tilted(degrees: float, towards: float) -> Array:
    """A rotation about the axis in the plane of y and x that lies at the angle `towards`."""
    about, over = np.eye(3), np.eye(3)
    about[1:, 1:] = _rotation(towards)
    over[:2, :2] = _rotation(degrees)
    return np.asarray(about @ over @ about.T)


def _bend(shape: tuple[int, ...], augment: Augment, spacing_um: tuple[float, ...], rng: Rng) -> Floats | None:
    """A displacement field for some of the patches: noise on a coarse grid, spread over the patch by splines."""
    if max(augment.elastic_um, augment.elastic_px) <= 0 or rng.random() < 1 - augment.elastic_chance:
        return None
    in_px = augment.elastic_px > 0
    size_um = [n * s for n, s in zip(shape, spacing_um, strict=True)]
    scale, size = (augment.elastic_scale_px, list(shape)) if in_px else (augment.elastic_scale_um, size_um)
    knots = [max(4, round(n / scale) + 1) for n in size]
    fields = []
    for step in spacing_um:
        spread = augment.elastic_px * min(spacing_um) if in_px else augment.elastic_um
        field = rng.normal(0, spread / step, knots)
        for n, k in zip(shape, knots, strict=True):  # axis by axis; the first goes to the end
            field = np.tensordot(field, _splines(k, n), axes=(0, 1))
        fields.append(field)
    return np.asarray(fields, np.float32)


@lru_cache(maxsize=64)
def _splines(knots: int, length: int) -> Array:
    """``(length, knots)``: by how much each knot of an axis moves each voxel, by cubic splines."""
    return np.asarray(zoom(np.eye(knots), (length / knots, 1), order=3, mode="nearest", grid_mode=True))


def empty_holes(patch: Floats, augment: Augment, rng: Rng) -> Floats:
    """Some patches ``(C, *space)`` with squares set to 0 in all channels (coarse dropout, DeVries and Taylor 2017)."""
    if augment.holes <= 0 or rng.random() >= augment.holes:
        return patch
    emptied = patch.copy()
    for _ in range(rng.integers(1, MOST_HOLES + 1)):
        side = int(rng.integers(max(1, augment.hole_px // 4), augment.hole_px + 1))
        start = [int(rng.integers(max(1, n - side + 1))) for n in patch.shape[1:]]
        emptied[(slice(None), *(slice(a, a + side) for a in start))] = 0
    return emptied


def lose_section(patch: Floats, augment: Augment, rng: Rng) -> Floats:
    """Some volumes ``(C, z, y, x)`` with one or two sections that are empty: torn, folded or never recorded."""
    if augment.missing <= 0 or patch.ndim != 4 or patch.shape[1] < 4 or rng.random() >= augment.missing:
        return patch
    first = int(rng.integers(patch.shape[1]))
    torn = patch.copy()
    torn[:, first : first + int(rng.integers(1, 3))] = 0
    return torn


def draw_edge(shape: tuple[int, ...], augment: Augment, rng: Rng) -> tuple[slice, ...] | None:
    """What the image's edge would cut off a patch ``(*space)``: on one side, never its middle. None: nothing."""
    if augment.edges <= 0 or rng.random() >= augment.edges:
        return None
    axis, far = int(rng.choice(np.flatnonzero(np.array(shape) > 1))), bool(rng.integers(2))
    length = shape[axis]
    kept = int(rng.integers(length // 2 + 1, length + 1))
    off = slice(kept, None) if far else slice(0, length - kept)
    return tuple(off if a == axis else slice(None) for a in range(len(shape)))


def without(voxels: Floats, off: tuple[slice, ...] | None) -> Floats:
    """``(..., *space)`` with what lies there set to 0."""
    if off is None:
        return voxels
    rest = voxels.copy()
    window: tuple[Any, ...] = (..., *off)
    rest[window] = 0
    return rest


def change_grey(patch: Floats, augment: Augment, spacing_um: tuple[float, ...], rng: Rng) -> Floats:
    """Brightness, contrast, blur and noise, relative to a spread of 1 (patches are standardised)."""
    changed = patch * (1 + rng.uniform(-augment.contrast, augment.contrast)) + rng.uniform(-1, 1) * augment.brightness
    if augment.blur_um > 0 and rng.random() < 0.5:
        sigma = [0.0] + [rng.uniform(0, augment.blur_um) / s for s in spacing_um]
        changed = gaussian_filter(changed, sigma)
    if augment.noise > 0:
        changed = changed + rng.normal(0, rng.uniform(0, augment.noise), patch.shape)
    return np.asarray(changed, np.float32)
