import json

import numpy as np
import tifffile


def test_what_a_file_says_and_what_is_missing(graticule, picture, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((20, 30), np.uint16))
    ended = graticule("info", picture, "plain.tif")
    assert ended.code == 0
    assert "0.0006 x 0.0006 µm" in ended.out
    assert "missing      nothing" in ended.out
    assert "--spacing-um" in ended.out
    assert "uint16" in ended.out


def test_everything_missing_is_said_at_once(graticule, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    tifffile.imwrite(tmp_path / "colour.tif", pixels, photometric="rgb")
    [facts] = graticule("info", "colour.tif", "--json").json["files"]
    assert len(facts["missing"]) == 2
    assert any("--spacing-um" in said for said in facts["missing"])
    assert any("--channel" in said for said in facts["missing"])


def test_a_model_says_what_it_finds_and_how_it_was_made(graticule, model):
    ended = graticule("info", model)
    assert "works at" in ended.out and "nm; images of others are resampled" in ended.out
    assert ended.code == 0
    assert all(word in ended.out for word in ("beads", "6nm", "12nm", "confidence", "score", "seed"))


def test_one_bad_file_does_not_hide_the_others(graticule, picture, tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"")
    ended = graticule("info", "bad.tif", picture, "--json", "-o", "facts.json")
    assert ended.code == 2
    assert list(ended.json["failed"]) == ["bad.tif"]
    assert len(ended.json["files"]) == 1
    assert json.loads((tmp_path / "facts.json").read_text()) == ended.json
