"""Dice and Jaccard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import AnnotationError
from graticule.example import Example
from graticule.image import Image
from graticule.metrics.overlap import Overlap, best_thresholds, overlap, scores
from graticule.results import Labels, Points

MASKS = arrays(bool, (4, 5))


def example(true, complete=None):
    image = Image(np.zeros(true.shape, np.uint8), "yx", (1.0, 1.0))
    known = None if complete is None else Image(complete, "yx", (1.0, 1.0))
    return Example("a", image, Labels(Image(true, "yx", (1.0, 1.0))), known)


def labels(voxels):
    return Labels(Image(voxels, "yx", (1.0, 1.0)))


def test_a_known_overlap():
    found, true = np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])
    one = overlap(found, true)
    assert (one.both, one.only_found, one.only_true) == (2, 1, 1)
    assert one.dice == pytest.approx(4 / 6)
    assert one.jaccard == pytest.approx(2 / 4)
    assert one.precision == pytest.approx(2 / 3)


@given(MASKS, MASKS)
def test_dice_follows_from_jaccard_and_neither_depends_on_the_order(found, true):
    one, other = overlap(found, true), overlap(true, found)
    assert one.dice == pytest.approx(2 * one.jaccard / (1 + one.jaccard))
    assert (one.dice, one.jaccard) == (other.dice, other.jaccard)
    assert (one.precision, one.recall) == (other.recall, other.precision)


@given(MASKS, MASKS, st.integers(1, 3))
def test_parts_add_up_to_the_whole(found, true, cut):
    assert overlap(found[:cut], true[:cut]) + overlap(found[cut:], true[cut:]) == overlap(found, true)


def test_nothing_to_find_and_nothing_found_is_right():
    assert Overlap().dice == 1
    assert Overlap(only_found=3).dice == 0


def test_unknown_voxels_do_not_count():
    true, found = np.array([[1, 0, 0]]), np.array([[1, 1, 0]])
    assert scores([labels(found)], [example(true, np.array([[1, 0, 1]]))], ("tissue",))["dice"] == 1


def test_the_mean_over_classes_counts_each_alike():
    true, found = np.array([[1, 1, 2, 0]]), np.array([[1, 1, 0, 0]])
    result = scores([labels(found)], [example(true)], ("tissue", "trachea"))
    assert (result["dice[tissue]"], result["dice[trachea]"], result["dice"]) == (1, 0, 0.5)


def test_any_label_is_in_where_there_is_one_class():
    assert scores([labels(np.array([[7, 0]]))], [example(np.array([[255, 0]]))], ("tissue",))["dice"] == 1


def test_masks_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="compared"):
        overlap(np.zeros((2, 2)), np.zeros((2, 3)))


def test_points_are_no_outlines():
    marked = Example("dots", Image(np.zeros((3, 3)), "yx", (1.0, 1.0)), Points.marked(np.zeros((1, 2))))
    with pytest.raises(AnnotationError, match="labels/dots"):
        scores([labels(np.zeros((3, 3), int))], [marked], ("tissue",))


def graded(confidence):
    return Labels(Image(np.asarray(confidence, np.uint8), "cyx", (1.0, 1.0)))


@given(arrays(np.uint8, (1, 4, 5)), MASKS, arrays(bool, (4, 5)))
def test_no_threshold_is_better_than_the_one_that_is_chosen(confidence, true, known):
    truth = [example(true, known.astype(np.uint8))]
    (chosen,) = best_thresholds([graded(confidence)], truth)

    def dice(level):
        return scores([labels((confidence[0] >= level).astype(np.uint8))], truth, ("tissue",))["dice"]

    if (true & known).any():
        assert dice(round(chosen * 255)) >= max(dice(level) for level in range(1, 256)) - 6e-4
    assert 0 < chosen <= 1


def test_thresholds_are_chosen_class_by_class_and_over_all_images_together():
    one = example(np.array([[1, 2, 0, 0]]))
    two = example(np.array([[1, 0, 2, 0]]))
    found = [graded([[[90, 0, 80, 0]], [[0, 200, 0, 0]]]), graded([[[90, 0, 0, 80]], [[0, 150, 200, 0]]])]
    first, second = best_thresholds(found, [one, two], 2)
    assert 80 / 255 < first <= 90 / 255 + 1e-4
    assert 150 / 255 < second <= 200 / 255


def test_of_thresholds_that_are_as_good_the_one_nearest_to_a_half_is_chosen():
    assert best_thresholds([graded([[[0, 255]]])], [example(np.array([[0, 1]]))])[0] == pytest.approx(0.5, abs=0.01)


def test_what_counts_as_good_can_be_said():
    """Nine in ten true voxels at 0.5; the tenth, too, from 0.2."""
    found = [graded([[[51, *[128] * 9, 0, 0]]])]
    truth = [example(np.array([[*[1] * 10, 0, 0]]))]
    assert best_thresholds(found, truth)[0] == pytest.approx(0.2, abs=0.01)
    assert best_thresholds(found, truth, as_good=0.1)[0] == pytest.approx(0.5, abs=0.01)


def test_voxels_are_counted_so_that_results_can_be_pooled():
    result = scores([labels(np.array([[1, 1, 0]]))], [example(np.array([[1, 0, 1]]))], ("tissue",))
    assert (result["tp"], result["fp"], result["fn"], result["tp[tissue]"]) == (1, 1, 1, 1)
