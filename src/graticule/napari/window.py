"""Which part of an image to hold and to show, so that the largest costs what is looked at."""

from __future__ import annotations

from math import prod

import numpy as np

from graticule.box import Box
from graticule.image import Array, Image
from graticule.review import Field

SAMPLE = 1_000_000
PERCENTILES = (0.5, 99.5)
"""Of the grey levels: these become black and white."""


def window_for(frame: Box, shape: tuple[int, ...], held: Box, *, whole: int, part: int) -> Box:
    """The voxels to hold so that a frame can be shown.

    All, if there are not more than `whole`; `held`, if the frame lies in it; else about `part` around the frame, and never
    less than the frame.
    """
    if prod(shape) <= whole:
        return Box((0,) * len(shape), shape)
    return held if _holds(held, frame) else _grown(frame, shape, part)


def voxels_of(field_um: Field, image: Image) -> Box:
    """The voxels of a field, at least one."""
    low, high = (np.round(image.to_voxels(np.array([corner])))[0] for corner in field_um)
    start = tuple(int(np.clip(a, 0, n - 1)) for a, n in zip(low, image.shape, strict=True))
    stop = tuple(int(np.clip(b, a + 1, n)) for a, b, n in zip(start, high, image.shape, strict=True))
    return Box(start, stop)


def contrast(voxels: Array, percentiles: tuple[float, float] = PERCENTILES) -> tuple[float, float]:
    """Grey levels to be black and white, from not more than about `SAMPLE` of the voxels; the second is the larger one."""
    flat = np.asarray(voxels).reshape(-1)
    sample = flat[:: max(1, flat.size // SAMPLE)].astype(np.float64)
    known = sample[np.isfinite(sample)]
    low, high = np.percentile(known, percentiles) if known.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


def _holds(outer: Box, inner: Box) -> bool:
    return all(a <= b for a, b in zip(outer.start, inner.start, strict=True)) and all(
        a >= b for a, b in zip(outer.stop, inner.stop, strict=True)
    )


def _grown(frame: Box, shape: tuple[int, ...], part: int) -> Box:
    times = max(1.0, (part / prod(frame.shape)) ** (1 / len(shape)))
    more = [int((times - 1) / 2 * side) for side in frame.shape]
    start = tuple(max(0, a - m) for a, m in zip(frame.start, more, strict=True))
    stop = tuple(min(n, b + m) for b, m, n in zip(frame.stop, more, shape, strict=True))
    return Box(start, stop)
