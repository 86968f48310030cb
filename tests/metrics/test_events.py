"""Proposals against events: perfect is 1, names of regions mean nothing, duplicates and blankets do not pay."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from graticule.example import Example
from graticule.image import Image
from graticule.metrics import events
from graticule.metrics.detection import Tally
from graticule.results import Labels

NUMBERS = arrays(np.uint16, (12, 14), elements=st.integers(0, 4))
KNOWN = arrays(np.uint8, (12, 14), elements=st.integers(0, 1))


def labels(numbers):
    return Labels(Image(np.asarray(numbers), "yx", (0.5, 0.5)))


def example(true, known=None):
    truth = labels(true)
    complete = None if known is None else replace(truth.image, data=np.asarray(known, np.uint8))
    return Example("a", truth.image, truth, complete)


def figures(found, true, known=None):
    return events.scores([labels(found)], [example(true, known)], ("rosette",))


def squares(*corners, side=6, shape=(40, 40)):
    """Numbered squares with these upper left corners."""
    numbers = np.zeros(shape, np.uint16)
    for number, (y, x) in enumerate(corners, start=1):
        numbers[y : y + side, x : x + side] = number
    return numbers


TRUE = squares((2, 2), (2, 20), (20, 2))


@given(NUMBERS)
def test_finding_just_what_is_there_scores_one_in_everything(true):
    assume(len(np.unique(true[true > 0])) != 1)
    named = figures(true, true)
    ones = ("event_recall", "event_precision", "event_f1", "touched", "covered_80", "dice", "jaccard", "recall")
    assert [named[name] for name in ones] == [1.0] * len(ones)
    assert named["false_per_image"] == named["untouched"] == 0


@given(NUMBERS, NUMBERS, KNOWN, st.permutations(range(1, 5)), st.permutations(range(1, 5)))
def test_numbers_are_only_names(found, true, known, ours, theirs):
    assume(len(np.unique(true[true > 0])) != 1)
    renamed = [np.array([0, *names], np.uint16)[which] for names, which in ((ours, found), (theirs, true))]
    assert figures(*renamed, known) == pytest.approx(figures(found, true, known))


@given(NUMBERS, NUMBERS, st.permutations(range(3)))
def test_the_order_of_images_does_not_count(found, true, order):
    pairs = [(labels(np.roll(found, n)), example(true)) for n in range(3)]
    one, other = (events.scores(*zip(*each, strict=True), ("r",)) for each in (pairs, [pairs[n] for n in order]))
    assert one == pytest.approx(other)


@given(NUMBERS, NUMBERS, KNOWN)
def test_every_pair_is_one_event_and_one_proposal(found, true, known):
    one = events.judge(found, true, known)
    assert not (one.right & one.wrong).any() and not (one.met & one.missed).any()
    assert ((0 <= one.covered) & (one.covered <= 1)).all()
    total = events.judge(found, true)
    assert total.met.sum() == total.right.sum()
    assert (total.met | total.missed).all() and (total.right | total.wrong).all()


@given(NUMBERS, NUMBERS)
def test_pairs_are_as_many_as_brute_force_finds(found, true):
    assume(len(np.unique(true[true > 0])) != 1)
    possible = {}
    for a in np.unique(found[found > 0]):
        for b in np.unique(true[true > 0]):
            ours, theirs = found == a, true == b
            if (ours & theirs).sum() / (ours | theirs).sum() >= events.LEAST:
                possible.setdefault(a, []).append(b)

    def most(left, taken):
        if not left:
            return 0
        first, *rest = left
        return max([most(rest, taken), *(1 + most(rest, taken | {b}) for b in possible[first] if b not in taken)])

    assert events.judge(found, true).met.sum() == most(list(possible), frozenset())


def test_a_duplicate_is_false_and_does_not_find_the_event_twice():
    halves = TRUE.copy()
    halves[5:8, 2:8] = 9  # the lower half of the first square is a proposal of its own
    named = figures(halves, TRUE)
    assert (named["met"], named["false"], named["event_recall"]) == (3, 1, 1)
    assert named["dice"] == 1


def test_one_proposal_over_everything_touches_all_and_meets_nothing():
    named = figures(np.ones_like(TRUE), TRUE)
    assert (named["touched"], named["covered_80"], named["event_recall"], named["false_per_image"]) == (1, 1, 0, 1)


def test_a_proposal_over_two_events_meets_one():
    true, found = squares((2, 2), (2, 8)), squares((2, 2))
    found[2:8, 2:14] = 1
    named = figures(found, true)
    assert (named["met"], named["false"], named["touched"]) == (1, 0, 1)


def test_a_speck_touches_an_event_but_does_not_meet_it():
    found = np.zeros_like(TRUE)
    found[3, 3] = 1
    named = figures(found, TRUE)
    assert (named["touched"], named["covered_10"], named["event_recall"], named["false"]) == (1 / 3, 0, 0, 1)


@pytest.mark.parametrize(
    ("rows", "covers"), [(0, (0, 0, 0)), (1, (1, 0, 0)), (2, (1, 0, 0)), (3, (1, 1, 0)), (5, (1, 1, 1))]
)
def test_coverage_counts_pixels_of_the_event(rows, covers):
    true, found = squares((2, 2)), np.zeros((40, 40), np.uint8)
    found[2 : 2 + rows, 2:8] = 1
    assert tuple(figures(found, true)[f"covered_{share}"] for share in (10, 40, 80)) == covers


def test_what_is_not_annotated_is_neither_false_nor_missed_but_may_be_a_partner():
    known = np.ones_like(TRUE)
    known[:, 18:] = 0
    found = squares((2, 2), (2, 20), (30, 30), (30, 15))
    named = figures(found, TRUE, known)
    # The square at (20, 2) is missed; that at (30, 30) is not judged; half of that at (30, 15) is, and no more.
    assert (named["events"], named["met"], named["false"]) == (2, 1, 0)
    known[:, 18] = 1
    assert figures(found, TRUE, known)["false"] == 1


def test_a_mask_is_as_many_events_as_it_has_regions():
    assert figures(TRUE, (TRUE > 0).astype(np.uint8))["events"] == 3
    assert figures(TRUE, TRUE > 0)["event_f1"] == 1


def test_nothing_to_find_and_nothing_found_is_right_and_a_proposal_there_is_false():
    empty = np.zeros_like(TRUE)
    assert (figures(empty, empty)["event_f1"], figures(empty, empty)["dice"]) == (1, 1)
    named = figures(TRUE, empty)
    assert (named["event_recall"], named["event_precision"], named["false_per_image"]) == (1, 0, 3)


def test_large_numbers_are_as_good_as_small_ones():
    assert figures(TRUE.astype(np.int64) * 10**9, TRUE) == figures(TRUE, TRUE)


def graded(seed=0):
    """Confidences that are highest in the middle of events, and two lower hills that are none."""
    rng = np.random.default_rng(seed)
    hills = ndimage.gaussian_filter(squares((2, 2), (2, 20), (20, 2)).astype(bool) * 1.0, 2)
    hills += 0.5 * ndimage.gaussian_filter((squares((20, 20), (30, 30)) > 0) * 1.0, 2)
    return labels(np.clip(255 * (hills + rng.normal(0, 0.01, hills.shape)), 0, 255).astype(np.uint8))


def at(candidates, threshold):
    mask = np.asarray(candidates.image.data) >= max(1, round(255 * threshold))
    return labels(ndimage.label(mask)[0])


def test_a_curve_goes_from_everything_to_nothing():
    curve = events.froc([partial(at, graded())], [example(TRUE)])
    assert len(curve.threshold) == len(curve.recall) == len(curve.false_per_image) == len(events.FINE)
    assert curve.touched[0] == 1 and curve.recall.max() == 1
    assert curve.recall[-1] == curve.false_per_image[-1] == 0
    assert (np.diff(curve.touched) <= 0).all()


def test_the_best_threshold_leaves_the_low_hills_out_and_keeps_the_events_large():
    candidates, truth = [graded(seed) for seed in range(3)], [example(TRUE)] * 3
    best = events.best_threshold([partial(at, one) for one in candidates], truth)
    f = {t: events.count([at(one, t) for one in candidates], truth).f(events.BETA) for t in events.COARSE}
    assert f[best] == max(f.values()) == 1
    dice = {t: events.scores([at(c, t) for c in candidates], truth, ("r",))["dice"] for t in f if f[t] == 1}
    assert dice[best] == max(dice.values())


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.5, 1.0, 2.0]))
def test_recall_counts_for_more_where_beta_is_larger(met, missed, wrong, beta):
    one = events.Count(1, events=met + missed, met=met, right=met, wrong=wrong)
    if met:
        expected = (1 + beta**2) * one.recall * one.precision / (beta**2 * one.precision + one.recall)
        assert one.f(beta) == pytest.approx(expected)
    assert one.f(1) == one.f1 == pytest.approx(Tally(met, wrong, missed).f1)


def test_a_picture_shows_right_false_and_missed_regions():
    found = labels(squares((2, 2), (30, 30)))
    picture = events.verdict(found, example(TRUE))
    assert (picture[4, 4], picture[32, 32], picture[4, 22], picture[22, 4], picture[15, 15]) == (1, 2, 3, 3, 0)
