"""From an annotated image to what the training engine eats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graticule.arrays.resample import to_spacing
from graticule.example import Example
from graticule.image import Image
from graticule.metrics import instances
from graticule.results import Labels
from graticule.task import Task
from graticule.training import Ready
from graticule.workflows.predict import on_voxels_of
from graticule.workflows.working import is_viewing, levels_for, on_grid


def ready(task: Task, example: Example) -> Ready:
    """`example` on the task's grid, cut to where its annotation is complete, with context around it.

    Grey levels are measured before the cut, on the whole image, as they are in prediction. Where the task draws a view of
    the image, truth and where it is complete are brought to the voxels of that.
    """
    image = on_grid(task, example.image)

    def brought(voxels: Image) -> Image:
        return on_voxels_of(image, voxels) if is_viewing(task) else to_spacing(voxels, task.grid.spacing_um, order=0)

    complete = None if example.complete is None else brought(example.complete)
    truth = example.truth
    if isinstance(truth, Labels):
        truth = Labels(brought(truth.image))
    margin = tuple(h // 2 for h in task.grid.halo)  # what lies further off is seen only faintly
    cut = _to_complete(replace(example, image=image, truth=truth, complete=complete), margin)
    return Ready(_with_small_names(cut), levels_for(task, image))


def all_ready(task: Task, examples: Sequence[Example]) -> list[Ready]:
    """Each of `examples`; see `ready`."""
    return [ready(task, example) for example in examples]


def _with_small_names(example: Example) -> Example:
    """Names of objects may be larger than what a filter counts exactly with; that they differ is all that is learnt from."""
    if not isinstance(example.truth, Labels):
        return example
    _, small = instances.small(np.asarray(example.truth.image.data[...]))
    return replace(example, truth=Labels(replace(example.truth.image, data=small)))


def _to_complete(example: Example, margin: tuple[int, ...]) -> Example:
    if example.complete is None:
        return example
    marked = np.nonzero(np.asarray(example.complete.data[...]))
    if not len(marked[0]):
        return example
    start = tuple(max(0, int(axis.min()) - m) for axis, m in zip(marked, margin, strict=True))
    stop = tuple(
        min(n, int(axis.max()) + m + 1) for axis, m, n in zip(marked, margin, example.image.shape, strict=True)
    )
    truth = example.truth
    if isinstance(truth, Labels):
        truth = Labels(truth.image.crop(start, stop))
    image, complete = example.image.crop(start, stop), example.complete.crop(start, stop)
    return replace(example, image=image, truth=truth, complete=complete)
