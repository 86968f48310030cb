"""Every fault of the input is one clear line and exit code 2, and leaves nothing half-written behind."""

import shutil

import numpy as np
import PIL.Image
import pytest
import tifffile

from graticule import io
from tests.cli.conftest import TINY, as_pixels, drawn
from tests.synthetic import scattered

# -- images ------------------------------------------------------------------------------------------------------------


def plain(path, pixels=None, **more):
    tifffile.imwrite(path, drawn(60).image.data if pixels is None else pixels, **more)


def sizeless(path):
    plain(path)


def nonsense_unit(path):
    plain(path, imagej=True, resolution=(100, 100), metadata={"unit": "banana"})


def coloured(path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    plain(path, pixels, photometric="rgb", imagej=False)


def truncated(path):
    io.write(scattered(60, shape=(300, 300)).image, path)
    path.write_bytes(path.read_bytes()[:20000])


def empty(path):
    path.write_bytes(b"")


def with_nan(path):
    pixels = np.asarray(drawn(60).image.data, np.float32)
    pixels[10:20, 10:20] = np.nan
    io.write(as_pixels(pixels), path)


def no_image(path):
    path.write_text("<html>not found</html>")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (sizeless, "--spacing-um"),
        (nonsense_unit, "banana"),
        (coloured, "--channel"),
        (truncated, "truncated"),
        (empty, "empty"),
        (with_nan, "100 NaN"),
        (no_image, "web page"),
    ],
)
def test_an_image_that_cannot_be_used_is_one_line(graticule, model, tmp_path, make, says):
    make(tmp_path / "bad.tif")
    more = ["--spacing-um", "0.0006"] if make is coloured else []
    ended = graticule("predict", "bad.tif", "--model", model, "-o", "deep/found", *more)
    assert says in ended.complaint
    assert "bad.tif" in ended.complaint
    assert not (tmp_path / "deep").exists()


def test_a_missing_image_is_one_line(graticule, model, tmp_path):
    assert "nowhere.tif" in graticule("predict", "nowhere.tif", "--model", model, "-o", "found").complaint
    assert not (tmp_path / "found").exists()


def test_16_bit_and_float_images_work(graticule, model, tmp_path):
    pixels = np.asarray(drawn(60).image.data)
    io.write(as_pixels(pixels.astype(np.uint16) * 200), tmp_path / "deep.tif")
    io.write(as_pixels(pixels.astype(np.float32) / 255), tmp_path / "float.tif")
    io.write(as_pixels(pixels), tmp_path / "plain.tif")
    ended = graticule("predict", "deep.tif", "float.tif", "plain.tif", "--model", model, "-o", "found", "--json")
    assert ended.code == 0
    counts = [image["counts"] for image in ended.json["images"]]
    assert counts[0] == counts[1] == counts[2]
    assert sum(counts[0].values()) > 5


