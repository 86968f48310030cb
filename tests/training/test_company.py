"""Pairs from few annotated objects: where a companion lies, and that its light is added and nothing else; and heaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.training.company import (
    FURTHEST,
    GONE,
    HEAP_GAIN,
    NEAREST,
    SCATTER,
    heaped,
    laid_over,
    place_beside,
    scattered,
)

DIAMETER = np.array([8.0, 8.0, 8.0])
SHAPE = (24, 26, 28)


def blob(place, height=1.0):
    axes = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    squares = sum((a - p) ** 2 for a, p in zip(axes, place, strict=True))
    return (height * np.exp(-squares / (2 * 1.5**2)))[None].astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_companion_is_as_near_as_objects_that_touch(seed):
    first = np.array([12.0, 13.0, 14.0])
    place = place_beside(first, np.array([4.0, 8.0, 8.0]), np.random.default_rng(seed))
    away = np.linalg.norm((place - first) / [4.0, 8.0, 8.0])
    assert NEAREST <= away <= FURTHEST


@pytest.mark.parametrize("ground", [0.5, 3.0])
def test_the_companions_light_is_added_without_its_ground(ground):
    first, place = np.array([12.0, 10.0, 14.0]), np.array([12.0, 16.0, 14.0])
    pair = laid_over(blob(first), blob(place, 2.0) + np.float32(ground), place, DIAMETER)
    assert np.allclose(pair, blob(first) + blob(place, 2.0), atol=0.1)


def test_twice_the_gain_adds_twice_as_much():
    place = np.array([12.0, 16.0, 14.0])
    added = [laid_over(np.zeros_like(blob(place)), blob(place), place, DIAMETER, gain) for gain in (1.0, 2.0)]
    assert np.allclose(2 * added[0], added[1], atol=1e-6)
    assert added[0].max() > 0.9


def test_nothing_changes_far_from_the_companion_nor_where_it_was_beyond_its_image():
    place = np.array([12.0, 16.0, 14.0])
    other = blob(place) + np.float32(1.0)
    other[:, :, 17:] = 0
    pixels = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    pair = laid_over(pixels, other, place, DIAMETER)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)
    far = np.linalg.norm((grid - place) / DIAMETER, axis=-1) > GONE
    assert np.array_equal(pair[0][far], pixels[0][far])
    assert np.array_equal(pair[:, :, 17:], pixels[:, :, 17:])
    assert not np.array_equal(pair, pixels)


def test_a_heap_is_as_noisy_as_one_object_however_many_it_is_of_and_sometimes_brighter_sometimes_not():
    rng = np.random.default_rng(0)
    for count in (3, 6):
        spread = [heaped([rng.normal(0, 2, (1, 12, 12)) for _ in range(count)], rng).std() for _ in range(400)]
        assert np.log(spread).mean() == pytest.approx(np.log(2), abs=0.1)
        assert np.log(spread).std() == pytest.approx(HEAP_GAIN, rel=0.2)


def test_a_heap_of_crossed_rods_is_their_sum_and_brightest_where_they_cross():
    rods = [np.zeros((1, 9, 9), np.float32) for _ in range(2)]
    rods[0][0, 4], rods[1][0, :, 4] = 1, 1
    heap = heaped(rods, np.random.default_rng(0))
    assert np.allclose(heap[0], heap[0].T) and heap[0, 4, 4] == pytest.approx(2 * heap[0, 4, 0])


def test_what_is_heaped_lies_off_the_middle_by_a_share_of_a_diameter_along_each_axis():
    off = np.array([scattered(np.array([4.0, 8.0, 8.0]), np.random.default_rng(seed)) for seed in range(200)])
    assert (np.abs(off).max(axis=0) <= SCATTER * np.array([4.0, 8.0, 8.0])).all()
    assert (np.abs(off).max(axis=0) > 0.9 * SCATTER * np.array([4.0, 8.0, 8.0])).all()
