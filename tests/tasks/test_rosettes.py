"""Rosettes: what is seen is geometry at one size of cells, and proposals fit the image they were made for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.cells import boundaries
from graticule.checkpoint import Checkpoint
from graticule.errors import AnnotationError, DatasetError, FormatError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.metrics import events
from graticule.results import Labels
from graticule.simulate import RosetteScenes
from graticule.task import DRAWN
from graticule.tasks import BASELINES, PRESETS, TASKS
from graticule.tasks.rosettes import Rosettes, cells_in, drawn, taken_for
from graticule.training import fit
from graticule.workflows import predict as engine
from graticule.workflows.evaluate_labels import evaluate_labels
from graticule.workflows.predict import predict
from graticule.workflows.ready import all_ready, ready

TINY = Rosettes(
    channels=(8, 16, 32), cell_px=16.0, window_px=128, overlap_px=64, patch_px=96, epochs=3, steps=16, average=0.8
)
SCENES = RosetteScenes(shape_px=(200, 180), rosettes=(18, 18), near_misses=(0, 0), empty=0.0, segmentation_errors=0.0)


def squares(rows=6, columns=7, side=12, first=1):
    """A sheet of square cells: every inner vertex is one of four."""
    numbers = np.arange(rows * columns).reshape(rows, columns) + first
    return numbers.repeat(side, 0).repeat(side, 1).astype(np.uint16)


def image(pixels, um=0.3):
    return Image(pixels, "yx", (um, um), (1.0, 2.0))


def example(cells, truth, name="a"):
    return Example(name, image(cells), Labels(image(np.asarray(truth, np.uint16))))


@pytest.fixture(scope="module")
def scene():
    return SCENES.draw(3)


@pytest.fixture(scope="module")
def learnt(scene):
    """A small network that has learnt one picture for seconds."""
    one = all_ready(TINY, [scene])
    fitted = fit(TINY, one, one, device="cpu")
    return Checkpoint(fitted.task, fitted.weights), fitted.score


# -- what is seen ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3])
def test_magnification_changes_nothing_but_for_rounding(scene, factor):
    cells = np.asarray(scene.image.data)
    larger = image(cells.repeat(factor, 0).repeat(factor, 1), 0.3 / factor)
    own, other = (TINY.view(each) for each in (image(cells), larger))
    assert max(abs(a - b) for a, b in zip(own.shape, other.shape, strict=True)) <= 1
    shape = tuple(map(min, own.shape, other.shape))
    differ = own.data[:2, : shape[0], : shape[1]] != other.data[:2, : shape[0], : shape[1]]
    assert differ[1].mean() < 0.02 and differ[0].mean() < 0.05


def test_the_view_shows_the_same_piece_of_the_world_at_the_same_size_of_cells(scene):
    for cell_px in (10.0, 16.0, 40.0):
        view = replace(TINY, cell_px=cell_px).view(scene.image)
        extent = np.multiply(view.shape, view.spacing_um)
        np.testing.assert_allclose(extent, np.multiply(scene.image.shape, scene.image.spacing_um))
        corner = np.subtract(view.origin_um, np.divide(view.spacing_um, 2))
        np.testing.assert_allclose(corner, -np.array(scene.image.spacing_um) / 2, atol=1e-9)
        assert view.axes == "cyx" and view.data.shape[0] == 3 == TINY.grid.channels


def test_at_its_own_pixels_the_view_is_the_boundaries_and_the_cells():
    cells = squares()
    view = drawn(image(cells), 0.0)
    np.testing.assert_array_equal(view.data, np.stack([*boundaries(cells), cells]))


@given(st.permutations(range(1, 43)))
@settings(max_examples=20, deadline=None)
def test_numbers_of_cells_are_only_names(order):
    cells = squares()
    other = np.array([0, *order], np.uint16)[cells]
    one, two = (TINY.prepare(TINY.view(image(each)).data, DRAWN) for each in (cells, other))
    assert one.shape[0] == 2 and set(np.unique(one)) == {0, 1}
    np.testing.assert_array_equal(one, two)


def test_lines_between_cells_are_borders_like_any_other():
    cells = squares()
    lined = np.where(boundaries(cells)[0] != 0, 0, cells).astype(np.uint16)
    one, two = (TINY.view(image(each)).data for each in (cells, lined))
    assert (one[1] != two[1]).mean() < 0.1 and (one[2] != two[2]).mean() < 0.1


def test_pictures_of_membranes_are_cut_into_cells_and_labels_are_taken_as_they_are(scene):
    cells = np.asarray(scene.image.data)
    membranes = (40 + 200 * boundaries(cells)[1]).astype(np.uint8)
    assert [taken_for(pixels, "auto") for pixels in (cells, membranes)] == ["labels", "membranes"]
    np.testing.assert_array_equal(cells_in(image(cells), "auto").data, cells)
    found = cells_in(image(membranes), "auto").data
    assert len(np.unique(found)) == pytest.approx(len(np.unique(cells)), rel=0.2)


# -- what is taught and decoded ------------------------------------------------------------------------------------------


def test_decoding_its_own_target_gives_every_rosette_back_those_that_touch_too():
    truth = np.zeros((96, 96), np.uint16)
    truth[10:50, 10:40], truth[10:50, 40:70], truth[50:90, 20:60] = 1, 2, 7
    task = replace(TINY, thresholds=(0.5,))
    target = task.target(Labels(image(truth)), None)
    candidates = task.permissive().decode(Image(target, "cyx", (0.3, 0.3)))
    found = task.keep(candidates)
    named = task.score([found], [example(truth, truth)])
    assert (named["event_f1"], named["events"]) == (1, 3) and named["dice"] > 0.9


@given(st.integers(0, 9999), st.floats(0.01, 1))
@settings(max_examples=30, deadline=None)
def test_what_is_kept_of_candidates_is_the_regions_of_what_is_decoded_at_once(seed, threshold):
    confidence = Image(np.random.default_rng(seed).random((1, 9, 8)).astype(np.float32), "cyx", (0.3, 0.3))
    task = replace(TINY, thresholds=(threshold,), min_cells=0.0)
    kept = task.keep(task.permissive().decode(confidence)).image.data
    decoded = np.asarray(task.decode(confidence).image.data)
    np.testing.assert_array_equal(kept[decoded != 0] != 0, True)
    assert kept.shape == decoded.shape == (9, 8)
    assert np.array_equal(task.at(task.permissive().decode(confidence), threshold).image.data, kept)


def test_small_regions_are_no_proposals():
    confidence = np.zeros((1, 60, 60), np.float32)
    confidence[0, 5:8, 5:8], confidence[0, 20:50, 20:50] = 1, 1
    task = replace(TINY, thresholds=(0.5,), min_cells=1.0)
    found = task.keep(task.permissive().decode(Image(confidence, "cyx", (0.3, 0.3))))
    assert (np.asarray(found.image.data) != 0).sum() == 900 and found.image.data.max() == 1


def test_a_patch_is_zeros_and_ones_however_it_is_bent(scene):
    one = ready(TINY, scene)
    from graticule.training.patches import draw_patch, make_source

    source = make_source(one.example, TINY.prepare(one.example.image.data, one.levels))
    for seed in range(6):
        patch = draw_patch([source], TINY, np.random.default_rng(seed))
        assert patch.pixels.shape == (2, 96, 96) and patch.target.shape == patch.known.shape == (1, 96, 96)
        assert set(np.unique(patch.pixels)) <= {0, 1}


# -- what is found -------------------------------------------------------------------------------------------------------


def test_a_small_network_learns_one_picture_in_seconds_and_is_judged_as_it_predicts(learnt, scene):
    model, score = learnt
    assert score > 0.5
    done = evaluate_labels([model], [scene], device="cpu")
    found = predict(scene.image, model, device="cpu").image
    assert (found.shape, found.spacing_um, found.origin_um) == (
        scene.image.shape,
        scene.image.spacing_um,
        scene.image.origin_um,
    )
    np.testing.assert_array_equal(done.found[0].image.data, found.data)
    assert done.pooled["event_f1"] == pytest.approx(score, abs=0.15)  # other pixels, and cells that vanish in them
    assert done.curve.recall.max() >= done.pooled["event_recall"] - 1e-9


def test_proposals_do_not_depend_on_how_blocks_are_laid(learnt, scene, monkeypatch):
    model, _ = learnt
    found = []
    for side in (512, 64):  # all windows in one block, or each in its own
        monkeypatch.setitem(engine.CHUNKS, 2, (side, side))
        blocks = engine.set_up(scene.image, [model]).plan(stored=True).blocks
        assert (len(blocks) > 1) == (side == 64)
        found.append(predict(scene.image, model, device="cpu").image.data)
    np.testing.assert_array_equal(*found)


def test_every_proposal_names_the_cells_it_involves(learnt):
    model, _ = learnt
    cells, objects = squares(), np.zeros((72, 84), np.uint8)
    objects[0:24, 0:24], objects[30:60, 48:72] = 1, 2
    about = model.task.describe(image(cells), Labels(image(objects)))
    assert about.columns["cells"] == [4, 6]
    assert about.columns["cell_ids"] == ["1 2 8 9", "19 20 26 27 33 34"]
    assert about.facts["cells"]["from"] == "labels" and about.facts["cells"]["count"] == 42
    np.testing.assert_array_equal(about.images["cells"].data, cells)


# -- settings ------------------------------------------------------------------------------------------------------------


def test_the_published_settings_are_those_of_the_card():
    task = Rosettes(**PRESETS["rosettes"]["nematostella"])
    assert task.channels == (64, 128, 256, 512, 1024)
    assert (task.grid.tile, task.grid.halo, task.cell_px) == ((384, 384), (64, 64), 0.0)
    recipe = task.recipe
    assert (recipe.patch, recipe.batch, recipe.patience) == ((512, 512), 4, 15)
    assert recipe.phases[0].learning_rates == {"": 1e-4} and recipe.weight_decay > 0
    drawn_changes = recipe.augment
    shares = [getattr(drawn_changes, name) for name in ("rotate_chance", "elastic_chance", "zoom_chance", "holes")]
    assert shares == [0.5, 0.4, 0.6, 0.3]
    # alpha 120 and sigma 6: uniform noise, smoothed, times 120, has this standard deviation.
    assert drawn_changes.elastic_px == pytest.approx(120 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 6), rel=0.02)


def test_rosettes_are_a_task_like_any_other():
    assert TASKS["rosettes"] is Rosettes and "rosettes" in PRESETS
    assert Rosettes(thresholds=(0.2,)).averaged([Rosettes(thresholds=(t,)) for t in (0.2, 0.4)]).thresholds == (0.3,)


@pytest.mark.parametrize(
    "wrong", [{"thresholds": (0.1, 0.2)}, {"cell_px": -1.0}, {"patch_px": 100}, {"window_px": 64, "overlap_px": 64}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        Rosettes(**wrong)


def test_several_classes_are_refused_before_anything_is_learnt():
    with pytest.raises(SettingsError, match="found 2 classes"):
        Rosettes(classes=("a", "b")).resolve([])


# -- bad input -----------------------------------------------------------------------------------------------------------


def test_a_label_image_with_one_cell_says_that_sizes_cannot_be_known():
    with pytest.raises(AnnotationError, match=r"found 1 cells .* need two"):
        replace(TINY, cells="labels").view(image(np.full((40, 50), 7, np.uint16)))


def test_a_constant_image_says_so_too():
    with pytest.raises(AnnotationError, match="need two"):
        TINY.view(image(np.zeros((40, 50), np.uint8)))


@pytest.mark.parametrize(("axes", "shape"), [("zyx", (4, 40, 40)), ("cyx", (3, 40, 40)), ("czyx", (2, 3, 40, 40))])
def test_volumes_and_channels_are_refused(axes, shape, learnt):
    ndim = len(axes.replace("c", ""))
    with pytest.raises(FormatError, match="single planes"):
        predict(Image(np.ones(shape, np.uint8), axes, (0.3,) * ndim), learnt[0], device="cpu")


def test_fractions_are_no_numbers_of_cells():
    with pytest.raises(FormatError, match="cells=membranes"):
        cells_in(image(np.random.default_rng(0).random((20, 20))), "labels")


def test_cells_that_the_frame_cuts_open_are_cells(learnt):
    cells = np.pad(squares(3, 3, 20), 4)  # tissue that ends; and tissue that the frame cuts
    for pixels in (cells, cells[10:-10, 10:-10]):
        found = predict(image(pixels), learnt[0], device="cpu").image
        assert found.shape == pixels.shape


def test_truth_without_any_rosette_teaches_nothing_and_says_so():
    cells = squares(12, 12, 12)
    empty = all_ready(TINY, [example(cells, np.zeros_like(cells))])
    with pytest.raises(DatasetError, match="no annotated object"):
        fit(TINY, empty, empty, device="cpu")


def test_an_empty_truth_can_be_judged(learnt):
    cells = squares(12, 12, 12)
    done = evaluate_labels([learnt[0]], [example(cells, np.zeros_like(cells))], device="cpu")
    assert done.pooled["event_recall"] == 1 and done.pooled["events"] == 0
    assert events.count(done.found, done.examples).images == 1


def test_a_baseline_is_beside_it():
    assert "rosettes" in BASELINES
