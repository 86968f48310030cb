import numpy as np
import pytest

from graticule.arrays.evidence import contrast_at, evidence, measured_diameter, polarity_of, surprise


def micrograph(centres, diameters, shape=(400, 500), contrast=-50.0, noise=5.0, seed=0):
    """Discs with slightly soft flanks on noise."""
    rng = np.random.default_rng(seed)
    pixels = 150 + rng.normal(0, noise, shape)
    y, x = np.indices(shape)
    for centre, diameter in zip(centres, np.broadcast_to(diameters, len(centres)), strict=True):
        distance = np.hypot(y - centre[0], x - centre[1])
        pixels += contrast * np.clip(diameter / 2 - distance + 0.5, 0, 1)
    return pixels.astype(np.float32)


def apart(count, gap, shape=(400, 500), margin=20, seed=1):
    """Random places no nearer than `gap` to each other."""
    rng = np.random.default_rng(seed)
    places = []
    while len(places) < count:
        place = rng.uniform(margin, np.array(shape) - margin)
        if all(np.linalg.norm(place - other) >= gap for other in places):
            places.append(place)
    return np.array(places)


class TestDiameter:
    @pytest.mark.parametrize("diameter", [5, 9, 14, 30])
    @pytest.mark.parametrize("contrast", [-50, 50])
    def test_is_measured_on_dark_and_bright_spots(self, diameter, contrast):
        centres = apart(20, 2 * diameter, margin=40)
        pixels = micrograph(centres, diameter, contrast=contrast)
        assert measured_diameter(pixels, centres) == pytest.approx(diameter, rel=0.07)

    def test_a_mark_may_be_a_third_of_a_diameter_off(self):
        centres = apart(20, 30)
        off = np.random.default_rng(2).normal(0, 2.5, centres.shape)
        assert measured_diameter(micrograph(centres, 12), centres + off) == pytest.approx(12, rel=0.1)

    def test_spots_that_the_border_halves_are_measured_roughly(self):
        centres = np.array([[0, 50], [399, 100], [200, 0], [200, 499]], float)
        assert measured_diameter(micrograph(centres, 12), centres) == pytest.approx(12, rel=0.3)

    def test_no_spot_has_no_diameter(self):
        pixels = micrograph(apart(10, 30), 12)
        assert measured_diameter(pixels, np.zeros((0, 2))) is None
        assert measured_diameter(pixels, np.array([[-90.0, 4], [1e6, 1e6]])) is None

    @pytest.mark.parametrize("seed", range(4))
    def test_random_places_have_no_diameter(self, seed):
        pixels = micrograph(apart(10, 30), 12)
        places = np.random.default_rng(seed).uniform(0, 400, (25, 2))
        assert measured_diameter(pixels, places) is None

    def test_a_few_sixteen_bit_spots_far_from_zero_are_measured(self):
        centres = apart(3, 60, margin=60)
        pixels = (micrograph(centres, 10) + 60_000).astype(np.uint16)
        assert measured_diameter(pixels, centres) == pytest.approx(10, rel=0.1)


def test_polarity_is_that_of_the_spots_not_of_the_image():
    centres = apart(10, 40)
    pixels = micrograph(centres, 12, contrast=40)
    pixels[:, 250:] -= 100
    assert polarity_of(pixels, centres, 12) == "bright"
    assert polarity_of(-pixels, centres, 12) == "dark"


class TestEvidence:
    def test_marks_on_spots_are_told_from_random_places(self):
        centres = apart(25, 30)
        pixels = micrograph(centres, 10)
        off = np.random.default_rng(4).normal(0, 1.5, centres.shape)
        places = np.random.default_rng(5).uniform(0, 400, (25, 2))
        on, beside = evidence(pixels, centres + off, 10), evidence(pixels, places, 10)
        assert on.share > 0.95
        assert on.log10_chance < -20
        assert beside.share < 0.4
        assert beside.log10_chance > -3

    def test_says_which_marks_are_off(self):
        centres = apart(20, 40)
        pixels = micrograph(centres, 10)
        moved = centres.copy()
        moved[3] += 18
        assert np.flatnonzero(~evidence(pixels, moved, 10).on_spot).tolist() == [3]

    def test_dark_spots_are_no_evidence_for_bright_ones(self):
        centres = apart(20, 40)
        assert evidence(micrograph(centres, 10), centres, 10, "bright").share < 0.3

    def test_outside_the_image_nothing_is_on_a_spot(self):
        far = np.array([[-30.0, 10], [10, 1e9], [400, 10]])
        assert evidence(micrograph(apart(9, 40), 10), far, 10).surprise.tolist() == [0, 0, 0]

    def test_surprise_of_random_places_is_one_on_average(self):
        chart = surprise(micrograph(apart(20, 40), 10), 10)
        assert chart.mean() == pytest.approx(1, abs=0.02)

    def test_no_positions_are_no_evidence(self):
        nothing = evidence(micrograph(apart(9, 40), 10), np.zeros((0, 2)), 10)
        assert (nothing.share, nothing.log10_chance) == (0, 0)


def test_contrast_at_spots_is_their_contrast_and_unknown_outside():
    centres = apart(10, 60)
    contrast = contrast_at(micrograph(centres, 12, contrast=-40), np.append(centres, [[-50, 3]], axis=0), 12, "dark")
    assert np.median(contrast[:-1]) == pytest.approx(40, rel=0.1)
    assert np.isnan(contrast[-1])
