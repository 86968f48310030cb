"""Mitochondria: what it is taught is what it decodes, spacing is heeded, and it learns a picture in seconds."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from graticule.arrays.intensity import levels
from graticule.box import round_up
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.inference.run import run_block
from graticule.inference.store import Store
from graticule.nets.forward import weights_of
from graticule.results import Labels
from graticule.tasks import PRESETS, TASKS
from graticule.tasks.mitochondria import Mitochondria, cores
from graticule.training import fit
from graticule.workflows.predict import outlining, predict, set_up
from graticule.workflows.ready import all_ready

NM = 1e-3


def discs(shape=(96, 96), spacing_nm=10.0, seed=0):
    """Dark discs in grey noise, two of which touch, and what they are."""
    rng = np.random.default_rng(seed)
    yx = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    numbers = np.zeros(shape, np.uint16)
    for number, (y, x) in enumerate([(24, 24), (24, 45), (70, 30), (66, 74)], start=1):
        near = np.hypot(yx[0] - y, yx[1] - x) <= 10.5
        numbers[near & (numbers == 0)] = number
    grey = np.where(numbers > 0, 90, 170) + rng.normal(0, 10, shape)
    grey[24 - 8 : 24 + 9, 34:36] = 230  # a bright line between the two
    image = Image(grey.astype(np.uint8), "yx", (spacing_nm * NM,) * 2)
    return Example(f"discs-{seed}", image, Labels(replace(image, data=numbers)))


def numbered(numbers, spacing_nm):
    return Labels(Image(np.asarray(numbers), "zyx"[-np.ndim(numbers) :], tuple(nm * NM for nm in spacing_nm)))


def volume(shape, spacing_nm):
    image = Image(np.zeros(shape, np.uint8), "zyx", tuple(nm * NM for nm in spacing_nm))
    numbers = np.zeros(shape, np.uint8)
    numbers[:, 4:20, 4:20] = 1
    return Example("v", image, Labels(replace(image, data=numbers)))


DISCS = [discs(seed=n) for n in range(3)]
SMALL = {
    "channels": (8, 16, 32),
    "patch_px": (48,),
    "steps": 15,
    "epochs": 6,
    "batch": 4,
    "average": 0.9,
    "learning_rate": 5e-3,
}
TINY = Mitochondria(**SMALL).resolve(DISCS)


@pytest.fixture(scope="module")
def learnt():
    """A small network that has learnt one picture, and that picture."""
    one = all_ready(TINY, DISCS[:1])
    return fit(TINY, one, one, device="cpu"), DISCS[0]


def test_a_small_network_learns_one_picture_in_seconds_and_tells_touching_objects_apart(learnt):
    fitted, shown = learnt
    assert fitted.score > 0.9
    found = predict(shown.image, Checkpoint(fitted.task, fitted.weights), device="cpu")
    scores = fitted.task.score([found], [shown])
    assert scores["dice"] == pytest.approx(fitted.score, abs=1e-6)
    assert (scores["object_f1"], scores["objects_found"]) == (1.0, 4.0)


def test_predicting_in_blocks_finds_the_same_objects_as_deciding_on_all_maps_at_once(learnt):
    fitted, _ = learnt
    task = replace(fitted.task, window_px=(64, 64), overlap_px=(16, 16))
    image = discs((150, 131), seed=5).image
    plan = make_plan(image, task.grid)
    assert len(plan.tiles) > 4
    from graticule.arrays.intensity import levels

    known = levels(image)
    maps = run(task.forward(fitted.weights, "cpu"), lambda p: task.prepare(p, known), image, plan)
    at_once = task.keep(task.permissive().decode(maps))
    in_blocks = predict(image, Checkpoint(task, fitted.weights), device="cpu")
    np.testing.assert_array_equal(in_blocks.image.data, at_once.image.data)


@given(st.integers(0, 9999), st.sampled_from([(12, 14), (6, 9, 10)]))
@settings(max_examples=30, deadline=None)
def test_decoding_its_own_target_gives_every_voxel_of_the_truth_back(seed, shape):
    numbers = np.random.default_rng(seed).integers(0, 3, [n // 3 + 1 for n in shape]).astype(np.uint8)
    for axis in range(len(shape)):
        numbers = numbers.repeat(3, axis)
    spacing = (5.0,) * len(shape)
    task = Mitochondria(dimensions=len(shape), working_nm=spacing, rim_nm=5.0, thresholds=(0.5,), core_threshold=0.5)
    truth = numbered(numbers, spacing)
    found = task.decode(replace(truth.image, data=task.target(truth, truth.image), axes="c" + truth.image.axes))
    np.testing.assert_array_equal(np.asarray(found.image.data) > 0, numbers > 0)
    np.testing.assert_array_equal(np.asarray(found.image.data) == 1, cores(numbers, (1,) * len(shape)))


def test_touching_objects_have_cores_apart_and_are_two_again():
    numbers = np.zeros((20, 40), np.uint8)
    numbers[4:16, 4:20], numbers[4:16, 20:36] = 1, 2
    task = replace(TINY, rim_nm=20.0, thresholds=(0.5,), core_threshold=0.5, min_object_um=0.0)
    truth = numbered(numbers, (10.0, 10.0))
    candidates = task.permissive().decode(replace(truth.image, data=task.target(truth, truth.image), axes="cyx"))
    np.testing.assert_array_equal(task.keep(candidates).image.data, numbers)


def test_a_rim_is_as_deep_in_nanometres_along_every_axis():
    numbers = np.zeros((6, 40, 40), np.uint8)
    numbers[1:5, 8:32, 8:32] = 1
    task = Mitochondria(dimensions=3, working_nm=(50.0, 5.0, 5.0), rim_nm=15.0)
    core = task.target(numbered(numbers, (50.0, 5.0, 5.0)), None)[1]
    assert np.argwhere(core).min(axis=0).tolist() == [1, 11, 11]
    assert np.argwhere(core).max(axis=0).tolist() == [4, 28, 28]


def test_an_object_cut_by_the_patch_goes_on_there():
    numbers = np.ones((10, 10), np.uint8)
    assert cores(numbers, (3, 3)).all()


@pytest.mark.parametrize(
    ("working_nm", "reduction"),
    [((5.0,) * 3, (16, 16, 16)), ((47.5, 4.6, 4.6), (2, 16, 16)), ((20.0, 10.0, 10.0), (8, 16, 16))],
)
def test_axes_are_halved_once_the_others_are_as_coarse(working_nm, reduction):
    task = Mitochondria(sections=False, dimensions=3, working_nm=working_nm)
    assert task.reduction == reduction
    assert all(a % r == 0 for a, r in zip(task.grid.tile, reduction, strict=True))
    assert all(h % r == 0 for h, r in zip(task.grid.halo, reduction, strict=True))
    assert all(n % r == 0 for n, r in zip(task.recipe.patch, reduction, strict=True))
    network = replace(task, channels=(4, 8, 8, 8, 8)).network().eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 5, 24, 24)).shape == (1, 2, 5, 24, 24)


def larger(example, factor):
    """The same picture in `factor` times as many pixels along each axis, each so many times smaller."""
    numbers = np.asarray(example.truth.image.data).repeat(factor, 0).repeat(factor, 1)
    grey = np.asarray(example.image.data).repeat(factor, 0).repeat(factor, 1)
    image = replace(example.image, data=grey, spacing_um=tuple(s / factor for s in example.image.spacing_um))
    return replace(example, image=image, truth=Labels(replace(image, data=numbers)))


@pytest.mark.parametrize(("factor", "coarser"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_the_network_sees_objects_about_32_voxels_across_if_they_are_larger(factor, coarser):
    task = Mitochondria(channels=(4, 8, 8)).resolve([larger(one, factor) for one in DISCS])  # of 21 pixels
    assert task.coarser == (coarser,) * 2
    assert task.reduction == (4 * coarser,) * 2
    assert task.network().multiple == task.reduction
    assert all(n % r == 0 for n, r in zip(task.grid.halo, task.reduction, strict=True))
    assert task.network().eval()(torch.zeros(1, 1, 50, 47)).shape == (1, 2, 50, 47)


def test_of_sections_far_apart_means_are_taken_within_sections_only():
    task = Mitochondria(sections=False, dimensions=3, working_nm=(47.5, 5.0, 5.0), detail_nm=10.0)
    assert task.coarser == (1, 2, 2)
    assert replace(task, sections=True).coarser == (2, 2)
    assert replace(task, sections=True).reduction == (1, 32, 32)


def test_planes_are_tilted_only_where_sections_lie_as_close_as_pixels():
    near, serial = (Mitochondria(dimensions=3, working_nm=(nm, 5.0, 5.0)) for nm in (5.0, 45.0))
    assert near.recipe.augment.tilt_deg == near.tilt_deg > 0
    assert serial.recipe.augment.tilt_deg == 0


def test_sections_are_seen_one_by_one_and_learnt_one_by_one():
    task = Mitochondria(channels=(4, 8, 8), patch_px=(32,)).resolve([volume((12, 64, 64), (40.0, 5.0, 5.0))])
    assert task.recipe.patch == (1, 32, 32)
    assert task.across_nm > 0
    assert replace(task, across_nm=0.0).grid.halo[0] == 0
    assert task.grid.halo[0] >= task.across_nm / 40.0
    with torch.no_grad():
        assert task.network().eval()(torch.zeros(1, 1, 3, 20, 20)).shape == (1, 2, 3, 20, 20)


@pytest.mark.parametrize(
    ("settings", "deep"),
    [
        ({"working_nm": (5.0,) * 3}, 64),
        ({"working_nm": (5.5, 5.0, 5.0)}, 64),
        ({"working_nm": (5.0,) * 3, "detail_nm": 20.0}, 256),
        ({"working_nm": (8.0, 5.0, 5.0)}, 0),
        ({"working_nm": (45.0, 5.0, 5.0)}, 0),
        ({"working_nm": (5.0,) * 3, "three_ways": False}, 0),
        ({"working_nm": (5.0,) * 3, "sections": False}, 0),
        ({"working_nm": (5.0,) * 2, "dimensions": 2}, 0),
        ({}, 0),
    ],
)
def test_only_sections_of_cubic_voxels_are_looked_at_three_ways(settings, deep):
    task = Mitochondria(**{"dimensions": 3, **settings})
    assert task._deep == deep
    if deep:
        grid = task.grid
        assert grid.tile[0] + grid.halo[0] >= deep, (
            "the first window is as deep as it takes, and the last one may not be"
        )
        assert all(h >= task.across_nm / min(task.working_nm) for h in grid.halo)


@pytest.mark.parametrize("size", [(34, 70, 90), (6, 70, 90)])
def test_looked_at_three_ways_blocks_are_the_whole(size):
    """Windows small enough for several of each; along z the last is too thin to be looked at but one way."""
    example = volume(size, (10.0,) * 3)
    image = replace(example.image, data=np.random.default_rng(0).integers(0, 255, size, np.uint8))
    task = Mitochondria(channels=(4, 8), window_px=(24, 32, 32), overlap_px=(8,), patch_px=(16,)).resolve([example])
    task = replace(task, detail_nm=10.0, thresholds=(0.5,), core_threshold=0.5, object_threshold=0.0, min_object_um=0.0)
    assert task._deep == 8
    torch.manual_seed(0)
    weights = weights_of(task.network())
    forward, prepare = task.forward(weights, "cpu"), partial(task.prepare, levels=levels(image))
    at_once = tuple(round_up(n, t) for n, t in zip(size, task.grid.tile, strict=True))
    whole = run(forward, prepare, image, make_plan(image, task.grid, size=at_once))
    blocks = make_plan(image, task.grid, size=task.grid.tile)
    assert len(blocks.blocks) > 1
    for block in blocks.blocks:
        own = run_block(forward, prepare, image, blocks, block)
        here = tuple(slice(a, b) for a, b in zip(block.write.start, block.write.stop, strict=True))
        np.testing.assert_array_equal(np.asarray(own.data), np.asarray(whole.data)[(slice(None), *here)])


@pytest.mark.parametrize(("models", "tta"), [(1, False), (3, False), (1, True)])
def test_averaged_over_models_or_turned_views_blocks_are_the_whole(tmp_path, models, tta):
    task = Mitochondria(channels=(4, 8), window_px=(64,), overlap_px=(16,)).resolve(DISCS)
    task = replace(task, detail_nm=10.0, thresholds=(0.5,), core_threshold=0.5, object_threshold=0.0, min_object_um=0.0)
    image = Image(gaussian_filter(np.random.default_rng(0).normal(0, 1, (144, 144)), 3), "yx", (0.01, 0.01))
    trained = []
    for seed in range(models):
        torch.manual_seed(seed)
        trained.append(Checkpoint(task, weights_of(task.network())))
    setup, found = set_up(image, trained, tta=tta, device="cpu"), []
    for size in ((192, 192), (48, 48)):
        plan = make_plan(image, task.grid, chunk=(48, 48), size=size)
        job = outlining(setup, plan, Store.begin(tmp_path / str(size[0]), {}), None)
        job.go()
        found.append((len(plan.blocks), np.asarray(job.confidence.data[...]), np.asarray(job.labels.image.data[...])))
    (one, sure, numbers), (many, sure_too, numbers_too) = found
    assert (one, many) == (1, 9)
    assert numbers.max() > 10
    np.testing.assert_array_equal(sure, sure_too)
    np.testing.assert_array_equal(numbers, numbers_too)


def test_an_image_that_is_all_alike_is_refused(learnt):
    fitted, shown = learnt
    blank = replace(shown.image, data=np.full(shown.image.shape, 100, np.uint8))
    with pytest.raises(
        FormatError, match=r"voxels are all alike \(100\), but for specks; need one that shows something"
    ):
        predict(blank, Checkpoint(fitted.task, fitted.weights), device="cpu")


def test_names_of_objects_may_be_any_whole_numbers():
    """As segmentation tools make them; two that differ in their last digit only, and touch, stay two."""
    plain, large = DISCS[0], 720_575_940_600_000_000
    numbers = np.asarray(plain.truth.image.data).astype(np.uint64)
    named = Labels(replace(plain.truth.image, data=np.where(numbers > 0, numbers + large, 0)))
    assert Mitochondria(**SMALL).resolve([replace(plain, truth=named)]) == Mitochondria(**SMALL).resolve([plain])
    ours, theirs = (all_ready(TINY, [replace(plain, truth=truth)])[0].example for truth in (plain.truth, named))
    np.testing.assert_array_equal(TINY.target(ours.truth, ours.image), TINY.target(theirs.truth, theirs.image))


def test_what_is_left_open_comes_from_the_annotated_images():
    task = Mitochondria().resolve(DISCS)
    assert (task.classes, task.dimensions, task.working_nm, task.rim_nm) == (("mitochondrion",), 2, (10.0, 10.0), 30.0)
    assert task.min_object_um == pytest.approx(0.21 / 3, rel=0.05)
    assert Mitochondria(classes=("vesicle",)).resolve(DISCS).classes == ("vesicle",)


def tubes(across_px, shape):
    """A plane or volume with tubes along the last axis, so many voxels across and as far apart."""
    numbers = np.zeros(shape, np.uint8)
    for number, start in enumerate(range(across_px, shape[-2] - across_px, 2 * across_px), start=1):
        numbers[..., start : start + across_px, 4:-4] = number
    truth = numbered(numbers, (10.0,) * len(shape))
    return Example("tubes", replace(truth.image, data=numbers * 20), truth)


@pytest.mark.parametrize(("across_px", "rim_nm"), [(12, 30.0), (7, 30.0), (6, 20.0), (4, 10.0), (2, 10 / 3)])
@pytest.mark.parametrize("shape", [(48, 48), (3, 48, 48)])
def test_rims_are_no_deeper_than_leaves_a_core_to_thin_objects(across_px, rim_nm, shape):
    example = tubes(across_px, shape)
    task = Mitochondria().resolve([example])
    assert task.rim_nm == pytest.approx(rim_nm)
    core = task.target(example.truth, example.image)[1] != 0
    numbers = np.asarray(example.truth.image.data)
    assert set(np.unique(numbers[core])) == set(range(1, numbers.max() + 1))


@pytest.mark.parametrize("working_nm", [5.0, 10.0, 20.0])
def test_rims_fit_objects_on_the_grid_on_which_they_are_learnt(working_nm):
    """Tubes three voxels of 20 nm across."""
    example = tubes(3, (48, 48))
    truth = numbered(np.asarray(example.truth.image.data), (20.0, 20.0))
    coarse = replace(example, image=replace(example.image, spacing_um=truth.image.spacing_um), truth=truth)
    task = Mitochondria(working_nm=(working_nm,)).resolve([coarse])
    (ready,) = all_ready(task, [coarse])
    numbers = np.asarray(ready.example.truth.image.data)
    core = task.target(ready.example.truth, ready.example.image)[1] != 0
    assert set(np.unique(numbers[core])) == set(np.unique(numbers)) - {0}


def test_thin_objects_among_thick_ones_are_not_lost():
    """They are large enough, but a core of theirs would not count beside another."""
    numbers = np.zeros((100, 200), np.uint8)
    for number, start in enumerate(range(4, 184, 36), start=1):
        numbers[8:32, start : start + 24] = number
        if number < 5:
            numbers[60:67, start : start + 10] = 10 + number
    truth = numbered(numbers, (10.0, 10.0))
    resolved = Mitochondria().resolve([Example("thin", replace(truth.image, data=numbers), truth)])
    assert resolved.rim_nm == 30.0
    assert (7 - 6) * (10 - 6) < resolved.regions.min_core_voxels
    assert 7 * 10 >= resolved.regions.min_voxels
    task = replace(resolved, thresholds=(0.5,), core_threshold=0.5)
    found = task.keep(task.permissive().decode(replace(truth.image, data=task.target(truth, truth.image), axes="cyx")))
    assert len(np.unique(found.image.data)) == len(np.unique(numbers))


def test_what_is_found_without_a_core_is_dropped():
    confidences = np.zeros((2, 30, 30), np.float32)
    confidences[0, 2:12, 2:12] = confidences[0, 16:26, 16:26] = 0.9
    confidences[1, 5:9, 5:9] = 0.9
    task = replace(TINY, thresholds=(0.5,), core_threshold=0.5, min_object_um=0.0)
    found = task.keep(task.permissive().decode(Image(confidences, "cyx", (0.01, 0.01))))
    assert np.asarray(found.image.data)[2:12, 2:12].all()
    assert not np.asarray(found.image.data)[13:].any()


@pytest.mark.parametrize("divide", [True, False])
def test_what_touches_is_one_object_where_nothing_is_to_be_divided(divide):
    example = DISCS[0]
    task = replace(TINY, thresholds=(0.5,), core_threshold=0.5, divide=divide)
    target = task.target(example.truth, example.image)
    found = task.keep(task.permissive().decode(replace(example.image, data=target, axes="cyx")))
    numbers, truth = np.asarray(found.image.data), np.asarray(example.truth.image.data)
    np.testing.assert_array_equal(numbers != 0, truth != 0)
    assert len(np.unique(numbers[(truth == 1) | (truth == 2)])) == 1 + divide
    assert numbers.max() == 3 + divide


def test_annotation_in_which_nothing_touches_is_remarked_on():
    example = DISCS[0]
    assert not list(Mitochondria().remarks([example]))
    numbers = np.where(np.asarray(example.truth.image.data) == 2, 0, example.truth.image.data)
    apart = replace(example, truth=Labels(replace(example.truth.image, data=numbers)))
    assert "--no-divide" in next(Mitochondria().remarks([apart]))
    assert not list(Mitochondria().remarks([apart, example]))
    assert not list(Mitochondria(divide=False).remarks([apart]))


@given(st.floats(0.05, 0.95), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 20))
@settings(deadline=None, max_examples=60)
def test_the_threshold_of_whole_objects_goes_with_that_of_voxels(own, way, one, other, seed):
    """Where it is as low as that of voxels, nothing that a higher one finds is lost."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=(40, 40)), 4)
    inside = np.clip(0.5 + blobs / blobs.std() / 4, 0, 1).astype(np.float32)
    maps = Image(np.stack([inside, np.ones_like(inside)]), "cyx", (0.01, 0.01))
    task = replace(
        TINY, thresholds=(own,), object_threshold=own + way * (1 - own), core_threshold=0.5, min_object_um=0.0
    )
    low, high = (task.at_thresholds((t,)) for t in sorted((one, other)))
    found = [np.asarray(t.keep(task.permissive().decode(maps)).image.data) for t in (low, high)]
    assert low.object_threshold <= high.object_threshold + 1e-4
    assert task.at_thresholds(task.thresholds).object_threshold == pytest.approx(task.object_threshold, abs=1e-4)
    if low.object_threshold <= low.thresholds[0] + 1e-3:
        assert found[0][found[1] > 0].all()


