"""Simulated micrographs: the truth is exact, and chance is under control."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from graticule.errors import SettingsError
from graticule.simulate import SCENES, BeadScenes

NM_PER_PX = 1000 / 1790
SMALL = BeadScenes(shape_px=(128, 160))
CLEAN = BeadScenes(
    shape_px=(160, 192),
    diameters_nm=(("6nm", 7.0), ("12nm", 12.3)),
    beads_per_um2=(250.0, 100.0),
    unmarked_nm=(),
    touching=0.0,
    faint=0.0,
    distractors=False,
    noise=0.0,
)


def alone(example, within_px):
    """Places in pixels, and which lie more than twice `within_px` from every other bead and from the border."""
    place = example.image.to_voxels(example.truth.position_um)
    apart = np.linalg.norm(place[:, None] - place[None], axis=2) + np.eye(len(place)) * 1e9
    inner = ((place > 2 * within_px) & (place < np.array(example.image.shape) - 1 - 2 * within_px)).all(axis=1)
    return place, inner & (apart.min(axis=1, initial=1e9) > 2 * within_px)


def darkness(example):
    pixels = example.image.data.astype(float)
    return np.median(pixels) - pixels


def cut_out(dark, place, reach):
    y, x = np.round(place).astype(int)
    return dark[y - reach : y + reach + 1, x - reach : x + reach + 1]


def test_the_same_seed_draws_the_same_image_and_another_seed_another():
    once, again, other = SMALL.draw(5), SMALL.draw(5), SMALL.draw(6)
    np.testing.assert_array_equal(once.image.data, again.image.data)
    np.testing.assert_array_equal(once.truth.position_um, again.truth.position_um)
    assert (once.image.data != other.image.data).any()


def test_the_first_examples_are_the_same_however_many_are_drawn():
    few, more = list(SMALL.examples(2, seed=3)), list(SMALL.examples(3, seed=3))
    for one, same in zip(few, more, strict=False):
        np.testing.assert_array_equal(one.image.data, same.image.data)
    assert len({example.specimen for example in more}) == 3


def test_a_clean_beads_centre_of_mass_is_its_true_position():
    measured = 0
    for seed in range(60):
        example = CLEAN.draw(seed)
        dark, (place, free) = darkness(example), alone(example, 22)
        for truth in place[free]:
            patch = cut_out(dark, truth, 21)
            grids = np.indices(patch.shape) - 21
            centre = np.round(truth) + [(grid * patch).sum() / patch.sum() for grid in grids]
            assert np.abs(centre - truth).max() < 0.05
            measured += 1
    assert measured > 10


def test_a_clean_beads_width_is_its_true_diameter():
    """The gold a bead puts in the beam is that of a sphere of the stated diameter."""
    faintly = replace(CLEAN, diameters_nm=(("6nm", 7.0),), beads_per_um2=(200.0,), elongation=0.0)
    true, seen = [], []
    for seed in range(40):
        example = faintly.draw(seed)
        place, free = alone(example, 16)
        dark = darkness(example)
        for index in np.flatnonzero(free):
            patch = cut_out(dark, place[index], 15)
            true.append(example.truth.diameter_um[index] * 1000)
            seen.append(2 * np.sqrt((patch > patch.max() / 2).sum() / np.pi) * NM_PER_PX)
    assert np.corrcoef(true, seen)[0, 1] > 0.85
    # At half darkness a blurred sphere looks a little smaller than it is, by the same share for all.
    assert 0.8 < np.median(np.divide(seen, true)) < 1.0


def test_every_clean_bead_is_in_the_truth_and_nothing_else_is():
    for seed in range(8):
        example = CLEAN.draw(seed)
        dark = darkness(example)
        place = np.round(example.image.to_voxels(example.truth.position_um)).astype(int)
        place = np.clip(place, 0, np.array(dark.shape) - 1)
        assert (dark[tuple(place.T)] > 20).all()
        blobs, count = ndimage.label(dark > 20)
        held = np.unique(blobs[tuple(place.T)])
        border = np.unique(np.concatenate([blobs[0], blobs[-1], blobs[:, 0], blobs[:, -1]]))
        assert set(range(1, count + 1)) <= set(held) | set(border)


def test_overlapping_beads_are_all_counted():
    crowded = replace(CLEAN, touching=0.9, beads_per_um2=(2000.0, 100.0))
    counts = [len(crowded.draw(seed).truth) for seed in range(8)]
    expected = 2100 * np.prod(crowded.shape_px) * crowded.spacing_um**2
    assert np.mean(counts) == pytest.approx(expected, rel=0.3)
    example = crowded.draw(0)
    assert ndimage.label(darkness(example) > 20)[1] < len(example.truth)


def test_beads_keep_their_distance_so_that_two_are_never_one():
    example = replace(CLEAN, touching=0.9, beads_per_um2=(2000.0, 300.0)).draw(1)
    place, width = example.truth.position_um, example.truth.diameter_um
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    least = 0.75 * (width[:, None] + width[None]) / 2
    np.fill_diagonal(apart, np.inf)
    assert (apart >= least - 1e-9).all()


def test_beads_lie_at_and_across_each_border():
    near, cut = np.zeros(4), np.zeros(4)
    dense = replace(CLEAN, beads_per_um2=(800.0, 200.0))
    for seed in range(40):
        example = dense.draw(seed)
        y, x = example.image.to_voxels(example.truth.position_um).T
        bottom, right = np.array(example.image.shape) - 1
        near += [(distance < 3).sum() for distance in (y, x, bottom - y, right - x)]
        dark = darkness(example)
        cut += [(rim > 20).sum() for rim in (dark[0], dark[:, 0], dark[-1], dark[:, -1])]
    assert (near > 2).all()
    assert (cut > 100).all()


def test_the_number_of_beads_follows_the_density():
    area_um2 = np.prod(SMALL.shape_px) * SMALL.spacing_um**2
    scenes = replace(SMALL, distractors=False, beads_per_um2=(800.0, 200.0))
    kinds = np.concatenate([scenes.draw(seed).truth.kind for seed in range(60)])
    np.testing.assert_allclose(np.bincount(kinds, minlength=2) / 60 / area_um2, (800, 200), rtol=0.2)


def test_classes_have_their_sizes():
    scenes = replace(SMALL, distractors=False, beads_per_um2=(800.0, 300.0))
    truths = [scenes.draw(seed).truth for seed in range(30)]
    assert truths[0].kinds == ("6nm", "12nm")
    for name, mean_nm in scenes.diameters_nm:
        nm = np.concatenate([truth.of_kind(name).diameter_um for truth in truths]) * 1000
        assert nm.mean() == pytest.approx(mean_nm, rel=0.03)
        assert nm.std() / nm.mean() == pytest.approx(scenes.diameter_spread, abs=0.02)


def test_unmarked_beads_are_in_the_image_but_not_in_the_truth():
    only = replace(CLEAN, diameters_nm=(), beads_per_um2=(), unmarked_nm=(("18nm", 19.0),), unmarked_per_um2=200.0)
    example = only.draw(0)
    assert len(example.truth) == 0
    assert example.image.data.min() < 40


def test_any_class_may_be_added():
    scenes = replace(SMALL, diameters_nm=(("10nm", 10.0), ("15nm", 15.0), ("20nm", 20.0)), beads_per_um2=(90.0,) * 3)
    assert scenes.draw(0).truth.kinds == ("10nm", "15nm", "20nm")


def test_beads_differ_in_darkness_from_faint_to_black():
    contrast = []
    for seed in range(12):
        example = replace(CLEAN, faint=0.3).draw(seed)
        place, free = alone(example, 10)
        contrast += [cut_out(darkness(example), truth, 1).mean() for truth in place[free]]
    assert min(contrast) < 60
    assert max(contrast) > 130


def test_images_are_eight_bit_and_use_the_range_that_real_ones_use():
    example = SMALL.draw(2)
    assert example.image.data.dtype == np.uint8
    assert example.image.shape == SMALL.shape_px
    assert 120 < np.median(example.image.data) < 230
    assert example.image.data.std() > 5


def test_positions_turn_into_pixels_and_back():
    example = SMALL.draw(3)
    place = example.image.to_voxels(example.truth.position_um)
    np.testing.assert_allclose(example.image.to_um(place), example.truth.position_um)
    assert (place < np.array(SMALL.shape_px)).all()


def test_beads_keep_their_size_in_micrometres_at_another_magnification():
    coarse = replace(CLEAN, spacing_um=2 * CLEAN.spacing_um)
    fine, half = ([scenes.draw(seed).truth for seed in range(12)] for scenes in (CLEAN, coarse))
    for name, mean_nm in CLEAN.diameters_nm:
        for truths in (fine, half):
            nm = np.concatenate([truth.of_kind(name).diameter_um for truth in truths]) * 1000
            assert nm.mean() == pytest.approx(mean_nm, rel=0.05)
    ratio = sum(map(len, half)) / sum(map(len, fine))
    assert ratio == pytest.approx(4, rel=0.4)  # four times the area


@pytest.mark.parametrize("shape", [(40, 40), (33, 120), (1, 50)])
def test_any_shape_can_be_drawn(shape):
    assert BeadScenes(shape_px=shape).draw(0).image.shape == shape


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"beads_per_um2": (100.0,)}, "beads_per_um2 one number per class"),
        ({"diameters_nm": (("6nm", -6.0), ("12nm", 12.0))}, "above 0 nm"),
        ({"spacing_um": 0.0}, "above 0"),
    ],
)
def test_impossible_settings_are_refused(wrong, says):
    with pytest.raises(SettingsError, match=says):
        BeadScenes(**wrong)


def test_scenes_are_found_by_name():
    assert SCENES["beads"] is BeadScenes
