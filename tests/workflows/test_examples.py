import numpy as np
import pytest

from graticule.errors import DatasetError
from graticule.io.dataset import Dataset
from graticule.tasks import Beads
from graticule.workflows.examples import examples_for
from tests.synthetic import discs

KINDS = ("6nm", "12nm")
EXAMPLE = discs([[20, 20], [20, 60], [70, 40]], kind=[0, 1, 0], kinds=KINDS)
DATASET = Dataset("discs", (EXAMPLE,), KINDS)


def test_classes_are_numbered_as_the_task_numbers_them():
    [example] = examples_for(Beads(classes=("12nm", "6nm")), DATASET)
    assert example.truth.kinds == ("12nm", "6nm")
    assert list(example.truth.kind) == [1, 0, 1]


def test_objects_of_classes_that_the_task_does_not_look_for_are_left_out():
    [example] = examples_for(Beads(classes=("12nm",)), DATASET)
    assert np.allclose(example.truth.position_um, EXAMPLE.truth.position_um[1:2])


def test_a_class_that_the_dataset_does_not_have_is_refused():
    with pytest.raises(DatasetError, match="18nm"):
        examples_for(Beads(classes=("6nm", "18nm")), DATASET)


def test_a_task_without_classes_of_its_own_takes_the_datasets():
    assert examples_for(Beads(), DATASET) == [EXAMPLE]
