"""Distances between outlines: in micrometres, the same both ways, and none at the edge of the image."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from graticule.metrics.boundary import surface, surface_distances

MASKS = arrays(bool, (5, 6, 7))
SPACING = (0.05, 0.01, 0.02)


def layers(first, last, axis, shape=(20, 21, 22)):
    """All voxels from one plane to another, right across the array."""
    mask = np.zeros(shape, bool)
    np.moveaxis(mask, axis, 0)[first:last] = True
    return mask


@given(st.integers(0, 2), st.integers(1, 3))
def test_what_is_shifted_lies_as_far_away_as_it_was_shifted(axis, shift):
    distances = surface_distances(layers(5, 12, axis), layers(5 + shift, 12 + shift, axis), SPACING)
    assert distances == pytest.approx(shift * SPACING[axis])


@given(MASKS, MASKS)
def test_the_order_of_the_two_does_not_count(one, other):
    distances, back = surface_distances(one, other, SPACING), surface_distances(other, one, SPACING)
    assert np.sort(distances) == pytest.approx(np.sort(back))


@given(MASKS)
def test_an_outline_lies_on_itself(mask):
    distances = surface_distances(mask, mask, SPACING)
    assert len(distances) == 2 * surface(mask).sum()
    assert (distances == 0).all()


@given(MASKS, MASKS)
def test_distances_are_those_of_a_distance_transform(one, other):
    assume(surface(one).any() and surface(other).any())
    there, here = (ndimage.distance_transform_edt(~surface(mask), sampling=SPACING) for mask in (other, one))
    expected = np.concatenate([there[surface(one)], here[surface(other)]])
    assert surface_distances(one, other, SPACING) == pytest.approx(expected)


@given(MASKS, st.floats(0.1, 10))
def test_distances_grow_with_the_voxels(mask, factor):
    other = np.roll(mask, 1, axis=2)
    larger = surface_distances(mask, other, tuple(factor * s for s in SPACING))
    assert larger == pytest.approx(factor * surface_distances(mask, other, SPACING))


def test_where_the_image_ends_nothing_is_known_of_the_outline():
    assert not surface(np.ones((3, 4, 5), bool)).any()
    assert surface(layers(0, 3, 0)).sum() == 21 * 22
    assert not len(surface_distances(np.ones((4, 4), bool), np.eye(4) > 0, (1.0, 1.0)))


def test_outlines_that_are_not_annotated_do_not_count():
    one, other = layers(5, 12, 2), layers(5, 16, 2)
    known = layers(0, 10, 2).astype(np.uint8)
    assert surface_distances(one, other, SPACING).max() == pytest.approx(4 * SPACING[2])
    assert surface_distances(one, other, SPACING, known).max() == 0
