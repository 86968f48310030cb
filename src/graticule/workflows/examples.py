"""From a dataset to what a task learns from and is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graticule.errors import DatasetError
from graticule.example import Example
from graticule.io.dataset import Dataset
from graticule.results import Points
from graticule.settings import to_plain
from graticule.task import Task
from graticule.workflows.unannotated import with_unknown_places


def examples_for(task: Task, dataset: Dataset) -> list[Example]:
    """The dataset's examples with the task's classes, in its order; seeming beads of unannotated classes are unknown.

    Objects of classes that the task does not look for are left out: they are not what it shall find.
    """
    classes = tuple(to_plain(task).get("classes", ()))
    strangers = [name for name in classes if name not in dataset.classes]
    if strangers:
        raise DatasetError(
            f"{dataset.name}: found no class {', '.join(strangers)}; it has {', '.join(dataset.classes)}; "
            "change --classes, or add them to classes in dataset.yaml"
        )
    return [_with_classes(example, classes) for example in with_unknown_places(dataset)]


def _with_classes(example: Example, classes: Sequence[str]) -> Example:
    truth = example.truth
    if not classes or not isinstance(truth, Points) or truth.kinds == tuple(classes):
        return example
    wanted = np.array([name in classes for name in truth.kinds], bool)
    return replace(example, truth=truth[wanted[truth.kind]].named(classes))
