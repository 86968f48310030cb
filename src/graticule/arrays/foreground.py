"""Where anything bright enough to be looked at lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, generate_binary_structure

from graticule.arrays.mixture import two_gaussians
from graticule.errors import FormatError
from graticule.image import Array, Floats

TRUNCATE = 3.0
"""Standard deviations after which a Gaussian is cut off."""

GROUND = 8
"""Voxels a side of the blocks whose means are the ground; the network's windows are three of them."""

GROUND_BLOCKS = 3
"""How far a block is smoothed to each side."""


def smoothed(pixels: Floats, sigma_px: float) -> Floats:
    """`pixels` ``(*space)`` without their noise; beyond the border the edge goes on."""
    return np.asarray(gaussian_filter(pixels, sigma_px, mode="nearest", truncate=TRUNCATE), np.float32)


def above_ground(pixels: Floats, sigma_px: float) -> Floats:
    """`pixels` ``(*space)`` without their noise and without what varies slowly: haze, shading.

    The ground is the mean of blocks of `GROUND` voxels, smoothed and interpolated between them; blocks begin at the first
    voxel, so pieces of an image agree with the whole where they begin at multiples of `GROUND`, and overlap by
    `ground_reach`.
    """
    return smoothed(pixels, sigma_px) - _ground(pixels)


def ground_reach(sigma_px: float) -> int:
    """Voxels that `above_ground` looks to each side."""
    return max(int(TRUNCATE * sigma_px + 0.5), (GROUND_BLOCKS + 2) * GROUND)


def _ground(pixels: Floats) -> Floats:
    """Block means are taken of filled-up blocks, where the image ends amid one; beyond the border they go on as they came.

    Were they to stay as at the border, haze that rises towards it would stand out there.
    """
    short = [(0, -n % GROUND) for n in pixels.shape]
    filled = np.pad(pixels, short, mode="edge") if any(after for _, after in short) else pixels
    split = filled.reshape([part for n in filled.shape for part in (n // GROUND, GROUND)])
    blocks = split.mean(axis=tuple(range(1, split.ndim, 2)))
    beyond = [min(GROUND_BLOCKS, n - 1) for n in blocks.shape]
    further = np.pad(blocks, [(n, n) for n in beyond], mode="reflect", reflect_type="odd")
    ground = gaussian_filter(further, GROUND_BLOCKS / 2, mode="nearest", truncate=2.0)
    ground = ground[tuple(slice(m, m + n) for m, n in zip(beyond, blocks.shape, strict=True))]
    for axis, length in enumerate(pixels.shape):
        ground = _between_blocks(ground, axis, length)
    return np.asarray(ground, np.float32)


def _between_blocks(blocks: Array, axis: int, length: int) -> Array:
    """Linear interpolation between the middles of blocks, along one axis; the outermost go on."""
    place = np.clip((np.arange(length) + 0.5) / GROUND - 0.5, 0, blocks.shape[axis] - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, blocks.shape[axis] - 1)
    weight = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(blocks.ndim)])
    here: Array = blocks.take(low, axis)
    between: Array = here + weight * (blocks.take(high, axis) - here)
    return between


def foreground_level(pieces: Sequence[Floats]) -> float:
    """The grey level that parts background from foreground in `pieces` of one image, as `above_ground` leaves them.

    That of two Gaussians (see `two_gaussians`), but no nearer to the median than `LEAST_SPREADS` of the darker half's
    spreads: where next to nothing is bright, both Gaussians may share out the background.

    Raises
    ------
    FormatError
        If they are all alike.
    """
    values = np.concatenate([piece.ravel() for piece in pieces])
    mixture = two_gaussians(values)
    if mixture is None:
        raise FormatError(
            "found an image whose voxels are all alike; need one that shows something; is it the right file?"
        )
    darker, middle = np.percentile(values[:: 1 + values.size // MOST_VALUES], (16, 50))
    return float(max(mixture.threshold, middle + LEAST_SPREADS * (middle - darker)))


LEAST_SPREADS = 2.0
MOST_VALUES = 1_000_000  # plenty for a percentile


def foreground(lit: Floats, level: float, *, erode: int, open_by: int, grow: int) -> Array:
    """``(*space)`` booleans: above `level`, without artefacts, and a little around what is left.

    Parameters
    ----------
    erode
        Voxels taken off every side: specks vanish.
    open_by
        Radius of the opening after that, which rounds what is left.
    grow
        Voxels added to every side in the end; no less than `erode`, or small particles would be lost.
    """
    cross = generate_binary_structure(lit.ndim, 1)
    inside: Array = lit > level
    # Beyond the image it goes on as at its edge: what the edge cuts is not eroded from there.
    steps = [(binary_erosion, erode + open_by, 1), (binary_dilation, open_by + grow, 0)]
    for change, times, beyond in steps:
        if times > 0 and inside.any():
            inside = change(inside, cross, iterations=times, border_value=beyond)
    return inside


def share_inside(region: Array, places: Array) -> float:
    """Share of `places` ``(N, ndim)``, in voxels, that lie in `region`; of none, 1."""
    if not len(places):
        return 1.0
    voxels = np.clip(np.round(places).astype(int), 0, np.array(region.shape) - 1)
    return float(region[tuple(voxels.T)].mean())
