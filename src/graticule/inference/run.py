"""Tile by tile: read, prepare, forward, keep the middle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graticule.box import Box, Tile
from graticule.errors import FormatError
from graticule.image import Array, ArrayLike, Floats, Image
from graticule.inference.plan import Block, Plan
from graticule.task import Forward

Progress = Callable[[int, int], None]
Prepare = Callable[[Array], Floats]


def run(forward: Forward, prepare: Prepare, image: Image, plan: Plan, progress: Progress | None = None) -> Image:
    """Maps ``(K, *cells)`` over the whole image; the same as one pass without tiles where the halo covers what a cell sees."""
    whole = Box((0,) * len(plan.shape), plan.shape)
    tiles = tuple(dict.fromkeys(plan.tiles))  # blended ones are part of several blocks
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(tiles))

    return _gathered(forward, prepare, image, plan, tiles, whole, count)


Windows = Callable[[Tile, Callable[[], Floats]], Floats]
"""The maps of a window ``(K, *tile.read)``, given how to compute them: see `windows.SharedWindows`."""


def run_block(
    forward: Forward,
    prepare: Prepare,
    image: Image,
    plan: Plan,
    block: Block,
    context: bool = False,
    windows: Windows | None = None,
) -> Image:
    """Maps of one block: of what it writes or, with `context`, of all that its one tile reads, less exact at the rim."""
    if not context:
        return _gathered(forward, prepare, image, plan, block.tiles, block.write, lambda: None, windows)
    (tile,) = block.tiles
    every = Tile(tile.read, known(plan, block, context))
    return _gathered(forward, prepare, image, plan, (every,), every.write, lambda: None)


def known(plan: Plan, block: Block, context: bool) -> Box:
    """The voxels that the maps of a block lie on: see `run_block`."""
    if not context:
        return block.write
    (tile,) = block.tiles
    return Box(tile.read.start, tuple(min(b, n) for b, n in zip(tile.read.stop, plan.shape, strict=True)))


def _gathered(
    forward: Forward,
    prepare: Prepare,
    image: Image,
    plan: Plan,
    tiles: tuple[Tile, ...],
    box: Box,
    count: Callable[[], None],
    windows: Windows | None = None,
) -> Image:
    """The maps of `tiles` on the cells of `box`; 0 where no tile lies."""
    stride = plan.stride
    here = cells_of(box, stride)
    maps: Floats | None = None
    for tile in tiles:
        out = _window(forward, prepare, image, tile, windows)
        if plan.grid.blended:
            maps = np.zeros((out.shape[0], *here.shape), np.float32) if maps is None else maps
            blend(out, tile, box, maps, plan)
            count()
            continue
        cells, read = cells_of(tile.write, stride), cells_of(tile.read, stride)
        part = out[(slice(None), *cells.relative_to(read.start).slices())]
        if cells == here:
            maps = part
        else:
            maps = np.zeros((out.shape[0], *here.shape), np.float32) if maps is None else maps
            maps[(slice(None), *cells.relative_to(here.start).slices())] = part
        count()
    assert maps is not None, "a plan has at least one tile"
    return maps_on(maps, box, plan)


def _window(forward: Forward, prepare: Prepare, image: Image, tile: Tile, windows: Windows | None) -> Floats:
    """``(K, *tile.read)``."""

    def compute() -> Floats:
        maps: Floats = forward(read_prepared(image, tile.read, prepare)[None])[0]
        return maps

    return compute() if windows is None else windows(tile, compute)


def blend(out: Floats, tile: Tile, box: Box, maps: Floats, plan: Plan) -> None:
    """Add a window's maps ``(K, *tile.read)`` to those of `box`, weighted; the weights of all windows add up to 1."""
    low = tuple(max(a, c) for a, c in zip(tile.read.start, box.start, strict=True))
    high = tuple(min(b, d, n) for b, d, n in zip(tile.read.stop, box.stop, plan.shape, strict=True))
    common = Box(low, high)
    part = out[(slice(None), *common.relative_to(tile.read.start).slices())]
    whole = maps[(slice(None), *common.relative_to(box.start).slices())]
    first, *others = [
        window_weights(np.arange(a, b), tile.write.start[axis], tile.write.stop[axis], halo, plan.shape[axis])
        for axis, (a, b, halo) in enumerate(zip(low, high, plan.grid.halo, strict=True))
    ]
    across: Array = np.ones((), np.float32)
    for weights in others:
        across = np.multiply.outer(across, weights)
    for at, weight in enumerate(first):  # one section or row at a time stays in the processor's cache
        whole[:, at] += part[:, at] * (weight * across)


def window_weights(places: Array, start: int, stop: int, halo: int, length: int) -> Floats:
    """How much a tile from `start` to `stop`, with its halo, counts at `places` along an axis of an image.

    1 in its middle, and half where it meets a neighbour, to whose weight it adds up to 1; at the image's ends there is none.
    """
    weights = np.ones(len(places))
    if not halo:
        return weights.astype(np.float32)
    if start > 0:
        weights *= _rise((places - (start - halo) + 0.5) / (2 * halo))
    if stop < length:
        weights *= 1 - _rise((places - (stop - halo) + 0.5) / (2 * halo))
    return weights.astype(np.float32)


def _rise(along: Array) -> Array:
    """From 0 to 1 as a quarter of a wave, squared: mirrored, it falls by as much as it rises."""
    risen: Array = np.sin(np.pi / 2 * np.clip(along, 0, 1)) ** 2
    return risen


def maps_on(maps: ArrayLike, box: Box, plan: Plan) -> Image:
    """`maps` ``(K, *cells)`` where they lie: on the cells of `box`."""
    spacing = tuple(s * plan.stride for s in plan.spacing_um)
    first = tuple(a + (plan.stride - 1) / 2 for a in box.start)
    origin = tuple(o + s * f for o, s, f in zip(plan.origin_um, plan.spacing_um, first, strict=True))
    return Image(maps, "c" + "zyx"[-len(plan.shape) :], spacing, origin)


def cells_of(box: Box, stride: int) -> Box:
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
    prepared = prepare(pixels)
    return np.pad(prepared, [(0, 0), *before_after]) if any(map(any, before_after)) else prepared
