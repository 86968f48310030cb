"""From a prediction to a review, and from reviews to a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.errors import DatasetError, FormatError
from graticule.image import Image
from graticule.io import dataset
from graticule.results import Labels, Points
from graticule.tasks import LogBeads
from graticule.workflows.collect import collect
from graticule.workflows.predict_files import Job, predict_file
from graticule.workflows.provenance import fingerprint
from graticule.workflows.results import MARK, check_result_folder
from graticule.workflows.review import journal_of, load_result, open_review, results_in, reviews
from tests.synthetic import scattered

TASK = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=0.6, thresholds=(0.3,))


@pytest.fixture
def beads(tmp_path: Path) -> Path:
    """What a method found in a small micrograph of 12 beads."""
    example = scattered(4, shape=(160, 192))
    io.write(example.image, tmp_path / "grid.tif")
    model = Checkpoint(TASK)
    job = Job(models=(model,), files=(Path("beads-log"),), out=tmp_path / "out")
    predict_file(tmp_path / "grid.tif", job)
    return tmp_path / "out" / "grid"


@pytest.fixture
def outlined(tmp_path: Path) -> Path:
    """A result with two numbered outlines, as written for tasks that outline objects."""
    labels = np.zeros((64, 80), np.uint16)
    labels[10:20, 10:22], labels[40:50, 50:66] = 1, 2
    image = Image((labels * 40).astype(np.uint8), "yx", (0.5, 0.5))
    folder = tmp_path / "out" / "cells"
    folder.mkdir(parents=True)
    io.write(image, tmp_path / "cells.tif")
    centres = np.array([np.argwhere(labels == n).mean(axis=0) for n in (1, 2)])
    found = Points(image.to_um(centres), np.array([0.9, 0.4]), np.zeros(2, int), ("rosette",))
    io.write(found, folder / "objects.csv", on=image)
    io.write(Labels(Image(labels, "yx", (0.5, 0.5))), folder / "objects.tif")
    run = {"image": fingerprint(tmp_path / "cells.tif"), "task": "rosettes", "settings": {"classes": ["rosette"]}}
    (folder / MARK).write_text(json.dumps(run))
    return folder


def test_every_object_of_a_result_is_proposed_where_it_was_found(beads: Path) -> None:
    reviewed = load_result(beads)
    assert len(reviewed.proposals.items) == 12 and reviewed.diameters_um == {"6nm": 0.006}
    table = io.read_points(beads / "objects.csv", reviewed.image)
    np.testing.assert_allclose([i.position_um for i in reviewed.proposals.items], table.position_um)
    assert reviewed.threshold == 0.3 and reviewed.about["models"] == ["beads-log"]


def test_outlined_objects_are_proposed_by_the_numbers_of_their_voxels(outlined: Path) -> None:
    reviewed = load_result(outlined)
    session = open_review(reviewed, who="ada")
    assert session.outlined and set(session.items) == {1, 2}
    assert session.outline(2).voxels == 160 and session.at(session.items[1].position_um).id == 1


def test_a_review_goes_on_where_it_was_left(beads: Path) -> None:
    with open_review(load_result(beads), who="Ada L.") as session:
        session.accept(1, 2)
        session.reject(3)
    with open_review(load_result(beads), who="Ada L.") as session:
        assert session.progress.decided == 3
    assert journal_of(beads, "Ada L.").name == "Ada_L.jsonl"
    assert [s.who for s in reviews(load_result(beads))] == ["Ada L."]


def test_a_result_of_another_image_is_refused(beads: Path, tmp_path: Path) -> None:
    other = scattered(5, shape=(160, 192)).image
    io.write(other, tmp_path / "grid.tif")
    with pytest.raises(FormatError, match="its content differs"):
        load_result(beads)
    (tmp_path / "grid.tif").unlink()
    with pytest.raises(FormatError, match="say where it is with --image"):
        load_result(beads)


def test_an_image_that_was_moved_is_known_by_its_content(beads: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.tif").rename(tmp_path / "moved.tif")
    assert len(load_result(beads, image_file=tmp_path / "moved.tif").proposals.items) == 12


def test_decisions_on_an_earlier_result_are_not_taken_for_this_one_s(beads: Path) -> None:
    open_review(load_result(beads), who="ada").close()
    table = (beads / "objects.csv").read_text().splitlines()
    (beads / "objects.csv").write_text("\n".join(table[:-1]) + "\n")
    with pytest.raises(FormatError, match="another result"):
        open_review(load_result(beads), who="ada")


def test_a_reviewed_result_is_never_replaced_by_a_newer_one(beads: Path) -> None:
    check_result_folder(beads)
    open_review(load_result(beads), who="ada").close()
    with pytest.raises(FormatError, match="people have reviewed"):
        check_result_folder(beads)


def test_a_folder_of_results_is_opened_one_by_one_and_others_are_refused(beads: Path, tmp_path: Path) -> None:
    assert results_in(beads) == [beads] and results_in(beads.parent) == [beads]
    with pytest.raises(FormatError, match="no result here"):
        results_in(tmp_path / "nowhere")
    (beads / "objects.csv").unlink()
    with pytest.raises(FormatError, match="a mask has none"):
        load_result(beads)


def test_what_was_accepted_becomes_a_dataset_known_where_somebody_looked(beads: Path, tmp_path: Path) -> None:
    reviewed = load_result(beads)
    with open_review(reviewed, who="ada") as session:
        first = session.items[1]
        frame = tuple(x - 0.02 for x in first.position_um), tuple(x + 0.02 for x in first.position_um)
        session.accept(1, seen_um=frame)
        added = session.add((0.05, 0.05), "6nm", diameter_um=0.006, seen_um=((0.04, 0.04), (0.06, 0.06)))
        session.reject(2)
    [told] = collect([beads.parent], tmp_path / "learn")
    assert told.objects == 2 and told.reviewers == ("ada",) and 0 < told.known < 0.6
    data = dataset.load(tmp_path / "learn")
    [example] = data.examples
    assert isinstance(example.truth, Points) and data.diameters_nm == {"6nm": 6}
    np.testing.assert_allclose(
        example.truth.position_um, [first.position_um, session.items[added].position_um], atol=1e-5
    )
    np.testing.assert_array_equal(np.asarray(example.image.data[...]), np.asarray(reviewed.image.data[...]))
    assert example.complete is not None and example.is_complete_at(example.truth.position_um).all()
    assert float(np.mean(np.asarray(example.complete.data[...]) != 0)) == pytest.approx(told.known)


def test_accepted_outlines_become_labels(outlined: Path, tmp_path: Path) -> None:
    with open_review(load_result(outlined), who="ada") as session:
        session.accept(2)
        session.reject(1)
        session.complete()
    collect([outlined], tmp_path / "learn")
    [example] = dataset.load(tmp_path / "learn", truth="labels").examples
    assert isinstance(example.truth, Labels) and example.complete is None
    np.testing.assert_array_equal(
        np.asarray(example.truth.image.data[...]) != 0, np.asarray(example.image.data[...]) == 80
    )


def test_the_majority_of_reviewers_is_taught_and_what_half_accept_is_not_known(beads: Path, tmp_path: Path) -> None:
    for who, accepted in (("ada", (1, 2)), ("bo", (1,))):
        with open_review(load_result(beads), who=who) as session:
            session.accept(*accepted)
            session.reject(*[n for n in session.items if n not in accepted])
            session.complete()
    [told] = collect([beads], tmp_path / "learn")
    assert (told.objects, told.disputed) == (1, 1) and told.known < 1
    [one] = collect([beads], tmp_path / "ada", who="ada")
    assert (one.objects, one.known) == (2, 1.0)


def test_nothing_decided_makes_no_dataset(beads: Path, tmp_path: Path) -> None:
    open_review(load_result(beads), who="ada").close()
    with pytest.raises(DatasetError, match="no decision"):
        collect([beads], tmp_path / "learn")
    assert not (tmp_path / "learn").exists()
