"""Labels of an image of any size, in passes over its blocks; see `design/0004-volumes-and-tissue.md`.

1. Maps, decoded where they lie: confidences, raw labels, and which regions there are.
2. Regions joined over the whole image, and decided upon.
3. Final labels; grown or shrunk, or rims shared out among objects, in a fourth pass, if that is asked for.

Every pass can be killed at any moment and resumed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from graticule.arrays.regions import STEPS, UNCLAIMED, claimed, decide, grown, label_regions, take_census, unique_pairs
from graticule.box import Box, cover
from graticule.image import Array, ArrayLike, Image
from graticule.inference.gate import Gate, bounds
from graticule.inference.maps import KeptMaps
from graticule.inference.merge import Part, join
from graticule.inference.plan import Block, Plan
from graticule.inference.run import Prepare, known, run_block
from graticule.inference.store import Progress, Store, each, writing
from graticule.inference.windows import SharedWindows
from graticule.inference.work import Work, account
from graticule.io import omezarr
from graticule.results import Labels
from graticule.task import Forward, Regions, Task

CONFIDENCE, SCRATCH = "confidence.ome.zarr", "scratch"


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlining:
    """One run: `task` over `image`, into `store`."""

    task: Task
    regions: Regions
    forward: Forward
    prepare: Prepare
    image: Image
    plan: Plan
    store: Store
    chunk: tuple[int, ...]
    gate: Gate | None = None
    maps: KeptMaps | None = None
    """Where each block's maps are kept, and taken from if they are there already."""

    def go(self, progress: Progress | None = None) -> Work:
        """All passes. What is finished already is not done again."""
        self._create()
        passes = self._passes
        total = len(passes) * len(self.plan.blocks)
        for number, (stage, do) in enumerate(passes):
            finished = self.store.finished(stage)
            todo = [block for block in range(len(self.plan.blocks)) if block not in finished]
            before = number * len(self.plan.blocks)

            def counted(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            with writing(self.store.folder):
                each(todo, do, self.plan.workers, counted, len(self.plan.blocks))
        shutil.rmtree(self.store.folder / SCRATCH, ignore_errors=True)
        return account(self.store.finished("maps").values())

    @property
    def labels(self) -> Labels:
        """The result, on disk."""
        return Labels(self._image(omezarr.open_level(self._labels_folder)))

    @property
    def labelled(self) -> dict[str, int]:
        """Voxels of each class, or the number of objects."""
        if self.regions.counted:
            return self._counts()
        last = "growth" if self.regions.grow_um else "labels"
        totals = np.zeros(len(self.regions.kinds) + 1, int)
        for facts in self.store.finished(last).values():
            counts = np.array(facts["counts"], int)[: len(totals)]
            totals[: len(counts)] += counts
        return {kind: int(totals[number]) for number, kind in enumerate(self.regions.kinds, start=1)}

    @property
    def kind_of(self) -> dict[int, int]:
        """Of several kinds of numbered regions, the kind (1: `kinds[0]` …) of each; of one kind, nothing."""
        pairs = [pair for facts in self.store.finished("labels").values() for pair in facts.get("kinds", ())]
        return {int(label): int(kind) for label, kind in pairs}

    def _counts(self) -> dict[str, int]:
        """Objects of each kind."""
        kinds = self.regions.kinds
        if len(kinds) == 1 or not self.regions.numbered:
            return {kinds[0]: max(facts["highest"] for facts in self.store.finished("labels").values())}
        counts = np.bincount(list(self.kind_of.values()), minlength=len(kinds) + 1)
        return {kind: int(counts[number]) for number, kind in enumerate(kinds, start=1)}

    @property
    def confidence(self) -> Image:
        """In 255ths, ``(K, *space)`` or, of a single class, ``(*space)``."""
        data = omezarr.open_level(self.store.folder / CONFIDENCE)
        return Image(data, self._confidence_axes, self.plan.spacing_um, self.plan.origin_um)

    # -- passes ----------------------------------------------------------------------------------------------------------

    @property
    def _passes(self) -> list[tuple[str, Callable[[int], None]]]:
        passes: list[tuple[str, Callable[[int], None]]] = [("maps", self._compute), ("labels", self._settle)]
        if self.regions.rims:
            return [*passes, ("sharing", self._share)]
        return [*passes, ("growth", self._grow)] if self.regions.grow_um else passes

    @property
    def _has_fourth_pass(self) -> bool:
        return self.regions.rims or bool(self.regions.grow_um)

    def _compute(self, number: int) -> None:
        began = time.monotonic()
        block = part = self.plan.blocks[number]
        allowed = None if self.gate is None else self.gate.on(block.write)
        if allowed is not None:
            if not allowed.any():
                nothing = np.zeros(block.write.shape, np.uint8)
                self._keep_regions(number, nothing, nothing, {})
                self._finish_maps(number, skipped=True)
                return
            part = self.plan.narrowed(block, bounds(allowed, block.write.start))
        raw, confidence, beyond = self._outlined(number, part)
        raw = placed(raw, part.write, block.write)
        confidence = placed(confidence, part.write, block.write)
        beyond = {axis: placed_plane(plane, axis, part.write, block.write) for axis, plane in beyond.items()}
        removed = 0
        if allowed is not None:
            removed = int(np.count_nonzero(raw[~allowed]))
            raw, confidence = np.where(allowed, raw, 0).astype(raw.dtype), np.where(allowed, confidence, 0)
        put(self._confidence, block.write, confidence if self.regions.confidences > 1 else confidence[0])
        self._keep_regions(number, raw, confidence[0], beyond)
        self._finish_maps(number, seconds=round(time.monotonic() - began, 3), removed=removed)

    def _finish_maps(self, number: int, **facts: Any) -> None:
        self.store.finish("maps", number, **facts)
        if self.plan.grid.blended:
            self._windows.finish(number)

    @cached_property
    def _windows(self) -> SharedWindows:
        return SharedWindows(self.store.folder / SCRATCH / "windows", self.plan, self.store.finished("maps"))

    def _outlined(self, number: int, part: Block) -> tuple[Array, Array, dict[int, Array]]:
        """Raw labels, confidences in 255ths, and the labels of the planes beyond."""
        maps = self._maps(number, part)
        labels = self._decoded(maps)
        inner = part.write.relative_to(part.read.start if self.regions.objects else part.write.start)
        confidence = np.round(np.asarray(maps.data)[(slice(0, self.regions.confidences), *inner.slices())] * STEPS)
        return labels[inner.slices()], confidence.astype(np.uint8), self._beyond(labels, inner)

    def _maps(self, number: int, part: Block) -> Image:
        context = self.regions.objects
        windows = self._windows.of if self.plan.grid.blended else None
        compute = partial(run_block, self.forward, self.prepare, self.image, self.plan, part, context, windows)
        return (
            compute()
            if self.maps is None
            else self.maps.of(number, self.plan, known(self.plan, part, context), compute)
        )

    def _decoded(self, maps: Image) -> Array:
        found = self.task.decode(maps)
        assert isinstance(found, Labels), "a task with regions decodes to labels"
        return np.asarray(found.image.data)

    def _beyond(self, labels: Array, inner: Box) -> dict[int, Array]:
        """The plane of voxels after the block, along each axis that goes on there."""
        if not self.regions.objects:
            return {}
        planes = {}
        for axis, stop in enumerate(inner.stop):
            if stop < labels.shape[axis]:
                window = [slice(a, b) for a, b in zip(inner.start, inner.stop, strict=True)]
                window[axis] = slice(stop, stop + 1)
                planes[axis] = labels[tuple(window)].squeeze(axis)
        return planes

    def _keep_regions(self, number: int, raw: Array, confidence: Array, beyond: dict[int, Array]) -> None:
        box = self.plan.blocks[number].write
        ids = label_regions(raw)
        sure = confidence if self.regions.min_confidence else None  # summed only where something hangs on it
        part = Part.of(ids, take_census(ids, raw, box.start, self.plan.shape, sure), beyond)
        part.save(self._part(number))
        if len(part.census) > 1:
            put(self._raw, box, ids)

    def _settle(self, number: int) -> None:
        box = self.plan.blocks[number].write
        final = self._decisions[number].astype(self._settled.dtype)
        values = final[self._raw[box.slices()]] if len(final) > 1 else np.full(box.shape, final[0])
        if not self._has_fourth_pass:
            values = self._allowed(box, values)
        put(self._settled, box, values)
        if self.regions.counted:
            self._finish_objects(number, final)
        else:
            size = Part.load(self._part(number)).census.size
            counts = np.bincount(final, weights=size) if self.gate is None else np.bincount(values.ravel())
            self.store.finish("labels", number, counts=counts.astype(int).tolist())

    def _allowed(self, box: Box, values: Array) -> Array:
        """Nothing where the mask has nothing: a hole may have been filled there, or something may have grown into it."""
        if self.gate is None or not values.any():
            return values
        inside: Array = np.where(self.gate.on(box), values, 0).astype(values.dtype)
        return inside

    def _finish_objects(self, number: int, final: Array) -> None:
        facts: dict[str, Any] = {"highest": int(final[final < UNCLAIMED].max(initial=0))}
        if self.regions.numbered and len(self.regions.kinds) > 1:
            kinds = Part.load(self._part(number)).census.value
            own = (final > 0) & (kinds > 0)
            facts["kinds"] = unique_pairs(np.stack([final[own], kinds[own]], axis=1)).tolist()
        self.store.finish("labels", number, **facts)

    def _grow(self, number: int) -> None:
        block = self.plan.blocks[number].write
        reach = [int(np.ceil(abs(self.regions.grow_um) / s)) + 1 for s in self.plan.spacing_um]
        around, inner = self._around(block, reach)
        wide = grown(np.asarray(self._settled[around.slices()]), self.regions.grow_um, self.plan.spacing_um)
        values = self._allowed(block, wide[inner.slices()])
        put(self._final, block, values)
        self.store.finish("growth", number, counts=np.bincount(values.ravel()).tolist())

    def _share(self, number: int) -> None:
        block, reach = self.plan.blocks[number].write, self.regions.reach_px
        around, inner = self._around(block, [reach] * len(self.plan.shape))
        wide = claimed(np.asarray(self._settled[around.slices()]), reach)
        put(self._final, block, self._allowed(block, wide[inner.slices()]))
        self.store.finish("sharing", number)

    def _around(self, block: Box, reach: Sequence[int]) -> tuple[Box, Box]:
        """A block with so many voxels around it, as far as the image goes, and where the block lies in that."""
        start = tuple(max(0, a - r) for a, r in zip(block.start, reach, strict=True))
        stop = tuple(min(n, b + r) for b, r, n in zip(block.stop, reach, self.plan.shape, strict=True))
        return Box(start, stop), block.relative_to(start)

    # -- what is written where -------------------------------------------------------------------------------------------

    def _create(self) -> None:
        """All arrays, empty, unless an earlier run has; the last file made says that all are there."""
        ready = self.store.folder / SCRATCH / "ready"
        if ready.exists() or self.store.finished("labels"):
            return
        place: dict[str, Any] = {"spacing_um": self.plan.spacing_um, "origin_um": self.plan.origin_um}
        with writing(self.store.folder):
            for name in (CONFIDENCE, SCRATCH):
                shutil.rmtree(self.store.folder / name, ignore_errors=True)
            count = self.regions.confidences
            shape = self.plan.shape if count == 1 else (count, *self.plan.shape)
            chunk = self.chunk if count == 1 else (1, *self.chunk)
            folder = self.store.folder / CONFIDENCE
            omezarr.create(
                folder,
                axes=self._confidence_axes,
                shape=shape,
                dtype=np.uint8,
                channels=self.regions.kinds if count > 1 else (),
                chunks=_fitting(chunk, shape),
                **place,
            )
            size = {
                "axes": self._axes,
                "shape": self.plan.shape,
                "chunks": _fitting(self.chunk, self.plan.shape),
                **place,
            }
            omezarr.create(self._labels_folder, dtype=self._label_type, labels_of=folder, **size)
            omezarr.create(self.store.folder / SCRATCH / "regions", dtype=np.int32, labels=True, **size)
            if self._has_fourth_pass:
                omezarr.create(self.store.folder / SCRATCH / "settled", dtype=self._label_type, labels=True, **size)
            (self.store.folder / SCRATCH / "parts").mkdir()
            ready.touch()

    @property
    def _labels_folder(self) -> Path:
        return self.store.folder / CONFIDENCE / "labels" / ("objects" if self.regions.counted else "mask")

    @property
    def _axes(self) -> str:
        return "zyx"[-len(self.plan.shape) :]

    @property
    def _confidence_axes(self) -> str:
        return self._axes if self.regions.confidences == 1 else "c" + self._axes

    @property
    def _label_type(self) -> Any:
        return np.dtype(np.uint32 if self.regions.counted else np.uint8)

    def _part(self, number: int) -> Path:
        return self.store.folder / SCRATCH / "parts" / f"{number}.npz"

    @cached_property
    def _confidence(self) -> Any:
        return omezarr.open_level(self.store.folder / CONFIDENCE)

    @cached_property
    def _raw(self) -> Any:
        return omezarr.open_level(self.store.folder / SCRATCH / "regions")

    @cached_property
    def _final(self) -> Any:
        return omezarr.open_level(self._labels_folder)

    @cached_property
    def _settled(self) -> Any:
        return omezarr.open_level(self.store.folder / SCRATCH / "settled") if self._has_fourth_pass else self._final

    @cached_property
    def _decisions(self) -> tuple[Array, ...]:
        """For each block the label that each of its regions gets."""
        joined = join([block.write for block in self.plan.blocks], [Part.load(self._part(n)) for n in self._numbers])
        label = decide(joined.census, self.regions)
        return tuple(label[numbers] for numbers in joined.numbers)

    @property
    def _numbers(self) -> range:
        return range(len(self.plan.blocks))

    def _image(self, data: ArrayLike) -> Image:
        return Image(data, self._axes, self.plan.spacing_um, self.plan.origin_um)


def put(array: Any, box: Box, values: Array) -> None:
    """Write ``([c,] *space)`` to `box` of a stored array, chunk by chunk; what is all 0 is not written.

    One chunk at a time, because an error (a full disk) would otherwise leave zarr's other writes hanging in the air.
    """
    ndim = len(box.start)
    chunk, channels = array.chunks[-ndim:], (slice(None),) * (values.ndim - ndim)
    for tile in cover(box.shape, chunk, (0,) * ndim, align=chunk):
        here: Any = (..., *tile.write.slices())
        part = values[here]
        if part.any():
            there = tile.write.relative_to(tuple(-a for a in box.start))
            array[(*channels, *there.slices())] = part


def placed(values: Array, at: Box, within: Box) -> Array:
    """`values` ``(..., *space)``, known at one box, on a larger one; 0 around."""
    if at == within:
        return values
    pairs = zip(at.start, at.stop, within.start, within.stop, strict=True)
    around = [(a - low, high - b) for a, b, low, high in pairs]
    return np.pad(values, [(0, 0)] * (values.ndim - len(around)) + around)


def placed_plane(plane: Array, axis: int, at: Box, within: Box) -> Array:
    """The same for the plane after a box; nothing is known of it where the smaller box ends before."""
    start, stop = (tuple(n for a, n in enumerate(ends) if a != axis) for ends in (at.start, at.stop))
    low, high = (tuple(n for a, n in enumerate(ends) if a != axis) for ends in (within.start, within.stop))
    known = plane if at.stop[axis] == within.stop[axis] else np.zeros_like(plane)
    return placed(known, Box(start, stop), Box(low, high))


def _fitting(chunk: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """No larger than the image."""
    return tuple(max(1, min(c, n)) for c, n in zip(chunk, shape, strict=True))
