"""Grey levels."""

from __future__ import annotations

from itertools import product

import numpy as np

from graticule.errors import FormatError
from graticule.image import Array, Floats, Image
from graticule.task import Levels

BLOCK = 8  # voxels across which texture is measured, in the plane
WINDOW = 16 * BLOCK
GROUND = 25  # percentile of the blocks' spreads that counts: in a crowd, most blocks hold an edge of some object
ENDS = (1, 99)  # percentiles: the darkest and the brightest, but for specks
MOST_WINDOWS = 256  # 4 million voxels: plenty for two medians, whatever the image's size


def levels(image: Image) -> Levels:
    """Median grey level, and the spread of grey levels (standard deviation) within the quieter of small blocks.

    The spread is that of noise and fine texture, in which an object's contrast is much the same from image to image. The
    spread of the whole image is not: one dark fold in a corner doubles it, and a detector that was taught the contrast of
    beads in that unit misses half of them. Blocks without any texture (a blank margin, a mask) do not count.

    Large images are sampled in windows on a regular grid. A constant image has spread 1.
    """
    windows = [_window(image, start) for start in _starts(image.shape)]
    spreads = np.concatenate([_block_spreads(window) for window in windows])
    textured = spreads[spreads > 0]
    every = np.concatenate([window.ravel() for window in windows])
    low, high = (float(level) for level in np.percentile(every, ENDS))
    spread = float(np.percentile(textured, GROUND)) if len(textured) else 1.0
    return Levels(float(np.median(every)), spread, low, high)


def between_ends(pixels: Array, measured: Levels) -> Floats:
    """`pixels` with the darkest percent of the image at -1 and the brightest at 1; single specks lie up to 3 away from 0."""
    middle, half = (measured.high + measured.low) / 2, max((measured.high - measured.low) / 2, 1e-6)
    scaled: Floats = np.clip((pixels.astype(np.float32) - np.float32(middle)) / np.float32(half), -3, 3)
    return scaled


def _starts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Corners of windows one plane thick: all of a small image, a regular grid of a large one."""
    plane = [list(range(0, n, WINDOW)) for n in shape[-2:]]
    depths = [list(range(n)) for n in shape[:-2]]
    axes = [*depths, *plane]
    while np.prod([len(axis) for axis in axes]) > MOST_WINDOWS:
        longest = max(range(len(axes)), key=lambda i: len(axes[i]))
        axes[longest] = axes[longest][::2]
    return list(product(*axes))


def _window(image: Image, start: tuple[int, ...]) -> Array:
    """``([C,] h, w)`` floats."""
    depth = start[:-2]
    plane = tuple(slice(a, a + WINDOW) for a in start[-2:])
    window = np.asarray(image.data[(..., *depth, *plane)], np.float32)
    if not np.isfinite(window).all():
        raise FormatError(
            "the image holds NaN or infinite pixels; replace them, or mask and crop them away, before analysis"
        )
    return window


def _block_spreads(window: Array) -> Array:
    """``(N,)`` standard deviations of whole blocks, or of all of a window smaller than one."""
    height, width = (n // BLOCK * BLOCK for n in window.shape[-2:])
    if not height or not width:
        return np.array([window.std(dtype=np.float64)])
    blocks = window[..., :height, :width].reshape(-1, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    spreads: Array = blocks.std(axis=(2, 4), dtype=np.float64).ravel()
    return spreads
