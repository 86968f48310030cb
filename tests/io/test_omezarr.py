import json

import numpy as np
import pytest

from graticule.io import omezarr


def said(folder):
    return json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]


# -- creating ----------------------------------------------------------------------------------------------------------


def test_a_created_image_is_complete_before_a_voxel_is_written(tmp_path):
    array = omezarr.create(
        tmp_path / "a.zarr", axes="zyx", shape=(70, 30, 300), dtype="uint16", spacing_um=(0.05, 0.01, 0.01)
    )
    assert (array.shape, array.dtype, array.chunks) == ((70, 30, 300), np.uint16, (64, 30, 128))
    assert array.metadata.dimension_names == ("z", "y", "x")
    [scales] = said(tmp_path / "a.zarr")["multiscales"]
    assert [axis["unit"] for axis in scales["axes"]] == ["micrometer"] * 3
    [level] = scales["datasets"]
    assert [t["type"] for t in level["coordinateTransformations"]] == ["scale", "translation"]
    assert level["coordinateTransformations"][0]["scale"] == [0.05, 0.01, 0.01]
    assert not array[...].any()


def test_labels_lie_in_their_image_which_lists_them(tmp_path):
    image = tmp_path / "a.zarr"
    omezarr.create(image, axes="yx", shape=(8, 9), dtype="f4", spacing_um=(1, 1), origin_um=(5, 6))
    for name in ("tissue", "mask"):
        omezarr.create(image / "labels" / name, axes="yx", shape=(8, 9), dtype="u4", spacing_um=(1, 1), labels_of=image)
    assert said(image / "labels")["labels"] == ["tissue", "mask"]
    assert said(image / "labels" / "mask")["image-label"] == {"source": {"image": "../../"}}
    with pytest.raises(ValueError, match="lie in"):
        omezarr.create(tmp_path / "b", axes="yx", shape=(8, 9), dtype="u4", spacing_um=(1, 1), labels_of=image)


def test_the_same_image_is_written_in_the_same_bytes(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 9, (70, 140, 130)).astype(np.uint16)
    for name in ("one", "two"):
        array = omezarr.create(
            tmp_path / name, axes="zyx", shape=voxels.shape, dtype="u2", spacing_um=(1, 1, 1), name="same"
        )
        array[:] = voxels
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("one", "two")]
    assert files[0] == files[1]
    for file in files[0]:
        one, two = tmp_path / "one" / file, tmp_path / "two" / file
        assert one.is_dir() or one.read_bytes() == two.read_bytes()
