import numpy as np
import pytest

from graticule.arrays.intensity import levels
from graticule.errors import FormatError
from graticule.image import Image


def image(data):
    return Image(data, "zyx"[-data.ndim :], (1.0,) * data.ndim)


def test_levels_follow_offset_and_gain():
    grey = np.random.default_rng(0).normal(100, 10, (200, 200))
    plain, scaled = levels(image(grey)), levels(image(3 * grey + 50))
    assert plain.centre == pytest.approx(100, abs=1)
    assert plain.spread == pytest.approx(9.5, rel=0.05)  # a quartile lies a little below the middle
    assert scaled.centre == pytest.approx(3 * plain.centre + 50)
    assert scaled.spread == pytest.approx(3 * plain.spread)


def test_a_few_black_beads_do_not_shift_the_levels():
    grey = np.random.default_rng(0).normal(100, 10, (200, 200))
    beads = grey.copy()
    beads[:20, :20] = 0
    assert levels(image(beads)).centre == pytest.approx(levels(image(grey)).centre, abs=0.5)


def test_a_dark_fold_does_not_change_the_unit_of_contrast():
    grey = np.random.default_rng(0).normal(100, 10, (256, 256))
    folded = grey.copy()
    folded[:, :100] -= 60
    assert levels(image(folded)).spread == pytest.approx(levels(image(grey)).spread, rel=0.05)


def test_a_blank_margin_does_not_change_it_either():
    grey = np.random.default_rng(0).normal(100, 10, (256, 256))
    framed = grey.copy()
    framed[:, :160] = 0
    assert levels(image(framed)).spread == pytest.approx(levels(image(grey)).spread, rel=0.05)


def test_a_constant_image_has_levels_too():
    assert levels(image(np.full((8, 8), 7, np.uint8))).spread == 1.0


def test_two_grey_levels_of_which_one_is_rare_still_have_a_spread():
    grey = np.zeros((50, 50))
    grey[0, :5] = 1
    assert levels(image(grey)).spread > 0


def test_large_images_are_sampled():
    big = np.broadcast_to(np.random.default_rng(0).normal(5, 2, 9000).astype(np.float32), (9000, 9000))
    assert levels(image(big)).centre == pytest.approx(5, abs=0.2)


def test_volumes_are_measured_plane_by_plane():
    volume = np.random.default_rng(0).normal(5, 2, (7, 40, 50)) + 100 * np.arange(7)[:, None, None]
    assert levels(image(volume)).spread == pytest.approx(1.9, rel=0.1)


def test_pixels_that_are_not_numbers_are_refused():
    grey = np.ones((8, 8), np.float32)
    grey[3, 3] = np.nan
    with pytest.raises(FormatError, match="NaN"):
        levels(image(grey))
