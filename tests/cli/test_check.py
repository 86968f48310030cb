import json

import numpy as np
import pytest

from graticule import io
from graticule.io import dataset
from tests.cli.conftest import as_pixels


@pytest.fixture
def made(graticule, tmp_path):
    """Three simulated images with enough beads to tell where they belong."""
    assert graticule("simulate", "beads", "made", "--count", "3", "--size", "384").code == 0
    return tmp_path / "made"


def rewritten(folder, change):
    """The same dataset with every mark moved; its unit is kept in the names of the columns."""
    for example in dataset.load(folder).examples:
        px = change(example.image.to_voxels(example.truth.position_um))
        keep = ((px > 0) & (px < 383)).all(axis=1)
        names = [example.truth.kinds[k] for k in example.truth.kind]
        rows = [f"{x:.2f},{y:.2f},{n}" for (y, x), n, k in zip(px, names, keep, strict=True) if k]
        (folder / "points" / f"{example.name}.csv").write_text("\n".join(["x_px,y_px,class", *rows]) + "\n")


def test_a_sound_dataset_is_described_and_passes(graticule, made):
    ended = graticule("check", made)
    assert ended.code == 0
    assert all(word in ended.out for word in ("384", "6nm", "12nm", "nothing wrong"))


def test_all_that_is_wrong_is_said_at_once_with_exit_code_2(graticule, made, tmp_path):
    (made / "points" / "beads-0-000.csv").unlink()
    (made / "points" / "beads-0-001.csv").write_text("x,y,class\n1,1,6nm\n")
    (made / "images" / "beads-0-002.tif").write_bytes(b"")
    ended = graticule("check", made, "--json", "-o", "report.json")
    assert ended.complaint
    assert len(ended.json["problems"]) >= 3
    assert all(name in str(ended.json["problems"]) for name in ("beads-0-000", "beads-0-001", "beads-0-002"))
    assert json.loads((tmp_path / "report.json").read_text())["problems"] == ended.json["problems"]


def test_shifted_marks_are_noticed(graticule, made):
    rewritten(made, lambda px: np.add(px, (23, -17)))
    ended = graticule("check", made)
    assert ended.code == 2
    assert "no spot" in ended.out
    assert "shift" in ended.out


def test_wrongly_scaled_marks_are_noticed_and_the_scale_that_fits_is_said(graticule, made):
    rewritten(made, lambda px: px * 0.8)
    ended = graticule("check", made)
    assert ended.code == 2
    assert "1.25" in ended.out


def test_a_dataset_that_is_none_is_one_line(graticule, tmp_path):
    assert "nowhere" in graticule("check", "nowhere").complaint
    io.write(as_pixels(np.zeros((9, 9), np.uint8)), tmp_path / "lone.tif")
    assert "lone.tif" in graticule("check", "lone.tif").complaint
