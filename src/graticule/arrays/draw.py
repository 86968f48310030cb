"""Shapes added to arrays, true to a small fraction of a voxel."""

from __future__ import annotations

from functools import reduce

import numpy as np
from scipy.special import erf

from graticule.image import Array, Floats

SAMPLES = 5
"""Points per pixel side over which an outline is averaged: a sphere's centre of mass is then right to 0.01 px."""

GAUSSIAN_REACH = 5.0
"""Standard deviations beyond which a Gaussian is taken for zero (it is below 4e-6 of its peak)."""


def around(shape: tuple[int, ...], centre: Array, reach: float) -> tuple[tuple[slice, ...], tuple[Array, ...]]:
    """The part of an array within `reach` voxels of `centre`, and the offsets of its voxels from there.

    The offsets are one array per axis that broadcast against each other, as from ``np.ogrid``. A place too far outside
    the array has empty slices.
    """
    low = np.clip(np.floor(np.subtract(centre, reach)), 0, shape).astype(int)
    high = np.clip(np.ceil(np.add(centre, reach)) + 1, low, shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = tuple(grid - at for grid, at in zip(np.ogrid[window], centre, strict=True))
    return window, offsets


def spheroids(
    shape: tuple[int, int], *, centre: Array, diameter: Array, elongation: Array, angle: Array, weight: Array
) -> Floats:
    """How far a ray runs through solid spheroids seen from above, ``shape``, in pixels; overlapping ones add up.

    Parameters
    ----------
    centre, diameter
        ``(N, 2)`` and ``(N,)``, in pixels; centres may lie between pixels and outside the array.
    elongation
        ``(N,)``, long over short axis in projection. The projected area stays that of a disc of `diameter`.
    angle
        ``(N,)``, radians from the last axis towards the first: where the long axis points.
    weight
        ``(N,)``, factor on each one's path length.
    """
    path = np.zeros(shape, np.float32)
    sub = (np.arange(SAMPLES) - (SAMPLES - 1) / 2) / SAMPLES
    for place, across, longer, turn, factor in zip(centre, diameter, elongation, angle, weight, strict=True):
        stretch = np.sqrt(longer)
        window, (dy, dx) = around(shape, place, across / 2 * stretch + 1)
        y = dy[:, :, None, None] + sub[:, None]
        x = dx[:, :, None, None] + sub
        along = (np.cos(turn) * x + np.sin(turn) * y) / stretch
        beside = (np.cos(turn) * y - np.sin(turn) * x) * stretch
        inside = np.clip((across / 2) ** 2 - along**2 - beside**2, 0, None)
        path[window] += factor * 2 * np.sqrt(inside).mean(axis=(2, 3))
    return path


def gaussians(shape: tuple[int, ...], *, centre: Array, sigma: Array, height: Array) -> Floats:
    """Round Gaussian spots ``(*shape)``, integrated over each voxel; overlapping ones add up.

    `centre` ``(N, ndim)`` and `sigma` ``(N,)`` are in voxels, `height` ``(N,)`` is the value at the centre before the
    integration over voxels.
    """
    drawn = np.zeros(shape, np.float32)
    for place, width, top in zip(centre, sigma, height, strict=True):
        window, offsets = around(shape, place, GAUSSIAN_REACH * width)
        drawn[window] += top * reduce(np.multiply, [_voxel_mean(offset, width) for offset in offsets])
    return drawn


def _voxel_mean(offset: Array, sigma: float) -> Array:
    """Mean of ``exp(-x² / 2 sigma²)`` over voxels whose centres lie at `offset`."""
    step = sigma * np.sqrt(2)
    mean: Array = np.sqrt(np.pi) / 2 * step * (erf((offset + 0.5) / step) - erf((offset - 0.5) / step))
    return mean
