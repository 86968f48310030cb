import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.statistics.proportion import count_like


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), total=st.integers(20, 80), others=st.sampled_from([0, 500]))
def test_the_number_lies_in_its_interval_and_neither_is_below_what_was_marked(seed, total, others):
    rng = np.random.default_rng(seed)
    found = count_like(*drawn(rng, total, others))
    assert 10 <= found.low <= found.value <= found.high


def drawn(rng, total, others):
    """Answers of ten objects that were marked, and of all objects and of what is none."""
    objects = rng.normal(10, 2, total)
    return rng.choice(objects, 10, replace=False), np.concatenate([objects, rng.normal(0, 1, others)])


@pytest.mark.parametrize("others", [0, 500])
def test_ten_marked_objects_tell_about_how_many_there_are(others):
    rng = np.random.default_rng(0)
    values = [count_like(*drawn(rng, 60, others)).value for _ in range(100)]
    assert 0.75 * 60 < np.mean(values) < 1.25 * 60
    assert np.std(values) < 0.4 * 60


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        objects = rng.normal(10, 2, 60)
        found = count_like(rng.choice(objects, 12, replace=False), np.concatenate([objects, rng.normal(0, 1, 300)]))
        hits += found.low <= 60 <= found.high
    assert hits >= 160


def test_no_more_are_marked_than_there_are():
    found = count_like(np.array([5.0, 6.0, 7.0]), np.array([1.0]))
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3))
