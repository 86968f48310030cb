import numpy as np
import pytest

from graticule.errors import AnnotationError, DatasetError
from graticule.example import Example
from graticule.image import Image
from graticule.io.dataset import Dataset
from graticule.results import Labels
from graticule.tasks import Beads, Tissue
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


def labelled(numbers, classes):
    image = Image(np.asarray(numbers, np.uint8), "yx", (0.04, 0.04))
    return Dataset("outlined", (Example("a", image, Labels(image)),), classes)


def numbers_for(task, dataset):
    [example] = examples_for(task, dataset)
    return np.asarray(example.truth.image.data).tolist()


def test_outlined_classes_are_numbered_as_the_task_numbers_them_and_others_are_background():
    both = labelled([[0, 1, 2]], ("tissue", "trachea"))
    assert numbers_for(Tissue(classes=("tissue", "trachea")), both) == [[0, 1, 2]]
    assert numbers_for(Tissue(classes=("trachea", "tissue")), both) == [[0, 2, 1]]
    assert numbers_for(Tissue(classes=("trachea",)), both) == [[0, 0, 1]]
    with pytest.raises(DatasetError, match="soma"):
        examples_for(Tissue(classes=("soma", "tissue")), both)


def test_negative_labels_are_refused_with_the_way_out():
    image = Image(np.array([[0, 1, -1]], np.int16), "yx", (0.04, 0.04))
    with pytest.raises(AnnotationError, match=r"labels/a: found the number -1; need 0 for background.*masks/"):
        examples_for(Tissue(classes=("tissue",)), Dataset("outlined", (Example("a", image, Labels(image)),), ()))


@pytest.mark.parametrize("classes", [(), ("cell material",)])
def test_one_mask_is_that_of_the_one_class_whatever_it_is_called(classes):
    assert numbers_for(Tissue(classes=("tissue",)), labelled([[0, 255]], classes)) == [[0, 255]]
