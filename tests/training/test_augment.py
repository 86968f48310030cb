import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from graticule.task import Augment
from graticule.training.augment import change_grey, draw_warp

BENDING = Augment(rotate_deg=10, elastic_um=0.6, elastic_scale_um=48.0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.booleans())
def test_points_go_where_the_pixels_go(seed, square):
    """Where the patch shows a point of the source is where `to_patch` says it is."""
    rng = np.random.default_rng(seed)
    shape = (64, 64) if square else (48, 64)
    warp = draw_warp(shape, np.array([100.0, 120.0]), BENDING, (1.0, 1.0), rng)
    where = warp.coordinates()
    places = rng.uniform(8, np.array(shape) - 9, (6, 2))
    in_source = np.stack([map_coordinates(axis, places.T, order=1) for axis in where], axis=1)
    assert np.abs(warp.to_patch(in_source) - places).max() < 0.05


def test_three_dimensional_patches_turn_in_plane_and_mirror_in_depth():
    warp = draw_warp(
        (4, 16, 16), np.array([10.0, 50.0, 50.0]), Augment(rotate_deg=10), (1.0, 1.0, 1.0), np.random.default_rng(1)
    )
    assert np.allclose(warp.matrix @ warp.matrix.T, np.eye(3))
    assert abs(warp.matrix[0, 0]) == pytest.approx(1)


def test_without_bending_a_patch_is_a_turned_piece_of_the_source():
    rng = np.random.default_rng(3)
    warp = draw_warp((8, 8), np.array([20.5, 20.5]), Augment(rotate_deg=0), (1.0, 1.0), rng)
    corners = warp.coordinates()[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert {round(float(c)) for c in corners.ravel()} == {17, 24}


def test_grey_levels_change_but_little():
    patch = np.random.default_rng(0).normal(0, 1, (1, 32, 32)).astype(np.float32)
    changed = change_grey(
        patch, Augment(brightness=0.08, contrast=0.08, noise=0.0), (1.0, 1.0), np.random.default_rng(1)
    )
    assert changed.dtype == np.float32
    assert 0 < np.abs(changed - patch).max() < 0.08 + 0.08 * np.abs(patch).max() + 1e-3


def test_no_change_asked_is_no_change():
    patch = np.random.default_rng(0).normal(0, 1, (1, 8, 8)).astype(np.float32)
    still = Augment(brightness=0, contrast=0, noise=0, blur_um=0)
    assert np.array_equal(change_grey(patch, still, (1.0, 1.0), np.random.default_rng(1)), patch)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([(64, 64), (24, 40, 48)]))
def test_points_go_where_the_pixels_go_when_zoomed(seed, shape):
    rng = np.random.default_rng(seed)
    warp = draw_warp(shape, np.full(len(shape), 100.0), Augment(zoom=0.3), (1.0,) * len(shape), rng)
    assert 1 / 1.3 <= warp.zoom <= 1.3
    places = rng.uniform(1, np.array(shape) - 2, (6, len(shape)))
    in_source = np.stack([map_coordinates(axis, places.T, order=1) for axis in warp.coordinates()], axis=1)
    assert np.abs(warp.to_patch(in_source) - places).max() < 1e-6


def test_things_are_shown_larger_as_often_as_smaller_and_half_the_time_as_they_are():
    rng = np.random.default_rng(0)
    zooms = np.array([draw_warp((8, 8), np.zeros(2), Augment(zoom=0.25), (1.0, 1.0), rng).zoom for _ in range(400)])
    assert np.mean(zooms == 1) == pytest.approx(0.5, abs=0.1)
    assert np.mean(zooms > 1) == pytest.approx(np.mean(zooms < 1), abs=0.1)
