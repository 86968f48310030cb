"""The package's front door, and damage of all kinds to all files it takes."""

import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tifffile

from graticule import io
from graticule.errors import FormatError, GraticuleError
from graticule.image import Image
from graticule.results import Labels, Points

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 32), np.uint8)
IMAGE = Image(PIXELS, "yx", (0.5, 0.25))


def test_the_suffix_decides(tmp_path):
    io.write(IMAGE, tmp_path / "a.TIF")
    assert np.array_equal(io.read(tmp_path / "a.TIF").data, PIXELS)
    io.write(Labels(IMAGE), tmp_path / "labels.tiff")
    assert np.array_equal(io.read(str(tmp_path / "labels.tiff")).data, PIXELS)
    points = Points.marked(np.array([[1.0, 2.0]]))
    for name in ("a.csv", "a.roi", "a.zip"):
        io.write(points, tmp_path / name, on=IMAGE)
        assert io.read_points(tmp_path / name, IMAGE).position_um.tolist() == [[1, 2]]


def test_unknown_suffixes_are_refused_with_the_known_ones(tmp_path):
    (tmp_path / "a.czi").touch()
    with pytest.raises(FormatError, match=r"a\.czi: found suffix '\.czi'; need one of \.tif"):
        io.read(tmp_path / "a.czi")
    with pytest.raises(FormatError, match=r"found suffix '\.png' for voxels; need one of \.tif"):
        io.write(IMAGE, tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"found suffix '\.tif' for points; need one of \.csv"):
        io.write(Points.none(2), tmp_path / "a.tif", on=IMAGE)
    with pytest.raises(FormatError, match=r"found suffix '\.xls'; need one of \.csv"):
        io.read_points(tmp_path / "a.xls", IMAGE)


@pytest.mark.parametrize("name", ["gone.tif", "gone.png", "gone.npy"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FormatError, match=f"{name}: found no such file"):
        io.describe(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.npy"])
def test_an_empty_file_is_named(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(FormatError, match=f"{name}: found an empty file"):
        io.describe(tmp_path / name)


def test_names_of_images_have_no_suffix():
    assert io.image_name("a/S1.v2.tif") == "S1.v2"
    assert io.image_name("S1.OME.TIF") == "S1"


def test_importing_is_quick_and_loads_neither_torch_nor_pandas():
    code = "import sys, graticule.io; print(*{'torch', 'pandas', 'scipy', 'skimage'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert found.stdout.strip() == ""


# -- damage ------------------------------------------------------------------------------------------------------------


def samples(folder):
    """One file of each kind, by name, with how to read it."""
    tifffile.imwrite(folder / "plain.tif", PIXELS, metadata=None)
    tifffile.imwrite(folder / "imagej.tif", np.stack([PIXELS] * 3), imagej=True, metadata={"axes": "ZYX", "unit": "um"})
    tifffile.imwrite(folder / "ome.tif", PIXELS, ome=True, compression="zlib", metadata={"axes": "YX"})
    tifffile.imwrite(folder / "tiled.tif", PIXELS.astype(np.float32), tile=(16, 16), compression="zlib")
    for name in ("a.png", "a.jpg"):
        PIL.Image.fromarray(PIXELS).save(folder / name)
    PIL.Image.fromarray(PIXELS.astype(np.uint16)).save(folder / "deep.png")
    np.save(folder / "a.npy", PIXELS)
    points = Points.marked(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]), ("6nm", "12nm"))
    for name in ("points.csv", "points.roi", "points.zip"):
        io.write(points, folder / name, on=IMAGE)
    images = ["plain.tif", "imagej.tif", "ome.tif", "tiled.tif", "a.png", "a.jpg", "deep.png", "a.npy"]
    readers = {name: lambda path: io.read(path, spacing_um=(0.1,)).data[...] for name in images}
    return readers | {f"points.{s}": lambda path: io.read_points(path, IMAGE) for s in ("csv", "roi", "zip")}


def damaged(whole, rng):
    """Cut at many places, with bytes changed (in the header mostly), with a stretch of zeros, with a tail."""
    for length in np.unique(np.linspace(0, len(whole) - 1, 40).astype(int)):
        yield whole[:length]
    for reach in [min(64, len(whole))] * 60 + [min(400, len(whole))] * 60 + [len(whole)] * 30:
        changed = bytearray(whole)
        for at in rng.integers(0, reach, rng.integers(1, 4)):
            changed[at] = rng.integers(0, 256)
        yield bytes(changed)
    for start in rng.integers(0, len(whole), 10):
        yield whole[:start] + bytes(min(20, len(whole) - start)) + whole[start + 20 :]
    yield whole + b"tail"


def test_damaged_files_are_read_or_refused_but_never_end_in_a_traceback(tmp_path):
    rng = np.random.default_rng(1)
    for name, reader in samples(tmp_path).items():
        whole = (tmp_path / name).read_bytes()
        reader(tmp_path / name)
        path = tmp_path / f"damaged-{name}"
        for content in damaged(whole, rng):
            path.write_bytes(content)
            try:
                reader(path)
            except GraticuleError as error:
                refusal = str(error)
            except Exception as error:
                pytest.fail(f"{name}: {type(error).__name__}: {error}")
            else:
                continue
            assert path.name in refusal
            assert "\n" not in refusal


def test_folders_that_hold_a_zarr_are_images_and_others_are_not(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a.tif").touch()
    assert [io.is_image(tmp_path / name) for name in ("a.zarr", "a.tif", "images", "notes.txt")] == [
        True,
        True,
        False,
        False,
    ]
    assert io.is_image("https://host/volume.zarr")
    assert io.is_image(f"{tmp_path}/a.zarr:/labels/mask")
