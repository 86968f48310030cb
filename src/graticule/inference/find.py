"""Points in an image of any size, block by block: each block keeps those that lie in what it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from graticule.box import Box
from graticule.image import Array, Image
from graticule.inference.gate import Gate, bounds
from graticule.inference.maps import KeptMaps
from graticule.inference.plan import Block, Plan
from graticule.inference.run import Prepare, Progress, known, run_block
from graticule.inference.store import Store, each, writing
from graticule.inference.work import Work, account
from graticule.io.atomic import replacing
from graticule.results import Points
from graticule.task import Forward, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """`task` over `image`, block by block.

    Attributes
    ----------
    maps
        Where each block's maps are kept, and taken from if they are there already; None: they are not kept.
    """

    task: Task
    forward: Forward
    prepare: Prepare
    image: Image
    plan: Plan
    gate: Gate | None = None
    maps: KeptMaps | None = None

    def points(self) -> Points:
        """Those of all blocks, one after the other, with nothing noted on disk."""
        blocks = (self.within(number) for number in range(len(self.plan.blocks)))
        return self._together([found for found, _ in filter(None, blocks)])

    def within(self, number: int) -> tuple[Points, int] | None:
        """What a block keeps, and how many the mask removed there; None if the mask spares the block."""
        block = part = self.plan.blocks[number]
        if self.gate is not None:
            allowed = self.gate.on(block.write)
            if not allowed.any():
                return None
            part = self.plan.narrowed(block, bounds(allowed, block.write.start))
        found = self.task.decode(self._maps(number, part))
        assert isinstance(found, Points), "a task without regions decodes to points"
        found = found[owned(self.image.to_voxels(found.position_um), block.write, self.plan.shape)]
        inside = found if self.gate is None else found[self._allowed(found, block.write)]
        return inside, len(found) - len(inside)

    def _maps(self, number: int, part: Block) -> Image:
        context = len(part.tiles) == 1
        compute = partial(run_block, self.forward, self.prepare, self.image, self.plan, part, context)
        return (
            compute()
            if self.maps is None
            else self.maps.of(number, self.plan, known(self.plan, part, context), compute)
        )

    def _allowed(self, found: Points, box: Box) -> Array:
        assert self.gate is not None
        voxels = np.round(self.image.to_voxels(found.position_um)).astype(int)
        voxels = np.clip(voxels, box.start, np.array(box.stop) - 1) - box.start
        allowed: Array = self.gate.on(box)[tuple(voxels.T)]
        return allowed

    def _together(self, found: Sequence[Points]) -> Points:
        return joined(found) if found else self._nothing()

    def _nothing(self) -> Points:
        """No points, of the classes that there would have been."""
        count = self._channels() if self.maps is None else self.maps.channels(self._channels)
        blank = np.zeros((count, *(1,) * self.image.ndim), np.float32)
        found = self.task.decode(Image(blank, "c" + "zyx"[-self.image.ndim :], self.plan.spacing_um))
        assert isinstance(found, Points)
        return found[:0]

    def _channels(self) -> int:
        """How many maps there are of a block."""
        tile = self.plan.blocks[0].tiles[0]
        return len(self.forward(self.prepare(np.zeros(tile.read.shape, np.uint8))[None])[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding(Search):
    """One run: `task` over `image`, with what was found in each block kept in `store`."""

    store: Store

    def go(self, progress: Progress | None = None) -> tuple[Points, Work]:
        """All blocks that are not finished yet; then the points of all."""
        finished = self.store.finished("points")
        count = len(self.plan.blocks)
        (self.store.folder / "points").mkdir(exist_ok=True)
        todo = [number for number in range(count) if number not in finished]
        with writing(self.store.folder):
            each(todo, self._compute, 1, progress, count)
        found = [load(self._file(n)) for n in range(count) if not finished[n].get("skipped")]
        return self._together(found), account(finished.values())

    def _compute(self, number: int) -> None:
        began = time.monotonic()
        found = self.within(number)
        if found is None:
            self.store.finish("points", number, skipped=True)
            return
        points, removed = found
        save(points, self._file(number))
        self.store.finish("points", number, seconds=round(time.monotonic() - began, 3), removed=removed)

    def _file(self, number: int) -> Path:
        return self.store.folder / "points" / f"{number}.npz"


def owned(voxels: Array, box: Box, shape: Sequence[int]) -> Array:
    """``(N,)`` booleans: which places ``(N, ndim)`` lie in the voxels of `box`; beyond the image's edge, in the last."""
    low = np.where(np.array(box.start) == 0, -np.inf, np.array(box.start) - 0.5)
    high = np.where(np.array(box.stop) == shape, np.inf, np.array(box.stop) - 0.5)
    inside: Array = np.all((voxels >= low) & (voxels < high), axis=1)
    return inside


def joined(found: Sequence[Points]) -> Points:
    """All points of several blocks."""
    sizes = [points.diameter_um for points in found if points.diameter_um is not None]
    return Points(
        np.concatenate([points.position_um for points in found]),
        np.concatenate([points.confidence for points in found]),
        np.concatenate([points.kind for points in found]),
        found[0].kinds,
        np.concatenate(sizes) if len(sizes) == len(found) else None,
    )


def save(points: Points, path: Path) -> None:
    """Whole or not at all."""
    values: dict[str, Any] = {each.name: getattr(points, each.name) for each in fields(Points)}
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: value for name, value in values.items() if value is not None})


def load(path: Path) -> Points:
    """Points that were saved."""
    with np.load(path) as stored:
        size = stored["diameter_um"] if "diameter_um" in stored.files else None
        kinds = tuple(str(name) for name in stored["kinds"])
        return Points(stored["position_um"], stored["confidence"], stored["kind"], kinds, size)
