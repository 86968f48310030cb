"""Deciding everything about a run before touching a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod

from graticule.box import Box, Tile, cover, round_up
from graticule.errors import FormatError, MemoryLimitError
from graticule.image import Image
from graticule.task import Grid

MB = 10**6


@dataclass(frozen=True, slots=True)
class Block:
    """Voxels whose result is computed and written together: one tile, or those of a rigid lattice that lie in it."""

    write: Box
    tiles: tuple[Tile, ...]

    @property
    def read(self) -> Box:
        """Around all that its tiles read."""
        return _around([tile.read for tile in self.tiles])


def _around(boxes: Sequence[Box]) -> Box:
    starts, stops = zip(*((box.start, box.stop) for box in boxes), strict=True)
    return Box(tuple(map(min, zip(*starts, strict=True))), tuple(map(max, zip(*stops, strict=True))))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do: the grid of a task, resolved against one image and the memory there is.

    Print it, test it, or store it beside the result; nothing later changes it.

    Attributes
    ----------
    blocks
        Their write boxes cover `shape`, and share no voxel.
    grid
        The task's, for images of so many dimensions.
    size
        Sides of the largest block that was asked for.
    workers
        Blocks that are worked on at once.
    peak_bytes
        Memory that they take together, at most; 0 where the task does not say.
    """

    shape: tuple[int, ...]
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...]
    blocks: tuple[Block, ...]
    grid: Grid
    size: tuple[int, ...] = ()
    workers: int = 1
    peak_bytes: int = 0

    def narrowed(self, block: Block, to: Box) -> Block:
        """As much of `block` as has to be computed to know the voxels of `to`, which lies in it."""
        if len(block.tiles) > 1 or self.grid.rigid:
            own = tuple(tile for tile in block.tiles if _meet(tile.write, to))
            around = _around([tile.write for tile in own])
            reaching = tuple(tile for tile in block.tiles if _meet(tile.read, around))
            return Block(around, reaching if self.grid.blended else own)
        step = self.grid.multiple
        start = tuple(a // step * step for a in to.start)
        stop = tuple(min(round_up(b, step), n) for b, n in zip(to.stop, block.write.stop, strict=True))
        reach = tuple(round_up(h, step) for h in self.grid.halo)
        (tile,) = block.tiles
        read = Box(
            tuple(max(low, a - r) for low, a, r in zip(tile.read.start, start, reach, strict=True)),
            tuple(min(high, round_up(b, step) + r) for high, b, r in zip(tile.read.stop, stop, reach, strict=True)),
        )
        return Block(Box(start, stop), (Tile(read, Box(start, stop)),))

    @property
    def stride(self) -> int:
        """Voxels per cell of the maps."""
        return self.grid.stride

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """What is computed at once."""
        return tuple(tile for block in self.blocks for tile in block.tiles)

    def __str__(self) -> str:
        read = max((tile.read.shape for tile in self.tiles), default=())
        size = " x ".join(map(str, self.shape))
        most = " x ".join(map(str, read))
        memory = f", {self.peak_bytes / MB:,.0f} MB of memory at most" if self.peak_bytes else ""
        return f"{len(self.tiles)} tile(s) of at most {most} voxels over {size} voxels of {self.spacing_um} µm{memory}"


def make_plan(
    image: Image,
    grid: Grid,
    *,
    chunk: tuple[int, ...] = (),
    memory: int | None = None,
    workers: int = 1,
    size: tuple[int, ...] = (),
) -> Plan:
    """Blocks and tiles over `image`, which lies on the task's grid.

    Parameters
    ----------
    chunk
        Sides of the stored chunks: blocks begin at multiples of them. Empty: nothing is stored.
    memory
        Bytes that the work may take. First fewer blocks are worked on at once, then they are made smaller, half along
        their longest side.
    workers
        Blocks to work on at once, at most; tasks whose network uses all cores by itself get one.
    size
        `Plan.size` of an earlier plan, to lay the same blocks again, whatever memory there now is.
    """
    _check_fits(image, grid)
    grid = grid.of(image.ndim)
    unit = _unit(grid, chunk or (1,) * image.ndim)
    fixed = bool(size)
    size = size or tuple(round_up(t, u) for t, u in zip(grid.tile, unit, strict=True))
    workers = workers if grid.side_by_side else 1
    while True:
        plan = _laid(image, grid, size, unit, workers)
        if memory is None or plan.peak_bytes <= memory:
            return plan
        if plan.workers > 1:
            workers = plan.workers - 1
            continue
        if fixed:
            return plan
        longest = max(range(len(size)), key=lambda axis: (min(size[axis], image.shape[axis]) / unit[axis], axis))
        if min(size[longest], round_up(image.shape[longest], unit[longest])) <= unit[longest]:
            raise MemoryLimitError(
                f"found {memory / MB:,.0f} MB for the work; this model needs {plan.peak_bytes / MB:,.0f} MB for its "
                "smallest block; give more with --memory"
            )
        half = min(size[longest], round_up(image.shape[longest], unit[longest])) // 2
        size = tuple(round_up(half, u) if a == longest else s for a, (s, u) in enumerate(zip(size, unit, strict=True)))


def _check_fits(image: Image, grid: Grid) -> None:
    if grid.spacing_um and image.ndim != len(grid.spacing_um):
        of_planes = "planes; choose one plane, or a model made for volumes"
        of_volumes = "volumes; give the whole stack, or a model made for planes"
        raise FormatError(
            f"found an image with axes {image.axes!r} and shape {image.shape}; this model is for "
            f"{of_planes if len(grid.spacing_um) == 2 else of_volumes}"
        )
    # Only what a task draws itself comes with the channels that it asks for.
    if len(image.axes) != image.ndim and image.data.shape[0] != grid.channels:
        raise FormatError(
            f"found several channels (axes {image.axes!r}); this model works on one; choose it with --channel"
        )


def _unit(grid: Grid, chunk: tuple[int, ...]) -> tuple[int, ...]:
    """Sides of the smallest block: whole chunks, whole strides and, on a rigid lattice, whole tiles."""
    steps = grid.tile if grid.rigid else (grid.multiple,) * len(chunk)
    return tuple(round_up(c, s) for c, s in zip(chunk, steps, strict=True))


def stored_chunk(grid: Grid, ndim: int, chunk: tuple[int, ...]) -> tuple[int, ...]:
    """`chunk`, made to fit a rigid lattice: as many whole tiles as it holds, at least one."""
    if not grid.rigid:
        return chunk
    return tuple(max(1, c // t) * t for c, t in zip(chunk, grid.of(ndim).tile, strict=True))


def _laid(image: Image, grid: Grid, size: tuple[int, ...], unit: tuple[int, ...], workers: int) -> Plan:
    blocks = _rigid_blocks(image, grid, size) if grid.rigid else _blocks(image, grid, size, unit)
    workers = max(1, min(workers, len(blocks)))
    largest = max((prod(tile.read.shape) for block in blocks for tile in block.tiles), default=0)
    kept = max((prod(block.write.shape) for block in blocks), default=0) if grid.rigid else 0
    peak = workers * (largest * grid.bytes_per_voxel + kept * KEPT_BYTES) if grid.bytes_per_voxel else 0
    return Plan(image.shape, image.spacing_um, image.origin_um, blocks, grid, size, workers, peak)


KEPT_BYTES = 24
"""Per voxel of a block of many tiles: its confidence, labels, regions and what it takes to find these."""


def _blocks(image: Image, grid: Grid, size: tuple[int, ...], unit: tuple[int, ...]) -> tuple[Block, ...]:
    """One tile each."""
    tiles = cover(image.shape, size, grid.halo, grid.multiple, unit)
    return tuple(Block(tile.write, (tile,)) for tile in tiles)


def _rigid_blocks(image: Image, grid: Grid, size: tuple[int, ...]) -> tuple[Block, ...]:
    """Tiles at multiples of `grid.tile`, gathered in blocks of `size`, which is a multiple of it."""

    def home(tile: Tile) -> tuple[int, ...]:
        return tuple(a // s for a, s in zip(tile.write.start, size, strict=True))

    lattice = cover(image.shape, grid.tile, grid.halo, grid.multiple, grid.tile)
    gathered = {place: tuple(tiles) for place, tiles in groupby(sorted(lattice, key=home), home)}
    blocks = cover(image.shape, size, (0,) * image.ndim, 1, size)
    if grid.blended:  # windows that reach over from the blocks beside are computed there and here
        return tuple(Block(b.write, tuple(t for t in lattice if _meet(t.read, b.write))) for b in blocks)
    return tuple(Block(block.write, gathered[home(block)]) for block in blocks)


def _meet(one: Box, other: Box) -> bool:
    return all(max(a, c) < min(b, d) for a, b, c, d in zip(one.start, one.stop, other.start, other.stop, strict=True))
