from pathlib import Path

import numpy as np
import tifffile
import zarr

from graticule import io
from graticule.image import Image

VOXELS = np.arange(4 * 30 * 40).reshape(4, 30, 40).astype(np.uint8)


def test_an_image_is_copied_into_another_format(graticule):
    io.write(Image(VOXELS, "zyx", (0.05, 0.01, 0.01)), "a.tif")
    ended = graticule("convert", "a.tif", "b.zarr")
    assert ended.code == 0
    assert "b.zarr: 4 x 30 x 40 voxels (axes zyx) of 0.05 x 0.01 x 0.01 µm, uint8" in ended.out
    assert np.array_equal(io.read("b.zarr").data[...], VOXELS)
    ended = graticule("convert", "b.zarr", "-o", "c.mrc", "--json")
    assert ended.json["spacing_um"] == [0.05, 0.01, 0.01]
    assert ended.json["not_kept"] == ["the type of numbers: uint8 became uint16"]
    assert ended.out.count("\n") == 1


def test_what_is_missing_is_asked_for_in_one_line(graticule, tmp_path):
    tifffile.imwrite("a.tif", VOXELS, photometric="minisblack")
    assert "--axes" in graticule("convert", "a.tif", "b.h5").complaint
    assert "--spacing-um" in graticule("convert", "a.tif", "b.h5", "--axes", "zyx").complaint
    assert graticule("convert", "a.tif", "b.h5", "--axes", "zyx", "--spacing-um", "0.05", "0.01", "0.01").code == 0
    assert io.read("b.h5").spacing_um == (0.05, 0.01, 0.01)


def test_bad_words_end_in_one_line_and_no_file(graticule, tmp_path):
    io.write(Image(VOXELS, "zyx", (1, 1, 1)), "a.tif")
    for words in (("a.tif", "b.jpg"), ("none.tif", "b.zarr"), ("a.tif", "a.tif"), ("a.tif", "https://host/b.zarr")):
        assert graticule("convert", *words).complaint
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_info_tells_of_every_format(graticule, tmp_path):
    io.write(Image(VOXELS, "zyx", (1, 2, 3), (4, 5, 6)), "a.zarr")
    for name in ("a.h5", "a.mrc", "a.ome.tif"):
        graticule("convert", "a.zarr", name)
    zarr.save("memory://graticule-info", VOXELS[0])
    ended = graticule("info", "a.zarr", "a.h5", "a.mrc", "a.ome.tif", "a.zarr/0", "memory://graticule-info", "--json")
    assert ended.code == 0
    facts = ended.json["files"]
    assert [fact["spacing_um"] for fact in facts] == [[1, 2, 3]] * 5 + [None]
    assert [fact["origin_um"] for fact in facts[:3]] == [[4, 5, 6]] * 3
    assert facts[-1]["file"] == "memory://graticule-info"
    assert "--spacing-um" in facts[-1]["missing"][0]


def test_info_counts_chunks_that_are_not_there(graticule):
    io.write(Image(VOXELS, "zyx", (1, 1, 1)), "a.zarr")
    assert "not stored" not in graticule("info", "a.zarr").out
    Path("a.zarr/0/c/0/0/0").unlink()
    assert "1 of 1 chunks are not stored" in graticule("info", "a.zarr").out
