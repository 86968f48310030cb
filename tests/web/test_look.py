"""One result as somebody looks at it: what is moved and corrected is what predict and the review say, and stays."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("fastapi", reason="the extra [web] is not installed")

from graticule import io
from graticule.cli.app import run
from graticule.errors import GraticuleError
from graticule.image import Image
from graticule.web.decisions import Asked
from graticule.web.desk import Desk
from graticule.web.look import Look
from graticule.workflows.predict_files import Job, load_models, predict_file
from graticule.workflows.review import journal_of
from tests.synthetic import scattered


@pytest.fixture(scope="module")
def places(tmp_path_factory, disc_model) -> tuple[Path, Path, Path]:
    """An image file of discs, the model's, and the folder of a result with its maps."""
    folder = tmp_path_factory.mktemp("look")
    example = scattered(
        7, count=30, shape=(320, 300), gap_px=26, kind=[0, 1] * 15, kinds=("6nm", "12nm"), diameter_px=(10, 20)
    )
    image, model = folder / "discs.tif", folder / "m.safetensors"
    io.write(example.image, image)
    disc_model.save(model)
    predict_file(image, Job(models=load_models([model]), files=(model,), out=folder / "job", keep_maps=True))
    return image, model, folder / "job" / "discs"


@pytest.fixture
def look(places, tmp_path) -> Look:
    """Of a copy of that result."""
    from shutil import copytree

    return Look(copytree(places[2], tmp_path / "job" / "discs"), Desk([]), "ada")


def again(look: Look) -> Look:
    """The same result after a restart."""
    look.close()
    return Look(look.folder, Desk([]), "ada")


def asked(what: str, **more: object) -> Asked:
    return Asked(request=uuid4(), what=what, **more)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


STRICT = ("0.93", "0.905")
"""Some of the discs reach these confidences."""


def stricter(look: Look) -> None:
    look.move({f"thresholds.{number}": float(word) for number, word in enumerate(STRICT)})


def test_untouched_it_is_the_result_to_the_last_byte(look) -> None:
    assert look.is_as_predicted
    assert look.export("csv").read_bytes() == (look.folder / "objects.csv").read_bytes()
    assert len(look.items) == len(rows(look.folder / "objects.csv"))


def test_at_other_thresholds_the_table_is_that_of_the_command_line(look, places, tmp_path) -> None:
    image, model, _ = places
    before = len(look.items)
    stricter(look)
    words = [
        "predict",
        str(image),
        "--model",
        str(model),
        "--threshold",
        *STRICT,
        "-o",
        str(tmp_path / "cli"),
        "--quiet",
    ]
    assert run(words) == 0
    assert look.export("csv").read_bytes() == (tmp_path / "cli" / "discs" / "objects.csv").read_bytes()
    assert 0 < len(look.items) < before
    assert sum(tally.count for tally in look.tallies) == len(look.items)


def test_all_candidates_confidences_are_told_wherever_the_threshold_is(look) -> None:
    before = look.confidences
    stricter(look)
    after = look.confidences
    assert all(np.array_equal(before[kind], after[kind]) for kind in ("6nm", "12nm"))
    assert sum(len(values) for values in after.values()) >= 30 > len(look.items)
    assert (look.thresholds["6nm"], look.thresholds["12nm"]) == tuple(map(float, STRICT))


def test_nothing_found_is_a_result_in_every_kind_of_file(look) -> None:
    look.move({"thresholds.0": 1.0, "thresholds.1": 1.0})
    assert len(look.items) == 0 and [t.count for t in look.tallies] == [0, 0]
    assert look.tallies[0].high > 0
    for kind in ("csv", "star", "geojson", "overlay", "report"):
        assert look.export(kind).stat().st_size > 0


def test_settings_are_remembered(look) -> None:
    stricter(look)
    other = again(look)
    assert other.task == look.task and set(other.items) == set(look.items)


def test_a_setting_that_cannot_be_changes_nothing(look) -> None:
    task, version = look.task, look.version
    with pytest.raises(GraticuleError, match="need 0 to 1"):
        look.move({"thresholds.0": 2.0})
    assert (look.task, look.version) == (task, version)


