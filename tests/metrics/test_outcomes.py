"""What became of each object: every one is told once, and the counts are those of the figures."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.example import Example
from graticule.image import Image
from graticule.metrics.instances import count
from graticule.metrics.outcomes import outcomes
from graticule.results import Labels

NUMBERS = arrays(np.uint8, (3, 7, 6), elements=st.integers(0, 4))
KNOWN = arrays(np.uint8, (3, 7, 6), elements=st.integers(0, 1))
SPACING = (0.04, 0.01, 0.02)


def labels(numbers):
    return Labels(Image(np.asarray(numbers), "zyx", SPACING))


def example(true, known=None):
    truth = labels(true)
    complete = None if known is None else replace(truth.image, data=known)
    return Example("a", truth.image, truth, complete)


def boxes(*corners, size=(4, 6, 6), shape=(12, 40, 40)):
    numbers = np.zeros(shape, np.uint16)
    for number, corner in enumerate(corners, start=1):
        numbers[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = number
    return numbers


TRUE = boxes((2, 2, 2), (2, 2, 20), (4, 20, 2))


def verdicts(found, true=TRUE):
    return [(one.verdict, one.true, one.found) for one in outcomes(labels(found), example(true))]


@given(NUMBERS, NUMBERS, KNOWN)
def test_every_true_object_is_told_once_and_counts_are_those_of_the_figures(found, true, known):
    told, total = outcomes(labels(found), example(true, known)), count(labels(found), example(true, known))
    numbers = [one.true for one in told if one.true]
    assert len(numbers) == len(set(numbers)) == total.true
    said = Counter(one.verdict for one in told)
    assert said["split"] == total.splits
    assert said["found"] <= total.met[0] <= sum(one.iou > 0.5 for one in told)
    assert said["false"] <= total.found - total.right[0]
    assert [one.iou for one in told] == sorted(one.iou for one in told)


@given(NUMBERS, NUMBERS)
def test_a_place_lies_in_its_object(found, true):
    for one in outcomes(labels(found), example(true)):
        voxel = tuple(np.round(np.divide(one.place_um, SPACING)).astype(int))
        assert (true if one.true else found)[voxel] != 0


def test_of_what_is_found_missed_and_false_each_is_told():
    found = boxes((2, 2, 3), (2, 30, 30))
    told = verdicts(found)
    assert told == [("missed", 2, 0), ("missed", 3, 0), ("false", 0, 2), ("found", 1, 1)]


def test_a_missed_object_is_told_beside_the_one_that_resembles_it():
    found = boxes((2, 2, 6), (2, 2, 20), (4, 20, 2))
    first, *_ = outcomes(labels(found), example(TRUE))
    assert (first.verdict, first.true, first.found, first.iou) == ("missed", 1, 1, 0.2)
    assert [one.verdict for one in outcomes(labels(found), example(TRUE))] == ["missed", "found", "found"]


def test_pieces_are_told_with_the_object_they_are_of():
    halves = TRUE.copy()
    halves[4:6, 2:8, 2:8] = 9
    assert verdicts(halves) == [("split", 1, 9), ("found", 2, 2), ("found", 3, 3)]


def test_objects_in_one_outline_are_merged_each():
    joined = np.where(TRUE == 2, 1, TRUE)
    assert verdicts(joined) == [("merged", 1, 1), ("merged", 2, 1), ("found", 3, 3)]


def test_the_larger_of_two_as_bad_comes_first():
    true = TRUE.copy()
    true[2:8, 2:12, 20:30] = 2
    assert verdicts(np.zeros_like(true), true)[0] == ("missed", 2, 0)


def test_sizes_and_places_are_in_voxels_and_micrometres():
    (one,) = outcomes(labels(boxes((2, 2, 3))), example(boxes((2, 2, 2))))
    assert (one.true_voxels, one.found_voxels, one.iou) == (144, 144, pytest.approx(5 / 7))
    assert one.place_um == pytest.approx((3 * 0.04, 4 * 0.01, 4 * 0.02), abs=0.041)


def test_numbers_are_those_of_the_files():
    true = np.where(TRUE == 1, 10**12, TRUE.astype(np.int64))
    assert verdicts(np.where(TRUE == 1, 10**9, 0), true)[-1] == ("found", 10**12, 10**9)
