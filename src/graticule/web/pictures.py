"""Windows of an image as PNG, at any zoom and all with one contrast, so that neighbouring ones fit together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL.Image import fromarray

from graticule.errors import AnnotationError
from graticule.image import Array, Floats, Image

ENDS = (0.5, 99.5)
"""Percentiles of an image's grey levels that become black and white."""

SAMPLE = 4_000_000
"""Voxels that these percentiles are taken of, at most."""
PATCH_PX = 256
"""Larger images are sampled in windows of this side, on a regular grid."""

LARGEST_PX = 4096
"""Longest side of a picture that is made."""

SAMPLES = 8
"""Along each side of a block; more would take longer, and nobody would see them."""

READ_AT_ONCE = 8_000_000
"""Pixels held in memory while a coarse picture is averaged."""

KEPT = 64_000_000
"""Bytes of pictures kept, to be given again."""


@dataclass(frozen=True, slots=True)
class Window:
    """`height` by `width` pixels of a picture, each the mean of `step` by `step` pixels of plane `z` from `y`, `x` on.

    Of a `step` that is a larger multiple of `SAMPLES`, so many rows and columns of each block are averaged, evenly spread.
    """

    y: int
    x: int
    height: int
    width: int
    step: int = 1
    z: int = 0


@dataclass(slots=True, eq=False)
class Pictures:
    """Of one image; may be asked from several threads."""

    image: Image
    _contrast: tuple[float, float] | None = None
    _made: OrderedDict[Window, bytes] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def png(self, window: Window) -> bytes:
        """A grey PNG of the window, as far as it lies on the image; `AnnotationError` if no part of it does."""
        with self._lock:
            if window in self._made:
                self._made.move_to_end(window)
                return self._made[window]
            if self._contrast is None:
                self._contrast = contrast(self.image)
            made = _png(eight_bits(read_window(self.image, window), self._contrast))
            self._keep(window, made)
            return made

    def _keep(self, window: Window, made: bytes) -> None:
        self._made[window] = made
        self._size += len(made)
        while self._size > KEPT:
            _, dropped = self._made.popitem(last=False)
            self._size -= len(dropped)


def contrast(image: Image) -> tuple[float, float]:
    """The grey levels that become black and white: percentiles of the whole image, of a large one of a sample."""
    levels = np.concatenate([np.ravel(part) for part in _sampled(image)]).astype(np.float32)
    levels = levels[np.isfinite(levels)]
    low, high = np.percentile(levels, ENDS) if len(levels) else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def _sampled(image: Image) -> list[Array]:
    if np.prod(image.data.shape) <= SAMPLE:
        return [np.asarray(image.data[...])]
    depths = _spread(image.shape[0], 4) if image.ndim == 3 else [None]
    across = int(np.sqrt(SAMPLE / len(depths))) // PATCH_PX
    rows, columns = (_spread(n, across, PATCH_PX) for n in image.shape[-2:])
    plane = [(slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)) for y in rows for x in columns]
    return [np.asarray(image.data[(..., *([] if z is None else [z]), *at)]) for z in depths for at in plane]


def _spread(length: int, most: int, size: int = 1) -> list[int]:
    """Up to `most` starts of pieces of `size`, evenly over `length`."""
    count = max(1, min(most, length // size))
    return sorted({int((i + 0.5) * length / count - size / 2) for i in range(count)} - {-1}) if length > size else [0]


def read_window(image: Image, window: Window) -> Floats:
    """``(h, w)``: means over blocks of pixels, those at the image's edge over what there is of them, and over channels."""
    rows, columns = image.shape[-2:]
    fits = window.step >= 1 and 0 < window.height <= LARGEST_PX and 0 < window.width <= LARGEST_PX
    depth = image.shape[0] if image.ndim == 3 else 1
    if not (fits and 0 <= window.y < rows and 0 <= window.x < columns and 0 <= window.z < depth):
        raise AnnotationError(
            f"found no pixel in the window at z {window.z}, y {window.y}, x {window.x} of {window.height} × {window.width} "
            f"pixels, step {window.step}; need one on the image, of at most {LARGEST_PX} pixels a side; ask for another"
        )
    bottom = min(rows, window.y + window.height * window.step)
    right = min(columns, window.x + window.width * window.step)
    skip = window.step // SAMPLES if window.step % SAMPLES == 0 else 1
    strip = window.step * max(1, READ_AT_ONCE // ((right - window.x) * window.step))
    parts = []
    for top in range(window.y, bottom, strip):
        at = (slice(top, min(top + strip, bottom), skip), slice(window.x, right, skip))
        plane = image.data[(..., *((window.z,) if image.ndim == 3 else ()), *at)]
        pixels = np.asarray(plane, np.float32)
        parts.append(_means(pixels.reshape(-1, *pixels.shape[-2:]).mean(axis=0), window.step // skip))
    return np.concatenate(parts)


def _means(pixels: Floats, step: int) -> Floats:
    if step == 1:
        return pixels
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis], step)
        counts = np.diff(np.append(starts, pixels.shape[axis])).astype(np.float32)
        sums = np.add.reduceat(pixels, starts, axis=axis, dtype=np.float32)
        pixels = np.divide(sums, np.expand_dims(counts, 1 - axis), dtype=np.float32)
    return pixels


def eight_bits(pixels: Floats, ends: tuple[float, float]) -> Array:
    """Grey levels from black at the first of `ends` to white at the second, rounded to the nearest of 256."""
    low, high = ends
    scaled = np.clip(np.nan_to_num((pixels - low) / (high - low)), 0, 1)
    grey: Array = np.round(scaled * 255).astype(np.uint8)
    return grey


def _png(grey: Array) -> bytes:
    kept = BytesIO()
    fromarray(grey).save(kept, format="png", compress_level=1)  # noise does not compress: trying harder takes time only
    return kept.getvalue()
