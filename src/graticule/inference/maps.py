"""Maps kept on disk, block by block: with them, deciding anew at another threshold needs no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graticule.box import Box, window
from graticule.image import Array, Image
from graticule.inference.plan import Plan
from graticule.inference.run import cells_of, maps_on
from graticule.io.atomic import replacing

CHANNELS = "channels.json"
STEPS = 255


@dataclass(frozen=True, slots=True)
class KeptMaps:
    """A folder with the maps of every block: ``N.npy`` ``(K, *cells)`` as they were computed, ``N.json`` where they lie.

    What is here was computed in full: a block's array is written last, and appears whole or not at all.
    """

    folder: Path

    def of(self, block: int, plan: Plan, box: Box, compute: Callable[[], Image]) -> Image:
        """The maps of a block on the cells of `box`: from the folder or, if they are not there, computed and kept."""
        at = self.where(block)
        if at is not None and _holds(at, box):
            cells = cells_of(box, plan.stride).relative_to(cells_of(at, plan.stride).start)
            return maps_on(self._array(block)[(slice(None), *cells.slices())], box, plan)
        maps = compute()
        self._keep(block, box, maps)
        return maps

    def where(self, block: int) -> Box | None:
        """The voxels that a block's maps lie on; None if they were not kept, as of a block that a mask spared."""
        if not self._file(block).exists():
            return None
        told = json.loads(self._file(block).with_suffix(".json").read_text(encoding="utf-8"))
        return Box(tuple(told["start"]), tuple(told["stop"]))

    def channels(self, count: Callable[[], int]) -> int:
        """How many maps there are of each block; `count` is asked, once, if no block's were kept."""
        kept = next(self.folder.glob("*.npy"), None)
        if kept is not None:
            return int(np.load(kept, mmap_mode="r").shape[0])
        path = self.folder / CHANNELS
        if not path.exists():
            with replacing(path) as aside:
                aside.write_text(json.dumps(count()), encoding="utf-8")
        return int(json.loads(path.read_text(encoding="utf-8")))

    def seen(self, block: int, plan: Plan, cells: Box, count: int) -> Array | None:
        """The first `count` maps of a block on `cells` (of the whole image's), in 255ths; None if they were not kept."""
        at = self.where(block)
        if at is None:
            return None
        known = cells_of(at, plan.stride)
        shared = _shared(known, cells)
        if shared is None:
            return None
        here = np.zeros((count, *cells.shape), np.uint8)
        part = self._array(block)[(slice(0, count), *shared.relative_to(known.start).slices())]
        here[(slice(None), *shared.relative_to(cells.start).slices())] = np.round(np.clip(part, 0, 1) * STEPS)
        return here

    def _keep(self, block: int, box: Box, maps: Image) -> None:
        place = {"axes": maps.axes, "spacing_um": list(maps.spacing_um), "origin_um": list(maps.origin_um)}
        about = {"start": list(box.start), "stop": list(box.stop), **place}
        self._file(block).unlink(missing_ok=True)  # of another part of the block: array and place go together
        with replacing(self._file(block).with_suffix(".json")) as aside:
            aside.write_text(json.dumps(about), encoding="utf-8")
        with replacing(self._file(block)) as aside, aside.open("wb") as file:
            np.save(file, np.asarray(maps.data), allow_pickle=False)

    def _array(self, block: int) -> Array:
        mapped: Array = np.load(self._file(block), mmap_mode="r")
        return mapped

    def _file(self, block: int) -> Path:
        return self.folder / f"{block}.npy"


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """The first `count` kept maps over a whole image, ``(count, *cells)`` in whole 255ths; put together where it is sliced.

    0 where no maps were kept.
    """

    maps: KeptMaps
    plan: Plan
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *(-(-n // self.plan.stride) for n in self.plan.shape))

    @property
    def dtype(self) -> Any:
        return np.dtype(np.uint8)

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        asked = Box(tuple(s.start for s in read[1:]), tuple(s.stop for s in read[1:]))
        graded = np.zeros((self.count, *asked.shape), np.uint8)
        for number, block in enumerate(self.plan.blocks):
            shared = _shared(cells_of(block.write, self.plan.stride), asked)
            part = None if shared is None else self.maps.seen(number, self.plan, shared, self.count)
            if shared is not None and part is not None:
                graded[(slice(None), *shared.relative_to(asked.start).slices())] = part
        return np.asarray(graded[read[0]])[then]


def _holds(outer: Box, inner: Box) -> bool:
    starts = all(a <= b for a, b in zip(outer.start, inner.start, strict=True))
    return starts and all(a >= b for a, b in zip(outer.stop, inner.stop, strict=True))


def _shared(one: Box, other: Box) -> Box | None:
    """The cells of both; None if there are none."""
    start = tuple(map(max, zip(one.start, other.start, strict=True)))
    stop = tuple(map(min, zip(one.stop, other.stop, strict=True)))
    return Box(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None
