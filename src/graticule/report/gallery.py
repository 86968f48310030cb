"""Single objects cut from an image, small enough to look at many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb

from graticule.box import Box
from graticule.image import Array, Floats, Image
from graticule.report.overlay import CLASS_COLOURS, CONTRAST
from graticule.report.page import Picture
from graticule.report.png import png

SIDE_PX = 112
"""Sides of the pictures; crops are enlarged to it pixel by pixel."""


def crops(
    image: Image,
    position_um: Array | Sequence[Sequence[float]],
    captions: Sequence[str],
    *,
    view_um: float,
    outlines: Sequence[Image] = (),
) -> tuple[Picture, ...]:
    """A picture of `view_um` around each of ``(N, ndim)`` places; of a volume the plane the place lies in.

    All have the same contrast, that of all crops together, so that they can be compared. `outlines` are numbered objects on
    the image's own voxels; the rims of the first are blue, those of the second orange.
    """
    windows = [_window(image, place, view_um) for place in np.asarray(position_um, float).reshape(-1, image.ndim)]
    grey = [np.asarray(image.data[(..., *box.slices())], np.float32) for box in windows]
    flat = [_plane(part) for part in grey]
    low, high = _range(flat)
    drawn = [_shown(part, low, high) for part in flat]
    if outlines:
        drawn = [_outlined(grey, box, outlines) for grey, box in zip(drawn, windows, strict=True)]
    return tuple(
        Picture(png(pixels), "png", f"object: {caption}", caption)
        for pixels, caption in zip(drawn, captions, strict=True)
    )


def _window(image: Image, place: Array, view_um: float) -> Box:
    """The field around a place, moved inside the image where it would stick out."""
    voxel = np.round(image.to_voxels(place[None])[0]).astype(int)
    size = [1] * (image.ndim - 2) + [max(3, round(view_um / s)) for s in image.spacing_um[-2:]]
    size = [min(n, limit) for n, limit in zip(size, image.shape, strict=True)]
    start = [int(np.clip(v - n // 2, 0, limit - n)) for v, n, limit in zip(voxel, size, image.shape, strict=True)]
    return Box(tuple(start), tuple(a + n for a, n in zip(start, size, strict=True)))


def _plane(part: Array) -> Floats:
    plane: Floats = part.reshape(-1, *part.shape[-2:]).mean(axis=0)
    return plane


def _range(parts: Sequence[Floats]) -> tuple[float, float]:
    values = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(1)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, CONTRAST) if len(values) else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def _shown(part: Floats, low: float, high: float) -> Array:
    grey = (np.clip(np.nan_to_num((part - low) / (high - low)), 0, 1) * 255).astype(np.uint8)
    times = max(1, SIDE_PX // max(grey.shape))
    enlarged: Array = grey.repeat(times, axis=0).repeat(times, axis=1)
    return enlarged


def _outlined(grey: Array, box: Box, outlines: Sequence[Image]) -> Array:
    """``(y, x, 3)``: with the innermost pixels of each object coloured."""
    coloured = np.repeat(grey[..., None], 3, axis=2)
    for labels, colour in zip(outlines, CLASS_COLOURS, strict=False):
        numbers = np.asarray(labels.data[box.slices()]).reshape(box.shape[-2:])
        times = grey.shape[0] // numbers.shape[0]
        coloured[_rim(numbers.repeat(times, axis=0).repeat(times, axis=1))] = np.multiply(to_rgb(colour), 255).astype(
            int
        )
    return coloured


def _rim(numbers: Array) -> Array:
    """Pixels of objects beside pixels of another number."""
    rim = np.zeros(numbers.shape, bool)
    for axis in range(numbers.ndim):
        here, other = np.moveaxis(rim, axis, 0), np.moveaxis(numbers, axis, 0)
        changes = other[1:] != other[:-1]
        here[1:] |= changes
        here[:-1] |= changes
    rim &= numbers != 0
    return rim
