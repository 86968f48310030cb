import csv
import json

import numpy as np
import pytest

from graticule import io
from graticule.image import Image
from tests.cli.conftest import as_pixels, drawn
from tests.synthetic import scattered

RESULTS = {"objects.csv", "objects.zip", "overlay.png", "report.html", "run.json"}


def table(folder):
    with (folder / "objects.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_image_gets_a_folder_of_results(graticule, model, picture, tmp_path):
    ended = graticule("predict", picture, "--model", model, "-o", "found")
    assert ended.code == 0
    assert {path.name for path in (tmp_path / "found" / "picture").iterdir()} == RESULTS
    rows = table(tmp_path / "found" / "picture")
    assert list(rows[0]) == ["particle_id", "x_px", "y_px", "x_um", "y_um", "class", "confidence"]
    assert f"{len(rows)}" in ended.out or "6nm" in ended.out
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".pytest_cache"]


def test_what_is_found_is_what_was_drawn(graticule, model, tmp_path):
    example = drawn(60)
    io.write(example.image, tmp_path / "S1.tif")
    assert graticule("predict", "S1.tif", "--model", model, "-o", "found").code == 0
    found = io.read_points(tmp_path / "found" / "S1" / "objects.csv", example.image)
    distance = np.linalg.norm(found.position_um[:, None] - example.truth.position_um[None], axis=2)
    assert (distance.min(axis=0) < 2 * 0.0006).mean() > 0.8


def test_run_json_says_where_the_result_came_from(graticule, model, picture, tmp_path):
    assert graticule("predict", picture, "--model", model, "-o", "found", "--seed", "7").code == 0
    facts = json.loads((tmp_path / "found" / "picture" / "run.json").read_text())
    assert facts["seed"] == 7
    assert facts["image"]["spacing_um"] == pytest.approx([0.0006, 0.0006])
    assert len(facts["image"]["sha256"]) == len(facts["models"][0]["sha256"]) == 64
    assert set(facts["thresholds"]) == {"6nm", "12nm"}
    assert facts["counts"] == {
        name: sum(row["class"] == name for row in table(tmp_path / "found" / "picture")) for name in ("6nm", "12nm")
    }
    assert facts["device"] in ("cpu", "cuda", "mps")
    assert facts["plan"]["tiles"] == 1
    assert facts["mask"] is None


def test_a_folder_means_the_images_in_it(graticule, model, discs, tmp_path):
    assert graticule("predict", discs / "images", "--model", model, "-o", "found").code == 0
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [f"discs-{i}" for i in range(4)]


def test_an_earlier_result_is_replaced_whole(graticule, model, picture, tmp_path):
    words = ("predict", picture, "--model", model, "-o", "found")
    assert graticule(*words).code == 0
    (tmp_path / "found" / "picture" / "objects.zip").write_text("old")
    (tmp_path / "found" / "picture" / "stale.txt").write_text("old")
    assert graticule(*words).code == 0
    assert {path.name for path in (tmp_path / "found" / "picture").iterdir()} == RESULTS


def test_a_failure_half_way_leaves_the_earlier_result(graticule, model, picture, tmp_path, monkeypatch):
    words = ("predict", picture, "--model", model, "-o", "found")
    assert graticule(*words).code == 0
    before = (tmp_path / "found" / "picture" / "run.json").read_text()

    def fails(*_, **__):
        raise OSError(28, "No space left on device", "objects.csv")

    monkeypatch.setattr("graticule.workflows.write_found.write", fails)
    assert "No space" in graticule(*words).err
    assert (tmp_path / "found" / "picture" / "run.json").read_text() == before
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["picture"]
    assert graticule("predict", picture, "--model", model, "-o", "elsewhere/found").code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_only_objects_in_the_mask_or_near_it_count(graticule, model, picture, tmp_path):
    io.write(as_pixels(np.zeros((140, 140), np.uint8)), tmp_path / "nowhere.tif")
    half = np.zeros((140, 140), np.uint8)
    half[:, :70] = 1
    io.write(as_pixels(half), tmp_path / "left.tif")

    def places(*more):
        assert graticule("predict", picture, "--model", model, "-o", "found", *more).code == 0
        return [float(row["x_px"]) for row in table(tmp_path / "found" / "picture")]

    everywhere = places()
    assert places("--mask", "nowhere.tif") == []
    assert places("--mask", "left.tif") == [x for x in everywhere if round(x) < 70]
    assert places("--mask", "left.tif", "--mask-margin-nm", "6") == [x for x in everywhere if round(x) < 80]
    facts = json.loads((tmp_path / "found" / "picture" / "run.json").read_text())
    assert facts["mask"]["margin_nm"] == 6


def test_a_mask_of_another_size_is_refused_by_name(graticule, model, picture, tmp_path):
    io.write(as_pixels(np.ones((50, 50), np.uint8)), tmp_path / "small.tif")
    said = graticule("predict", picture, "--model", model, "-o", "found", "--mask", "small.tif").complaint
    assert "small.tif" in said
    assert "140" in said


def test_masks_of_several_images_lie_in_a_folder_by_name(graticule, model, discs, tmp_path):
    for i in range(3):
        io.write(as_pixels(np.full((140, 140), i % 2, np.uint8)), tmp_path / "masks" / f"discs-{i}.tif")
    ended = graticule("predict", discs / "images", "--model", model, "-o", "found", "--mask", "masks", "--json")
    assert ended.code == 2
    assert "discs-3" in str(ended.json["failed"])
    assert [sum(image["counts"].values()) > 0 for image in ended.json["images"]] == [False, True, False]


def test_a_higher_threshold_finds_less(graticule, model, picture):
    def count(*more):
        ended = graticule("predict", picture, "--model", model, "-o", "found", "--json", *more)
        return ended.json["images"][0]["counts"]

    assert count("--threshold", "1") == {"6nm": 0, "12nm": 0}
    assert count("--threshold", "0.05", "1")["12nm"] == 0
    assert sum(count("--threshold", "0.05").values()) >= sum(count().values()) > 0


def test_several_models_are_averaged_and_all_are_named(graticule, model, picture, tmp_path):
    (tmp_path / "second.safetensors").write_bytes(model.read_bytes())
    one = graticule("predict", picture, "--model", model, "-o", "one", "--json").json["images"][0]["counts"]
    two = graticule("predict", picture, "--model", model, "second.safetensors", "-o", "two", "--json").json
    assert two["images"][0]["counts"] == one
    facts = json.loads((tmp_path / "two" / "picture" / "run.json").read_text())
    assert len(facts["models"]) == 2


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(graticule, model, picture, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    ended = graticule("predict", picture, "--model", model, "--dry-run")
    assert ended.code == 0
    assert "1 tile" in ended.out
    assert "140 x 140" in ended.out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("more", [(), ("--tta",)])
def test_an_image_at_another_magnification_is_resampled(graticule, model, tmp_path, more):
    example = scattered(60, count=8, gap_px=48, shape=(192, 192), diameter_px=20.0, spacing_um=0.0003)
    io.write(Image(np.asarray(example.image.data), "yx", (0.0003, 0.0003)), tmp_path / "fine.tif")
    ended = graticule("predict", "fine.tif", "--model", model, "-o", "found", "--json", *more)
    assert ended.json["images"][0]["counts"]["6nm"] >= 6


def test_images_after_the_models_are_noticed(graticule, model, picture):
    assert "before --model" in graticule("predict", "--model", model, picture, "-o", "found", picture).err