def test_a_stack_of_two_kinds_is_refused():
    with pytest.raises(SettingsError, match="one kind of object"):
        Mitochondria(classes=("a", "b")).resolve(DISCS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"thresholds": (0.5, 0.5)}, "need one of each"),
        ({"core_threshold": 1.5}, "need one of each"),
        ({"dimensions": 4}, "must be 2 or 3"),
        ({"rim_nm": -1.0}, "need 0 or more"),
        ({"bent": 1.5}, "they are shares"),
        ({"held_out": 0.9}, "of held_out 0 to 0.5"),
        ({"detail_nm": -1.0}, "need 0 or more"),
        ({"dimensions": 2, "working_nm": (5.0, 5.0), "patch_px": (50, 50)}, r"multiples of \(16, 16\)"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_can(wrong, message):
    with pytest.raises(SettingsError, match=message):
        Mitochondria(**wrong)


def test_windows_are_at_least_twice_what_they_share():
    with pytest.raises(SettingsError, match="twice as large"):
        _ = Mitochondria(dimensions=2, window_px=(64,), overlap_px=(64,)).grid


@given(st.sampled_from([0.3, 0.5, 0.7]), st.sampled_from([0.25, 0.5]))
def test_an_ensemble_works_at_the_mean_of_the_thresholds(core, threshold):
    tasks = [replace(TINY, thresholds=(t,), core_threshold=c) for t, c in ((threshold, core), (0.5, 0.5))]
    joint = tasks[0].averaged(tasks)
    assert joint.thresholds[0] == pytest.approx((threshold + 0.5) / 2)
    assert joint.core_threshold == pytest.approx((core + 0.5) / 2)
    sure = [replace(TINY, thresholds=(0.5,), object_threshold=t) for t in (0.6, 0.9)]
    assert sure[0].averaged(sure).object_threshold == pytest.approx(0.75)


def test_the_cores_threshold_is_chosen_by_objects_and_kept_if_it_was_given():
    truth = discs()
    target = TINY.target(truth.truth, truth.image)
    weak = np.stack([target[0], np.where(target[1] > 0, 1.0, 0.6 * target[0])])  # cores are joined below 0.6
    candidates = TINY.permissive().decode(replace(truth.image, data=weak, axes="cyx"))
    assert TINY.calibrate([candidates], [truth]).core_threshold == 0.7
    given = replace(TINY, core_threshold=0.4)
    assert given.calibrate([candidates], [truth]).core_threshold == 0.4


def test_what_is_doubtful_as_a_whole_is_dropped_by_a_threshold_that_follows_that_of_voxels():
    """What is true is sure but for a quarter of its voxels; what is not is doubtful all over."""
    truth = discs()
    confidence = TINY.target(truth.truth, truth.image) * np.where(np.arange(96) % 4 == 0, 0.6, 0.97)
    doubtful = confidence.copy()
    doubtful[:, 2:12, 2:22] = 0.72
    candidates = TINY.permissive().decode(replace(truth.image, data=doubtful, axes="cyx"))
    chosen = TINY.calibrate([candidates], [truth])
    assert chosen.object_threshold == pytest.approx(chosen.thresholds[0] + 0.6 * (1 - chosen.thresholds[0]), abs=1e-4)
    np.testing.assert_array_equal(np.asarray(chosen.keep(candidates).image.data) > 0, confidence[0] > 0)
    given = replace(TINY, object_threshold=0.6).calibrate([candidates], [truth])
    assert given.object_threshold == 0.6
    assert np.asarray(given.keep(candidates).image.data)[2:12, 2:22].all()


@pytest.mark.parametrize("confidence", [0.45, 0.7, 0.9])
def test_what_is_true_but_of_low_confidence_is_not_dropped(confidence):
    truth = discs()
    target = TINY.target(truth.truth, truth.image)
    candidates = TINY.permissive().decode(replace(truth.image, data=confidence * target, axes="cyx"))
    chosen = TINY.calibrate([candidates], [truth])
    np.testing.assert_array_equal(np.asarray(chosen.keep(candidates).image.data) > 0, target[0] > 0)


@pytest.mark.parametrize("preset", PRESETS["mitochondria"])
@pytest.mark.parametrize("across_px", [16, 60, 100])
def test_presets_fit_objects_of_any_size(preset, across_px):
    example = volume((160, 160, 160), (5.0,) * 3)
    numbers = np.zeros((160,) * 3, np.uint8)
    numbers[(slice(20, 20 + across_px),) * 3] = 1
    example = replace(example, truth=Labels(replace(example.image, data=numbers)))
    task = TASKS["mitochondria"](**PRESETS["mitochondria"][preset]).resolve([example])
    assert all(n % r == 0 for n, r in zip(task.recipe.patch, task.reduction, strict=True))
