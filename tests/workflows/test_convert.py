import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import blocks, describe, omezarr, read, write, write_image
from graticule.workflows.convert import convert

VOXELS = np.random.default_rng(0).integers(0, 250, (6, 40, 50)).astype(np.uint16)
SPACING = (0.05, 0.01, 0.012)
SUFFIXES = (".zarr", ".ome.zarr", ".tif", ".ome.tif", ".h5", ".mrc")


# -- nothing is lost on the way ----------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.sampled_from(SUFFIXES), min_size=1, max_size=4), st.sampled_from(["u2", "i2", "f4"]))
def test_a_volume_survives_any_journey_through_formats(tmp_path_factory, journey, dtype):
    voxels = VOXELS.astype(dtype) - (100 if dtype == "i2" else 0)
    folder = tmp_path_factory.mktemp("journey")
    at = folder / "0.h5"
    write(Image(voxels, "zyx", SPACING), at)
    for number, suffix in enumerate(journey, 1):
        target = folder / f"{number}{suffix}"
        convert(at, target)
        at = target
    image = read(at)
    assert (image.axes, image.spacing_um) == ("zyx", SPACING)
    assert image.data.dtype == dtype
    assert np.array_equal(image.data[...], voxels)


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".ome.tif", ".h5"])
def test_channels_are_kept_unless_one_is_named(tmp_path, suffix):
    voxels = np.stack([VOXELS, VOXELS + 1])
    write_image(Image(voxels, "czyx", SPACING, (1, 2, 3)), tmp_path / "a.zarr", channels=("actin", "zo1"))
    convert(tmp_path / "a.zarr", tmp_path / f"all{suffix}")
    assert np.array_equal(read(tmp_path / f"all{suffix}", channel="all").data[...], voxels)
    convert(tmp_path / "a.zarr", tmp_path / f"one{suffix}", channel="zo1")
    assert np.array_equal(read(tmp_path / f"one{suffix}").data[...], VOXELS + 1)
    if suffix == ".zarr":
        assert describe(tmp_path / "all.zarr").channels == ("actin", "zo1")


def test_what_the_new_format_has_no_place_for_is_said(tmp_path):
    write(Image(VOXELS.astype(np.uint8), "zyx", SPACING, (1, 2, 3)), tmp_path / "a.zarr")
    assert convert(tmp_path / "a.zarr", tmp_path / "a.h5").lost == ()
    [place] = convert(tmp_path / "a.zarr", tmp_path / "a.tif").lost
    assert place.startswith("the place of the first voxel (1, 2, 3 µm)")
    [kind] = convert(tmp_path / "a.zarr", tmp_path / "a.mrc").lost
    assert kind == "the type of numbers: uint8 became uint16"
    assert read(tmp_path / "a.mrc").origin_um == read(tmp_path / "a.h5").origin_um == (1, 2, 3)


def test_labels_stay_labels_in_coarser_levels(tmp_path):
    labels = np.zeros((400, 400), np.uint16)
    labels[:, 201:] = 1000
    write(Image(labels, "yx", (1, 1)), tmp_path / "a.tif")
    convert(tmp_path / "a.tif", tmp_path / "a.zarr", labels=True)
    convert(tmp_path / "a.zarr", tmp_path / "b.zarr")
    for name in ("a", "b"):
        assert set(np.unique(read(f"{tmp_path / name}.zarr:1").data[...])) == {0, 1000}
    write(Image(labels / 2, "yx", (1, 1)), tmp_path / "float.tif")
    with pytest.raises(FormatError, match="labels are whole numbers; drop --labels"):
        convert(tmp_path / "float.tif", tmp_path / "c.zarr", labels=True)


def test_a_level_and_labels_inside_can_be_taken_out(tmp_path):
    image = tmp_path / "a.zarr"
    write(Image(np.zeros((600, 600), np.uint8), "yx", (1, 1)), image)
    how = {"axes": "yx", "shape": (600, 600), "dtype": "u1", "spacing_um": (1, 1), "labels_of": image}
    omezarr.create(image / "labels" / "mask", **how)[...] = 7
    convert(f"{image}:1", tmp_path / "level.tif")
    assert read(tmp_path / "level.tif").spacing_um == (2, 2)
    convert(f"{image}:/labels/mask", f"{tmp_path}/mask.h5:/volumes/mask")
    with h5py.File(tmp_path / "mask.h5") as file:
        assert (file["volumes/mask"][...] == 7).all()


