"""Tissue: what it is taught is what it decodes, its windows leave no seams, and it learns a picture in seconds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.intensity import levels
from graticule.checkpoint import Checkpoint
from graticule.errors import AnnotationError, DatasetError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.inference import make_plan
from graticule.nets.forward import weights_of
from graticule.results import Labels
from graticule.simulate import TissueScenes
from graticule.task import Levels
from graticule.tasks import PRESETS, TASKS
from graticule.tasks.tissue import Tissue
from graticule.training import fit
from graticule.workflows.predict import predict
from graticule.workflows.ready import all_ready, ready

PLANES = list(TissueScenes(shape_px=(96, 96)).examples(3))
TINY = Tissue(channels=(8, 16, 32), epochs=2, steps=3, batch=2, patch_px=(48,), average=0.5).resolve(PLANES)
BOTH = replace(TINY, classes=("tissue", "trachea"))


def labels(numbers):
    return Labels(Image(np.asarray(numbers), "zyx"[-np.ndim(numbers) :], (0.04,) * np.ndim(numbers)))


def example(numbers, name="a", complete=None):
    image = Image(np.zeros(np.shape(numbers), np.uint8), "zyx"[-np.ndim(numbers) :], (0.04,) * np.ndim(numbers))
    return Example(name, image, labels(numbers), None if complete is None else replace(image, data=complete))


def maps(confidence):
    return Image(np.asarray(confidence, np.float32), "cyx", (0.04, 0.04))


@pytest.fixture(scope="module")
def learnt():
    """A small network that has learnt one picture, and that picture."""
    task = replace(TINY, epochs=6, steps=20, batch=4, learning_rate=5e-3, average=0.9)
    one = all_ready(task, PLANES[:1])
    return fit(task, one, one, device="cpu"), PLANES[0]


def test_a_small_network_learns_one_picture_in_seconds(learnt):
    fitted, shown = learnt
    assert fitted.score > 0.93
    found = predict(shown.image, Checkpoint(fitted.task, fitted.weights), device="cpu")
    assert fitted.task.score([found], [shown])["dice"] == pytest.approx(fitted.score, abs=1e-6)


def test_windows_leave_no_seams(learnt):
    """At the context that is usual in volumes; of labels hardly any may differ, and of confidences none by much."""
    fitted, _ = learnt
    image = TissueScenes(shape_px=(200, 330)).draw(9).image
    task = replace(fitted.task, window_px=128, overlap_px=64)
    forward = task.forward(fitted.weights, "cpu")
    prepared = task.prepare(image.data, levels(image))
    whole = forward(np.pad(prepared, [(0, 0), (0, 8), (0, 6)])[None])[0, 0, :200, :330]
    plan = make_plan(image, task.grid)
    assert len(plan.tiles) > 10
    tiled = np.zeros((200, 330), np.float32)
    for tile in plan.tiles:
        read = tile.read
        pads = [(0, 0), *[(0, b - min(b, n)) for b, n in zip(read.stop, image.shape, strict=True)]]
        out = forward(np.pad(prepared[(slice(None), *read.slices())], pads)[None])[0, 0]
        tiled[tile.write.slices()] = out[tile.write.relative_to(read.start).slices()]
    assert np.abs(tiled - whole).max() < 0.1
    threshold = fitted.task.thresholds[0]
    assert ((tiled >= threshold) != (whole >= threshold)).mean() < 2e-4


@pytest.mark.parametrize("shape", [(70, 130), (48, 31)])
def test_labels_do_not_depend_on_the_memory_there_is(learnt, shape):
    fitted, _ = learnt
    task = replace(fitted.task, window_px=64, overlap_px=32, min_region_um=0.4, fill_holes=True)
    image = TissueScenes(shape_px=shape).draw(11).image
    plans = [make_plan(image, task.grid, chunk=(32, 32), memory=memory) for memory in (None, 5_000_000)]
    tiles = [{(t.read, t.write) for t in plan.tiles} for plan in plans]
    assert tiles[0] == tiles[1]


@pytest.mark.parametrize("preset", [None, "catena", "catena-32"])
def test_windows_lie_on_a_lattice_that_the_task_alone_decides(preset):
    task = Tissue(classes=("tissue",), working_nm=(40.0,) * 3, **({**PRESETS["tissue"][preset]} if preset else {}))
    task = replace(task, dimensions=3)
    image = Image(np.broadcast_to(np.uint8(0), (600, 600, 600)), "zyx", (0.04,) * 3)
    plan = make_plan(image, task.grid)
    assert all(a % t == 0 for tile in plan.tiles for a, t in zip(tile.write.start, task.grid.tile, strict=True))
    window = {None: 256, "catena": 64, "catena-32": 32}[preset]
    assert max(tile.read.shape for tile in plan.tiles) == (window,) * 3


def test_in_the_published_settings_neighbouring_windows_share_sixteen_voxels_and_the_optimiser_is_adam():
    task = Tissue(classes=("tissue",), working_nm=(40.0,) * 3, **PRESETS["tissue"]["catena"])
    assert task.grid.tile == (48, 48, 48)
    assert task.grid.halo == (8, 8, 8)
    assert (task.norm, task.recipe.weight_decay, task.recipe.phases[0].learning_rates) == ("instance", 0.0, {"": 1e-4})
    parameters = sum(p.numel() for p in task.network().parameters())
    assert parameters == 4_805_534


@given(st.integers(0, 9999), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_decoding_its_own_target_gives_the_truth_back(seed, classes):
    numbers = np.random.default_rng(seed).integers(0, classes + 1, (5, 6)).astype(np.uint8)
    task = replace(TINY, classes=tuple("abc"[:classes]), thresholds=(0.5,) * classes)
    target = task.target(labels(numbers), labels(numbers).image)
    assert np.array_equal(task.decode(maps(target)).image.data, numbers)


def test_any_number_is_tissue_where_there_is_one_class():
    assert TINY.target(labels([[0, 255], [7, 0]]), None).tolist() == [[[0, 1], [1, 0]]]


@given(st.integers(0, 9999), st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_what_is_kept_of_candidates_is_what_is_decoded_at_once(seed, threshold):
    confidence = maps(np.random.default_rng(seed).integers(0, 256, (2, 6, 7)) / 255)
    task = replace(BOTH, thresholds=(threshold, 1 - threshold / 2))
    candidates = task.permissive().decode(confidence)
    assert candidates.image.data.dtype == np.uint8
    assert np.array_equal(task.keep(candidates).image.data, task.decode(confidence).image.data)


def test_the_surest_of_those_that_reach_their_thresholds_wins():
    task = replace(BOTH, thresholds=(0.5, 0.2))
    found = task.decode(maps([[[0.6, 0.45, 0.1]], [[0.3, 0.4, 0.1]]]))
    assert found.image.data.tolist() == [[1, 2, 0]]


@given(st.integers(1, 255))
def test_a_threshold_that_was_chosen_is_reached_by_the_confidence_it_was_chosen_at(step):
    task = replace(TINY, thresholds=(round(step / 255, 4),))
    assert task.decode(maps([[[step / 255, (step - 1) / 255]]])).image.data.tolist() == [[1, 0]]


def test_the_threshold_of_the_highest_dice_is_chosen_where_the_truth_is_known():
    graded = Labels(Image(np.array([[[10, 60, 200, 220, 250]]], np.uint8), "cyx", (0.04, 0.04)))
    truth = example([[0, 0, 1, 1, 0]], complete=np.array([[1, 1, 1, 1, 0]]))
    chosen = TINY.calibrate([graded], [truth])
    assert 60 / 255 < chosen.thresholds[0] <= 200 / 255
    assert chosen.score([chosen.keep(graded)], [truth])["dice"] == 1


def test_confidences_are_whole_255ths_and_of_several_classes_add_up_to_one_at_most():
    torch.manual_seed(0)
    forward = BOTH.forward(weights_of(BOTH.network()), "cpu")
    out = forward(np.random.default_rng(0).normal(size=(1, 1, 20, 24)).astype(np.float32))
    assert out.shape == (1, 2, 20, 24)
    assert np.array_equal(out, (np.round(out * 255) / 255).astype(np.float32))
    assert out.sum(axis=1).max() <= 1 + 1 / 255


def test_grey_levels_are_scaled_from_the_darkest_to_the_brightest_percent():
    pixels = np.array([[100, 150, 200, 60000]], np.uint16)
    assert TINY.prepare(pixels, Levels(150, 5, low=100, high=200)).tolist() == [[[-1, 0, 1, 3]]]
    assert np.isfinite(TINY.prepare(np.full((1, 2), 7), Levels(7, 1, low=7, high=7))).all()


def test_what_settings_leave_open_the_images_tell():
    volumes = [example(np.zeros((40, 50, 200), np.uint8))]
    task = Tissue().resolve(volumes)
    assert (task.classes, task.dimensions, task.working_nm) == (("tissue",), 3, (40.0, 40.0, 40.0))
    assert task.recipe.patch == (16, 32, 64)
    assert Tissue(working_nm=(80.0,)).resolve(volumes).grid.spacing_um == pytest.approx((0.08,) * 3)
    assert TINY.dimensions == 2


def test_planes_and_volumes_are_not_learnt_together():
    with pytest.raises(AnnotationError, match="planes"):
        Tissue().resolve([example(np.zeros((4, 4), int)), example(np.zeros((4, 4, 4), int), "b")])


def test_numbers_beyond_the_classes_are_refused():
    with pytest.raises(AnnotationError, match="number 3 for 2 classes"):
        Tissue(classes=("tissue", "trachea")).resolve([example(np.full((4, 4), 3))])


@pytest.mark.parametrize(
    "wrong",
    [
        {"dimensions": 4},
        {"patch_px": (50,)},
        {"thresholds": (0.5,)},
        {"overlap_px": 24},
        {"window_px": 32, "overlap_px": 32},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingsError):
        Tissue(**wrong)


def test_regions_are_counted_in_voxels_of_the_working_grid():
    task = replace(TINY, min_region_um=0.4, fill_holes=True, keep_largest=True, grow_um=0.1)
    assert task.regions.min_voxels == pytest.approx(np.pi / 4 * 100, abs=1)
    assert task.regions.max_hole_voxels is None
    assert (task.regions.keep_largest, task.regions.grow_um, task.regions.kinds) == (True, 0.1, ("tissue",))
    assert TASKS["tissue"] is Tissue


@pytest.mark.parametrize(("value", "said"), [(0, "no annotated object"), (1, "no background")])
def test_images_that_are_all_of_one_kind_cannot_teach(value, said):
    plain = [ready(TINY, example(np.full((64, 64), value, np.uint8)))]
    with pytest.raises(DatasetError, match=said):
        fit(TINY, plain, all_ready(TINY, PLANES[:1]), device="cpu")


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    def watch(line, left):
        raise Killed

    learn, choose = all_ready(TINY, PLANES[:2]), all_ready(TINY, PLANES[2:])
    whole = fit(TINY, learn, choose, device="cpu")
    with pytest.raises(Killed):
        fit(TINY, learn, choose, device="cpu", state_file=tmp_path / "state", watch=watch)
    resumed = fit(TINY, learn, choose, device="cpu", state_file=tmp_path / "state")
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(np.array_equal(whole.weights[k], resumed.weights[k]) for k in whole.weights)
    assert whole.task == resumed.task


def test_volumes_are_learnt_at_another_voxel_size_and_outlined_on_their_own(tmp_path):
    volume = TissueScenes(shape_px=(40, 48, 44)).draw(1)
    task = Tissue(channels=(4, 8), epochs=1, steps=2, batch=1, patch_px=(16,), working_nm=(80.0,)).resolve([volume])
    one = all_ready(task, [volume])
    assert one[0].example.image.shape == one[0].example.truth.image.shape == (20, 24, 22)
    fitted = fit(task, one, one, device="cpu")
    model = Checkpoint(fitted.task, fitted.weights)
    model.save(tmp_path / "m.safetensors")
    assert Checkpoint.load(tmp_path / "m.safetensors").task == fitted.task
    found = predict(volume.image, model, device="cpu")
    assert found.image.data.shape == volume.image.shape
    assert 0 <= fitted.task.score([found], [volume])["dice"] <= 1


def test_texture_counts_beside_the_network_as_much_as_asked_for(learnt):
    """In logits: its own weight 0 changes nothing, and a large one leaves only texture."""
    fitted, _ = learnt
    image = TissueScenes(shape_px=(160, 160)).draw(5).image
    confidences = []
    for weight in (0.0, 1e-9, 1.0, 1e6):
        task = replace(fitted.task, texture_weight=weight)
        forward = task.forward({**task.measure(image), **fitted.weights}, "cpu")
        confidences.append(forward(task.prepare(image.data, levels(image))[None])[0, 0])
    plain, hardly, both, only = confidences
    assert np.abs(plain - hardly).max() <= 1 / 255
    assert np.abs(plain - both).max() > 0.1
    assert np.isin(only, (0, 1)).mean() > 0.95
    assert np.array_equal(both, (np.round(both * 255) / 255).astype(np.float32))


def test_what_texture_is_like_is_measured_on_every_image_and_only_if_it_counts(learnt):
    fitted, shown = learnt
    assert fitted.task.measure(shown.image) == {}
    task = replace(fitted.task, texture_weight=0.5)
    measured = task.measure(shown.image)
    assert measured
    assert all(name.startswith("texture.") for name in measured)
    assert max(task.grid.halo) > max(fitted.task.grid.halo)
    found = predict(shown.image, Checkpoint(task, fitted.weights), device="cpu")
    assert task.score([found], [shown])["dice"] > 0.8


def test_thresholds_are_chosen_with_texture_where_it_counts():
    task = replace(TINY, texture_weight=1.0, epochs=1)
    one = all_ready(task, PLANES[:1])
    assert 0 < fit(task, one, one, device="cpu").score <= 1
