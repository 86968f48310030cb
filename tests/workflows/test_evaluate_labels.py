"""Evaluation of outlines: on the image's own voxels, pooled and image by image, and patch by patch as files."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from graticule.example import Example
from graticule.image import Image
from graticule.metrics import instances
from graticule.metrics.events import Froc
from graticule.results import Labels
from graticule.task import Regions
from graticule.tasks.rosettes import Rosettes
from graticule.tasks.tissue import Tissue
from graticule.workflows.evaluate_labels import judged_labels, rows, verdict, write_label_evaluation

TASK = Tissue(classes=("tissue",), dimensions=2, working_nm=(40.0, 40.0), thresholds=(0.5,), patch_px=(16,))


def labels(numbers):
    return Labels(Image(np.asarray(numbers, np.uint8), "yx", (0.04, 0.04)))


def example(numbers, name, complete=None):
    image = Image(np.arange(np.size(numbers), dtype=np.uint8).reshape(np.shape(numbers)), "yx", (0.04, 0.04))
    return Example(name, image, labels(numbers), None if complete is None else replace(image, data=complete))


def table_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def halves(width, shape=(20, 24)):
    numbers = np.zeros(shape, np.uint8)
    numbers[:, :width] = 1
    return numbers


@pytest.fixture
def done():
    examples = [example(halves(12), "a"), example(halves(6), "b")]
    return judged_labels(TASK, examples, [labels(halves(12)), labels(halves(8))])


def test_voxels_of_all_images_count_together_and_each_image_is_told(done):
    assert done.by_image["a"]["dice"] == 1
    assert done.by_image["b"]["dice"] == pytest.approx(12 / 14)
    assert done.pooled["dice"] == pytest.approx(36 / 38)
    assert done.pooled["jaccard"] == pytest.approx(18 / 20)
    assert (done.pooled["tp"], done.pooled["fp"], done.pooled["fn"]) == (18 * 20, 2 * 20, 0)
    assert [(image, name) for image, name, _ in rows(done)] == [("a", ""), ("b", ""), ("", "")]


def test_of_several_classes_each_is_told_and_their_mean():
    task = replace(TASK, classes=("tissue", "trachea"), thresholds=(0.5, 0.5))
    done = judged_labels(task, [example([[1, 1, 2, 0]], "a")], [labels([[1, 1, 0, 0]])])
    figures = {name: figures["dice"] for image, name, figures in rows(done) if image == ""}
    assert figures == {"tissue": 1, "trachea": 0, "": 0.5}


def test_everything_is_written(done, tmp_path):
    write_label_evaluation(done, tmp_path / "out", {"models": []}, patch=(16, 16))
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["pooled"]["dice"] == pytest.approx(done.pooled["dice"])
    table = table_of(tmp_path / "out" / "scores.csv")
    assert [row["image"] for row in table] == ["a", "b", "all images"]
    assert {path.name for path in (tmp_path / "out" / "overlays").iterdir()} == {"a.png", "b.png"}
    assert scores["patches"]["count"] == 8


def test_patches_put_together_are_the_image(done, tmp_path):
    write_label_evaluation(done, tmp_path / "out", {}, patch=(16, 16))
    patches = tmp_path / "out" / "patches"
    lines = table_of(patches / "patches.csv")
    whole = {what: np.zeros((20, 24), np.uint8) for what in ("found", "true")}
    for number, line in enumerate(line for line in lines if line["image"] == "b"):
        for what, numbers in whole.items():
            part = tifffile.imread(patches / f"b-{number:03d}-{what}.tif")
            y, x = int(line["y"]), int(line["x"])
            numbers[y : y + part.shape[0], x : x + part.shape[1]] = part
    assert np.array_equal(whole["found"], halves(8))
    assert np.array_equal(whole["true"], halves(6))


def test_right_false_and_missed_voxels_are_told_apart_where_the_truth_is_known():
    found, true = labels([[1, 1, 0, 0, 1]]), example([[1, 0, 1, 0, 0]], "a", complete=np.array([[1, 1, 1, 1, 0]]))
    assert verdict(found, true).data.tolist() == [[1, 2, 3, 0, 0]]
    assert verdict(labels([[1, 2, 2]]), example([[1, 1, 2]], "b")).data.tolist() == [[1, 2, 1]]
    assert verdict(labels([[1, 0]]), example([[255, 0]], "mask")).data.tolist() == [[1, 0]]


def proposals(*columns):
    """Squares of 10 pixels side by side, numbered from 1, from these columns on."""
    numbers = np.zeros((20, 60), np.uint8)
    for number, first in enumerate(columns, start=1):
        numbers[5:15, first : first + 10] = number
    return numbers


def test_of_proposals_events_are_told_before_pixels_and_drawn_whole(tmp_path):
    cells = np.arange(12).reshape(2, 6).repeat(10, 0).repeat(10, 1) + 1
    image = Image(cells.astype(np.uint16), "yx", (0.3, 0.3))
    truth = Example("a", image, labels(proposals(2, 40)))
    found = labels(proposals(3, 20))
    done = judged_labels(Rosettes(thresholds=(0.5,)), [truth], [found])
    assert done.columns[:3] == ("events", "met", "false")
    curve = Froc(*(np.array([0.5, 1.0]) for _ in range(4)))
    write_label_evaluation(replace(done, curve=curve), tmp_path / "out", {})
    (_, pooled) = table_of(tmp_path / "out" / "scores.csv")
    assert [float(pooled[key]) for key in ("events", "met", "false", "event_recall", "false_per_image")] == [
        2,
        1,
        1,
        0.5,
        1,
    ]
    assert float(pooled["tp"]) == 90
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["froc"]["recall"] == [0.5, 1.0]
    assert (tmp_path / "out" / "froc.png").stat().st_size > 1000


class Organelles:
    """As much of a task as judging single objects needs."""

    name = "organelles"
    regions = Regions(numbered=True, kinds=("mitochondrion",))

    def score(self, found, truth):
        return instances.scores(found, truth, ("mitochondrion",))


def test_of_single_objects_each_is_told_worst_first_and_drawn_by_what_became_of_it(tmp_path):
    truth = example(proposals(2, 40), "a")
    found = labels(proposals(3, 20))
    done = judged_labels(Organelles(), [truth], [found])
    assert done.columns[:3] == ("objects_true", "objects_found", "objects_met")
    write_label_evaluation(done, tmp_path / "out", {})
    (_, pooled) = table_of(tmp_path / "out" / "scores.csv")
    assert [float(pooled[key]) for key in ("objects_true", "objects_met", "objects_false", "object_f1")] == [
        2,
        1,
        1,
        0.5,
    ]
    assert float(pooled["boundary_nm"]) > 0 and float(pooled["tp"]) == 90
    rows = table_of(tmp_path / "out" / "worst.csv")
    assert [(row["verdict"], row["object"], row["found"]) for row in rows] == [
        ("missed", "2", ""),
        ("false", "", "2"),
        ("found", "1", "1"),
    ]
    assert float(rows[0]["true_um2"]) == pytest.approx(100 * 0.04**2)
    assert (float(rows[0]["x_um"]), float(rows[0]["y_um"])) == pytest.approx((45 * 0.04, 10 * 0.04), abs=0.05)
    pictures = {path.name for path in (tmp_path / "out" / "errors").iterdir()}
    assert pictures == {"missed-01 a 2.png", "false-01 a 2.png"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Object F1 0.500 at IoU 0.5" in page and "2 of 3 objects are not simply found" in page
    assert re.search(r"object F1\s*</td>\s*<td[^>]*>\s*0.5000", page)  # figures are lines where there are many
    assert (tmp_path / "out" / "overlays" / "a.png").is_file()


def test_of_several_images_the_worst_objects_of_all_come_first(tmp_path):
    truth = [example(proposals(2, 40), name) for name in "ab"]
    done = judged_labels(Organelles(), truth, [labels(proposals(2, 40)), labels(proposals(2))])
    write_label_evaluation(done, tmp_path / "out", {})
    rows = table_of(tmp_path / "out" / "worst.csv")
    assert (rows[0]["image"], rows[0]["verdict"]) == ("b", "missed")
    assert len(rows) == 4 and done.pooled["objects_met"] == 3
