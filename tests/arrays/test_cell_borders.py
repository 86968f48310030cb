from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from graticule.arrays.cell_borders import LEVEL_PX, border_map, bright_borders, guessed_cell_px


def tiles(cell_px: int, count: int = 8, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Square cells with bright borders, blurred a little, on uneven ground."""
    side = cell_px * count
    lines = np.zeros((side, side), np.float32)
    lines[::cell_px] = lines[:, ::cell_px] = 1
    light = ndimage.gaussian_filter(lines, 0.06 * cell_px)
    ground = np.linspace(0, 0.3, side, dtype=np.float32)
    noisy = np.random.default_rng(seed).normal(0, noise * light.max(), light.shape)
    return (light / light.max() + ground + noisy).astype(np.float32)


@pytest.mark.parametrize("cell_px", [20, 40, 80])
def test_the_size_of_cells_is_guessed_to_within_a_factor_of_two(cell_px: int) -> None:
    assert cell_px / 2 < guessed_cell_px(tiles(cell_px)) < cell_px * 2


def test_dark_borders_are_told_from_bright_ones() -> None:
    grey = tiles(30)
    np.testing.assert_array_equal(bright_borders(grey, "auto"), grey)
    np.testing.assert_array_equal(bright_borders(-grey, "auto"), grey)
    np.testing.assert_array_equal(bright_borders(grey, "dark"), -grey)


def test_borders_are_ridges_and_cells_are_not() -> None:
    cell_px = int(LEVEL_PX)
    strength = border_map(tiles(cell_px))
    on = strength[cell_px::cell_px, :].mean()
    inside = strength[cell_px // 2 :: cell_px, cell_px // 2 :: cell_px].mean()
    assert on > 5 * inside


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.01, 100), offset=st.floats(-50, 50))
def test_neither_gain_nor_offset_of_the_camera_matters(gain: float, offset: float) -> None:
    grey = tiles(21, count=5)
    changed = border_map((gain * grey + offset).astype(np.float32))
    # Single precision: what is lost to a large offset is noise of a thousandth.
    np.testing.assert_allclose(changed, border_map(grey), atol=0.02 * max(1, abs(offset) / gain / 50))


def test_light_that_falls_off_hides_no_border() -> None:
    grey = tiles(21, noise=0.0)
    shaded = grey * np.linspace(1, 0.2, grey.shape[1], dtype=np.float32)
    strength = border_map(shaded)[21::21]
    assert strength[:, -60:].mean() > 0.6 * strength[:, :60].mean()


def test_an_image_without_lines_is_one_cell_as_large_as_itself() -> None:
    assert guessed_cell_px(np.zeros((40, 60), np.float32)) == 40.0
