"""What a network saw, as coloured windows that lie over the image's own."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib import colormaps
from PIL.Image import fromarray

from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.web.pictures import LARGEST_PX, Window

COLOURS = np.round(np.array(colormaps["inferno"](np.arange(256))) * 255).astype(np.uint8)
CLEAR = 24
"""255ths below which nothing is drawn, growing to full at twice as many."""


def heat_png(heat: Image | None, kind: int, on: Image, window: Window) -> bytes:
    """A window of confidences ``(K, *cells)`` in 255ths, for class number `kind`, laid over that window of the image `on`.

    Each pixel shows the nearest cell; low confidence is transparent.
    """
    if heat is None or not 0 <= kind < heat.data.shape[0] or max(window.height, window.width) > LARGEST_PX:
        raise AnnotationError(f"found no map of class number {kind} of that size; need one of those listed; choose one")
    rows = _cells(heat, on, -2, window.y, window.height, window.step)
    columns = _cells(heat, on, -1, window.x, window.width, window.step)
    plane = (kind,) if on.ndim == 2 else (kind, int(_cells(heat, on, -3, window.z, 1, 1)[0]))
    if not len(rows) or not len(columns):
        raise AnnotationError("found no pixel in that window; need one on the image; ask for another")
    block = heat.data[(*plane, slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))]
    values = np.asarray(block)[np.ix_(rows - rows[0], columns - columns[0])]
    return _png(values)


def _cells(heat: Image, on: Image, axis: int, start: int, count: int, step: int) -> Array:
    """Numbers of the cells that the pixels of a window lie in, along one axis; no further than the image goes."""
    count = min(count, -(-(on.shape[axis] - start) // step))
    pixels = start + (np.arange(max(count, 0)) + 0.5) * step - 0.5
    um = on.origin_um[axis] + pixels * on.spacing_um[axis]
    cells = np.round((um - heat.origin_um[axis]) / heat.spacing_um[axis]).astype(int)
    clipped: Array = np.clip(cells, 0, heat.shape[axis] - 1)
    return clipped


def _png(values: Array) -> bytes:
    colours = COLOURS[values]
    colours[..., 3] = np.clip((values.astype(np.int16) - CLEAR) * (255 // CLEAR), 0, 255)
    kept = BytesIO()
    fromarray(colours, "RGBA").save(kept, format="png", compress_level=1)
    return kept.getvalue()