def test_rgb_of_a_grey_picture_is_read_when_asked(graticule, model, tmp_path):
    grey = np.asarray(drawn(60).image.data)
    PIL.Image.fromarray(np.stack([grey, grey // 2, grey], axis=-1)).save(tmp_path / "tinted.png")
    words = ("predict", "tinted.png", "--model", model, "-o", "found", "--spacing-um", "0.0006")
    assert "--channel" in graticule(*words).complaint
    assert graticule(*words, "--channel", "0").code == 0


def test_one_bad_image_does_not_keep_the_others_from_being_done(graticule, model, picture, tmp_path):
    empty(tmp_path / "bad.tif")
    ended = graticule("predict", "bad.tif", picture, "--model", model, "-o", "found", "--json")
    assert ended.code == 2
    assert list(ended.json["failed"]) == ["bad.tif"]
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["picture"]


# -- places ------------------------------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(graticule, model, picture, discs, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in graticule("predict", picture, "--model", model, "-o", "file/found").complaint
    assert "file" in graticule("train", "beads", discs, "-o", "file/model", *TINY).complaint
    assert "file" in graticule("cross-validate", "beads", discs, "-o", "file/folds", *TINY).complaint
    assert "file" in graticule("simulate", "beads", "file/made").complaint
    assert "folder" in graticule("train", "beads", discs, "-o", discs, *TINY).complaint


def test_a_folder_of_somebody_else_is_not_replaced(graticule, model, picture, tmp_path):
    (tmp_path / "found" / "picture").mkdir(parents=True)
    (tmp_path / "found" / "picture" / "thesis.txt").write_text("precious")
    assert "thesis" not in graticule("predict", picture, "--model", model, "-o", "found").complaint
    assert (tmp_path / "found" / "picture" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "picture.tif", "--model", "nothing.safetensors", "-o", "found"),
        ("predict", "picture.tif", "--model", "picture.tif", "-o", "found"),
        ("predict", "picture.tif", "--model", "discs", "-o", "found"),
        ("predict", "picture.tif", "--model", "broken.safetensors", "-o", "found"),
        ("predict", "picture.tif", "--model", "model.safetensors", "-o", "found", "--threshold", "7"),
        ("predict", "picture.tif", "--model", "model.safetensors", "-o", "found", "--threshold", "0.1", "0.2", "0.3"),
        ("predict", "picture.tif", "--model", "model.safetensors", "-o", "found", "--mask", "nothing.tif"),
        ("predict", "picture.tif", "--model", "model.safetensors", "-o", "found", "--device", "abacus"),
        ("predict", "--model", "model.safetensors", "-o", "found"),
        ("predict", "picture.tif", "--model", "model.safetensors"),
        ("evaluate", "nothing", "--model", "model.safetensors", "-o", "found"),
        ("evaluate", "picture.tif", "--model", "model.safetensors", "-o", "found"),
        ("train", "beads", "nothing", "-o", "found"),
        ("train", "beads", "discs", "-o", "found", "--preset", "desktop"),
        ("train", "beads", "discs", "-o", "found", "--settings", "nothing.toml"),
        ("train", "beads", "discs", "-o", "found", "--from", "nothing.safetensors"),
        ("train", "beads", "discs", "-o", "found", "--encoder-weights", "nothing.pth"),
        ("train", "beads", "discs", "-o", "found", "--resume"),
        ("train", "beads", "discs", "-o", "found", "--classes", "6nm", "13nm"),
        ("train", "beads", "discs", "-o", "found", "--patch-px", "65"),
        ("simulate", "beads", "found", "--count", "0"),
    ],
)
def test_a_wrong_name_or_number_is_one_line_and_leaves_nothing(graticule, model, picture, discs, tmp_path, words):
    (tmp_path / "broken.safetensors").write_bytes(model.read_bytes()[:1000])
    assert graticule(*words).complaint
    assert not list(tmp_path.glob("found*"))


# -- datasets ----------------------------------------------------------------------------------------------------------


def bare_columns(folder):
    (folder / "points" / "discs-0.csv").write_text("x,y,class\n10,10,6nm\n")


def outside(folder):
    (folder / "points" / "discs-0.csv").write_text("x_px,y_px,class\n10,1000,6nm\n")


def without_annotation(folder):
    (folder / "points" / "discs-0.csv").unlink()


def nan_pixels(folder):
    with_nan(folder / "images" / "discs-0.tif")


def without_size(folder):
    (folder / "dataset.yaml").unlink()
    plain(folder / "images" / "discs-0.tif")


def without_any_object(folder):
    for table in (folder / "points").iterdir():
        table.write_text("x_px,y_px,class\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (bare_columns, "--points-unit"),
        (outside, "outside"),
        (without_annotation, "without annotation"),
        (nan_pixels, "NaN"),
        (without_size, "--spacing-um"),
        (without_any_object, "annotat"),
    ],
)
def test_a_dataset_that_cannot_be_learnt_from_is_one_line(graticule, discs, tmp_path, spoil, says):
    spoil(discs)
    ended = graticule("train", "beads", discs, "-o", "deep/model", *TINY)
    assert says in ended.complaint
    assert not (tmp_path / "deep").exists()


def test_bare_columns_are_read_when_their_unit_is_said(graticule, discs):
    bare_columns(discs)
    assert graticule("train", "beads", discs, "-o", "model", "--points-unit", "px", *TINY).code == 0


def test_several_faults_are_said_at_once(graticule, discs):
    bare_columns(discs)
    (discs / "points" / "discs-1.csv").unlink()
    ended = graticule("train", "beads", discs, "-o", "model", *TINY)
    assert "2 faults" in ended.complaint
    assert "--points-unit" in ended.err
    assert "without annotation" in ended.err


def test_an_unknown_settings_key_is_one_line_with_the_nearest(graticule, discs, tmp_path):
    (tmp_path / "my.toml").write_text("epochs = 1\nlearnig_rate = 0.1\n")
    said = graticule("train", "beads", discs, "-o", "model", "--settings", "my.toml").complaint
    assert "learnig_rate" in said
    assert "learning_rate" in said
    assert "my.toml" in said


def test_a_settings_file_that_is_none_is_one_line(graticule, discs, tmp_path):
    (tmp_path / "my.toml").write_text("epochs: 1\n")
    assert "my.toml" in graticule("train", "beads", discs, "-o", "model", "--settings", "my.toml").complaint
    (tmp_path / "my.toml").write_text("epochs = 'many'\n")
    assert "epochs" in graticule("train", "beads", discs, "-o", "model", "--settings", "my.toml").complaint


def test_an_empty_folder_holds_no_images(graticule, model, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no image" in graticule("predict", "empty", "--model", model, "-o", "found").complaint


def test_two_images_of_one_name_would_share_a_folder(graticule, model, picture, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(picture, tmp_path / "other")
    assert "picture" in graticule("predict", picture, "other/picture.tif", "--model", model, "-o", "found").complaint
