from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass, grey_dilation, grey_erosion

from graticule.example import Example
from graticule.image import Image
from graticule.results import Labels, Points
from graticule.simulate.fields import smooth_field
from graticule.task import Augment, Levels
from graticule.tasks.beads import Beads
from graticule.tasks.mitochondria import Mitochondria
from graticule.tasks.tissue import Tissue
from graticule.training.augment import draw_warp
from graticule.training.patches import _choose_centre, _coarsen, _on_outlines, cut, draw_patch, make_source, paste
from tests.synthetic import scattered

LEVELS = Levels(180.0, 20.0)
TASK = Beads(classes=("6nm",), diameters_nm=(6.0,), working_nm=0.6, patch_px=64)


def source(seed=0, **more):
    example = scattered(seed, shape=(160, 160), count=20, noise=0.0, **more)
    return make_source(example, TASK.prepare(np.asarray(example.image.data), LEVELS))


def dark_at(pixels, places):
    inside = [p for p in np.round(places).astype(int) if ((p >= 2) & (p < np.array(pixels.shape[1:]) - 2)).all()]
    return [float(pixels[0][tuple(p)]) for p in inside]


def test_truth_stays_on_its_beads_through_turns_and_bends():
    rng = np.random.default_rng(0)
    for _ in range(20):
        warp = draw_warp((64, 64), rng.uniform(40, 120, 2), TASK.recipe.augment, (0.0006, 0.0006), rng)
        pixels, _, truth = cut(source(), warp)
        assert all(value < -4 for value in dark_at(pixels, truth.position_um))


