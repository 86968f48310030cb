"""A dataset's own parts: nothing is learnt from its test images, and models are judged on them alone."""

import pytest

from graticule.errors import DatasetError
from graticule.io import dataset
from graticule.workflows.parts import kept_for_test, not_for_test, to_learn_from
from tests.synthetic import scattered

EXAMPLES = [scattered(seed) for seed in range(4)]


@pytest.fixture
def folder(tmp_path):
    split = {"train": ("discs-0", "discs-1", "discs-2"), "test": ("discs-3",)}
    dataset.write(tmp_path / "discs", EXAMPLES, classes=("6nm",), split=split)
    return tmp_path / "discs"


def test_images_of_the_test_part_and_those_named_are_kept(folder):
    assert kept_for_test(folder) == ("discs-3",)
    assert kept_for_test(folder, ["discs-1"]) == ("discs-3", "discs-1")
    assert [e.name for e in to_learn_from(folder, kept_for_test(folder)).examples] == ["discs-0", "discs-1", "discs-2"]


def test_a_specimen_stands_for_its_images(folder):
    header = folder / "dataset.yaml"
    header.write_text(header.read_text() + "groups: {a: [discs-0, discs-1], b: [discs-2], c: [discs-3]}\n")
    assert kept_for_test(folder, ["a"]) == ("discs-3", "discs-0", "discs-1")


def test_somebody_has_to_be_left_and_names_have_to_be_right(folder):
    with pytest.raises(DatasetError, match="no image but those left out"):
        to_learn_from(folder, kept_for_test(folder, ["discs-0", "discs-1", "discs-2"]))
    with pytest.raises(DatasetError, match="did you mean discs-1"):
        to_learn_from(folder, kept_for_test(folder, ["disc-1"]))


def test_what_is_not_for_the_test_is_all_that_was_for_learning(folder):
    assert not_for_test(folder) == ("discs-0", "discs-1", "discs-2")


def test_a_dataset_that_is_not_divided_keeps_nothing(tmp_path):
    dataset.write(tmp_path / "whole", EXAMPLES[:2], classes=("6nm",))
    assert kept_for_test(tmp_path / "whole") == not_for_test(tmp_path / "whole") == ()


def test_a_dataset_that_is_all_test_is_learnt_from_on_purpose(tmp_path):
    dataset.write(tmp_path / "test", EXAMPLES[:2], classes=("6nm",), split={"test": ("discs-0", "discs-1")})
    assert kept_for_test(tmp_path / "test") == ()
