"""Regions of blocks joined to regions of the image: those that meet at the faces between blocks are one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path

import numpy as np

from graticule.arrays.regions import Census, merged, touching, unique_pairs
from graticule.box import Box
from graticule.image import Array
from graticule.io.atomic import replacing


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What the rest of the image has to know of a block.

    Attributes
    ----------
    census
        Of the block's own regions.
    low, high
        By axis, which region each voxel of the block's first and last plane belongs to.
    beyond
        By axis, for objects: the labels that this block's own decoding gave to the plane of voxels after its last.
    """

    census: Census
    low: Mapping[int, Array]
    high: Mapping[int, Array]
    beyond: Mapping[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: Array, census: Census, beyond: Mapping[int, Array] | None = None) -> Part:
        axes = range(ids.ndim)
        return cls(census, {a: ids.take(0, a) for a in axes}, {a: ids.take(-1, a) for a in axes}, dict(beyond or {}))

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        census = {each.name: getattr(self.census, each.name) for each in fields(Census)}
        faces = {
            f"{side}-{axis}": plane for side in ("low", "high", "beyond") for axis, plane in getattr(self, side).items()
        }
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **census, **faces)

    @classmethod
    def load(cls, path: Path) -> Part:
        """One that was saved; its planes are read when they are asked for."""
        with np.load(path) as stored:
            census = Census(*(stored[each.name] for each in fields(Census)))
            reaches = any(name.startswith("beyond") for name in stored.files)
        low, high, beyond = (_Planes(path, side) for side in ("low", "high", "beyond"))
        return cls(census, low, high, beyond if reaches else {})


class _Planes(Mapping[int, Array]):
    """Planes of a part on disk, by axis: those of all blocks of a large volume would fill memory."""

    def __init__(self, path: Path, side: str) -> None:
        self.path, self.side = path, side

    def __getitem__(self, axis: int) -> Array:
        with np.load(self.path) as stored:
            plane: Array = stored[f"{self.side}-{axis}"]
            return plane

    def __iter__(self) -> Iterator[int]:
        with np.load(self.path) as stored:
            names = [name for name in stored.files if name.startswith(f"{self.side}-")]
        return iter(int(name.rpartition("-")[2]) for name in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The regions of a whole image.

    Attributes
    ----------
    census
        Of all of them.
    numbers
        For each block, the image's region that each of its own belongs to.
    """

    census: Census
    numbers: tuple[Array, ...]


def join(boxes: Sequence[Box], parts: Sequence[Part]) -> Joined:
    """The regions of the image that blocks at `boxes` cover.

    Voxels of one label on both sides of a face are of one region. Of objects, those are one that a block's own decoding
    saw to reach across its face: two that merely touch there stay two.
    """
    offsets = np.concatenate([[0], np.cumsum([len(part.census) for part in parts])])
    value, size, first, at_edge, confidence = (
        np.concatenate([getattr(part.census, name) for part in parts])
        for name in ("value", "size", "first", "at_edge", "confidence")
    )
    within = [part.census.touching + offset for part, offset in zip(parts, offsets, strict=False)]
    same, apart = [np.zeros((0, 2), np.int64)], within
    for axis, here, there in _neighbours(boxes):
        a = parts[here].high[axis].astype(np.int64) + offsets[here]
        b = parts[there].low[axis].astype(np.int64) + offsets[there]
        meeting = touching(a.ravel(), b.ravel())
        if parts[here].beyond:
            same.append(_reaching(parts[here], parts[there], axis) + np.array([offsets[here], offsets[there]]))
            apart.append(meeting)
            continue
        alike = value[meeting[:, 0]] == value[meeting[:, 1]]
        same.append(meeting[alike])
        apart.append(meeting[~alike])
    whole = Census(value, size, first, at_edge, confidence, unique_pairs(np.concatenate(apart)))
    census, group = merged(whole, np.concatenate(same))
    return Joined(census, tuple(group[a:b] for a, b in pairwise(offsets)))


def _neighbours(boxes: Sequence[Box]) -> list[tuple[int, int, int]]:
    """``(axis, before, after)`` for all boxes with a face in common."""
    at = {box.start: number for number, box in enumerate(boxes)}
    pairs = []
    for number, box in enumerate(boxes):
        for axis in range(len(box.start)):
            next_ = tuple(box.stop[a] if a == axis else s for a, s in enumerate(box.start))
            if next_ in at:
                pairs.append((axis, number, at[next_]))
    return pairs


def _reaching(here: Part, there: Part, axis: int) -> Array:
    """``(m, 2)`` regions of two blocks that are one: an object that reaches across the face, or background."""
    seen, own, found = here.beyond[axis].ravel(), here.high[axis].ravel(), there.low[axis].ravel()
    label, other = here.census.value[own], there.census.value[found]
    object_ = (label == seen) & (label != 0) & (other != 0)
    empty = (label == 0) & (other == 0)
    return unique_pairs(np.stack([own, found], axis=1)[object_ | empty])
