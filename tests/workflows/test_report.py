from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError
from graticule.image import Image
from graticule.statistics.intervals import poisson
from graticule.tasks import LABEL_FREE, TASKS, LogBeads
from graticule.workflows.cross_validate import find
from graticule.workflows.evaluate import judged, write_evaluation
from graticule.workflows.predict_files import Job, predict_file
from graticule.workflows.ready import ready
from graticule.workflows.report import _cautions as cautions
from graticule.workflows.report import methods_of, page_of, runs_in, write_report
from graticule.workflows.review import load_result, open_review
from tests.synthetic import scattered

TASK = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=0.6, thresholds=(0.1,))
MADE = {"learnt_from": ["a", "b", "c"], "chosen_on": ["d"], "score": 0.9, "time": "then"}


def predicted(tmp_path: Path, image: Image, task=TASK, made=MADE, mask: Path | None = None) -> Path:
    io.write(image, tmp_path / "grid.tif")
    job = Job(models=(Checkpoint(task, made_by=made),), files=(Path(task.name),), out=tmp_path / "out", mask=mask)
    return predict_file(tmp_path / "grid.tif", job).folder


def words(folder: Path) -> str:
    """The page's text, without pictures."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL))


def test_predict_writes_a_page_with_counts_density_and_their_interval(tmp_path: Path) -> None:
    image = scattered(4, shape=(160, 192)).image
    folder = predicted(tmp_path, image)
    said = words(folder)
    area = 160 * 192 * 0.0006**2
    low, high = poisson(12)
    assert f"6nm 12 {12 / area:.4g} ({low / area:.4g} to {high / area:.4g})" in said
    assert "Before you use" not in said
    assert json.loads((folder / "run.json").read_text())["image"]["sha256"] in said


def test_the_page_says_where_the_threshold_comes_from_and_how_to_cite(tmp_path: Path) -> None:
    said = words(predicted(tmp_path, scattered(4, shape=(160, 192)).image))
    assert "0.1 for 6nm; chosen where the score was best on 1 annotated images" in said
    assert "trained on 3 annotated images" in said and "resampled to 0.6 nm per voxel" in said


def test_a_model_that_learnt_from_all_images_is_not_said_to_have_held_any_out(tmp_path: Path) -> None:
    made = {"learnt_from": ["a", "b"], "chosen_on": ["a", "b"], "score": None, "time": "then"}
    said = words(predicted(tmp_path, scattered(4, shape=(160, 192)).image, made=made))
    assert "0.1 for 6nm; no images were held out to choose it on" in said
    assert "not used for learning" not in said and "did not learn from" not in said


def test_nothing_found_is_a_result_with_a_warning(tmp_path: Path) -> None:
    blank = Image(np.full((96, 96), 180, np.uint8), "yx", (0.0006, 0.0006))
    said = words(predicted(tmp_path, blank))
    assert "Found: nothing." in said and "Nothing was found. That is a result" in said
    assert "6nm 0 0 (0 to" in said


def test_a_count_that_hangs_on_its_threshold_is_warned_of(tmp_path: Path) -> None:
    image = scattered(4, shape=(160, 192)).image
    found = load_result(predicted(tmp_path, image)).proposals.items
    sure = float(np.median([item.confidence for item in found]))
    task = replace(TASK, thresholds=(sure - 0.02,))
    assert "of the objects are within 0.1 of the threshold" in words(predicted(tmp_path, image, task))


def test_a_model_without_a_score_is_warned_of_and_a_method_without_training_is_not(tmp_path: Path) -> None:
    image = scattered(4, shape=(160, 192)).image
    assert "how good it is, is not known" not in words(predicted(tmp_path, image, made={}))
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"stands for a model")
    job = Job(models=(Checkpoint(TASK),), files=(file,), out=tmp_path / "other")
    said = words(predict_file(tmp_path / "grid.tif", job).folder)
    assert "how good it is, is not known" in said and "not used for learning" not in said


def test_after_a_review_the_page_says_what_it_proves(tmp_path: Path) -> None:
    folder = predicted(tmp_path, scattered(4, shape=(160, 192)).image)
    for who in ("ada", "bo"):
        with open_review(load_result(folder), who=who) as session:
            session.accept(*session.items)
            for field in session.queue.fields_um:
                session.look(field)
    write_report(folder)
    said = words(folder)
    assert "100.0% (100.0% to 100.0%), 12 of 12 seen" in said and "0 (0 to 0)" in said
    assert "ada and bo 12" in said


def test_a_mask_is_reported_by_size_and_share(tmp_path: Path) -> None:
    pixels = np.where(np.arange(256)[None] < 128, 60, 180) + np.random.default_rng(0).normal(0, 5, (200, 256))
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8), "yx", (0.04, 0.04))
    folder = predicted(tmp_path, image, LABEL_FREE["tissue-otsu"](), {})
    said = words(folder)
    assert "size (µm²) share of the image" in said and re.search(r"tissue [\d.]+ [45]\d\.\d\d%", said)
    assert "single objects" not in said


def test_the_page_can_be_made_again_and_says_if_the_image_is_gone(tmp_path: Path) -> None:
    folder = predicted(tmp_path, scattered(4, shape=(160, 192)).image)
    first = (folder / "report.html").read_text()
    write_report(folder)
    ids = re.compile(r'(id|href|clip-path)="[^"]*"|base64,[^"]*')
    assert ids.sub("", (folder / "report.html").read_text()) == ids.sub("", first)
    (tmp_path / "grid.tif").unlink()
    write_report(folder)
    assert "Single objects are not shown" in words(folder)


def test_an_evaluation_s_page_shows_scores_calibration_and_single_errors(tmp_path: Path) -> None:
    examples = [scattered(seed, shape=(160, 192)) for seed in (1, 2)]
    found = [find(TASK.permissive(), [Checkpoint(TASK)], ready(TASK, e), False, "cpu") for e in examples]
    strict = replace(TASK, thresholds=(0.99,))
    write_evaluation(judged(strict, examples, found), tmp_path / "scores", {"models": []})
    said = words(tmp_path / "scores")
    assert "Is its confidence a probability?" in said and "Missed:" in said
    assert "24 annotated objects were judged" in said
    with (tmp_path / "scores" / "candidates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["verdict"] == "right" for row in rows) == 24
    assert all((float(row["confidence"]) >= 0.99) == (row["counted"] == "yes") for row in rows if row["confidence"])


def test_a_cross_validation_s_page_has_every_fold(tmp_path: Path) -> None:
    fold = {"held_out": ["S1"], "scores": {"f1": 0.9, "precision": 0.8, "recall": 1.0, "tp": 8, "fp": 2, "fn": 0}}
    pooled = {"all": {"f1": 0.85, "precision": 0.8, "recall": 0.9, "tp": 16, "fp": 4, "fn": 2}}
    runs = [
        {"seed": seed, "folds": [fold, {**fold, "held_out": ["S2"], "baseline": {"f1": 0.7}}], "pooled": pooled}
        for seed in (0, 1)
    ]
    (tmp_path / "summary.json").write_text(json.dumps({"dataset": "synapses", "runs": runs}))
    write_report(tmp_path)
    said = words(tmp_path)
    assert "S1 0.900 0.800 1.000 8 2 0" in said and "S2 0.900 0.800 1.000 8 2 0 0.700" in said
    assert "Every fold, seed 1" in said and "seeds: 0.850 to 0.850" in said


def test_of_single_objects_every_fold_tells_how_many_there_were(tmp_path: Path) -> None:
    scores = {"dice": 0.9, "object_f1": 0.875, "objects_true": 8, "objects_met": 7, "objects_false": 1, "splits": 0}
    fold = {"held_out": ["S1"], "scores": scores}
    runs = [{"seed": 0, "folds": [fold], "pooled": {"all": {"f1": 0.9}}}]
    (tmp_path / "summary.json").write_text(json.dumps({"dataset": "organelles", "runs": runs}))
    write_report(tmp_path)
    assert "S1 0.875 8 7 1 0" in words(tmp_path)


def test_a_folder_of_predictions_is_reported_image_by_image_and_others_are_refused(tmp_path: Path) -> None:
    folder = predicted(tmp_path, scattered(4).image)
    assert runs_in(folder.parent) == [folder] == runs_in(folder)
    with pytest.raises(FormatError, match="no run to report on"):
        page_of(tmp_path)


def test_every_task_says_how_it_works_in_a_sentence_that_can_be_cited() -> None:
    for name in (*TASKS, *LABEL_FREE):
        text = methods_of({"task": name, "versions": {"torch": "2.13"}})
        assert re.search(r"doi:10\.|arXiv:|\b(19|20)\d\d\)", text) and "PyTorch 2.13" in text, name
        assert "the method " not in text


@pytest.mark.parametrize(
    ("own", "said"), [((0.2, 0.1, 0.1), 0), ((0.2, 0.2, 0.2), 1), ((0.04, 0.04, 0.04), 1), ((), 0)]
)
def test_voxels_that_are_cubes_to_the_model_only_are_no_reason_to_warn(own: tuple[float, ...], said: int) -> None:
    run = {"task": "particles", "image": {"spacing_um": own}, "plan": {"spacing_um": (0.089,) * 3}, "models": []}
    assert sum("voxel size right" in line for line in cautions(run, {"centriole": 3}, None)) == said
