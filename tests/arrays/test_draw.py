"""Drawn shapes lie where, and are as large as, they were asked to be."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.draw import around, gaussians, spheroids

SHAPE = (41, 47)
fractions = st.floats(-0.5, 0.5)


def centre_of_mass(drawn):
    grids = np.indices(drawn.shape)
    return np.array([(grid * drawn).sum() for grid in grids]) / drawn.sum()


def one(centre, diameter, elongation=1.0, angle=0.0, weight=1.0, shape=SHAPE):
    return spheroids(
        shape,
        centre=np.array([centre]),
        diameter=np.array([diameter]),
        elongation=np.array([elongation]),
        angle=np.array([angle]),
        weight=np.array([weight]),
    )


@settings(deadline=None, max_examples=30)
@given(fractions, fractions, st.floats(4, 24), st.floats(1, 1.5), st.floats(0, np.pi))
def test_a_spheroid_lies_where_it_was_put_between_pixels(dy, dx, diameter, elongation, angle):
    centre = np.array([20 + dy, 23 + dx])
    drawn = one(centre, diameter, elongation, angle)
    assert np.abs(centre_of_mass(drawn) - centre).max() < 0.02


@settings(deadline=None, max_examples=30)
@given(fractions, st.floats(4, 24), st.floats(1, 1.5))
def test_a_spheroid_holds_the_volume_of_its_sphere_however_long_it_is(dy, diameter, elongation):
    drawn = one((20 + dy, 23), diameter, elongation)
    np.testing.assert_allclose(drawn.sum(), np.pi / 6 * diameter**3, rtol=0.01)


def test_a_spheroids_long_axis_points_along_its_angle():
    across = one((20, 23), 16, elongation=1.6, angle=0.0) > 0
    down = one((20, 23), 16, elongation=1.6, angle=np.pi / 2) > 0
    assert across.any(axis=0).sum() > across.any(axis=1).sum()
    assert down.any(axis=0).sum() < down.any(axis=1).sum()


def test_overlapping_spheroids_add_up():
    both = spheroids(
        SHAPE,
        centre=np.array([[20, 20], [20, 24]]),
        diameter=np.array([10, 12]),
        elongation=np.ones(2),
        angle=np.zeros(2),
        weight=np.array([1, 0.5]),
    )
    np.testing.assert_allclose(both, one((20, 20), 10) + one((20, 24), 12, weight=0.5), rtol=1e-5)


def test_a_spheroid_across_the_border_is_cut_not_moved():
    whole = one((20, 23), 16)
    cut = one((20 - 18, 23 - 23), 16, shape=(23, 24))
    np.testing.assert_allclose(cut, whole[18:, 23:], atol=1e-5)


def test_a_shape_far_outside_draws_nothing():
    assert not one((-100, 20), 12).any()
    window, _ = around(SHAPE, (500, 500), 4)
    assert np.zeros(SHAPE)[window].size == 0


@settings(deadline=None, max_examples=30)
@given(fractions, fractions, st.floats(0.5, 3))
def test_a_gaussian_no_narrower_than_a_pixel_keeps_its_integral_and_place(dy, dx, sigma):
    centre = np.array([20 + dy, 23 + dx])
    drawn = gaussians(SHAPE, centre=centre[None], sigma=np.array([sigma]), height=np.array([3.0]))
    np.testing.assert_allclose(drawn.sum(), 3 * 2 * np.pi * sigma**2, rtol=1e-3)
    assert np.abs(centre_of_mass(drawn) - centre).max() < 0.01


def test_gaussians_are_drawn_in_three_dimensions_too():
    centre = np.array([[8.3, 10.1, 9.6]])
    drawn = gaussians((18, 20, 21), centre=centre, sigma=np.array([1.5]), height=np.array([1.0]))
    np.testing.assert_allclose(centre_of_mass(drawn), centre[0], atol=0.01)
