"""The look of a freeze-fracture replica without beads: a carbon film shadowed with platinum from one side.

Platinum comes in at a slant, so it lies thicker on slopes that face the source (dark) and is missing on those that look
away (bright). All relief, from membrane edges to single proteins, shows only through this. Numbers below were chosen by
measuring, and by looking at, micrographs of mouse synapses beside these; see design/0002-bead-simulator.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from graticule.arrays.draw import around
from graticule.image import Array, Floats
from graticule.simulate.fields import Random, smooth_field

PLATINUM = 0.27
"""Optical depth of platinum on flat ground: a place without any is exp(0.27) = 1.3 times as bright, as there."""

BUMPS_APART_NM = 9.0
"""Proteins do not overlap; some stand side by side."""

BLUR_NM = 0.7
"""Standard deviation of the blur: bright rims of proteins are about 2 nm wide in the images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One stretch of replica.

    Attributes
    ----------
    shape
        Pixels.
    nm_per_px
        Pixel size.
    light_rad
        Direction the platinum comes from: 0 from the right, towards the first axis with growing angle.
    islands
        ``shape``, in 0 … 1: where proteins crowd.
    bumps_per_um2
        Proteins of the membrane (intramembrane particles) where `islands` is 1.
    edges
        Membrane edges that cross the picture.
    blots
        Dark patches of remains.
    """

    shape: tuple[int, int]
    nm_per_px: float
    light_rad: float
    islands: Floats
    bumps_per_um2: float
    edges: int
    blots: int

    def transmission(self, rng: Random) -> Floats:
        """``shape``, 1 on flat clean ground."""
        height_nm = self._bumps(rng) + self._wavy_ground(rng)
        depth = self._field(rng, 130) * rng.uniform(0.005, 0.045)
        depth += self.islands * self._field(rng, 12) * rng.uniform(0, 0.06)
        for _ in range(self.edges):
            edge_nm, stain = self._edge(rng)
            height_nm += edge_nm
            depth += stain
        for _ in range(self.blots):
            self._add_blot(rng, depth)
        sharp = np.exp(-depth) * self._shadowed(height_nm)
        return np.asarray(ndimage.gaussian_filter(sharp, BLUR_NM / self.nm_per_px), np.float32)

    def _shadowed(self, height_nm: Floats) -> Floats:
        slope_y, slope_x = np.gradient(height_nm, self.nm_per_px)
        facing = -(np.sin(self.light_rad) * slope_y + np.cos(self.light_rad) * slope_x)
        # Gentle slopes that look away still catch some; only steep ones are bare, so bright lines are narrow.
        caught = np.where(facing < 0, -(np.abs(facing) ** 1.5), facing)
        platinum = np.clip(1 + caught, 0, 8)
        return np.asarray(np.exp(-PLATINUM * (platinum - 1)), np.float32)

    def _wavy_ground(self, rng: Random) -> Floats:
        """The membrane's gentle curvature and its fine unevenness, rougher where proteins crowd."""
        curve = self._field(rng, 130) * rng.uniform(1, 6)
        ripple = self._field(rng, 9) * rng.uniform(0.05, 0.25)
        crumbs = self._field(rng, 6) * self.islands * rng.uniform(0.1, 0.6)
        return np.asarray(curve + ripple + crumbs, np.float32)

    def _field(self, rng: Random, correlation_nm: float) -> Floats:
        return smooth_field(rng, self.shape, correlation_px=correlation_nm / self.nm_per_px)

    def _bumps(self, rng: Random) -> Floats:
        height_nm = np.zeros(self.shape, np.float32)
        um2 = (self.nm_per_px / 1000) ** 2 * self.islands.sum()
        spots = places(rng, self.islands, rng.poisson(self.bumps_per_um2 * um2))
        for place in _apart(spots, BUMPS_APART_NM / self.nm_per_px):
            self._add_bump(rng, height_nm, place)
        return height_nm

    def _add_bump(self, rng: Random, height_nm: Floats, place: Array) -> None:
        """A low dome with a steep rim, often with a dent on top: seen as a bright crescent, or a ring, and a shade."""
        radius = max(rng.normal(5.5, 1.2), 2.5) / self.nm_per_px
        tall = rng.lognormal(np.log(3.2), 0.45)
        dent, rim, steep = rng.uniform(-0.2, 0.9), rng.uniform(0, 0.25), rng.uniform(1, 2.5)
        window, (dy, dx) = around(self.shape, place, 4 * radius)
        turn, stretch = rng.uniform(0, np.pi), np.exp(rng.normal(0, 0.15))
        along, beside = _turned(dy, dx, turn)
        square = ((along / stretch) ** 2 + (beside * stretch) ** 2) / radius**2
        dome = np.exp(-(square**steep)) * (1 - rim + rim * square) - dent * np.exp(-square / 0.1)
        # The side that faces the source gathers platinum well beyond the rim, so it slopes gently.
        front, across = _turned(dy, dx, self.light_rad)
        apron = rng.uniform(0.3, 0.9) * np.exp(-((front - 0.8 * radius) ** 2 + across**2) / (1.1 * radius) ** 2)
        height_nm[window] += tall * np.maximum(dome, apron)

    def _edge(self, rng: Random) -> tuple[Floats, Floats]:
        """Where one membrane rises over another: a step along a winding line, and how much darker one side is."""
        winding = self._field(rng, rng.uniform(60, 220)) + self._field(rng, 14) * rng.uniform(0, 0.12)
        level = np.quantile(winding, rng.uniform(0.03, 0.97))
        fall = np.gradient(winding, self.nm_per_px)
        from_line_nm = (winding - level) / (np.hypot(*fall) + 1e-4)
        wide_nm = rng.lognormal(np.log(5), 0.6)
        rise = np.tanh(np.clip(from_line_nm / wide_nm, -8, 8))
        lip = np.exp(-((from_line_nm / wide_nm) ** 2))
        tall_nm = wide_nm * rng.lognormal(np.log(0.35), 0.75) * rng.choice([-1, 1])
        shade = rng.normal(0, 0.022)
        uneven = np.clip(1 + 0.5 * self._field(rng, 70), 0, 2)
        return uneven * tall_nm * (rise + rng.uniform(-1, 1) * lip), shade * rise

    def _add_blot(self, rng: Random, depth: Floats) -> None:
        """A dark mottled patch with a ragged rim, or a smooth round shadow."""
        radius = rng.lognormal(np.log(18), 0.6) / self.nm_per_px
        window, (dy, dx) = around(self.shape, rng.uniform(0, self.shape), 3 * radius)
        along, beside = _turned(dy, dx, rng.uniform(0, np.pi))
        stretch = np.exp(rng.normal(0, 0.3))
        out = np.hypot(along / stretch, beside * stretch) / radius
        rags = smooth_field(rng, out.shape, correlation_px=12 / self.nm_per_px)
        mottle = smooth_field(rng, out.shape, correlation_px=5 / self.nm_per_px)
        from_rim = (out + rng.uniform(0.05, 0.5) * rags - 1) / rng.uniform(0.05, 0.3)
        mottled = rng.uniform(0.05, 0.5) * (1 + rng.uniform(0, 0.4) * mottle)
        depth[window] += mottled / (1 + np.exp(np.clip(from_rim, -30, 30)))


