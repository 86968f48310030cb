import numpy as np
import pytest

from graticule.arrays.registration import Placement, registration
from tests.synthetic import scattered

SPACING = 0.0006
SHAPE = (400, 500)
UNITS = tuple((factor, factor) for factor in (SPACING, 1 / SPACING, 1e3, 1e-3))


@pytest.fixture(scope="module")
def spots():
    """An image with 25 spots 10 px across, and where they are."""
    example = scattered(3, 25, SHAPE, gap_px=24, edge_px=20, diameter_px=10.0, noise=8.0)
    return np.asarray(example.image.data), example.image.to_voxels(example.truth.position_um)


@pytest.fixture(scope="module")
def marks(spots):
    """Where a person marked them, up to 3 px off."""
    _, centres = spots
    return centres + np.random.default_rng(8).uniform(-3, 3, centres.shape)


def found(spots, positions):
    fit = registration(spots[0], positions, 10, factors=UNITS)
    return None if fit is None else fit.placement


def test_right_positions_are_left_as_they_are(spots, marks):
    assert found(spots, marks) == Placement()


@pytest.mark.parametrize("factor", [SPACING, 1 / SPACING, 1e-3])
def test_a_mistaken_unit_is_found_exactly(spots, marks, factor):
    assert found(spots, marks / factor) == Placement(scale=(factor, factor))


def test_swapped_axes_are_found(spots, marks):
    assert found(spots, marks[:, ::-1]) == Placement(swapped=True)


def test_a_y_axis_that_points_up_is_found(spots, marks):
    upward = np.stack([SHAPE[0] - 1 - marks[:, 0], marks[:, 1]], axis=1)
    assert found(spots, upward) == Placement(upside_down=True)


@pytest.mark.parametrize("factor", [0.55, 0.9, 1.2, 2.2])
def test_a_wrong_magnification_is_found_to_a_percent(spots, marks, factor):
    assert found(spots, marks * factor).scale == pytest.approx((1 / factor, 1 / factor), rel=0.01)


def test_a_wrong_magnification_in_another_unit_is_found(spots, marks):
    assert found(spots, marks * SPACING * 0.8).scale == pytest.approx((1 / SPACING / 0.8,) * 2, rel=0.01)


@pytest.mark.parametrize("shift", [(40, -35), (-15, 8), (0, 60)])
def test_a_shift_is_found_to_two_pixels(spots, marks, shift):
    placement = found(spots, marks + shift)
    assert placement.shift_px == pytest.approx((-shift[0], -shift[1]), abs=2)
    assert placement.scale == (1, 1)


def test_scale_and_shift_together_are_found(spots, marks):
    placement = found(spots, marks * 0.8 + np.array([60, -30]))
    assert placement.scale == pytest.approx((1.25, 1.25), rel=0.01)
    assert placement.shift_px == pytest.approx((-75, 37.5), abs=4)


def test_the_evidence_before_and_after_is_given(spots, marks):
    fit = registration(spots[0], marks + np.array([40, -35]), 10)
    assert fit.now.share < 0.5
    assert fit.then.share > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_random_places_fit_nowhere(spots, seed):
    places = np.random.default_rng(seed).uniform(20, 380, (25, 2))
    assert found(spots, places) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_positions_prove_nothing(spots, marks, count):
    assert found(spots, marks[:count] + 30) is None


def test_positions_that_all_fall_on_one_spot_prove_nothing(spots, marks):
    assert found(spots, np.tile(marks[:1], (20, 1))) is None


def test_a_placement_swaps_scales_turns_and_shifts_in_this_order():
    placement = Placement(scale=(2, 10), shift_px=(1, 5), swapped=True, upside_down=True)
    assert placement.apply(np.array([[3.0, 4.0]]), (100, 200)).tolist() == [[99 - 8 + 1, 30 + 5]]
