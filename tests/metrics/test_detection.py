from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import AnnotationError
from graticule.example import Example
from graticule.image import Image
from graticule.metrics.detection import (
    Tally,
    average_precision,
    best_thresholds,
    judge,
    match,
    pooled,
    pr_curve,
    scores,
    tally,
)
from graticule.results import Labels, Points

SPACING = (1.0, 1.0)
WITHIN = {"small": 3.0, "large": 3.0}


def example(truth, kind=None, complete=None, shape=(100, 100)):
    points = Points.marked(np.reshape(np.array(truth, float), (-1, 2)), kind, kinds=("small", "large"))
    mask = None if complete is None else Image(complete, "yx", SPACING)
    return Example("one", Image(np.zeros(shape, np.uint8), "yx", SPACING), points, mask)


def found(places, confidence=None, kind=None):
    places = np.reshape(np.array(places, float), (-1, 2))
    confidence = np.ones(len(places)) if confidence is None else np.array(confidence, float)
    kind = np.zeros(len(places), int) if kind is None else np.array(kind)
    return Points(places, confidence, kind, ("small", "large"))


def left_half():
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :50] = 1
    return mask


def brute_force(distance, within):
    """Most pairs, then least distance, by trying everything."""
    few, many = sorted(distance.shape)
    distance = distance if distance.shape[0] == few else distance.T
    best = (0, 0.0)
    for columns in permutations(range(many), few):
        near = [distance[i, j] for i, j in enumerate(columns) if distance[i, j] <= within]
        best = min(best, (-len(near), sum(near)))
    return -best[0], best[1]


crowd = arrays(float, st.tuples(st.integers(0, 5), st.just(2)), elements=st.floats(0, 6, allow_subnormal=False))


class TestMatch:
    @given(crowd, crowd)
    @settings(deadline=None)
    def test_finds_the_most_pairs_and_then_the_least_distance(self, a, b):
        distance = np.linalg.norm(a[:, None] - b[None], axis=2)
        i, j = match(a, b, 2.0)
        count, total = brute_force(distance, 2.0) if len(a) and len(b) else (0, 0.0)
        assert len(i) == count
        assert distance[i, j].sum() == pytest.approx(total)

    @given(crowd, crowd)
    @settings(deadline=None)
    def test_is_symmetric_and_uses_each_point_once(self, a, b):
        i, j = match(a, b, 2.0)
        assert len(match(b, a, 2.0)[0]) == len(i) == len(set(i.tolist())) == len(set(j.tolist()))

    def test_a_pair_more_beats_any_distance(self):
        # 0 is nearest to 1; giving 1 to -2 and 3 to ... 0's partner must be further off for both to have one.
        i, j = match(np.array([[0.0], [1.9]]), np.array([[1.0], [-1.9]]), 2.0)
        assert dict(zip(i.tolist(), j.tolist(), strict=True)) == {0: 1, 1: 0}

    def test_a_point_on_the_radius_is_near_enough_and_coinciding_points_pair(self):
        assert len(match(np.array([[0.0, 0]]), np.array([[0.0, 2]]), 2.0)[0]) == 1
        assert len(match(np.array([[1.0, 1]]), np.array([[1.0, 1]]), 2.0)[0]) == 1

    def test_ten_thousand_points_in_one_crowd_take_seconds(self):
        rng = np.random.default_rng(0)
        truth = rng.uniform(0, 100, (10_000, 2))
        i, _ = match(truth + rng.normal(0, 0.3, truth.shape), truth, 1.5)
        assert len(i) > 9_900


