"""Objects against objects: perfect is 1, names mean nothing, pairs are one to one, images add up to their pool."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from graticule.example import Example
from graticule.image import Image
from graticule.metrics import instances
from graticule.metrics.instances import THRESHOLDS, Count, count, meetings, objects_of, scores, verdict
from graticule.results import Labels

NUMBERS = arrays(np.uint8, (3, 7, 6), elements=st.integers(0, 4))
KNOWN = arrays(np.uint8, (3, 7, 6), elements=st.integers(0, 1))
SPACING = (0.04, 0.01, 0.02)
OBJECT = ("object_f1", "object_precision", "object_recall", "object_f1_75", "ap", "pq", "sq", "rq", "dice", "jaccard")


def labels(numbers):
    numbers = np.asarray(numbers)
    return Labels(Image(numbers, "zyx"[-numbers.ndim :], SPACING[-numbers.ndim :]))


def example(true, known=None):
    truth = labels(true)
    complete = None if known is None else replace(truth.image, data=np.asarray(known, np.uint8))
    return Example("a", truth.image, truth, complete)


def figures(found, true, known=None):
    return scores([labels(found)], [example(true, known)], ("mitochondrion",))


def boxes(*corners, size=(4, 6, 6), shape=(12, 40, 40), first=1):
    """Numbered boxes with these first corners."""
    numbers = np.zeros(shape, np.uint16)
    for number, corner in enumerate(corners, start=first):
        numbers[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = number
    return numbers


TRUE = boxes((2, 2, 2), (2, 2, 20), (4, 20, 2))


@given(NUMBERS)
def test_finding_just_what_is_there_scores_one_in_everything(true):
    named = figures(objects_of(example(true)), true)
    assert [named[name] for name in OBJECT] == [1.0] * len(OBJECT)
    assert named["objects_found"] == named["objects_true"] == named["objects_met"]
    assert named["splits"] == named["merges"] == named["objects_false"] == 0
    assert named.get("boundary_nm", 0) == named.get("boundary_nm_95", 0) == 0


@given(NUMBERS, NUMBERS, KNOWN, st.permutations(range(1, 5)), st.permutations(range(1, 5)))
def test_numbers_are_only_names(found, true, known, ours, theirs):
    renamed = [np.array([0, *names], np.uint8)[which] for names, which in ((ours, found), (theirs, true))]
    assert figures(*renamed, known) == pytest.approx(figures(found, true, known))


@given(NUMBERS, NUMBERS, st.sampled_from([10**7, 10**15]))
def test_large_numbers_are_as_good_as_small_ones(found, true, factor):
    assert figures(found.astype(np.int64) * factor, true.astype(np.int64) * factor) == figures(found, true)


def agreeing(found, true, known, threshold):
    """All pairs, one at a time; and the objects most of whose voxels are known."""
    both, which = {}, known != 0
    for a in np.unique(found[found > 0]):
        for b in np.unique(true[true > 0]):
            common = ((found == a) & (true == b) & which).sum()
            if common / max(1, (((found == a) | (true == b)) & which).sum()) > threshold:
                both[int(a)] = int(b)
    judged = [
        {int(n) for n in np.unique(each[each > 0]) if 2 * ((each == n) & which).sum() > (each == n).sum()}
        for each in (found, true)
    ]
    return both, *judged


@given(NUMBERS, NUMBERS, KNOWN)
def test_counts_are_those_of_going_through_all_pairs(found, true, known):
    assume(len(np.unique(true[true > 0])) != 1)
    one = count(labels(found), example(true, known))
    for at, threshold in enumerate(THRESHOLDS):
        pairs, judged, counted = agreeing(found, true, known, threshold)
        assert len(set(pairs.values())) == len(pairs)
        assert (one.found, one.true) == (len(judged), len(counted))
        assert one.right[at] == len(judged & pairs.keys())
        assert one.met[at] == len(counted & set(pairs.values()))


@given(NUMBERS, NUMBERS, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7]))
def test_pairs_are_one_to_one_and_as_many_and_as_good_as_they_can_be(found, true, threshold):
    seen = meetings(found, true)
    chosen = seen.pairs(threshold)
    assert (seen.iou[chosen] > threshold).all()
    for side in (seen.ours[chosen], seen.theirs[chosen]):
        assert len(np.unique(side)) == len(side)
    worth = np.zeros((len(seen.found), len(seen.true)))
    likely = seen.iou > threshold
    worth[seen.ours[likely], seen.theirs[likely]] = 1000 + seen.iou[likely]
    best = worth[linear_sum_assignment(worth, maximize=True)].sum()
    assert (1000 + seen.iou[chosen]).sum() == pytest.approx(best)


@given(NUMBERS, NUMBERS)
def test_found_and_true_exchanged_exchange_precision_and_recall_and_splits_and_merges(found, true):
    assume(all(len(np.unique(each[each > 0])) != 1 for each in (found, true)))
    here, there = figures(found, true), figures(true, found)
    for one, other in (("object_precision", "object_recall"), ("splits", "merges"), ("objects_found", "objects_true")):
        assert (here[one], here[other]) == (there[other], there[one])
    for name in ("object_f1", "object_f1_75", "ap", "pq", "sq", "dice", "boundary_nm", "boundary_nm_95"):
        assert here.get(name) == pytest.approx(there.get(name))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3))
def test_images_add_up_to_their_pool(pairs):
    pairs = [(found, objects_of(example(true))) for found, true in pairs]
    each = sum((count(labels(found), example(true)) for found, true in pairs), Count())
    # Side by side with a gap, every image's objects with numbers of their own.
    gap = np.zeros((3, 7, 1), np.uint32)
    sides = [
        np.concatenate(
            [np.concatenate([np.where(p[side], p[side] + 100 * n, 0), gap], axis=2) for n, p in enumerate(pairs)], 2
        )
        for side in (0, 1)
    ]
    assume(len(np.unique(sides[1])) != 2)
    whole = count(labels(sides[0]), example(sides[1]))
    # Where an image ends an object has no outline: that alone differs.
    alike = [f for f in fields(Count) if f.name not in ("outlined", "apart_um", "apart_95_um")]
    one, other = (np.hstack([getattr(total, f.name) for f in alike]) for total in (whole, each))
    assert one == pytest.approx(other)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_counts_add_in_any_order_and_nothing_adds_nothing(a, b, c, d):
    one, other = count(labels(a), example(b)), count(labels(c), example(d))
    assert one + other == other + one
    assert one + Count() == one


def test_slab_by_slab_is_the_same_as_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    found, true = (ndimage.zoom(rng.integers(0, 9, (4, 6, 6)), 4, order=0) for _ in range(2))
    known = rng.integers(0, 2, found.shape)
    whole = count(labels(found), example(true, known))
    monkeypatch.setattr(instances, "SLAB", 1500)
    assert count(labels(found), example(true, known)) == whole


def test_two_halves_are_a_split_and_neither_is_right():
    halves = TRUE.copy()
    halves[4:6, 2:8, 2:8] = 9
    named = figures(halves, TRUE)
    assert (named["splits"], named["merges"], named["objects_met"], named["objects_false"]) == (1, 0, 2, 2)
    assert named["dice"] == 1


def test_one_outline_around_two_objects_is_a_merge():
    joined = np.where(TRUE == 2, 1, TRUE)
    named = figures(joined, TRUE)
    assert (named["splits"], named["merges"], named["objects_met"], named["objects_false"]) == (0, 1, 1, 1)


def test_an_object_with_a_speck_in_it_is_not_split():
    speck = TRUE.copy()
    speck[2, 2, 2:9] = 9
    named = figures(speck, TRUE)
    assert (named["splits"], named["objects_met"], named["objects_false"]) == (0, 3, 1)


def test_a_large_share_and_a_small_one_are_a_split_and_the_large_one_still_right():
    parts = TRUE.copy()
    parts[5, 2:8, 2:8] = 9
    named = figures(parts, TRUE)
    assert (named["splits"], named["objects_met"], named["objects_false"], named["object_f1_75"]) == (1, 3, 1, 4 / 7)


def test_panoptic_quality_is_how_many_times_how_well():
    found = boxes((2, 2, 3), (2, 2, 20), (4, 30, 30))  # one voxel off, just right, false; one missed
    named = figures(found, TRUE)
    assert named["sq"] == pytest.approx((5 / 7 + 1) / 2)
    assert named["rq"] == named["object_f1"] == pytest.approx(2 / 3)
    assert named["pq"] == pytest.approx(named["sq"] * named["rq"])
    assert named["object_f1_75"] == pytest.approx(1 / 3)
    above = [2 if t < 5 / 7 else 1 for t in THRESHOLDS]
    assert named["ap"] == pytest.approx(np.mean([tp / (6 - tp) for tp in above]))


@given(st.integers(0, 2), st.integers(1, 3))
def test_objects_that_are_shifted_lie_as_far_away_in_nanometres(axis, shift):
    true, found = (np.zeros((24, 24, 24), np.uint8) for _ in range(2))
    np.moveaxis(true, axis, 0)[6:16] = 1
    np.moveaxis(found, axis, 0)[6 + shift : 16 + shift] = 1
    named = figures(found, true)
    assert named["boundary_nm"] == pytest.approx(1000 * shift * SPACING[axis])
    assert named["boundary_nm_95"] == pytest.approx(1000 * shift * SPACING[axis])


def test_without_a_pair_there_is_no_distance_and_no_quality():
    named = figures(boxes((2, 30, 30)), TRUE)
    assert "boundary_nm" not in named
    assert (named["sq"], named["pq"], named["object_f1"]) == (0, 0, 0)


def test_nothing_to_find_and_nothing_found_is_right_and_an_object_there_is_false():
    empty = np.zeros_like(TRUE)
    assert [figures(empty, empty)[name] for name in OBJECT] == [1.0] * len(OBJECT)
    named = figures(TRUE, empty)
    assert (named["object_recall"], named["object_precision"], named["ap"], named["pq"]) == (1, 0, 0, 0)


def test_what_is_not_annotated_is_neither_false_nor_missed_but_may_be_a_partner():
    known = np.ones_like(TRUE)
    known[:, :, 18:] = 0
    found = boxes((2, 2, 2), (2, 2, 20), (2, 30, 30), (2, 30, 15))
    named = figures(found, TRUE, known)
    # The box at (20, 2) is missed; that at (30, 30) is not judged; half of that at (30, 15) is, and no more.
    assert (named["objects_true"], named["objects_met"], named["objects_false"]) == (2, 1, 0)
    known[:, :, 18] = 1
    assert figures(found, TRUE, known)["objects_false"] == 1


def test_what_is_annotated_decides_how_well_an_object_agrees():
    known = np.ones_like(TRUE)
    known[:, 5:] = 0
    found = TRUE.copy()
    found[:, 6:] = 0  # wrong, but nobody knows
    assert figures(found, TRUE, known)["sq"] == 1


@pytest.mark.parametrize("white", [1, 255, True])
def test_a_mask_is_as_many_objects_as_it_has_parts_that_hang_together_by_faces(white):
    true = np.where(TRUE > 0, white, 0)
    assert figures(TRUE, true)["object_f1"] == 1
    corner = np.array([[white, 0], [0, white]])
    assert objects_of(example(corner)).max() == 2


def test_numbered_objects_stay_as_they_are_even_in_two_pieces():
    true = np.array([[1, 0, 1, 0, 2]])
    assert objects_of(example(true)).tolist() == true.tolist()


def test_ranked_precision_needs_the_true_objects_to_come_first():
    found = boxes((2, 2, 2), (2, 2, 20), (4, 30, 30))
    truth = [example(TRUE)]

    def ranked(*confidence):
        return scores([labels(found)], truth, ("m",), confidences=[dict(enumerate(confidence, start=1))])["ranked_ap"]

    assert ranked(0.9, 0.8, 0.1) == pytest.approx(2 / 3)
    assert ranked(0.9, 0.5, 0.8) == pytest.approx((1 + 2 / 3) / 3)
    assert ranked(0.1, 0.2, 0.9) == pytest.approx((2 / 3 + 2 / 3) / 3)
    assert ranked(0.5, 0.5, 0.5) == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_ranked_precision_of_nothing():
    empty = np.zeros_like(TRUE)
    assert scores([labels(empty)], [example(empty)], ("m",), confidences=[{}])["ranked_ap"] == 1
    assert scores([labels(empty)], [example(TRUE)], ("m",), confidences=[{}])["ranked_ap"] == 0
    assert scores([labels(TRUE)], [example(empty)], ("m",), confidences=[{1: 1, 2: 1, 3: 1}])["ranked_ap"] == 0


def test_a_picture_shows_right_false_and_missed_objects_and_the_rim_between_two():
    found = boxes((2, 2, 2), (2, 30, 30), (2, 30, 24))
    picture = verdict(labels(found), example(TRUE))
    assert (picture[3, 4, 4], picture[3, 32, 32], picture[3, 4, 22], picture[5, 22, 4]) == (1, 2, 3, 3)
    assert (picture[3, 32, 29], picture[3, 32, 30], picture[3, 32, 31]) == (2, 0, 2)


def test_a_picture_shows_nothing_where_nothing_is_known():
    known = np.ones_like(TRUE)
    known[:, :, 18:] = 0
    found = boxes((2, 2, 2), (2, 30, 30))
    picture = verdict(labels(found), example(TRUE, known))
    assert (picture[3, 32, 32], picture[3, 4, 22], picture[5, 22, 4]) == (0, 0, 3)


def test_labels_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="compared"):
        meetings(np.zeros((2, 2), int), np.zeros((2, 3), int))
