"""Tile by tile: read, prepare, forward, keep the middle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graticule.box import Box
from graticule.errors import FormatError
from graticule.image import Array, Floats, Image
from graticule.inference.plan import Plan
from graticule.task import Forward

Progress = Callable[[int, int], None]
Prepare = Callable[[Array], Floats]


def run(forward: Forward, prepare: Prepare, image: Image, plan: Plan, progress: Progress | None = None) -> Image:
    """Maps ``(K, *cells)`` over the whole image; the same as one pass without tiles where the halo covers what a cell sees."""
    stride = plan.stride
    maps: Floats | None = None
    for done, tile in enumerate(plan.tiles, start=1):
        out = forward(read_prepared(image, tile.read, prepare)[None])[0]
        if maps is None:
            maps = np.empty((out.shape[0], *(-(-n // stride) for n in plan.shape)), np.float32)
        cells = _cells(tile.write, stride)
        maps[(slice(None), *cells.slices())] = out[
            (slice(None), *cells.relative_to(_cells(tile.read, stride).start).slices())
        ]
        if progress is not None:
            progress(done, len(plan.tiles))
    assert maps is not None, "a plan has at least one tile"
    spacing = tuple(s * stride for s in plan.spacing_um)
    origin = tuple(o + s * (stride - 1) / 2 for o, s in zip(plan.origin_um, plan.spacing_um, strict=True))
    return Image(maps, "c" + "zyx"[-len(plan.shape) :], spacing, origin)


def _cells(box: Box, stride: int) -> Box:
    """The cells whose voxels lie in `box`; the last may reach beyond it."""
    return Box(tuple(a // stride for a in box.start), tuple(-(-b // stride) for b in box.stop))


def read_prepared(image: Image, box: Box, prepare: Prepare) -> Floats:
    """``(C, *box)``: the voxels of `box` as the network eats them; beyond the image they are 0, as a convolution pads.

    A mirror image there would double what lies at the edge; 0 is what the network saw beyond edges when it learnt.
    """
    inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(box.start, box.stop, image.shape, strict=True))
    pixels = np.asarray(image.data[(..., *inside)])
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise FormatError(
            "the image holds NaN or infinite pixels; replace them, or mask and crop them away, before analysis"
        )
    before_after = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(box.start, box.stop, image.shape, strict=True)]
    return np.pad(prepare(pixels), [(0, 0), *before_after])
