"""Coarser levels of an OME-Zarr image, so that viewers need not read all of it to show all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from graticule.image import SPATIAL, Array
from graticule.io import omezarr_metadata, omezarr_write
from graticule.io.omezarr_metadata import Multiscale

ENOUGH = 256
"""A level whose longest side is this or less needs none coarser."""

Progress = Callable[[int, int], None]


def factors(axes: str, shape: tuple[int, ...], spacing_um: tuple[float, ...]) -> tuple[int, ...]:
    """How many voxels along each axis become one in the next level: 1 or 2.

    Axes that are coarser already wait for the others, so that voxels become cubes as far as they can; those that are
    within a factor of √2 of the finest one go along with it.

    >>> factors("zyx", (50, 900, 900), (0.05, 0.01, 0.01))
    (1, 2, 2)
    """
    size = dict(zip((axis for axis in axes if axis in SPATIAL), spacing_um, strict=True))
    length = dict(zip(axes, shape, strict=True))
    finest = min((size[axis] for axis in size if length[axis] > 1), default=0.0)
    halved = {axis for axis in size if length[axis] > 1 and size[axis] <= finest * 2**0.5}
    return tuple(2 if axis in halved else 1 for axis in axes)


def levels(axes: str, shape: tuple[int, ...], spacing_um: tuple[float, ...]) -> list[tuple[int, ...]]:
    """The factors of all steps that a pyramid takes until it is small `ENOUGH`."""
    steps = []
    while max(n for axis, n in zip(axes, shape, strict=True) if axis in SPATIAL) > ENOUGH:
        step = factors(axes, shape, spacing_um)
        shape = tuple(-(-n // f) for n, f in zip(shape, step, strict=True))
        along = [f for axis, f in zip(axes, step, strict=True) if axis in SPATIAL]
        spacing_um = tuple(s * f for s, f in zip(spacing_um, along, strict=True))
        steps.append(step)
    return steps


def mean(block: Array, step: tuple[int, ...]) -> Array:
    """Means of `step` voxels each, whole numbers rounded half to even; at an odd end of those that there are."""
    parts = _parts(block, step)
    dtype = block.dtype
    exact = np.float64 if dtype.itemsize >= 4 else np.float32
    total = np.zeros(parts[0].shape, exact)
    for part in parts:
        total += part
    total /= len(parts)
    if dtype.kind in "iu":
        np.rint(total, out=total)
    return total.astype(dtype)


def mode(block: Array, step: tuple[int, ...]) -> Array:
    """The most frequent of `step` voxels each, the first among equals; labels have no means."""
    parts = _parts(block, step)
    best, votes = parts[0].copy(), np.zeros(parts[0].shape, np.uint8)
    for part in parts:
        count = sum(((part == other).astype(np.uint8) for other in parts), np.zeros(part.shape, np.uint8))
        better = count > votes
        best[better], votes[better] = part[better], count[better]
    return best


def _parts(block: Array, step: tuple[int, ...]) -> list[Array]:
    """The voxels that are first, second … in their group. The last layer counts twice where its group is cut."""
    padded = np.pad(block, [(0, -n % f) for n, f in zip(block.shape, step, strict=True)], mode="edge")
    return [padded[tuple(slice(i, None, f) for i, f in zip(place, step, strict=True))] for place in _places(step)]


def _places(step: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(range(f) for f in step))


def coarsen(fine: Any, coarse: Any, step: tuple[int, ...], *, labels: bool, done: Callable[[], None]) -> None:
    """Fill the array `coarse` from `fine`, chunk by chunk; `done` is called after each."""
    reduce = mode if labels else mean
    for block in chunk_blocks(coarse.shape, coarse.chunks):
        wide = tuple(slice(s.start * f, min(s.stop * f, n)) for s, f, n in zip(block, step, fine.shape, strict=True))
        coarse[block] = reduce(np.asarray(fine[wide]), step)
        done()


def chunk_blocks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The windows of all chunks, the last axis changing fastest."""
    starts = [range(0, n, c) for n, c in zip(shape, chunks, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(a, min(a + c, n)) for a, c, n in zip(corner, chunks, shape, strict=True))


def count_chunks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    """How many there are."""
    return prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))


def add_pyramid(folder: Path, progress: Progress | None = None) -> None:
    """Add the coarser levels to an image that `omezarr.create` made and somebody has filled.

    Means for images, the most frequent value for labels, in the memory of a few chunks. A level is entered in the
    metadata when it is complete: after a kill, calling this again does what is left, to the same bytes. `progress` is
    called with the numbers of chunks done and to do.
    """
    ome = omezarr_write.attributes(folder)["ome"]
    said = omezarr_metadata.parse({"ome": ome}, folder)
    assert said is not None
    finest = omezarr_write.open_level(folder)
    plan = levels(said.axes, finest.shape, _spatial(said, 0))
    todo = plan[len(said.levels) - 1 :]
    tick = _counter(progress, _chunks_to_do(finest, said.axes, plan, len(todo)))
    for number, step in enumerate(todo, len(said.levels)):
        fine = omezarr_write.open_level(folder, number - 1)
        shape = tuple(-(-n // f) for n, f in zip(fine.shape, step, strict=True))
        chunks = omezarr_write.chunk_of(said.axes, shape)
        coarse = omezarr_write.add_level(folder, str(number), said.axes, shape, fine.dtype, chunks)
        coarsen(fine, coarse, step, labels="image-label" in ome, done=tick)
        ome = _entered(ome, said.axes, step)
        omezarr_write.set_ome(folder, ome)


def _spatial(said: Multiscale, level: int) -> tuple[float, ...]:
    scale = said.levels[level].scale
    assert scale is not None
    return tuple(s for axis, s in zip(said.axes, scale, strict=True) if axis in SPATIAL)


def _chunks_to_do(finest: Any, axes: str, plan: list[tuple[int, ...]], left: int) -> int:
    counts, shape = [], finest.shape
    for step in plan:
        shape = tuple(-(-n // f) for n, f in zip(shape, step, strict=True))
        counts.append(count_chunks(shape, omezarr_write.chunk_of(axes, shape)))
    return sum(counts[len(counts) - left :])


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    count = iter(range(1, total + 1))
    return lambda: progress(next(count), total) if progress else None


def _entered(ome: dict[str, Any], axes: str, step: tuple[int, ...]) -> dict[str, Any]:
    """The metadata with one more level: a coarse voxel's centre lies amid those of the fine ones."""
    [first] = ome["multiscales"]
    last = first["datasets"][-1]["coordinateTransformations"]
    scale, start = last[0]["scale"], last[1]["translation"]
    coarser = [s * f for s, f in zip(scale, step, strict=True)]
    shifted = [t + (f - 1) / 2 * s for t, f, s in zip(start, step, scale, strict=True)]
    level = {
        "path": str(len(first["datasets"])),
        "coordinateTransformations": [
            {"type": "scale", "scale": coarser},
            {"type": "translation", "translation": shifted},
        ],
    }
    return ome | {"multiscales": [first | {"datasets": [*first["datasets"], level]}]}
