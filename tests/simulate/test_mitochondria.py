"""Simulated mitochondria: every one has a number of its own, and what is drawn is what was asked for, in micrometres."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from graticule.errors import SettingsError
from graticule.simulate import SCENES
from graticule.simulate.mitochondria import MitochondriaScenes

VOLUME = MitochondriaScenes(shape_px=(24, 96, 90))
PLANE = MitochondriaScenes(shape_px=(200, 180))
SECTIONS = MitochondriaScenes(shape_px=(5, 100, 96), spacing_um=(0.045, 0.008))
PLAIN = {"noise": (0.0, 0.0), "drift": 0.0, "curtains": 0.0, "cristae": 0.0, "contrast": (100.0, 100.0)}


def truth(example):
    return np.asarray(example.truth.image.data)


def grey(example):
    return np.asarray(example.image.data).astype(float)


def deep(mask):
    return ndimage.binary_erosion(mask, iterations=5)


@pytest.mark.parametrize("scene", [VOLUME, PLANE, SECTIONS])
def test_the_same_seed_draws_the_same_image_and_another_another(scene):
    once, again, other = scene.draw(1), scene.draw(1), scene.draw(2)
    assert np.array_equal(once.image.data, again.image.data)
    assert np.array_equal(truth(once), truth(again))
    assert not np.array_equal(truth(once), truth(other))


def test_the_first_images_are_the_same_however_many_there_are():
    one, *_ = PLANE.examples(3, seed=5)
    (alone,) = PLANE.examples(1, seed=5)
    assert np.array_equal(one.image.data, alone.image.data)
    assert len({example.specimen for example in PLANE.examples(3)}) == 3


@pytest.mark.parametrize("scene", [VOLUME, PLANE, SECTIONS])
def test_every_mitochondrion_hangs_together_and_numbers_leave_none_out(scene):
    examples = list(scene.examples(3, seed=1))
    assert sum(int(truth(example).max()) for example in examples) > 3
    for example in examples:
        numbers = truth(example)
        assert example.image.shape == numbers.shape == scene.shape_px
        assert example.image.spacing_um == example.truth.image.spacing_um
        assert np.array_equal(np.unique(numbers), np.arange(numbers.max() + 1))
        for number in range(1, numbers.max() + 1):
            assert ndimage.label(numbers == number)[1] == 1


def touching(numbers):
    pairs = set()
    for axis in range(numbers.ndim):
        here, there = (np.moveaxis(numbers, axis, 0)[part].ravel() for part in (slice(1, None), slice(None, -1)))
        both = (here != there) & (here > 0) & (there > 0)
        pairs |= set(zip(here[both].tolist(), there[both].tolist(), strict=True))
    return {frozenset(pair) for pair in pairs}


def test_mitochondria_that_touch_are_told_apart_and_none_touch_where_none_shall():
    scenes = MitochondriaScenes(shape_px=(24, 96, 96), spacing_um=(0.02, 0.02))
    crowded, apart = (truth(replace(scenes, touching=share).draw(1)) for share in (0.9, 0.0))
    assert touching(crowded) and not touching(apart)
    assert crowded.max() > ndimage.label(crowded > 0)[1]
    assert apart.max() == ndimage.label(apart > 0)[1]


def test_they_fill_the_share_that_was_asked_for():
    for share in (0.03, 0.1):
        scenes = replace(PLANE, shape_px=(300, 300), share=(share, share))
        filled = np.mean([(truth(one) > 0).mean() for one in scenes.examples(3)])
        assert filled == pytest.approx(share, abs=0.02)


def test_the_matrix_is_as_dark_as_asked_for_and_the_outer_membrane_darker():
    level = {}
    for matrix in (0.3, 0.6):
        example = replace(VOLUME, matrix=(matrix, matrix), **PLAIN).draw(4)
        inside = truth(example) > 0
        level[matrix] = grey(example)[deep(inside)].mean()
        rim = inside & ~ndimage.binary_erosion(inside, iterations=2, border_value=1)
        assert grey(example)[rim].mean() < level[matrix] < np.median(grey(example)[~inside])
    assert level[0.3] - level[0.6] == pytest.approx(30, abs=3)


def test_cristae_give_mitochondria_a_texture_that_the_matrix_alone_has_not():
    spread = {}
    for cristae in (0.0, 0.3):
        example = replace(VOLUME, **PLAIN | {"cristae": cristae}).draw(4)
        fine = grey(example) - ndimage.gaussian_filter(grey(example), 4)
        spread[cristae] = fine[deep(truth(example) > 0)].std()
    assert spread[0.3] > 1.5 * spread[0.0]


def widths_um(scenes):
    """Of all mitochondria of some planes: as far from their middle to their rim, twice."""
    far = []
    for example in scenes.examples(4):
        depth = ndimage.distance_transform_edt(truth(example) > 0, sampling=example.image.spacing_um)
        far += list(2 * ndimage.maximum(depth, truth(example), range(1, truth(example).max() + 1)))
    return np.array(far)


def test_in_finer_pixels_mitochondria_are_as_wide_in_micrometres():
    coarse, fine = (
        widths_um(replace(PLANE, shape_px=(n, n), spacing_um=(0.008, s), share=(0.1, 0.1)))
        for s, n in ((0.016, 160), (0.008, 320))
    )
    assert np.median(fine) == pytest.approx(np.median(coarse), rel=0.3)
    assert 0.05 < np.median(fine) < 2 * 0.17


def test_thick_sections_resemble_one_another_less_than_thin_ones_and_blur_what_runs_askew():
    thin, thick = (replace(VOLUME, shape_px=(5, 100, 96), spacing_um=(z, 0.008), **PLAIN) for z in (0.008, 0.045))
    changes = [np.abs(np.diff(grey(scene.draw(1)), axis=0)).mean() for scene in (thin, thick)]
    assert changes[1] > 1.5 * changes[0]
    assert thick.draw(0).image.spacing_um == (0.045, 0.008, 0.008)


@pytest.mark.parametrize("name", ["noise", "drift", "curtains"])
def test_what_microscopes_add_can_be_left_out_and_changes_nothing_else(name):
    added = {"noise": (0.1, 0.1), "drift": 0.1, "curtains": 0.1}[name]
    with_it, without = (replace(PLANE, **PLAIN | more).draw(3) for more in ({name: added}, {}))
    assert np.array_equal(truth(with_it), truth(without))
    assert 1 < np.abs(grey(with_it) - grey(without)).mean() < 30


def test_curtains_run_along_y():
    scene = replace(PLANE, **PLAIN)
    stripes = grey(replace(scene, curtains=0.1).draw(3)) - grey(scene.draw(3))
    along, across = (np.abs(np.diff(stripes, axis=axis)).mean() for axis in (0, 1))
    assert along < 0.5 * across


def test_there_are_things_that_are_dark_and_no_mitochondria():
    scene = replace(VOLUME, bodies=40.0, **PLAIN)
    example = scene.draw(2)
    dark = grey(example) < grey(example)[deep(truth(example) > 0)].mean()
    bodies, _ = ndimage.label(ndimage.binary_opening(dark & (truth(example) == 0), iterations=3))
    assert bodies.max() > 0


def test_planes_and_volumes_have_a_usual_size():
    assert SCENES["mitochondria"]().shape_px == (64, 192, 192)
    assert SCENES["mitochondria"](dimensions=2).shape_px == (512, 512)
    assert MitochondriaScenes().classes == ("mitochondrion",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dimensions": 4}, "2 or 3"),
        ({"shape_px": (5,)}, "2 or 3 axes"),
        ({"spacing_um": (0.0, 0.01)}, "above 0"),
        ({"share": (0.3, 0.2)}, "share 0.3 to 0.2"),
        ({"share": (0.3, 0.9)}, "up to 0.5"),
        ({"radius_nm": (0.0, 10.0)}, "radius_nm 0"),
        ({"noise": (-1.0, 0.1)}, "noise -1"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(SettingsError, match=said):
        MitochondriaScenes(**settings)


def test_even_a_speck_of_an_image_can_be_drawn():
    example = MitochondriaScenes(shape_px=(1, 9, 5)).draw(0)
    assert example.image.shape == (1, 9, 5)


def test_mitochondria_take_no_more_room_from_one_another_than_they_need():
    crowded = replace(PLANE, share=(0.12, 0.12), touching=0.0)
    assert np.mean([(truth(crowded.draw(seed)) > 0).mean() for seed in range(6)]) > 0.085
