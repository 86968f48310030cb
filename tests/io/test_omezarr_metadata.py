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
