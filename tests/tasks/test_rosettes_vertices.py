"""Rosettes without training: in tissue whose cells are known exactly, all are found and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Labels
from graticule.simulate.rosettes import RosetteScenes
from graticule.task import LabelFree, Outlining, Proposing, Viewing
from graticule.tasks import LABEL_FREE, TASKS
from graticule.tasks.rosettes_vertices import RosettesVertices, confidence
from graticule.workflows.predict import predict
from tests.arrays.test_cell_vertices import wheel
from tests.arrays.test_cells import tissue, with_lines

SCENE = RosetteScenes(shape_px=(224, 256), rosettes=(6, 12), empty=0.0, segmentation_errors=0.0)


@pytest.fixture(scope="module")
def examples():
    return [SCENE.draw(seed) for seed in range(3)]


def as_image(pixels, spacing_um=0.3):
    return Image(pixels, "yx", (spacing_um, spacing_um))


def candidates(task, image):
    view = task.view(image)
    return task.permissive().decode(replace(view, data=task.prepare(view.data, None), axes="cyx"))


def numbers(found):
    return np.asarray(found.image.data[...])


def test_is_a_label_free_task_that_looks_at_cells_and_proposes():
    task = RosettesVertices()
    _: tuple[LabelFree, Outlining, Viewing, Proposing] = (task, task, task, task)
    assert LABEL_FREE[task.name] is RosettesVertices and task.name not in TASKS
    assert task.regions.numbered and task.regions.kinds == ("rosette",)


def test_all_rosettes_of_exact_cells_are_found_and_nothing_else(examples):
    task = RosettesVertices()
    found = [predict(example.image, Checkpoint(task, {}), device="cpu") for example in examples]
    scores = task.score(found, examples)
    assert scores["touched"] == 1
    assert scores["event_recall"] >= 0.9 and scores["false_per_image"] <= 0.34  # some that touch are one proposal
    assert scores["dice"] > 0.95


def test_the_engine_gives_what_keeping_candidates_gives(examples):
    task = RosettesVertices()
    whole = task.keep(candidates(task, examples[1].image))
    found = predict(examples[1].image, Checkpoint(task, {}), device="cpu")
    assert np.array_equal(numbers(found), numbers(whole)) and numbers(found).max() > 0


def test_tiles_give_the_bits_of_the_whole(examples, monkeypatch):
    monkeypatch.setattr("graticule.tasks.rosettes_vertices.TILE", (96, 64))
    tiled = predict(examples[1].image, Checkpoint(RosettesVertices(), {}), device="cpu")
    monkeypatch.undo()
    whole = predict(examples[1].image, Checkpoint(RosettesVertices(), {}), device="cpu")
    assert np.array_equal(numbers(tiled), numbers(whole))


@pytest.mark.parametrize("lines", [False, True])
def test_a_rosette_is_one_region_of_all_its_cells_with_or_without_lines_between(lines):
    cells = np.pad(wheel(6), 30, mode="edge")
    found = confidence(with_lines(cells) if lines else cells, 5.0)
    assert (found > 0.5).mean() > 0.98


def test_four_cells_are_none_unless_asked_for_and_six_are_not_if_seven_are_needed():
    assert not confidence(wheel(4), 5.0).any()
    assert confidence(wheel(4), 5.0, least=4).any()
    assert not confidence(wheel(6), 5.0, least=7).any()


def test_the_nearer_cells_meet_the_higher_the_confidence():
    top = []
    for radius in (1.0, 8.0, 12.0):
        found = confidence(wheel(6, inner=6), radius)
        top.append(found.max())
    assert top == sorted(top) and top[0] == 0 and top[-1] > 0.5
    assert np.array_equal(np.round(found * 255) / np.float32(255), found), "in whole 255ths"


def test_two_rosettes_that_touch_are_two_proposals():
    two = np.concatenate([wheel(6), wheel(6) + 100], axis=1)
    task = RosettesVertices(radius=0.2)
    kept = numbers(task.keep(candidates(task, as_image(two))))
    assert kept.max() == 2 and (kept > 0).mean() > 0.95


def test_a_lower_threshold_never_finds_less(examples):
    task = RosettesVertices()
    some = candidates(task, examples[0].image)
    shares = [(numbers(task.at(some, threshold)) > 0).mean() for threshold in (0.2, 0.4, 0.6, 0.8)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0


def test_a_radius_in_micrometres_counts_where_it_is_given():
    image = as_image(tissue(), spacing_um=0.5)
    diameter_um = 0.5 * 20 * (4 / np.pi) ** 0.5
    given = RosettesVertices(least=4, radius_um=0.15 * diameter_um).view(image)
    usual = RosettesVertices(least=4).view(image)
    assert (np.asarray(given.data) > 0).any()
    assert (np.asarray(given.data) != np.asarray(usual.data)).mean() < 0.2
    assert (np.asarray(RosettesVertices(least=4, radius_um=0.01).view(image).data) == 0).all()


def test_membranes_are_cut_into_cells_first():
    example = replace(SCENE, show="membranes").draw(1)
    found = numbers(RosettesVertices().keep(candidates(RosettesVertices(), example.image)))
    true = np.asarray(example.truth.image.data)
    hit = [(found[true == number] > 0).mean() > 0.3 for number in range(1, true.max() + 1)]
    assert np.mean(hit) > 0.5


def test_calibration_finds_the_threshold_at_which_most_is_right(examples):
    task = RosettesVertices(threshold=0.9)
    found = [candidates(task, example.image) for example in examples]
    chosen = task.calibrate(found, examples)
    score = {t.threshold: t.score([t.keep(one) for one in found], examples)["event_f1"] for t in (task, chosen)}
    assert score[chosen.threshold] > score[0.9]
    assert task.averaged([replace(task, threshold=0.2), replace(task, threshold=0.4)]).threshold == pytest.approx(0.3)
    assert task.resolve(examples) == task


def test_what_is_found_is_described_by_its_cells():
    cells = np.pad(wheel(6), 10, constant_values=7)
    image = as_image(cells)
    task = RosettesVertices(cells="labels", radius_um=1.5)
    told = task.describe(image, task.keep(candidates(task, image)))
    assert told.columns["cells"] == [6] and told.columns["cell_ids"] == ["10 20 30 40 50 60"]


def test_a_model_file_keeps_the_settings(tmp_path):
    task = RosettesVertices(radius=0.2, least=6)
    Checkpoint(task, task.measure(as_image(tissue()))).save(tmp_path / "m.safetensors")
    assert Checkpoint.load(tmp_path / "m.safetensors").task == task


def test_an_image_with_one_cell_and_settings_that_cannot_be_are_refused():
    with pytest.raises(AnnotationError, match="found 1 cells"):
        RosettesVertices(cells="labels").view(as_image(np.ones((40, 50), int)))
    for wrong in ({"least": 2}, {"radius": 0.0}, {"radius_um": -1.0}, {"threshold": 1.1}):
        with pytest.raises(SettingsError, match="found"):
            RosettesVertices(**wrong)


def test_where_no_rosette_is_none_is_found():
    image = as_image(tissue())
    example = Example("even", image, Labels(as_image(np.zeros((120, 120), np.uint8))))
    task = RosettesVertices(least=7)
    found = predict(image, Checkpoint(task, {}), device="cpu")
    assert not numbers(found).any() and task.score([found], [example])["false_per_image"] == 0