def test_the_same_key_draws_the_same_patch_and_another_another():
    sources = [source()]
    one, same, other = (draw_patch(sources, TASK, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.target, same.target)
    assert not np.array_equal(one.pixels, other.pixels)


def test_a_patch_that_reaches_beyond_the_image_knows_nothing_there():
    from graticule.training.augment import Warp

    _, known, _ = cut(source(), Warp((64, 64), np.array([0.0, 80.0]), np.eye(2)))
    assert known[:31].max() == 0
    assert known[33:].min() == 1


def test_cells_are_known_only_where_all_their_pixels_are():
    complete = np.zeros((160, 160), bool)
    complete[:, :81] = True
    sources = [source(complete=complete)]
    patches = [draw_patch(sources, replace(TASK, mining=0.0), np.random.default_rng(seed)) for seed in range(10)]
    shares = [float(p.known.mean()) for p in patches]
    assert all(p.known.shape == (1, 32, 32) for p in patches)
    assert min(shares) < 1
    assert max(shares) > 0.4


def test_a_cell_of_which_one_pixel_is_unknown_is_unknown():
    known = np.ones((4, 6), np.float32)
    known[1, 3] = 0
    assert _coarsen(known, 2).tolist() == [[1, 0, 1], [1, 1, 1]]


def test_most_patches_hold_a_bead_when_mining():
    sparse = make_source(scattered(1, shape=(400, 400), count=1), np.zeros((1, 400, 400), np.float32))
    mined = replace(TASK, mining=0.7, paste=0.0)
    rng = np.random.default_rng(0)
    hits = np.mean([draw_patch([sparse], mined, rng).target[0].max() == 1 for _ in range(60)])
    assert 0.5 < hits < 0.95


def test_pasted_beads_look_like_beads_and_are_in_the_truth():
    sources = [source()]
    rng = np.random.default_rng(0)
    empty = np.zeros((1, 64, 64), np.float32)
    pasted = 0
    for _ in range(20):
        pixels, truth = paste(empty, np.ones((64, 64), np.float32), Points.none(2, ("6nm",)), sources, (0.006,), rng)
        assert all(value < -3 for value in dark_at(pixels, truth.position_um))
        assert empty.max() == 0
        pasted += len(truth)
    assert pasted > 20


def test_the_truth_of_a_pasted_bead_is_at_its_centre_of_mass_whichever_way_it_is_turned():
    example = scattered(4, shape=(160, 160), count=1, edge_px=60, noise=0.0)
    off_centre = make_source(example, TASK.prepare(np.asarray(example.image.data), LEVELS))
    for seed in range(12):
        rng = np.random.default_rng(seed)
        pixels, truth = paste(
            np.zeros((1, 64, 64), np.float32),
            np.ones((64, 64), np.float32),
            Points.none(2, ("6nm",)),
            [off_centre],
            (0.006,),
            rng,
        )
        weight = -pixels[0]
        label_of = np.argmin(
            np.stack([np.hypot(*(np.indices((64, 64)) - p.reshape(2, 1, 1))) for p in truth.position_um]), axis=0
        )
        for number, place in enumerate(truth.position_um):
            own = np.where(label_of == number, weight, 0)
            assert np.abs(np.array(center_of_mass(own)) - place).max() < 0.2


def test_nothing_is_pasted_where_the_annotation_is_silent():
    nowhere = np.zeros((64, 64), np.float32)
    _, truth = paste(
        np.zeros((1, 64, 64), np.float32),
        nowhere,
        Points.none(2, ("6nm",)),
        [source()],
        (0.006,),
        np.random.default_rng(0),
    )
    assert len(truth) == 0


def test_rare_classes_are_seen_as_often_as_common_ones():
    rng = np.random.default_rng(0)
    kind = np.array([0] * 19 + [1])
    example = scattered(
        2, shape=(240, 240), count=20, gap_px=30, kind=kind, kinds=("6nm", "12nm"), diameter_px=(10.0, 20.0)
    )
    task = replace(TASK, classes=("6nm", "12nm"), diameters_nm=(6.0, 12.0), paste=0.0, mining=1.0)
    sources = [make_source(example, np.zeros((1, 240, 240), np.float32))]
    targets = [draw_patch(sources, task, rng).target for _ in range(80)]
    assert np.mean([t[1].max() == 1 for t in targets]) > 0.3


# -- outlines ----------------------------------------------------------------------------------------------------------


TISSUE = Tissue(classes=("tissue",), dimensions=2, working_nm=(40.0, 40.0), patch_px=(48,), zoom=0.25, mining=0.5)
PLANES = Mitochondria(dimensions=3, working_nm=(40.0,) * 3, patch_px=(1, 32, 32), channels=(4, 8), bent=1.0)
VOLUME = replace(TISSUE, dimensions=3, working_nm=(40.0,) * 3, patch_px=(16, 32, 32))


def outlined(shape, seed=0, complete=None, classes=1):
    """Outlines that the pixels themselves tell: a smooth field, and where it is above its quantiles."""
    field = smooth_field(np.random.default_rng(seed), shape, correlation_px=9)
    numbers = np.digitize(field, np.quantile(field, [0.6, 0.85][:classes])).astype(np.uint8)
    axes, spacing = "zyx"[-len(shape) :], (0.04,) * len(shape)
    known = None if complete is None else Image(complete.astype(np.uint8), axes, spacing)
    example = Example(f"field-{seed}", Image(field, axes, spacing), Labels(Image(numbers, axes, spacing)), known)
    return make_source(example, field[None].astype(np.float32))


def at_edges(numbers, reach=1):
    return grey_dilation(numbers, 2 * reach + 1) != grey_erosion(numbers, 2 * reach + 1)


@pytest.mark.parametrize(("task", "shape"), [(TISSUE, (90, 100)), (VOLUME, (30, 70, 80)), (PLANES, (40, 70, 80))])
def test_outlines_follow_the_image_through_turns_tilts_mirrors_and_zoom(task, shape):
    """Wherever the warped field is clearly above the level that the outline was drawn at, the outline is there, too."""
    source = outlined(shape)
    level = np.quantile(source.splines[0], 0.6)
    rng = np.random.default_rng(0)
    for _ in range(12):
        warp = draw_warp(task.recipe.patch, np.array(shape) / 2, task.recipe.augment, source.spacing_um, rng)
        pixels, known, truth = cut(source, warp)
        clear = (known > 0) & (np.abs(pixels[0] - level) > 0.4)
        assert clear.mean() > 0.3
        assert np.array_equal((pixels[0] > level)[clear], (truth.image.data != 0)[clear])


@pytest.mark.parametrize("shape", [(90, 100), (30, 40, 50)])
def test_a_patch_that_is_not_bent_holds_the_images_own_voxels(shape):
    source = outlined(shape)
    task = replace(TISSUE if len(shape) == 2 else VOLUME, zoom=0.0, patch_px=(16,))
    own = set(source.splines.ravel().tolist())
    rng = np.random.default_rng(1)
    for _ in range(6):
        chosen, centre = _choose_centre([source], task.recipe, rng)
        pixels, known, truth = cut(
            chosen, draw_warp(task.recipe.patch, centre, task.recipe.augment, source.spacing_um, rng)
        )
        assert set(pixels[0][known > 0].tolist()) <= own
        level = source.splines[0][source.truth.image.data > 0].min()
        assert np.array_equal((pixels[0] >= level)[known > 0], (truth.image.data > 0)[known > 0])


@pytest.mark.parametrize("bent", [0.0, 1.0])
def test_objects_that_the_image_cuts_have_cores_up_to_its_border_however_far_beyond_it_a_patch_reaches(bent):
    image = Image(np.zeros((40, 96), np.float32), "yx", (0.04, 0.04))
    numbers = np.zeros((40, 96), np.uint8)
    numbers[:20] = 1
    source = make_source(Example("cut", image, Labels(replace(image, data=numbers))), np.zeros((1, 40, 96), np.float32))
    asked = Mitochondria(dimensions=2, working_nm=(40.0, 40.0), patch_px=(32, 32), bent=bent, rim_nm=120.0)
    task, rng = replace(asked, edges=0.0), np.random.default_rng(0)
    seen = 0
    for _ in range(40):
        patch = draw_patch([source], task, rng)
        known = patch.known[0] > 0
        beyond = patch.target[0][~known]
        if known.all() or not beyond.size:
            continue
        inside = (
            grey_erosion(patch.target[0], 2 * 4 + 1, mode="nearest") > 0
        )  # further than the rim from all background
        assert patch.target[1][known & inside].all()
        seen += int((known & inside & grey_dilation(~known, 3)).sum())
    assert seen > 50, "of cores beside the border"


def test_drawn_pixels_stay_what_they_are_however_they_are_bent():
    source = outlined((80, 90))
    source = replace(source, splines=(np.asarray(source.truth.image.data) != 0).astype(np.float32)[None])
    augment = Augment(rotate_deg=45, zoom=0.3, elastic_px=2, elastic_scale_px=10)
    for seed in range(5):
        warp = draw_warp((32, 32), np.array([40.0, 45.0]), augment, (1.0, 1.0), np.random.default_rng(seed))
        (crisp, _, truth), (mixed, _, _) = (cut(source, warp, crisp=asked) for asked in (True, False))
        assert set(np.unique(crisp)) <= {0, 1} < set(np.unique(mixed))
        np.testing.assert_array_equal(crisp[0] != 0, np.asarray(truth.image.data) != 0)


def test_a_patch_reaches_beyond_a_large_enough_image_by_an_eighth_at_most_and_shows_its_corners():
    source = outlined((90, 100))
    task = replace(TISSUE, mining=0.0, zoom=0.0)
    rng = np.random.default_rng(2)
    centres = np.array([_choose_centre([source], task.recipe, rng)[1] for _ in range(400)])
    low, high = centres - 23.5, centres + 23.5
    assert low.min() == -6
    assert (high.max(axis=0) == np.array([89, 99]) + 6).all()


def test_every_class_is_the_middle_of_patches_alike_often_as_often_at_its_edge_as_inside():
    source = outlined((120, 120), classes=2)
    numbers = source.truth.image.data
    task = replace(TISSUE, classes=("a", "b"), mining=1.0, patch_px=(16,))
    rng = np.random.default_rng(3)
    places = [_on_outlines([source], rng)[1].astype(int) for _ in range(600)]
    drawn = np.array([numbers[tuple(place)] for place in places])
    assert set(drawn) == {1, 2}
    assert abs(np.mean(drawn == 2) - 0.5) < 0.08
    edge = np.array([at_edges(numbers)[tuple(place)] for place in places])
    assert 0.4 < edge.mean() < 0.85  # what is not "at its edge" may touch it with a corner
    assert draw_patch([source], task, rng).target.shape == (2, 16, 16)


def test_patches_are_centred_where_the_annotation_is_complete():
    complete = np.zeros((90, 100), bool)
    complete[:, :30] = True
    source = outlined((90, 100), complete=complete)
    rng = np.random.default_rng(4)
    assert all(_on_outlines([source], rng)[1][1] < 30 for _ in range(50))


def test_unknown_voxels_of_a_patch_teach_nothing():
    complete = np.zeros((90, 100), bool)
    complete[:, :50] = True
    patch = draw_patch([outlined((90, 100), complete=complete)], TISSUE, np.random.default_rng(5))
    maps = torch.zeros((1, *patch.target.shape), requires_grad=True)
    TISSUE.loss(maps, torch.from_numpy(patch.target)[None], torch.from_numpy(patch.known)[None]).backward()
    assert 0 < patch.known.mean() < 1
    assert maps.grad[0][patch.known == 0].abs().max() == 0
    assert maps.grad[0][patch.known == 1].abs().min() > 0


def test_an_object_without_an_inside_is_found_by_its_edge():
    numbers = np.zeros((40, 40), np.uint8)
    numbers[7, 9] = 3
    image = Image(np.zeros((40, 40), np.float32), "yx", (0.04, 0.04))
    example = Example("speck", image, Labels(Image(numbers, "yx", (0.04, 0.04))))
    source = make_source(example, np.zeros((1, 40, 40), np.float32))
    rng = np.random.default_rng(0)
    assert all(_on_outlines([source], rng)[1].tolist() == [7, 9] for _ in range(5))


@given(st.integers(0, 99), st.sampled_from([(90, 100), (24, 50, 40)]))
@settings(max_examples=20, deadline=None)
def test_the_same_seed_draws_the_same_outlined_patch(seed, shape):
    source, task = outlined(shape), TISSUE if len(shape) == 2 else VOLUME
    one, same = (draw_patch([source], task, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.target, same.target)
    assert set(np.unique(one.target)) <= {0, 1}


def test_of_an_outlined_patch_that_an_edge_cuts_nothing_is_known_beyond_that_edge():
    task = Mitochondria(dimensions=2, working_nm=(40.0, 40.0), patch_px=(32, 32), rim_nm=40.0, bent=0.0, edges=1.0)
    rng = np.random.default_rng(0)
    patches = [draw_patch([outlined((90, 100))], task, rng) for _ in range(20)]
    assert not any(patch.known[patch.pixels == 0].any() for patch in patches)
    assert sum(bool((patch.pixels == 0).any()) for patch in patches) > 10
    assert all(patch.known[0, 16, 16] for patch in patches)
