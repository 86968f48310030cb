from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from graticule.review import Region
from graticule.review.agreement import agreements, kappa, merged, overlap
from tests.review.scenes import opened, outlined_proposals

NAMES = ("ada", "bo", "cy")


def three(folder: Path, proposals=None) -> list:
    return [opened(folder, proposals, who=name) for name in NAMES]


def test_reviewers_who_decide_alike_agree_fully(tmp_path: Path) -> None:
    sessions = three(tmp_path)
    for session in sessions:
        session.accept(*range(1, 9))
        session.reject(*range(9, 13))
    for pair in agreements(sessions, 0.5):
        assert (pair.judged, pair.kappa, pair.f1) == (12, 1.0, 1.0)


def test_kappa_is_zero_for_independent_verdicts_and_undefined_where_all_are_one() -> None:
    assert kappa(["y", "y", "n", "n"], ["y", "n", "y", "n"]) == 0
    assert math.isnan(kappa(["y"] * 5, ["y"] * 5)) and math.isnan(kappa([], []))


def test_only_what_both_decided_on_is_compared(tmp_path: Path) -> None:
    a, b, _ = three(tmp_path)
    a.accept(1, 2, 3, 4)
    b.accept(1, 2)
    b.reject(3)
    [pair, *_] = agreements([a, b], 0.5)
    assert pair.judged == 3 and pair.f1 == pytest.approx(2 * 2 / (3 + 2))


def test_a_class_in_dispute_lowers_kappa(tmp_path: Path) -> None:
    a, b, _ = three(tmp_path)
    for session in (a, b):
        session.accept(*range(1, 13))
    before = agreements([a, b], 0.5)[0].kappa
    other = "small" if b.items[1].kind == "large" else "large"
    b.relabel(1, other)
    assert agreements([a, b], 0.5)[0].kappa < before == 1.0


def test_the_majority_counts_and_half_is_disputed(tmp_path: Path) -> None:
    a, b, c = three(tmp_path)
    for session in (a, b, c):
        session.reject(*range(3, 13))
    a.accept(1, 2)
    b.accept(1)
    b.reject(2)
    c.accept(1)
    assert [item.id for item in merged([a, b, c], 0.5).items] == [1]
    assert [item.id for item in merged([a, b, c], 0.5).disputed] == [2]


def test_who_did_not_look_has_no_vote(tmp_path: Path) -> None:
    a, b, c = three(tmp_path)
    a.accept(5)
    assert [item.id for item in merged([a, b, c], 0.5).items] == [5]


def test_objects_added_by_two_near_one_another_are_one_at_their_mean(tmp_path: Path) -> None:
    a, b, _ = three(tmp_path)
    frame = ((15.0, 15.0), (25.0, 25.0))
    a.add((20.0, 20.0), "small", seen_um=frame)
    b.add((20.4, 20.0), "small", seen_um=frame)
    a.add((18.0, 18.0), "large", seen_um=frame)
    found = merged([a, b], 0.5)
    assert [item.position_um for item in found.items] == [(pytest.approx(20.2), 20.0)]
    assert [item.kind for item in found.disputed] == ["large"]


def test_outlines_are_the_same_by_overlap_and_merged_by_majority_of_voxels(tmp_path: Path) -> None:
    sessions = three(tmp_path, outlined_proposals())
    for session in sessions:
        session.accept(1)
        session.reject(2, 3)
    sessions[0].reshape(1, Region((10, 10), np.ones((10, 8), bool)))
    found = merged(sessions, 0.5)
    assert len(found.items) == 1 and found.regions[0].voxels == 100
    assert agreements(sessions, 0.5)[0].f1 == 1
    sessions[0].reshape(1, Region((10, 10), np.ones((3, 8), bool)))
    assert agreements(sessions, 0.5)[0].f1 == 0


def test_overlap_is_that_of_the_union_whatever_the_boxes() -> None:
    one, two = Region((0, 0), np.ones((4, 4), bool)), Region((2, 2), np.ones((4, 4), bool))
    assert overlap(one, two) == overlap(two, one) == pytest.approx(4 / 28)
    assert overlap(one, Region((9, 9), np.ones((1, 1), bool))) == 0