def test_progress_goes_from_nothing_to_all(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    write(Image(VOXELS, "zyx", SPACING), tmp_path / "a.tif")
    seen = []
    convert(tmp_path / "a.tif", tmp_path / "a.zarr", progress=lambda *said: seen.append(said))
    assert seen == sorted(seen)
    assert seen[-1] == (100, 100)


# -- nothing is guessed, nothing overwritten, nothing half done --------------------------------------------------------


def test_what_the_source_does_not_say_is_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", VOXELS)
    with pytest.raises(FormatError, match="--axes zyx"):
        convert(tmp_path / "a.npy", tmp_path / "a.zarr", spacing_um=(1,))
    with pytest.raises(SpacingError, match="--spacing-um"):
        convert(tmp_path / "a.npy", tmp_path / "a.zarr", axes="zyx")
    convert(tmp_path / "a.npy", tmp_path / "a.zarr", axes="zyx", spacing_um=SPACING)
    assert read(tmp_path / "a.zarr").spacing_um == SPACING


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_there_already_stays(tmp_path, suffix):
    write(Image(VOXELS, "zyx", SPACING), tmp_path / "a.npy.h5")
    write(Image(VOXELS + 1, "zyx", SPACING), tmp_path / f"b{suffix}")
    with pytest.raises(FormatError, match="found something there already"):
        convert(tmp_path / "a.npy.h5", tmp_path / f"b{suffix}")
    assert np.array_equal(read(tmp_path / f"b{suffix}").data[...], VOXELS + 1)


@pytest.mark.parametrize("target", ["a.png", "a", "https://host/a.zarr", "s3://bucket/a.zarr", "b.zarr:/labels/x"])
def test_impossible_targets_are_refused_before_anything_is_read(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError):
        convert("none.tif", target)
    with pytest.raises(FormatError, match=r"none\.tif"):
        convert("none.tif", "a.zarr")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_source_that_breaks_off_leaves_nothing(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    omezarr.create(
        tmp_path / "a.zarr", axes="zyx", shape=(6, 40, 50), dtype="u2", spacing_um=SPACING, chunks=(1, 40, 50)
    )[...] = VOXELS
    (tmp_path / "a.zarr" / "0" / "c" / "5" / "0" / "0").write_bytes(b"broken")
    with pytest.raises(FormatError, match="found a damaged chunk, 0/c/5/0/0"):
        convert(tmp_path / "a.zarr", tmp_path / "new" / f"b{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


FULL = """
import resource, signal, sys
from graticule.errors import FormatError
from graticule.workflows.convert import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    convert(sys.argv[1], sys.argv[2])
except FormatError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_takes_no_more_is_said_in_one_line(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 60000, (6, 90, 90)).astype(np.uint16)
    write(Image(noise, "zyx", SPACING), tmp_path / "a.tif")
    words = [sys.executable, "-c", FULL, tmp_path / "a.tif", tmp_path / f"b{suffix}"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == 1
    assert re.search(rf"b{suffix}: could not be written \((File too large|No space left on device)\)", ended.stdout)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


# -- memory ------------------------------------------------------------------------------------------------------------

MEASURED = """
import sys, tracemalloc
import numpy as np
from graticule.image import Image
from graticule.io import blocks, describe, write_image
from graticule.workflows.convert import convert
import h5py, mrcfile, tifffile, zarr

class Ramp:
    shape, dtype = (160, 1000, 1000), np.dtype("u2")
    def __getitem__(self, key):
        read, then = blocks.window(key, self.shape)
        z, y, x = (np.arange(s.start, s.stop, dtype="u2") for s in read)
        return (z[:, None, None] + y[:, None] * 7 + x)[then]

blocks.BLOCK_BYTES = 32 * 2**20
tracemalloc.start()
folder, *targets = sys.argv[1:]
write_image(Image(Ramp(), "zyx", (1, 1, 1)), f"{folder}/a.zarr")
for name in targets:
    convert(f"{folder}/a.zarr", f"{folder}/{name}")
    assert np.array_equal(describe(f"{folder}/{name}").data[100], Ramp()[100])
print(tracemalloc.get_traced_memory()[1] // 2**20)
"""


def test_a_volume_of_320_mb_is_converted_in_little_more_than_the_memory_of_a_block(tmp_path):
    words = [sys.executable, "-c", MEASURED, str(tmp_path), "b.tif", "b.mrc", "b.h5"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 3 * 32
