import numpy as np

from graticule.io import omezarr_metadata


def test_levels_are_numbered_and_each_has_its_own_scale_and_place():
    said = omezarr_metadata.multiscales("a", "cyx", [(1, 2), (2, 2)], [(0, 0), (0.5, 0)], labels=False)
    assert [axis["name"] for axis in said["axes"]] == ["c", "y", "x"]
    assert [axis["type"] for axis in said["axes"]] == ["channel", "space", "space"]
    assert [level["path"] for level in said["datasets"]] == ["0", "1"]
    scale, translation = said["datasets"][1]["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": [1.0, 2.0, 2.0]}
    assert translation == {"type": "translation", "translation": [0.0, 0.5, 0.0]}


def test_viewers_get_a_range_for_each_channel():
    said = omezarr_metadata.omero(("a", "b"), np.dtype("u2"))
    assert [c["label"] for c in said["channels"]] == ["a", "b"]
    assert said["channels"][0]["window"] == {"min": 0, "max": 65535, "start": 0, "end": 65535}
    assert omezarr_metadata.omero(("a",), np.dtype("f4"))["channels"][0]["window"]["max"] == 1.0


# -- reading -----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path):
    scales = omezarr_metadata.multiscales("a", "czyx", [(1, 2, 3), (2, 4, 6)], [(0, 0, 0), (0.5, 1, 1.5)], labels=True)
    omero = omezarr_metadata.omero(("a", "b"), np.dtype("u1"))
    said = omezarr_metadata.parse({"ome": {"version": "0.5", "multiscales": [scales], "omero": omero}}, "a.zarr")
    assert (said.axes, said.channels, said.labels) == ("czyx", ("a", "b"), False)
    assert said.sizes_um(said.level("1"))[0] == {"z": 2, "y": 4, "x": 6}
    assert said.origin_um(said.level("1")) == (0.5, 1, 1.5)


def test_a_group_without_image_says_nothing():
    assert omezarr_metadata.parse({"ome": {"version": "0.5", "labels": ["a"]}}, "a.zarr") is None
    assert omezarr_metadata.parse({}, "a.zarr") is None


def test_a_scale_that_is_not_given_is_not_one():
    said = omezarr_metadata.parse({"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}, "a.zarr")
    assert said.sizes_um(said.levels[0]) == ({}, "the OME metadata give no voxel size")


def test_wrong_names_of_channels_are_left_aside():
    scales = omezarr_metadata.multiscales("a", "yx", [(1, 2)], [(0, 0)], labels=False)
    said = omezarr_metadata.parse({"multiscales": [scales], "omero": {"channels": 3}}, "a.zarr")
    assert said.channels == ()
