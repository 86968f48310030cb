"""What leaves the house: the result to the last byte, or what its reviewer made of it, and nothing in between."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import starfile
import zarr
from PIL import Image as Picture

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError
from graticule.image import Image
from graticule.io import omezarr, points_csv
from graticule.results import Labels, Points
from graticule.tasks import LogBeads
from graticule.workflows.export import KINDS, SUFFIXES, export, kinds_of, target
from graticule.workflows.predict_files import Job, predict_file
from graticule.workflows.provenance import fingerprint
from graticule.workflows.results import MARK
from graticule.workflows.review import load_result, open_review
from graticule.workflows.standing import Standing
from tests.synthetic import scattered
from tests.web.tables import write_outlined, write_points

TASK = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=0.6, thresholds=(0.3,))


def predicted(folder: Path, image: Image) -> Path:
    """What a method without training finds in an image."""
    io.write(image, folder / "grid.tif")
    predict_file(folder / "grid.tif", Job(models=(Checkpoint(TASK),), files=(Path("beads-log"),), out=folder / "out"))
    return folder / "out" / "grid"


@pytest.fixture(scope="module")
def found_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return predicted(tmp_path_factory.mktemp("found"), scattered(4, shape=(160, 192)).image)


@pytest.fixture
def beads(found_once: Path, tmp_path: Path) -> Path:
    """12 beads, as predict wrote them."""
    shutil.copytree(found_once, tmp_path / "out" / "grid")
    return tmp_path / "out" / "grid"


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result without objects."""
    flat = Image(np.full((64, 80), 1000, np.uint16), "yx", (0.0006, 0.0006))
    return predicted(tmp_path_factory.mktemp("nothing"), flat)