class TestTally:
    def test_a_second_finding_on_one_object_is_false(self):
        assert tally(found([[10, 10], [10, 11]]), example([[10, 10]]), WITHIN)["small"] == Tally(tp=1, fp=1)

    def test_two_objects_cannot_share_one_finding(self):
        assert tally(found([[10, 10]]), example([[10, 9], [10, 11]]), WITHIN)["small"] == Tally(tp=1, fn=1)

    def test_class_must_agree(self):
        result = tally(found([[10, 10]], kind=[1]), example([[10, 10]]), WITHIN)
        assert result == {"small": Tally(fn=1), "large": Tally(fp=1)}

    def test_classes_are_matched_by_name_whatever_their_numbers(self):
        swapped = Points.marked(np.array([[10.0, 10]]), np.array([1]), kinds=("large", "small"))
        assert tally(swapped, example([[10, 10]]), WITHIN)["small"] == Tally(tp=1)

    def test_outside_the_complete_area_nothing_is_false_and_nothing_is_missed(self):
        one = example([[10, 80]], complete=left_half())
        assert tally(found([[50, 90]]), one, WITHIN)["small"] == Tally()

    def test_a_finding_just_outside_may_meet_an_object_just_inside(self):
        one = example([[10, 49]], complete=left_half())
        assert tally(found([[10, 51]]), one, WITHIN)["small"] == Tally(tp=1)

    def test_a_finding_just_inside_on_an_object_just_outside_is_not_false(self):
        one = example([[10, 51]], complete=left_half())
        assert tally(found([[10, 49]]), one, WITHIN)["small"] == Tally()

    def test_an_inside_finding_is_preferred_to_a_nearer_one_outside(self):
        one = example([[10, 49]], complete=left_half())
        assert tally(found([[10, 50], [10, 47]]), one, WITHIN)["small"] == Tally(tp=1)

    def test_unknown_places_excuse_findings_but_do_not_hide_objects(self):
        unknown = Points(np.array([[20.0, 20]]), np.ones(1), np.zeros(1, int), ("18nm",), np.array([10.0]))
        findings = found([[20, 24], [20, 26]])
        assert tally(findings, example([[40, 40]]), WITHIN, unknown=unknown)["small"] == Tally(fp=1, fn=1)
        assert tally(found([[20, 24]]), example([[20, 24]]), WITHIN, unknown=unknown)["small"] == Tally(tp=1)

    def test_classes_without_a_radius_are_not_judged(self):
        verdict = judge(found([[10, 10]], kind=[1]), example([[50, 50]], kind=[1]), {"small": 3.0})
        assert not (verdict.hit | verdict.wrong).any()
        assert not (verdict.met | verdict.missed).any()

    def test_says_who_met_whom(self):
        verdict = judge(found([[50, 50], [10, 10]]), example([[10, 11], [90, 90]]), WITHIN)
        assert verdict.partner.tolist() == [-1, 0]
        assert verdict.wrong.tolist() == [True, False]
        assert verdict.missed.tolist() == [False, True]

    @given(crowd, crowd, st.randoms(use_true_random=False))
    @settings(deadline=None)
    def test_the_order_of_points_does_not_matter(self, a, b, random):
        mixed_a, mixed_b = random.sample(range(len(a)), len(a)), random.sample(range(len(b)), len(b))
        straight = tally(found(a), example(b, complete=np.tri(100)), WITHIN)
        assert tally(found(a[mixed_a]), example(b[mixed_b], complete=np.tri(100)), WITHIN) == straight

    def test_labels_are_refused_by_name(self):
        labels = Labels(Image(np.zeros((4, 4), int), "yx", SPACING))
        with pytest.raises(AnnotationError, match="spine"):
            tally(found([]), Example("spine", labels.image, labels), WITHIN)


class TestFigures:
    def test_nothing_there_and_nothing_found_is_perfect(self):
        assert (Tally().precision, Tally().recall, Tally().f1) == (1, 1, 1)

    def test_finding_nothing_of_something_is_worth_nothing(self):
        assert (Tally(fn=3).precision, Tally(fn=3).recall, Tally(fn=3).f1) == (0, 0, 0)
        assert (Tally(fp=3).precision, Tally(fp=3).recall, Tally(fp=3).f1) == (0, 0, 0)

    def test_counts_add_up(self):
        assert pooled([Tally(1, 2, 3), Tally(10, 20, 30)]) == Tally(11, 22, 33)

    def test_images_are_pooled_before_dividing(self):
        figures = scores(
            [found([[10, 10]]), found([])], [example([[10, 10]]), example([[1, 1], [9, 9], [20, 9]])], WITHIN
        )
        assert figures["recall"] == 0.25
        assert figures["tp[small]"] == 1
        assert figures["ap[small]"] == figures["ap"] == 0.25
        assert "ap[large]" not in figures