def _turned(dy: Array, dx: Array, angle: float) -> tuple[Array, Array]:
    """Coordinates along and beside a direction, counted from the last axis towards the first."""
    return np.sin(angle) * dy + np.cos(angle) * dx, np.cos(angle) * dy - np.sin(angle) * dx


def _apart(spots: Array, distance: float) -> Array:
    """`spots` ``(N, 2)`` without the later one of every pair closer than `distance`."""
    close = cKDTree(spots).query_pairs(distance, output_type="ndarray") if len(spots) else np.zeros((0, 2), int)
    return np.delete(spots, np.unique(close.max(axis=1)), axis=0) if len(close) else spots


def places(rng: Random, share: Floats, count: int) -> Array:
    """``(count, 2)`` random places in pixels, as thick as `share` says, between pixels."""
    total = np.cumsum(share, dtype=float)
    index = np.searchsorted(total, rng.random(count) * total[-1], side="right")
    pixel = np.stack(np.unravel_index(np.minimum(index, share.size - 1), share.shape), axis=1)
    return pixel + rng.uniform(-0.5, 0.5, pixel.shape)


def islands(rng: Random, shape: tuple[int, int], *, correlation_px: float, cover: float) -> Floats:
    """``shape``, in 0 … 1: soft patches that fill about the share `cover` of the picture."""
    field = smooth_field(rng, shape, correlation_px=correlation_px)
    softened = (field - np.quantile(field, 1 - cover)) / 0.35
    return np.asarray(ndimage.gaussian_filter(1 / (1 + np.exp(-softened)), 2), np.float32)
