"""From an annotated image to what the training engine eats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.example import Example
from graticule.task import Task
from graticule.training import Ready


def ready(task: Task, example: Example) -> Ready:
    """`example` on the task's grid, cut to where its annotation is complete and as much context as the task sees.

    Grey levels are measured before the cut, on the whole image, as they are in prediction.
    """
    measured = levels(example.image)
    cut = _to_complete(example, tuple(h * s for h, s in zip(task.grid.halo, task.grid.spacing_um, strict=True)))
    image = to_spacing(cut.image, task.grid.spacing_um)
    complete = None if cut.complete is None else to_spacing(cut.complete, task.grid.spacing_um, order=0)
    return Ready(replace(cut, image=image, complete=complete), measured)


def all_ready(task: Task, examples: Sequence[Example]) -> list[Ready]:
    return [ready(task, example) for example in examples]


def _to_complete(example: Example, margin_um: tuple[float, ...]) -> Example:
    if example.complete is None:
        return example
    marked = np.nonzero(np.asarray(example.complete.data[...]))
    if not len(marked[0]):
        return example
    margin = [round(m / s) for m, s in zip(margin_um, example.image.spacing_um, strict=True)]
    start = tuple(max(0, int(axis.min()) - m) for axis, m in zip(marked, margin, strict=True))
    stop = tuple(min(n, int(axis.max()) + m + 1) for axis, m, n in zip(marked, margin, example.image.shape, strict=True))
    return replace(example, image=example.image.crop(start, stop), complete=example.complete.crop(start, stop))
