from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.errors import SettingsError
from graticule.review import Order
from graticule.review.queue import by_expected_error, expected_error, features_of, fields, lay_out
from graticule.review.session import extent_um
from tests.review.scenes import IMAGE, ORDER, point_proposals

EXTENT = extent_um(IMAGE)


@given(threshold=st.floats(0.05, 0.95), confidence=st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_what_is_nearer_the_threshold_on_either_side_is_the_more_doubtful(threshold: float, confidence: list) -> None:
    error = expected_error(np.array(confidence), threshold)
    assert (error >= 0).all() and (error <= 1).all()
    assert expected_error(np.array([threshold]), threshold) == pytest.approx(1)
    for side in (
        np.sort([c for c in confidence if c < threshold]),
        -np.sort([-c for c in confidence if c >= threshold]),
    ):
        assert (np.diff(expected_error(side, threshold)) >= -1e-12).all()


def test_disagreement_makes_doubtful_what_a_model_is_sure_of() -> None:
    sure = np.array([0.99, 0.99])
    assert expected_error(sure, 0.5, np.array([1.0, 0.0])).argmax() == 0


@settings(max_examples=30)
@given(seed=st.integers(0, 100), number=st.integers(0, 40), diversity=st.floats(0, 1))
def test_every_proposal_comes_exactly_once_in_any_order(seed: int, number: int, diversity: float) -> None:
    rng = np.random.default_rng(seed)
    order = by_expected_error(rng.random(number), rng.random((number, 3)), diversity)
    assert sorted(order.tolist()) == list(range(number))


def test_without_diversity_the_most_doubtful_come_first_and_with_it_likes_wait() -> None:
    error = np.array([1.0, 0.99, 0.98, 0.5, *[0.1] * 16])
    features = np.array([[0.0], [0.001], [0.002], [1.0], *([n / 4] for n in range(8, 24))])
    assert by_expected_error(error, features, 0.0)[:4].tolist() == [0, 1, 2, 3]
    assert by_expected_error(error, features, 1.0)[:2].tolist() == [0, 3]


@settings(max_examples=40)
@given(view=st.floats(1, 60), seed=st.integers(0, 1000))
def test_fields_cover_the_image_once(view: float, seed: int) -> None:
    every = fields(EXTENT, view, np.random.default_rng(seed))
    area = sum(np.prod(np.subtract(high, low)) for low, high in every)
    assert area == pytest.approx(np.prod(np.subtract(EXTENT[1], EXTENT[0])))
    places = np.random.default_rng(seed).uniform(*EXTENT, (50, 2))
    holding = sum(((places >= low) & (places < high)).all(axis=1).astype(int) for low, high in every)
    assert (holding == 1).all()
    assert all((np.subtract(high, low) <= view + 1e-9).all() for low, high in every)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), number=st.integers(0, 60), audit=st.floats(0, 1))
def test_every_proposal_has_one_turn_whatever_the_mixture(seed: int, number: int, audit: float) -> None:
    items = point_proposals(number, seed).items
    queue = lay_out(items, EXTENT, Order(view_um=8.0, audit=audit, seed=seed))
    assert sorted(turn.item for turn in queue.turns if turn.item) == [item.id for item in items]
    assert sorted(queue.audited) == [item.id for item in items]
    shown = [turn.field_um for turn in queue.turns if turn.field_um]
    assert shown == list(queue.fields_um[: len(shown)])


def test_the_same_seed_lays_out_the_same_turns_and_another_does_not() -> None:
    items = point_proposals(30).items
    assert lay_out(items, EXTENT, ORDER).turns == lay_out(items, EXTENT, ORDER).turns
    assert lay_out(items, EXTENT, ORDER).turns != lay_out(items, EXTENT, Order(view_um=8.0, seed=4)).turns


def test_about_the_audit_s_share_of_turns_is_random() -> None:
    items = point_proposals(400).items
    turns = lay_out(items, EXTENT, Order(view_um=2.0, audit=0.25)).turns[:300]
    share = np.mean([turn.stream == "audit" for turn in turns])
    assert 0.18 < share < 0.32


def test_features_tell_proposals_apart_by_place_confidence_size_and_class() -> None:
    assert features_of(point_proposals(5).items).shape == (5, 5)


@pytest.mark.parametrize("wrong", [{"audit": 1.5}, {"threshold": 0.0}, {"view_um": 0.0}, {"diversity": -1}])
def test_impossible_orders_are_refused(wrong: dict) -> None:
    with pytest.raises(SettingsError, match="need shares"):
        Order(**{"view_um": 8.0, **wrong})