@pytest.fixture
def outlined(tmp_path: Path) -> Path:
    return write_outlined(tmp_path / "out")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Two boxes in a stack, outlined on voxels twice as large, as predict leaves them."""
    folder = tmp_path / "out" / "stack"
    image = Image(np.zeros((8, 20, 24), np.uint8), "zyx", (1.0, 0.5, 0.5))
    labels = np.zeros((4, 10, 12), np.uint16)
    labels[0:2, 2:5, 2:5], labels[2:3, 6:9, 4:8] = 1, 2
    place = Image(labels, "zyx", (2.0, 1.0, 1.0), (0.5, 0.25, 0.25))
    io.write(image, tmp_path / "stack.tif")
    io.write(replace(place, data=np.zeros_like(labels)), folder / "confidence.ome.zarr")
    zarr.open_group(str(folder / "confidence.ome.zarr" / "labels"), mode="a")
    omezarr.write(place, folder / "confidence.ome.zarr" / "labels" / "objects", labels=True)
    centres = np.array([np.argwhere(labels == n).mean(axis=0) for n in (1, 2)])
    found = Points(place.to_um(centres), np.array([0.9, 0.4]), np.zeros(2, int), ("cell",))
    points_csv.write(found, folder / "objects.csv", image, more={"volume_um3": ["36", "24"]})
    run = {"image": fingerprint(tmp_path / "stack.tif"), "task": "cells", "settings": {"classes": ["cell"]}}
    (folder / MARK).write_text(json.dumps(run))
    return folder


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """Tissue in a plane, as write_found leaves it."""
    folder = tmp_path / "out" / "slice"
    folder.mkdir(parents=True)
    labels = np.zeros((30, 40), np.uint8)
    labels[:, 10:], labels[5:9, 20:24] = 1, 0
    io.write(Image(labels * 9 + 1, "yx", (0.5, 0.5)), tmp_path / "slice.tif")
    io.write(Labels(Image(labels, "yx", (0.5, 0.5))), folder / "mask.tif")
    run = {"image": fingerprint(tmp_path / "slice.tif"), "task": "tissue", "counts": {"tissue": 884}}
    (folder / MARK).write_text(json.dumps(run))
    return folder


def size(picture: Path) -> tuple[int, int]:
    with Picture.open(picture) as opened:
        return opened.size


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_without_a_review_the_table_is_the_result_s_own(beads: Path, tmp_path: Path) -> None:
    written = export(beads, "csv", tmp_path / "a.csv")
    assert written == tmp_path / "a.csv" and written.read_bytes() == (beads / "objects.csv").read_bytes()
    for kind, own in (("roi", "objects.zip"), ("overlay", "overlay.png")):
        assert export(beads, kind, tmp_path / "new").read_bytes() == (beads / own).read_bytes()


def test_others_decisions_do_not_touch_what_was_found(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="ada") as session:
        session.reject(*session.items)
    assert export(beads, "csv", tmp_path).read_bytes() == (beads / "objects.csv").read_bytes()


def test_a_review_in_which_nothing_changed_gives_the_same_bytes(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="ada") as session:
        session.accept(*session.items)
    assert export(beads, "csv", tmp_path / "a.csv", who="ada").read_bytes() == (beads / "objects.csv").read_bytes()


def test_the_table_is_what_was_found_and_not_rejected_as_it_was_decided(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="ada") as session:
        session.reject(3)
        session.move(5, (0.03, 0.04))
        added = session.add((0.05, 0.06), "6nm")
        session.undo()
        added = session.add((0.0501, 0.06), "6nm")
        lost = session.add((0.01, 0.01))
        session.reject(lost)
    before, after = rows(beads / "objects.csv"), rows(export(beads, "csv", tmp_path / "a.csv", who="ada"))
    assert list(after[0]) == list(before[0])
    untouched = [row for row in before if row["particle_id"] not in ("3", "5")]
    assert [row for row in after if row["particle_id"] not in ("5", str(added))] == untouched
    [moved] = [row for row in after if row["particle_id"] == "5"]
    place = load_result(beads).image.to_voxels(np.array([[0.03, 0.04]]))[0]
    assert (moved["x_um"], moved["x_px"]) == ("0.04000000", f"{place[1]:.4f}")
    assert moved["confidence"] == before[4]["confidence"] and moved["class"] == "6nm"
    assert after[-1]["particle_id"] == str(added) and after[-1]["confidence"] == "1"
    assert len(io.read_points(tmp_path / "a.csv", load_result(beads).image)) == len(after) == 12


def test_a_table_with_measured_diameters_has_none_for_what_was_added(tmp_path: Path) -> None:
    folder = write_points(tmp_path / "out")
    reviewed = load_result(folder)
    measured = io.read_points(folder / "objects.csv", reviewed.image)
    io.write(replace(measured, diameter_um=np.full(len(measured), 2.5)), folder / "objects.csv", on=reviewed.image)
    with open_review(load_result(folder), who="ada") as session:
        session.relabel(1, next(kind for kind in session.kinds if kind != session.items[1].kind))
        session.add((30.0, 40.0))
        session.add((35.0, 40.0), diameter_um=1.25)
    after = rows(export(folder, "csv", tmp_path / "a.csv", who="ada"))
    assert [row["diameter_nm"] for row in after[-3:]] == ["2500", "", "1250"]
    assert after[0]["class"] != rows(folder / "objects.csv")[0]["class"]
    assert io.read_points(tmp_path / "a.csv", reviewed.image).diameter_um is None


def test_all_tables_tell_of_the_same_objects_by_the_same_numbers(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="ada") as session:
        session.reject(1, 4)
        session.add((0.05, 0.06))
    image = load_result(beads).image
    told = rows(export(beads, "csv", tmp_path, who="ada"))
    numbers = [int(row["particle_id"]) for row in told]
    particles = starfile.read(export(beads, "star", tmp_path, who="ada"))["particles"]
    assert particles["rlnParticleId"].tolist() == numbers and set(particles["rlnMicrographName"]) == {"grid.tif"}
    shapes = json.loads(export(beads, "geojson", tmp_path, who="ada").read_text())["features"]
    assert [int(shape["properties"]["name"]) for shape in shapes] == numbers
    assert shapes[0]["properties"]["classification"]["color"] == [0x56, 0xB4, 0xE9]
    places = np.array([[float(row["y_um"]), float(row["x_um"])] for row in told])
    for kind in ("star", "roi"):
        read = io.read_points(export(beads, kind, tmp_path, who="ada"), image)
        np.testing.assert_allclose(read.position_um, places, atol=1e-3 * image.spacing_um[0])


def test_a_corrected_report_and_picture_say_by_whom_and_how_much(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="Ada L.") as session:
        session.reject(1, 4)
        session.add((0.05, 0.06))
        session.accept(2)
    standing = Standing(load_result(beads), session)
    assert str(standing.changes) == "corrected by Ada L.: 2 rejected, 1 added, 9 undecided"
    page = export(beads, "report", tmp_path, who="Ada L.").read_text(encoding="utf-8")
    assert "Corrected by Ada L.: 11 objects stand" in page and "2 were rejected" in page and "1 were added" in page
    assert "Corrected by" not in export(beads, "report", tmp_path).read_text(encoding="utf-8")
    drawn = export(beads, "overlay", tmp_path / "b.png", who="Ada L.")
    assert drawn.read_bytes() != (beads / "overlay.png").read_bytes()
    assert size(drawn) == size(beads / "overlay.png")


def test_what_was_found_less_what_went_and_more_what_came_is_what_stands(outlined: Path) -> None:
    reviewed = load_result(outlined)
    with open_review(reviewed, who="ada") as session:
        session.merge(1, 2)
        session.split(3, [(35.0, 34.0), (35.0, 48.0)])
        changes = Standing(reviewed, session).changes
        assert changes is not None
        assert (changes.joined, changes.divided, changes.redrawn, changes.stands) == (1, 1, 2, 3)
        session.reject(3)
        changes = Standing(reviewed, session).changes
        assert changes is not None and changes.stands == len(Standing(reviewed, session).items) == 2


def test_corrected_outlines_are_those_that_stand(outlined: Path, tmp_path: Path) -> None:
    reviewed = load_result(outlined)
    with open_review(reviewed, who="ada") as session:
        session.reject(1)
        session.split(3, [(35.0, 34.0), (35.0, 48.0)])
        [_, _, new] = sorted(n for n, item in session.items.items() if item.status != "rejected")
        sizes = {n: session.outline(n).voxels for n in (2, 3, new)}
    drawn = np.asarray(io.read(export(outlined, "labels", tmp_path, who="ada")).data[...])
    counted = dict(zip(*(part.tolist() for part in np.unique(drawn[drawn > 0], return_counts=True)), strict=True))
    assert counted == sizes and sizes[2] == 400
    told = export(outlined, "geojson", tmp_path, who="ada").read_text(encoding="utf-8")
    areas = {
        int(one["properties"]["name"]): one["properties"]["measurements"]["area µm^2"]
        for one in json.loads(told)["features"]
    }
    assert areas == {n: pytest.approx(size * 0.25) for n, size in sizes.items()}
    assert export(outlined, "labels", tmp_path).read_bytes() == (outlined / "objects.tif").read_bytes()


def test_a_volume_s_outlines_lie_on_the_planes_of_its_image(volume: Path, tmp_path: Path) -> None:
    with open_review(load_result(volume), who="ada") as session:
        session.reject(1)
    shapes = json.loads(export(volume, "geojson", tmp_path, who="ada").read_text(encoding="utf-8"))["features"]
    assert [one["geometry"]["plane"]["z"] for one in shapes] == [4, 5]
    xy = np.array(shapes[0]["geometry"]["coordinates"][0])
    assert xy.min(axis=0).tolist() == [8, 12] and xy.max(axis=0).tolist() == [16, 18]
    labels = io.read(export(volume, "labels", tmp_path, who="ada"))
    assert labels.spacing_um == (2.0, 1.0, 1.0)
    assert dict(zip(*np.unique(np.asarray(labels.data[...]), return_counts=True), strict=True)) == {0: 468, 2: 12}
    [row] = rows(export(volume, "csv", tmp_path, who="ada"))
    assert row == rows(volume / "objects.csv")[1]
    assert size(export(volume, "overlay", tmp_path, who="ada"))[1] > 100


def test_measured_sizes_are_measured_again_where_outlines_changed(outlined: Path, tmp_path: Path) -> None:
    table = rows(outlined / "objects.csv")
    with (outlined / "objects.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*table[0], "area_um2", "cells"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"area_um2": "100.123", "cells": "1 2"} for row in table)
    with open_review(load_result(outlined), who="ada") as session:
        session.split(3, [(35.0, 34.0), (35.0, 48.0)])
        parts = {n: session.outline(n).voxels * 0.25 for n in session.items if n >= 3}
    after = rows(export(outlined, "csv", tmp_path, who="ada"))
    assert [(row["area_um2"], row["cells"]) for row in after[:2]] == [("100.123", "1 2")] * 2
    assert {int(row["particle_id"]): float(row["area_um2"]) for row in after[2:]} == parts
    assert [row["cells"] for row in after[2:]] == ["", ""]


@pytest.mark.parametrize("kind", [kind for kind in KINDS["points"] if kind != "roi"])
def test_nothing_found_is_a_result(nothing: Path, tmp_path: Path, kind: str) -> None:
    assert export(nothing, kind, tmp_path).stat().st_size > 0


def test_of_nothing_there_is_no_selection_and_the_archive_leaves_it_out(nothing: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"ImageJ opens no empty selections.*choose csv"):
        export(nothing, "roi", tmp_path)
    with zipfile.ZipFile(export(nothing, "all", tmp_path)) as archive:
        assert "grid/objects.zip" not in archive.namelist() and "grid/objects.csv" in archive.namelist()
    assert len(io.read_points(export(nothing, "star", tmp_path), load_result(nothing).image)) == 0


def test_everything_is_one_archive(beads: Path, tmp_path: Path) -> None:
    with open_review(load_result(beads), who="ada") as session:
        session.reject(2)
    with zipfile.ZipFile(export(beads, "all", tmp_path, who="ada")) as archive:
        told = {name.removeprefix("grid/"): archive.read(name) for name in archive.namelist()}
    for kind in ("csv", "star", "roi", "geojson", "overlay"):
        own = export(beads, kind, tmp_path, who="ada")
        assert told.pop(own.name.removeprefix("grid-")) == own.read_bytes()
    assert b"Corrected by ada" in told.pop("report.html")
    assert told["run.json"] == (beads / "run.json").read_bytes() and set(told) == {"run.json", "ada.jsonl"}


def test_a_mask_is_outlines_of_its_classes(mask: Path, tmp_path: Path) -> None:
    [tissue] = json.loads(export(mask, "geojson", tmp_path).read_text())["features"]
    assert tissue["properties"]["classification"]["name"] == "tissue"
    assert len(tissue["geometry"]["coordinates"]) == 2
    assert export(mask, "labels", tmp_path).read_bytes() == (mask / "mask.tif").read_bytes()
    assert size(export(mask, "overlay", tmp_path))[0] > 100


def test_what_makes_no_sense_is_refused_and_what_does_is_named(
    beads: Path, outlined: Path, mask: Path, tmp_path: Path
) -> None:
    results = {"points": beads, "outlines": outlined, "mask": mask}
    for (sort, folder), kind in product(results.items(), SUFFIXES):
        assert kinds_of(folder) == KINDS[sort]
        if kind not in KINDS[sort]:
            with pytest.raises(
                FormatError, match=f"of which {kind} makes nothing; need one of {', '.join(KINDS[sort])}"
            ):
                export(folder, kind, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(FormatError, match="nobody reviews object by object"):
        export(mask, "labels", tmp_path / "new", who="ada")


def test_an_unknown_reviewer_is_refused_and_the_known_are_named(beads: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no decisions of bo; need a review"):
        export(beads, "csv", tmp_path, who="bo")
    open_review(load_result(beads), who="ada").close()
    with pytest.raises(FormatError, match="need one of ada"):
        export(beads, "csv", tmp_path, who="bo")


def test_a_file_is_called_after_its_image_and_its_suffix_says_its_kind(beads: Path, tmp_path: Path) -> None:
    assert target(beads, "star", tmp_path) == tmp_path / "grid-objects.star"
    assert target(beads, "roi", tmp_path / "a.roi") == tmp_path / "a.roi"
    assert target(beads, "csv", tmp_path / "S1.new") == tmp_path / "S1.new" / "grid-objects.csv"
    with pytest.raises(FormatError, match=r"found suffix '\.csv' for star; need \.star"):
        target(beads, "star", tmp_path / "a.csv")


def test_neither_the_image_nor_the_result_is_ever_written_over(outlined: Path, tmp_path: Path) -> None:
    for kind, place in (("labels", tmp_path / "cells.tif"), ("csv", outlined / "objects.csv"), ("star", outlined)):
        with pytest.raises(FormatError, match="choose another place"):
            export(outlined, kind, place)
    assert not (outlined / "cells-objects.star").exists()
    assert len(load_result(outlined).proposals.items) == 3


def test_a_table_needs_no_image_and_a_moved_one_can_be_named(found_once: Path, tmp_path: Path) -> None:
    predicted(tmp_path, scattered(4, shape=(160, 192)).image)
    folder = tmp_path / "out" / "grid"
    (tmp_path / "grid.tif").rename(tmp_path / "moved.tif")
    assert export(folder, "csv", tmp_path / "a.csv").read_bytes() == (folder / "objects.csv").read_bytes()
    with pytest.raises(FormatError, match="say where it is with --image"):
        export(folder, "star", tmp_path / "a.star")
    assert export(folder, "star", tmp_path / "a.star", image_file=tmp_path / "moved.tif").is_file()
