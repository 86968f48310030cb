"""What `check` says of outlines."""

import numpy as np
import pytest

from graticule.example import Example
from graticule.image import Image
from graticule.io import dataset
from graticule.results import Labels
from graticule.workflows.check import check
from graticule.workflows.label_facts import class_shares, label_problem, label_warnings


def example(numbers, name="a", complete=None):
    image = Image(np.random.default_rng(0).integers(0, 255, np.shape(numbers), np.uint8), "yx", (0.04, 0.04))
    known = None if complete is None else Image(np.asarray(complete, np.uint8), "yx", (0.04, 0.04))
    return Example(name, image, Labels(Image(np.asarray(numbers, np.uint8), "yx", (0.04, 0.04))), known)


def test_shares_are_those_of_the_annotated_voxels():
    assert class_shares(example([[1, 2, 0, 0]]), ("tissue", "trachea")) == {"tissue": 0.25, "trachea": 0.25}
    assert class_shares(example([[7, 0, 9, 0]]), ("tissue",)) == {"tissue": 0.5}
    assert class_shares(example([[1, 0, 0, 0]], complete=[[1, 1, 0, 0]]), ()) == {"outlined": 0.5}


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (np.zeros((9, 9)), "nothing is outlined"),
        (np.ones((9, 9)), "nothing is background"),
        (np.tile([255, 0, 0], (9, 3)), "255 is taken as 1"),
        (np.random.default_rng(5).integers(1, 5, (61, 53)), "nothing is background"),
        (np.where(np.arange(900).reshape(30, 30) == 5, 1, 0), "little of tissue 0.11%"),
        (np.where(np.arange(900).reshape(30, 30) == 5, 0, 1), "only 0.11% is background"),
    ],
)
def test_what_looks_wrong_is_said(numbers, said):
    classes = ("tissue",) if set(np.unique(numbers)) <= {0, 1, 255} else tuple("xyzw")
    (sentence,) = label_warnings([example(numbers)], classes)
    assert said in sentence
    assert "a" in sentence


def test_ordinary_labels_are_passed_without_a_word():
    assert label_warnings([example(np.eye(9))], ("tissue",)) == []
    assert label_problem(example(np.eye(9) * 200), ("tissue",)) == ""


def test_numbers_that_no_class_has_are_a_problem():
    assert "number 3 for 2 classes" in label_problem(example(np.eye(4) * 3), ("tissue", "trachea"))


def test_check_tells_the_share_of_every_class(tmp_path):
    dataset.write(
        tmp_path / "set", [example(np.eye(20), "one"), example(np.zeros((20, 20)), "two")], classes=("tissue",)
    )
    report = check(tmp_path / "set")
    assert report.ok
    assert "5.0% tissue" in str(report)
    assert any("two" in warning and "nothing is outlined" in warning for warning in report.warnings)
    assert report.images[0].shares == {"tissue": 0.05}


def test_numbers_of_cells_are_counted_and_not_taken_for_grey_levels(tmp_path):
    cells = np.arange(36).reshape(6, 6).repeat(12, 0).repeat(12, 1).astype(np.uint16)
    rosettes = np.zeros((72, 72), np.uint8)
    rosettes[:24, :24], rosettes[40:70, 40:70] = 1, 2
    one = example(rosettes, "one")
    numbered = Example("one", Image(cells, "yx", (0.04, 0.04)), one.truth)
    dataset.write(tmp_path / "set", [numbered, example(rosettes, "grey")], classes=("rosette",))
    report = check(tmp_path / "set")
    by_name = {each.name: each for each in report.images}
    assert by_name["one"].cells[0] == 35 and by_name["grey"].cells is None
    assert "35 cells of 13.5 pixels (median diameter), marked: 28.5% rosette in 2 objects" in str(report)
    assert not any("one" in warning for warning in report.warnings if "grey" in warning)
