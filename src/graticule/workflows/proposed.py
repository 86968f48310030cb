"""What a result would propose to a reviewer at other settings, from the maps it kept; nothing is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graticule.arrays.objects import measure_objects
from graticule.box import Box
from graticule.image import Array, Image
from graticule.results import Labels, Points
from graticule.review import Proposals
from graticule.task import Regions, Task
from graticule.workflows.again import Kept, decide, heat
from graticule.workflows.predict import on_voxels_of

SLAB = 16
"""Planes of a volume measured at once."""


def proposed(kept: Kept, task: Task, *, mask: Image | None = None) -> Proposals:
    """The objects that `graticule predict` finds with the settings of `task`; of a mask, one item for each class.

    The confidence of an outlined object is the mean over its voxels, of the class in which that is highest.
    """
    found = decide(kept, task, mask=mask)
    if isinstance(found, Points):
        return Proposals.of(found)
    regions: Regions = task.regions  # type: ignore[attr-defined]
    points, numbers = _objects(found.image, kept, regions) if regions.counted else _classes(found, regions.kinds)
    return Proposals.of(points, found, numbers)


def _graded_on(kept: Kept, labels: Image) -> Array:
    """Confidences ``(K, *space)`` in 255ths on the voxels of `labels`; zeros where nothing was kept."""
    seen = heat(kept)
    if seen is None:
        return np.broadcast_to(np.uint8(0), (1, *labels.shape))
    if seen.shape == labels.shape:
        return np.asarray(seen.data[...])
    planes = [replace(seen, data=np.asarray(seen.data[k]), axes=seen.axes[1:]) for k in range(seen.data.shape[0])]
    return np.stack([np.asarray(on_voxels_of(labels, plane).data) for plane in planes])


def _objects(labels: Image, kept: Kept, regions: Regions) -> tuple[Points, Array]:
    boxes, graded = _slabs(labels.shape), _graded_on(kept, labels)
    each = [measure_objects(labels.data, level, boxes) for level in graded[: len(regions.kinds)]]
    kind = np.argmax([found.confidence for found in each], axis=0) if len(each) > 1 else np.zeros(len(each[0]), int)
    confidence = np.array([each[k].confidence[row] for row, k in enumerate(kind)], float)
    return Points(labels.to_um(each[0].centre), confidence, kind, regions.kinds), each[0].number


def _classes(labels: Labels, kinds: tuple[str, ...]) -> tuple[Points, Array]:
    """One item for each class that a voxel has, in the middle of the image: it has an outline, and no place."""
    numbers = np.array([n for n, count in enumerate(voxels_of(labels, kinds).values(), start=1) if count], int)
    middle = labels.image.to_um((np.array([labels.image.shape]) - 1) / 2)
    at = np.repeat(middle, len(numbers), axis=0)
    return Points(at, np.ones(len(numbers)), numbers - 1, kinds), numbers


def _slabs(shape: tuple[int, ...]) -> list[Box]:
    whole = Box((0,) * len(shape), shape)
    if len(shape) == 2:
        return [whole]
    starts = range(0, shape[0], SLAB)
    return [Box((z, 0, 0), (min(z + SLAB, shape[0]), *shape[1:])) for z in starts]


def voxels_of(labels: Labels, kinds: tuple[str, ...]) -> dict[str, int]:
    """How many voxels each class of a mask has."""
    counts = np.zeros(len(kinds) + 1, np.int64)
    for box in _slabs(labels.image.shape):
        found = np.bincount(np.asarray(labels.image.data[box.slices()]).ravel(), minlength=len(counts))
        counts += found[: len(counts)]
    return {kind: int(counts[number]) for number, kind in enumerate(kinds, start=1)}
