import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from graticule.arrays.foreground import (
    GROUND,
    above_ground,
    foreground,
    foreground_level,
    ground_reach,
    share_inside,
    smoothed,
)
from graticule.errors import FormatError

SIGMA = 2.0


def volume(seed=0, shape=(48, 64, 72)):
    """Noise, haze that varies by nearly as much as particles are bright, and four of these."""
    rng = np.random.default_rng(seed)
    places = np.array([[10, 12, 14], [30, 50, 20], [24, 30, 60], [40, 10, 44]])
    haze = gaussian_filter(rng.normal(0, 1, shape), 40)
    light = np.zeros(shape)
    light[tuple(places.T)] = 1
    light = gaussian_filter(light, 2.0)
    pixels = 1.0 * haze / haze.std() + 4.0 * light / light.max() + rng.normal(0, 0.4, shape)
    return pixels.astype(np.float32), places


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_particles_are_in_the_foreground_and_haze_is_not(seed):
    pixels, places = volume(seed)
    lit = above_ground(pixels, SIGMA)
    region = foreground(lit, foreground_level([lit]), erode=1, open_by=1, grow=2)
    assert share_inside(region, places) == 1.0
    assert region.mean() < 0.02
    haze = smoothed(pixels, SIGMA)[~region]
    particles = smoothed(pixels, SIGMA)[tuple(places.T)]
    assert np.ptp(haze) > np.median(particles) - np.median(haze), "haze varies by more than particles stand out"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pieces_agree_with_the_whole_but_for_their_rims(axis):
    pixels, _ = volume(1, (96, 96, 96))
    reach = ground_reach(SIGMA)
    low, high = [slice(None)] * 3, [slice(None)] * 3
    low[axis], high[axis] = slice(0, 8 * GROUND), slice(8 * GROUND - 2 * GROUND, None)
    whole = above_ground(pixels, SIGMA)
    first, second = above_ground(pixels[tuple(low)], SIGMA), above_ground(pixels[tuple(high)], SIGMA)
    kept = np.moveaxis(first, axis, 0)[: 8 * GROUND - reach]
    assert np.allclose(kept, np.moveaxis(whole, axis, 0)[: 8 * GROUND - reach], atol=1e-5)
    kept = np.moveaxis(second, axis, 0)[reach:]
    assert np.allclose(kept, np.moveaxis(whole, axis, 0)[6 * GROUND + reach :], atol=1e-5)


def test_what_the_border_cuts_is_not_eroded_from_there():
    lit = np.zeros((12, 20), np.float32)
    lit[:5, 8:13] = 1
    region = foreground(lit, 0.5, erode=1, open_by=1, grow=1)
    assert region[0, 10] and region[4, 10]


def test_specks_are_taken_away():
    lit = np.zeros((20, 20), np.float32)
    lit[3, 3] = lit[10:12, 10:12] = 1
    assert not foreground(lit, 0.5, erode=1, open_by=0, grow=2).any()


def test_an_image_without_anything_is_refused():
    with pytest.raises(FormatError, match="all alike; need one that shows something"):
        foreground_level([np.zeros((8, 8), np.float32)])


def test_of_no_places_all_lie_inside():
    assert share_inside(np.zeros((4, 4), bool), np.zeros((0, 2))) == 1.0
