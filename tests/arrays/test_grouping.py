import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from graticule.arrays.grouping import equalised_at, groups, merged, recentred


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 30), ndim=st.sampled_from([2, 3]))
def test_grouping_does_not_depend_on_the_order(seed, count, ndim):
    rng = np.random.default_rng(seed)
    places, heights = rng.uniform(0, 10, (count, ndim)), rng.uniform(0.1, 1, count)
    order = rng.permutation(count)
    one, other = merged(places, heights, 1.5), merged(places[order], heights[order], 1.5)
    assert np.allclose(one[0], other[0]) and np.allclose(one[1], other[1])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 25))
def test_grouping_is_transitive_and_tells_apart_what_is_far(seed, count):
    """Near ones are of one group, and no two groups come near each other."""
    places = np.random.default_rng(seed).uniform(0, 8, (count, 3))
    member = groups(places, 1.5)
    near = np.linalg.norm(places[:, None] - places[None], axis=2) <= 1.5
    same = member[:, None] == member[None]
    assert same[near].all()
    reached = np.linalg.matrix_power(near.astype(int), count) > 0
    assert (same == reached).all()


def test_a_chain_is_one_group_at_its_mean_place_with_its_greatest_confidence():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
    where, heights = merged(places, np.array([0.5, 1.0, 0.5, 0.7]), 1.2)
    assert where.tolist() == [[1.0, 0.0], [9.0, 9.0]]
    assert heights.tolist() == [1.0, 0.7]


def blob(centre, shape=(24, 26, 28), sigma=2.0):
    axes = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return np.exp(-sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) / (2 * sigma**2)).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(8, 15)] * 3), st.tuples(*[st.floats(-2, 2)] * 3))
def test_a_place_near_a_particle_moves_to_its_centre_between_voxels(centre, off):
    there = recentred(blob(centre), np.array([np.add(centre, off)]), window=5.0, limit=4.0)
    assert np.linalg.norm(there[0] - centre) < 0.2


@pytest.mark.parametrize("ground", [-1.0, 0.0, 3.0])
def test_what_the_light_lies_on_does_not_count(ground):
    there = recentred(blob((12, 12, 12)) + np.float32(ground), np.array([[13.0, 11.5, 12.0]]), window=5.0, limit=4.0)
    assert np.allclose(there, 12, atol=0.2)


def test_a_place_whose_light_is_further_away_than_the_limit_stays():
    beside = np.array([[12.0, 9.0, 12.0]])
    assert np.array_equal(recentred(blob((12, 12, 12)), beside, window=5.0, limit=1.0), beside)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_two_that_touch_each_keeps_its_own_light(order):
    pair = np.array([[12.0, 9.0, 12.0], [12.0, 16.0, 12.0]])
    light = blob(pair[0]) + 2 * blob(pair[1])
    begun = pair + np.array([[0, 0.5, 0.5], [0.5, 0, -0.5]])
    there = recentred(light, begun[order], window=5.0, limit=3.0)
    assert np.linalg.norm(there - pair[order], axis=1).max() < 0.5
    known = recentred(light, begun[:1], window=5.0, limit=3.0, among=begun)
    assert np.linalg.norm(known[0] - pair[0]) < 0.5
    alone = recentred(light, begun[:1], window=5.0, limit=20.0)
    assert np.linalg.norm(alone[0] - pair[0]) > 1.0, "unless the other is unknown"


def test_a_place_in_the_dark_stays_and_none_leaves_the_image():
    dark = recentred(np.zeros((8, 8), np.float32), np.array([[3.0, 4.0]]), window=3.0, limit=2.0)
    assert dark.tolist() == [[3.0, 4.0]]
    edge = recentred(blob((0, 0, 0)), np.array([[1.0, 0.0, 0.0]]), window=4.0, limit=2.0)
    assert (edge >= 0).all()
    assert recentred(blob((0, 0, 0)), np.zeros((0, 3)), window=4.0, limit=2.0).shape == (0, 3)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (7.0, 100.0)])
def test_equalised_light_does_not_depend_on_the_scale_nor_on_what_is_far(gain, offset):
    rng = np.random.default_rng(0)
    light = gaussian_filter(rng.normal(size=(40, 40)), 1.5).astype(np.float32)
    places = np.array([[20.0, 20.0], [12.0, 25.0]])
    plain = equalised_at(light, places, 6, 0.1)
    changed = light * gain + offset
    changed[:2] = 1e6
    assert np.allclose(equalised_at(changed.astype(np.float32), places, 6, 0.1), plain, atol=0.05)


def test_the_brightest_place_around_is_1_and_what_is_alike_all_around_is_0():
    light = blob((12, 12), (25, 25))
    assert equalised_at(light, np.array([[12.0, 12.0]]), 8, 0.1)[0] == pytest.approx(1.0)
    assert equalised_at(np.ones((9, 9), np.float32), np.array([[4.0, 4.0]]), 3, 0.1).tolist() == [0.0]
