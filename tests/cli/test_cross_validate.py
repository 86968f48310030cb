import json

from tests.cli.conftest import TINY


def test_every_specimen_is_held_out_once_and_all_folds_are_said(graticule, discs, tmp_path):
    ended = graticule("cross-validate", "beads", discs, "-o", "cv", "--inner", "2", *TINY, "--json")
    assert ended.code == 0
    [run] = ended.json["runs"]
    assert [fold["held_out"] for fold in run["folds"]] == [[f"discs-{i}"] for i in range(4)]
    counts = run["pooled"]["all"]
    assert counts["tp"] + counts["fn"] == 32
    assert len(list((tmp_path / "cv" / "folds").iterdir())) == 4
    text = (tmp_path / "cv" / "summary.txt").read_text()
    assert all(f"discs-{i}" in text for i in range(4))
    assert "pooled" in text
    assert json.loads((tmp_path / "cv" / "summary.json").read_text())["runs"] == ended.json["runs"]


def test_finished_folds_are_not_done_again_unless_anything_changed(graticule, discs, tmp_path):
    words = ("cross-validate", "beads", discs, "-o", "cv", "--inner", "2", *TINY)
    assert graticule(*words).code == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cv" / "folds").iterdir()}
    assert graticule(*words).code == 0
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "cv" / "folds").iterdir()}
    assert "other settings" in graticule(*words, "--learning-rate", "0.1").complaint
    table = discs / "points" / "discs-2.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    assert "annotations" in graticule(*words).complaint


def test_several_seeds_are_several_runs(graticule, discs, tmp_path):
    words = ("cross-validate", "beads", discs, "-o", "cv", "--inner", "2", "--seeds", "2", *TINY)
    ended = graticule(*words, "--json")
    assert [run["seed"] for run in ended.json["runs"]] == [0, 1]
    assert "mean" in (tmp_path / "cv" / "summary.txt").read_text()


def test_a_start_that_has_seen_a_held_out_image_is_refused(graticule, discs, tmp_path):
    assert graticule("train", "beads", discs, "-o", "m", *TINY).code == 0
    words = ("cross-validate", "beads", discs, "-o", "cv", "--from", "m.safetensors", *TINY)
    assert "discs-0" in graticule(*words).complaint
    assert not (tmp_path / "cv").exists()


def test_a_single_specimen_cannot_be_held_out(graticule, discs, tmp_path):
    for i in range(1, 4):
        (discs / "images" / f"discs-{i}.tif").unlink()
        (discs / "points" / f"discs-{i}.csv").unlink()
    (discs / "dataset.yaml").write_text("classes: [6nm, 12nm]\n")
    assert "at least 2" in graticule("cross-validate", "beads", discs, "-o", "cv", *TINY).complaint