def test_what_is_taken_out_and_added_is_in_the_journal_the_counts_and_the_table(look) -> None:
    before = {row["particle_id"]: row for row in rows(look.folder / "objects.csv")}
    gone = next(iter(look.items))
    look.decide(asked("reject", ids=[gone]))
    answer = look.decide(asked("add", at_um=[[0.01, 0.02]], kind="12nm", diameter_um=0.012))
    after = {row["particle_id"]: row for row in rows(look.export("csv"))}
    added = str(answer.items[0].id)
    assert after.keys() == before.keys() - {str(gone)} | {added}
    assert all(after[number] == before[number] for number in after.keys() & before.keys())
    assert (float(after[added]["y_um"]), after[added]["class"]) == (0.01, "12nm")
    assert look.corrections == {"removed": 1, "added": 1}
    assert sum(t.count for t in look.tallies) == len(before)
    place = next((look.folder.parent / ".chosen" / "discs").glob("*/discs"))
    assert len(journal_of(place, "ada").read_text().splitlines()) == 3  # its head, and two decisions


def test_corrections_outlast_a_restart(look) -> None:
    gone = next(iter(look.items))
    look.decide(asked("reject", ids=[gone]))
    other = again(look)
    assert other.items[gone].status == "rejected" and other.can_undo
    other.decide(asked("undo"))
    assert other.items[gone].status == "open" and not other.can_undo


def test_corrections_are_carried_to_other_settings(look) -> None:
    gone = max(look.items.values(), key=lambda item: item.confidence)
    look.decide(asked("reject", ids=[gone.id]))
    look.decide(asked("add", at_um=[[0.01, 0.02]], kind="6nm"))
    stricter(look)
    there = [item for item in look.items.values() if item.position_um == pytest.approx(gone.position_um, abs=1e-5)]
    assert [item.status for item in there] == ["rejected"]
    assert [item.position_um for item in look.items.values() if item.origin == "added"] == [(0.01, 0.02)]
    assert look.corrections == {"removed": 1, "added": 1} and look.said
    assert again(look).corrections == {"removed": 1, "added": 1}


def test_the_same_request_is_applied_once(look) -> None:
    same = asked("add", at_um=[[0.01, 0.02]], kind="6nm")
    assert not look.decide(same).repeated and look.decide(same).repeated
    assert look.corrections["added"] == 1


def test_inside_a_mask_only_what_lies_there_counts(look, tmp_path) -> None:
    left = np.zeros(look.image.shape, np.uint8)
    left[:, :150] = 1
    io.write(Image(left, "yx", look.image.spacing_um), tmp_path / "left.tif")
    every = len(look.items)
    look.mask_by(tmp_path / "left.tif")
    assert 0 < len(look.items) < every
    assert all(item.position_um[1] < 150 * look.image.spacing_um[1] for item in look.items.values())
    assert again(look).mask == tmp_path / "left.tif"
    look.mask_by(None)
    assert len(look.items) == every


def test_an_unreadable_memory_of_settings_is_no_reason_to_fail(look) -> None:
    stricter(look)
    file = look.folder.parent / ".chosen" / "discs" / "choice.json"
    assert json.loads(file.read_text())["values"]
    file.write_text("{")
    assert again(look).is_as_predicted


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    """A result of tissue without training: texture on the left, resin on the right."""
    folder = tmp_path_factory.mktemp("mask")
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.normal(size=(240, 300)), 1.5)
    grey = 190 + rng.normal(0, 5, (240, 300))
    grey[:, :150] = (120 + texture / texture.std() * 30)[:, :150]
    io.write(Image(np.clip(grey, 0, 255).astype(np.uint8), "yx", (0.01, 0.01)), folder / "half.tif")
    method = (Path("tissue-texture"),)
    predict_file(folder / "half.tif", Job(models=load_models(method), files=method, out=folder / "job", keep_maps=True))
    return folder / "job" / "half"


def test_a_mask_has_a_size_and_no_objects_to_correct(masked) -> None:
    look = Look(masked, Desk([]), "ada")
    assert not look.correctable and look.outlined
    (tally,) = look.tallies
    assert 0.3 < tally.share < 0.7 and tally.amount == pytest.approx(tally.share * 240 * 300 * 1e-4)
    assert not look.gives("csv") and look.gives("labels")
    look.move({"threshold": 0.95})
    assert look.tallies[0].amount < tally.amount
    with pytest.raises(GraticuleError, match="no single objects"):
        look.decide(asked("add", outline_um=[[0.1, 0.1], [0.1, 0.2], [0.2, 0.2]], kind="tissue"))
