from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from graticule.errors import SettingsError
from graticule.results import Points
from graticule.simulate import SCENES, ParticleScenes
from graticule.simulate.templates import TEMPLATES

SMALL = {"shape_px": (24, 64, 64), "particles": (3, 6)}
CLEAN = {"strays": 0.0, "smears": 0.0, "haze": 0.0, "background": 0.0, "read_noise": 0.0, "paired": 0.0, "holes": 0.0}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_same_seed_draws_the_same_and_another_does_not(seed: int) -> None:
    scenes = ParticleScenes(**SMALL)
    once, again, other = scenes.draw(seed), scenes.draw(seed), scenes.draw(seed + 1)
    np.testing.assert_array_equal(once.image.data, again.image.data)
    np.testing.assert_array_equal(once.truth.position_um, again.truth.position_um)
    assert not np.array_equal(once.image.data, other.image.data)


def test_the_first_images_do_not_depend_on_how_many_are_drawn() -> None:
    scenes = ParticleScenes(**SMALL)
    first, second = next(iter(scenes.examples(1, seed=3))), next(iter(scenes.examples(2, seed=3)))
    np.testing.assert_array_equal(first.image.data, second.image.data)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_centred_and_about_a_length_long(name: str) -> None:
    cloud = TEMPLATES[name](np.random.default_rng(0), 20_000)
    assert cloud.shape == (20_000, 3)
    np.testing.assert_allclose(cloud.mean(axis=0), 0, atol=0.02)
    assert np.ptp(cloud, axis=0).max() <= 1.25 and (name == "spot" or np.ptp(cloud, axis=0).max() >= 0.9)


def test_a_centriole_has_nine_blades() -> None:
    cloud = TEMPLATES["centriole"](np.random.default_rng(0), 60_000)
    around = np.arctan2(cloud[:, 2], cloud[:, 1])
    power = np.abs(np.fft.rfft(np.histogram(around, 360, (-np.pi, np.pi))[0]))
    assert power[1:20].argmax() + 1 == 9


@pytest.mark.parametrize("template", ["shell", "spot", "centriole"])
def test_the_truth_is_where_the_light_is(template: str) -> None:
    scenes = ParticleScenes(
        shape_px=(60, 120, 120), particles=(1, 1), template=template, labelled=(1.0, 1.0), photons=5000.0, **CLEAN
    )
    checked = 0
    for seed in range(14):
        example = scenes.draw(seed)
        light = np.asarray(example.image.data, float)
        [place] = example.truth.position_um
        margin = np.minimum(place, (np.array(light.shape) - 1) * example.image.spacing_um - place)
        if margin.min() < 2.2:
            continue
        where = np.stack(np.meshgrid(*map(np.arange, light.shape), indexing="ij"), axis=-1)
        centroid = (where * light[..., None]).sum(axis=(0, 1, 2)) / light.sum() * example.image.spacing_um
        np.testing.assert_allclose(centroid, place, atol=0.12)
        checked += 1
    assert checked >= 2


def test_blur_is_longer_along_z() -> None:
    scenes = ParticleScenes(
        shape_px=(60, 60, 60), spacing_um=(0.1, 0.1), particles=(1, 1), template="spot", photons=9000.0, **CLEAN
    )
    example = next(e for e in scenes.examples(40) if 2 < e.truth.position_um.min() and e.truth.position_um.max() < 4)
    light, places = np.asarray(example.image.data, float), np.indices((60, 60, 60)) * 0.1
    offset = places - example.truth.position_um[0][:, None, None, None]
    spread = np.sqrt((offset**2 * light).sum(axis=(1, 2, 3)) / light.sum())
    np.testing.assert_allclose(spread, [0.35, 0.12, 0.12], rtol=0.12)


def test_particles_alone_keep_their_distance_and_pairs_touch() -> None:
    alone = ParticleScenes(particles=(40, 40), **{**CLEAN, "background": 10.0}).draw(1).truth.position_um
    assert len(alone) >= 35 and pdist(alone).min() >= 1.8
    paired = (
        ParticleScenes(particles=(40, 40), **{**CLEAN, "background": 10.0, "paired": 0.5}).draw(1).truth.position_um
    )
    assert (pdist(paired) < 1.8).sum() >= 10


def test_a_projection_is_a_plane_with_places_in_it() -> None:
    example = ParticleScenes(dimensions=2, particles=(10, 10)).draw(0)
    assert example.image.axes == "yx" and example.image.spacing_um == (0.1, 0.1)
    assert isinstance(example.truth, Points) and example.truth.position_um.shape[1] == 2 and len(example.truth) == 10


def test_smears_are_bright_and_are_no_truth() -> None:
    few, many = (ParticleScenes(**{**SMALL, "smears": smears}).draw(2) for smears in (0.0, 30.0))
    assert np.asarray(many.image.data, float).sum() > 1.2 * np.asarray(few.image.data, float).sum()
    assert len(many.truth) <= 6


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"template": "banana"}, "known are centriole"),
        ({"dimensions": 4}, "2 or 3"),
        ({"shape_px": (0, 5, 5)}, "above 0"),
        ({"particles": (9, 3)}, "a least and a largest"),
    ],
)
def test_impossible_scenes_are_refused(wrong: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ParticleScenes(**wrong)


def test_no_particles_make_an_empty_image() -> None:
    example = SCENES["particles"](**{**SMALL, "particles": (0, 0)}).draw(0)
    assert len(example.truth) == 0 and np.asarray(example.image.data).std() > 0


def test_so_many_are_marked_as_asked_and_the_image_stays_what_it_was():
    scenes = ParticleScenes(shape_px=(16, 64, 64), particles=(9, 9))
    every, some = scenes.draw(4), replace(scenes, marked=3).draw(4)
    assert len(some.truth) == 3 and len(replace(scenes, marked=99).draw(4).truth) == len(every.truth)
    assert np.array_equal(every.image.data, some.image.data)
    assert {tuple(p) for p in some.truth.position_um} < {tuple(p) for p in every.truth.position_um}
    with pytest.raises(SettingsError, match="found marked -1; need numbers from 0 on"):
        replace(scenes, marked=-1)


def test_a_spot_has_no_side_to_lose():
    scenes = ParticleScenes(**{**SMALL, "template": "spot", "particles": (6, 6), "holes": 1.0, "paired": 0.0})
    example = scenes.draw(2)
    around = np.round(example.image.to_voxels(example.truth.position_um)).astype(int)
    light = np.asarray(example.image.data, float)
    assert (light[tuple(around.T)] > np.median(light) + 100).all()