class TestCurve:
    @given(crowd, crowd, st.integers(0, 2**32 - 1))
    @settings(deadline=None)
    def test_every_rung_is_what_matching_anew_gives(self, a, b, seed):
        confidence = np.random.default_rng(seed).integers(1, 4, len(a)) / 4
        one, findings = example(b, complete=np.tri(100)), found(a, confidence)
        threshold, precision, recall = pr_curve([findings], [one], WITHIN, "small")
        assert (np.diff(threshold) < 0).all()
        for t, p, r in zip(threshold, precision, recall, strict=True):
            anew = tally(findings[findings.confidence >= t], one, WITHIN)["small"]
            assert (p, r) == (anew.precision, anew.recall)

    def test_average_precision_is_the_area_under_the_envelope(self):
        # Right, false, right of two objects: recall .5 at precision 1, recall 1 at precision 2/3.
        assert average_precision(np.array([1, 0.5, 2 / 3]), np.array([0.5, 0.5, 1])) == pytest.approx(0.5 + 0.5 * 2 / 3)

    def test_recall_never_reached_counts_as_nothing(self):
        assert average_precision(np.array([1.0]), np.array([0.5])) == 0.5
        assert average_precision(np.zeros(0), np.zeros(0)) == 0


class TestThresholds:
    def test_splits_true_from_false_in_the_middle(self):
        findings = found([[10, 10], [30, 30], [50, 50]], [0.9, 0.8, 0.2])
        assert best_thresholds([findings], [example([[10, 10], [30, 30]])], WITHIN)["small"] == pytest.approx(0.5)

    def test_all_true_leaves_room_below_the_faintest(self):
        findings = found([[10, 10], [30, 30]], [0.9, 0.8])
        assert best_thresholds([findings], [example([[10, 10], [30, 30]])], WITHIN)["small"] == pytest.approx(0.4)

    def test_the_widest_of_several_best_ranges_is_taken(self):
        # F1 is 2/3 for the first alone, lower with the next two, 2/3 again with all four.
        places, truth = [[10, 10], [80, 10], [80, 30], [30, 30]], [[10, 10], [30, 30]]
        wide_first = found(places, [0.9, 0.3, 0.2, 0.1])
        wide_last = found(places, [0.9, 0.85, 0.82, 0.8])
        assert best_thresholds([wide_first], [example(truth)], WITHIN)["small"] == pytest.approx(0.6)
        assert best_thresholds([wide_last], [example(truth)], WITHIN)["small"] == pytest.approx(0.4)

    def test_unjudged_findings_do_not_split_a_range(self):
        findings = found([[10, 10], [10, 90], [40, 40]], [0.9, 0.5, 0.1])
        one = example([[10, 10]], complete=left_half())
        assert best_thresholds([findings], [one], WITHIN)["small"] == pytest.approx(0.5)

    def test_a_class_nobody_annotated_borrows_from_the_others(self):
        findings = found([[10, 10], [30, 30], [70, 70]], [0.8, 0.4, 0.9], kind=[0, 0, 1])
        best = best_thresholds([findings], [example([[10, 10]])], WITHIN)
        assert best["large"] == best["small"] == pytest.approx(0.6)

    def test_something_is_always_found_where_there_are_candidates(self):
        findings = found([[10, 10], [30, 30]], [0.3, 0.2])
        best = best_thresholds([findings], [example([[70, 70]])], WITHIN)["small"]
        assert (findings.confidence >= best).any()

    def test_nothing_to_learn_from_gives_the_default(self):
        assert best_thresholds([found([])], [example([])], WITHIN) == {"small": 0.5, "large": 0.5}

    @given(crowd, crowd, st.integers(0, 2**32 - 1))
    @settings(deadline=None)
    def test_no_threshold_does_better(self, a, b, seed):
        confidence = np.random.default_rng(seed).integers(1, 9, len(a)) / 8
        one, findings = example(b, complete=np.tri(100)), found(a, confidence)

        def f1(threshold):
            return tally(findings[findings.confidence >= threshold], one, WITHIN)["small"].f1

        best = best_thresholds([findings], [one], WITHIN)["small"]
        if len(a) and one.is_complete_at(one.truth.position_um).any():
            assert f1(best) == max(f1(t) for t in confidence)
