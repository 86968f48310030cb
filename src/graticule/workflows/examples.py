"""From a dataset to what a task learns from and is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graticule.errors import AnnotationError, DatasetError
from graticule.example import Example
from graticule.io.dataset import Dataset
from graticule.results import Labels
from graticule.settings import to_plain
from graticule.task import Task
from graticule.workflows.label_facts import label_problem
from graticule.workflows.unannotated import with_unknown_places


def examples_for(task: Task, dataset: Dataset) -> list[Example]:
    """The dataset's examples with the task's classes, in its order; seeming beads of unannotated classes are unknown.

    Objects of classes that the task does not look for are left out: they are not what it shall find.

    Raises
    ------
    AnnotationError
        If labels are negative.
    DatasetError
        If the task asks for a class that the dataset has not.
    """
    _refuse_negative(dataset)
    classes = tuple(to_plain(task).get("classes", ()))
    if _is_one_mask(dataset, classes):
        return list(dataset.examples)
    strangers = [name for name in classes if name not in dataset.classes]
    if strangers:
        raise DatasetError(
            f"{dataset.name}: found no class {', '.join(strangers)}; it has {', '.join(dataset.classes)}; "
            "change --classes, or add them to classes in dataset.yaml"
        )
    return [_with_classes(example, classes, dataset.classes) for example in with_unknown_places(dataset)]


def _refuse_negative(dataset: Dataset) -> None:
    for example in dataset.examples:
        if problem := label_problem(example, ()):
            raise AnnotationError(problem)


def _is_one_mask(dataset: Dataset, classes: Sequence[str]) -> bool:
    """One class is outlined and one is looked for: it is that one, whatever either is called."""
    outlined = any(isinstance(example.truth, Labels) for example in dataset.examples)
    return outlined and len(dataset.classes) <= 1 and len(classes) <= 1


def _with_classes(example: Example, classes: Sequence[str], known: Sequence[str]) -> Example:
    truth = example.truth
    if isinstance(truth, Labels):
        return replace(example, truth=_renumbered(truth, classes, known))
    if not classes or truth.kinds == tuple(classes):
        return example
    wanted = np.array([name in classes for name in truth.kinds], bool)
    return replace(example, truth=truth[wanted[truth.kind]].named(classes))


def _renumbered(truth: Labels, classes: Sequence[str], known: Sequence[str]) -> Labels:
    """The numbers of `known` classes to those of `classes`; classes that are not looked for become background."""
    if not classes or tuple(classes) == tuple(known):
        return truth
    numbers = np.asarray(truth.image.data[...])
    table = np.zeros(max(len(known), int(numbers.max(initial=0))) + 1, np.uint8)
    for number, name in enumerate(known, start=1):
        table[number] = classes.index(name) + 1 if name in classes else 0
    return Labels(replace(truth.image, data=table[numbers]))
