"""Windows that several blocks need: computed once, kept on disk from the first of these blocks to the last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from graticule.box import Tile
from graticule.image import Floats
from graticule.inference.plan import Plan
from graticule.io.atomic import replacing

STEPS = 255
"""Maps of windows that are blended are confidences in whole 255ths: what is kept is what was computed."""


class SharedWindows:
    """The windows of a blended plan, in a folder; one is deleted when all blocks that it reaches into are finished."""

    def __init__(self, folder: Path, plan: Plan, finished: Collection[int]) -> None:
        self.folder, self.plan, self.finished = folder, plan, set(finished)
        self.blocks: dict[Tile, list[int]] = defaultdict(list)
        for number, block in enumerate(plan.blocks):
            for tile in block.tiles:
                self.blocks[tile].append(number)

    def of(self, tile: Tile, compute: Callable[[], Floats]) -> Floats:
        """``(K, *tile.read)``: the maps of a window, computed if no block before has needed it."""
        if len(self.blocks[tile]) < 2:
            return compute()
        path = self._file(tile)
        if not path.exists():
            graded = np.rint(compute() * STEPS).astype(np.uint8)
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as aside, aside.open("wb") as file:
                np.save(file, graded)
        maps: Floats = np.load(path) / np.float32(STEPS)
        return maps

    def finish(self, block: int) -> None:
        """Nothing more is asked of this block; windows that no other waits for go."""
        self.finished.add(block)
        for tile in self.plan.blocks[block].tiles:
            if self.finished.issuperset(self.blocks[tile]):
                self._file(tile).unlink(missing_ok=True)

    def _file(self, tile: Tile) -> Path:
        return self.folder / ("-".join(map(str, tile.write.start)) + ".npy")
