import csv
import json

import numpy as np
import pytest

from graticule.cli.evaluate import show_labels
from graticule.cli.options import Common
from graticule.cli.voice import Voice
from graticule.example import Example
from graticule.image import Image
from graticule.metrics import instances
from graticule.results import Labels
from graticule.workflows.evaluate_labels import LabelEvaluation

FILES = {
    "scores.json",
    "scores.csv",
    "candidates.csv",
    "precision_recall.png",
    "report.html",
    "run.json",
    "overlays",
    "errors",
}


def test_figures_are_said_for_every_image_and_for_all_and_written(graticule, model, unseen, tmp_path):
    ended = graticule("evaluate", unseen, "--model", model, "-o", "judged")
    assert ended.code == 0
    assert all(word in ended.out for word in ("discs-50", "discs-51", "all images", "6nm", "12nm"))
    assert {path.name for path in (tmp_path / "judged").iterdir()} == FILES
    assert {path.name for path in (tmp_path / "judged" / "overlays").iterdir()} == {"discs-50.png", "discs-51.png"}
    with (tmp_path / "judged" / "scores.csv").open() as file:
        rows = {(row["image"], row["class"]): row for row in csv.DictReader(file)}
    assert ("all images", "all classes") in rows
    assert sum(int(rows[f"discs-{i}", "6nm"]["tp"]) for i in (50, 51)) == int(rows["all images", "6nm"]["tp"])


def test_who_marked_only_a_few_is_told_that_precision_means_nothing(graticule, model, unseen):
    doubt = "precision and F1 mean nothing"
    assert doubt not in graticule("evaluate", unseen, "--model", model).out
    for table in (unseen / "points").glob("*.csv"):
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))
    assert doubt in graticule("evaluate", unseen, "--model", model).out


def test_a_good_model_scores_well(graticule, model, unseen):
    assert graticule("evaluate", unseen, "--model", model, "--json").json["pooled"]["f1"] > 0.8


def test_the_figures_in_json_are_those_in_the_file(graticule, model, unseen, tmp_path):
    said = graticule("evaluate", unseen, "--model", model, "-o", "judged", "--json").json
    written = json.loads((tmp_path / "judged" / "scores.json").read_text())
    assert said["pooled"] == written["pooled"]
    assert set(written["images"]) == {"discs-50", "discs-51"}


def test_average_precision_does_not_depend_on_the_threshold(graticule, model, unseen):
    def pooled(*more):
        return graticule("evaluate", unseen, "--model", model, "--json", *more).json["pooled"]

    assert pooled("--threshold", "0.9")["ap"] == pooled("--threshold", "0.1")["ap"]
    assert pooled("--threshold", "0.9")["recall"] <= pooled("--threshold", "0.1")["recall"]


def test_images_that_the_model_learnt_from_are_refused_unless_allowed(graticule, discs, tmp_path):
    from tests.cli.conftest import TINY

    assert graticule("train", "beads", discs, "-o", "m", *TINY).code == 0
    said = graticule("evaluate", discs, "--model", "m.safetensors", "-o", "judged").complaint
    assert "discs-0" in said
    assert "--allow-seen" in said
    assert not (tmp_path / "judged").exists()
    assert graticule("evaluate", discs, "--model", "m.safetensors", "--allow-seen").code == 0


def test_the_same_image_under_another_name_is_still_the_same(graticule, discs, tmp_path):
    from tests.cli.conftest import TINY

    assert graticule("train", "beads", discs, "-o", "m", *TINY).code == 0
    for room, suffix in (("images", "tif"), ("points", "csv")):
        (discs / room / f"discs-0.{suffix}").rename(discs / room / f"renamed.{suffix}")
        for i in range(1, 4):
            (discs / room / f"discs-{i}.{suffix}").unlink()
    (discs / "dataset.yaml").write_text("classes: [6nm, 12nm]\n")
    assert "renamed" in graticule("evaluate", discs, "--model", "m.safetensors").complaint


@pytest.mark.parametrize("classes", ["[6nm]", "[12nm, 6nm, 18nm]"])
def test_a_dataset_with_other_classes_is_refused_or_read_by_name(graticule, model, unseen, classes):
    header = (unseen / "dataset.yaml").read_text()
    before = graticule("evaluate", unseen, "--model", model, "--json").json["pooled"]
    (unseen / "dataset.yaml").write_text(header.replace("classes:\n- 6nm\n- 12nm\n", f"classes: {classes}\n"))
    assert classes in (unseen / "dataset.yaml").read_text()
    ended = graticule("evaluate", unseen, "--model", model, "--json")
    if "12nm" in classes:
        assert ended.json["pooled"] == before
    else:
        assert "12nm" in ended.err
        assert ended.code == 2


def test_of_single_objects_the_table_says_what_became_of_them_and_names_no_two_images_alike(capsys):
    numbers = np.zeros((20, 60), np.uint8)
    numbers[5:15, 2:12], numbers[5:15, 40:50] = 1, 2
    truth, found = (Labels(Image(each, "yx", (0.01, 0.01))) for each in (numbers, np.where(numbers == 1, 1, 0)))
    examples = [Example(f"a-name-as-long-as-names-may-be-{n}", truth.image, truth) for n in range(2)]
    scores = [instances.scores([found], [example], ("mitochondrion",)) for example in examples]
    by_image = {example.name: one for example, one in zip(examples, scores, strict=True)}
    show_labels(Voice(Common()), LabelEvaluation(None, tuple(examples), (found,) * 2, scores[0], by_image, 0.0))
    said = capsys.readouterr().out
    assert "1/2" in said and "0.667" in said and "between outlines" in said
    first_column = "".join(line.split()[0] for line in said.splitlines())
    assert all(example.name in first_column for example in examples)
