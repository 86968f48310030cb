"""Simulated spots: the truth is exact, and chance is under control."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from graticule.errors import SettingsError
from graticule.simulate import SCENES, SpotScenes

SCENE = SpotScenes()
BRIGHT = replace(SCENE, shape_px=(128, 96), count=12, signal_to_noise=(400, 400), uneven=0.0)


def test_the_same_seed_draws_the_same_image():
    once, again = SCENE.draw(1), SCENE.draw(1)
    np.testing.assert_array_equal(once.image.data, again.image.data)
    np.testing.assert_array_equal(once.truth.position_um, again.truth.position_um)


def test_a_bright_spots_centre_of_mass_is_its_true_position():
    measured = 0
    for seed in range(6):
        example = BRIGHT.draw(seed)
        light = example.image.data - float(BRIGHT.background)
        place = example.image.to_voxels(example.truth.position_um)
        apart = np.linalg.norm(place[:, None] - place[None], axis=2) + np.eye(len(place)) * 1e9
        inner = ((place > 10) & (place < np.array(BRIGHT.shape_px) - 11)).all(axis=1)
        for truth in place[inner & (apart.min(axis=1) > 18)]:
            y, x = np.round(truth).astype(int)
            patch = light[y - 6 : y + 7, x - 6 : x + 7]
            centre = [y, x] + np.array([((grid - 6) * patch).sum() for grid in np.indices(patch.shape)]) / patch.sum()
            assert np.abs(centre - truth).max() < 0.15
            measured += 1
    assert measured > 10


def test_there_are_about_as_many_spots_as_asked_for_and_all_lie_in_the_image():
    truths = [example.truth for example in SCENE.examples(20, seed=1)]
    assert np.mean([len(truth) for truth in truths]) == pytest.approx(30, rel=0.15)
    for truth in truths:
        place = truth.position_um / SCENE.spacing_um
        assert ((place >= -0.5) & (place <= np.array(SCENE.shape_px) - 0.5)).all()


def test_spots_are_brighter_than_their_surroundings_or_darker_when_asked():
    for scene, sign in ((SCENE, 1), (replace(SCENE, dark=True), -1)):
        example = scene.draw(4)
        smooth = ndimage.gaussian_filter(example.image.data.astype(float), 1)
        place = np.clip(np.round(example.image.to_voxels(example.truth.position_um)).astype(int), 0, 255)
        assert np.mean(sign * (smooth[tuple(place.T)] - np.median(smooth)) > 0) > 0.9


def test_dark_spots_never_go_below_zero():
    example = replace(SCENE, dark=True, signal_to_noise=(100, 100)).draw(0)
    assert example.image.data.dtype == np.uint16
    assert example.image.data.max() < 2000


def test_diameters_are_the_full_width_at_half_height():
    truth = replace(SCENE, sigma_px=(2.0, 2.0)).draw(0).truth
    np.testing.assert_allclose(truth.diameter_um, 2.3548 * 2.0 * SCENE.spacing_um, rtol=1e-3)


def test_impossible_settings_are_refused():
    with pytest.raises(SettingsError, match="least and a largest"):
        SpotScenes(sigma_px=(2.0, 1.0))
    with pytest.raises(SettingsError, match="above 0"):
        SpotScenes(shape_px=(0, 9))


def test_scenes_are_found_by_name():
    assert SCENES["spots"] is SpotScenes
