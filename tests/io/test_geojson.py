"""What QuPath gets holds exactly the pixels that were labelled, and points lie where they lay."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import disk

from graticule.image import Image
from graticule.io import geojson
from graticule.results import Labels, Points

PLANE = Image(np.zeros((30, 40), np.uint8), "yx", (0.5, 0.25), (1.0, 2.0))
STACK = Image(np.zeros((4, 30, 40), np.uint8), "zyx", (2.0, 0.5, 0.25))
KINDS = ("6nm", "12nm")
MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def filled(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Pixels whose centres lie inside by the even-odd rule: a ray to the right crosses the rings an odd number of times."""
    inside = np.zeros(shape, bool)
    for ring in rings:
        for (y0, x0), (y1, x1) in pairwise(ring):
            if x0 == x1:
                rows = slice(int(min(y0, y1)), int(max(y0, y1)))
                inside[rows, : int(x0)] ^= True
    return inside


@given(MASKS)
def test_outlines_hold_the_pixels_of_the_mask_and_no_others(mask: np.ndarray) -> None:
    parts = geojson.polygons_of(mask)
    together = np.zeros(mask.shape, int)
    for rings in parts:
        together += filled(rings, mask.shape)
    assert np.array_equal(together, mask.astype(int))


@given(MASKS)
def test_areas_add_up_to_the_number_of_pixels_and_holes_turn_the_other_way(mask: np.ndarray) -> None:
    areas = [[geojson.area_of(ring) for ring in rings] for rings in geojson.polygons_of(mask)]
    assert sum(map(sum, areas)) == mask.sum()
    assert all(rim > 0 and all(hole < 0 for hole in holes) for rim, *holes in areas)


@given(MASKS)
def test_no_ring_meets_itself_and_none_has_a_corner_too_many(mask: np.ndarray) -> None:
    for ring in (ring for rings in geojson.polygons_of(mask) for ring in rings):
        assert ring[0].tolist() == ring[-1].tolist()
        corners = [tuple(corner) for corner in ring[:-1].tolist()]
        assert len(set(corners)) == len(corners) >= 4
        steps = np.diff(ring, axis=0)
        assert (np.count_nonzero(steps, axis=1) == 1).all()
        turns = np.roll(steps, -1, axis=0)
        assert (np.sign(steps) != np.sign(turns)).any(axis=1).all()


def features(path: Path) -> list[dict[str, Any]]:
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["type"] == "FeatureCollection"
    return list(told["features"])


@settings(max_examples=20)
@given(voxels=arrays(float, (5, 2), elements=st.floats(-0.5, 29)))
def test_points_lie_half_a_pixel_from_where_we_count_them(voxels: np.ndarray, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("g") / "a.geojson"
    geojson.write_points(Points.marked(PLANE.to_um(voxels)), path, PLANE)
    xy = np.array([one["geometry"]["coordinates"] for one in features(path)])
    np.testing.assert_allclose(xy[:, ::-1] - 0.5, voxels, atol=6e-5)


def test_a_point_says_its_number_class_colour_and_confidence(tmp_path: Path) -> None:
    found = Points(
        np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 0.9]), np.array([1, 0]), KINDS, np.array([0.006, np.nan])
    )
    geojson.write_points(found, tmp_path / "a.geojson", PLANE, numbers=(7, 9), colours={"12nm": (1, 2, 3)})
    first, second = features(tmp_path / "a.geojson")
    assert first["properties"] == {
        "objectType": "detection",
        "name": "7",
        "classification": {"name": "12nm", "color": [1, 2, 3]},
        "measurements": {"confidence": 0.5, "diameter nm": 6.0},
    }
    assert second["properties"]["classification"] == {"name": "6nm"} and first["id"] != second["id"]
    assert second["properties"]["measurements"] == {"confidence": 0.9}
    assert first["geometry"] == {"type": "Point", "coordinates": [0.5, 0.5]}


def test_points_of_a_stack_lie_on_their_planes(tmp_path: Path) -> None:
    found = Points.marked(STACK.to_um(np.array([[0.4, 5, 6], [2.6, 7, 8]])))
    geojson.write_points(found, tmp_path / "a.geojson", STACK)
    assert [one["geometry"]["plane"] for one in features(tmp_path / "a.geojson")] == [
        {"c": -1, "z": 0, "t": 0},
        {"c": -1, "z": 3, "t": 0},
    ]


def drawn() -> np.ndarray:
    labels = np.zeros((30, 40), np.uint16)
    labels[disk((12, 12), 8)] = 3
    labels[10:14, 10:14] = 0
    labels[20:25, 30:35] = labels[25:28, 35:38] = 65000
    return labels


def test_outlines_have_holes_parts_areas_and_confidence(tmp_path: Path) -> None:
    labels = drawn()
    geojson.write_outlines(
        Labels(Image(labels, "yx", PLANE.spacing_um, PLANE.origin_um)),
        tmp_path / "a.geojson",
        PLANE,
        kinds={3: "ring", 65000: "pair"},
        confidences={3: 0.75},
    )
    ring, pair = features(tmp_path / "a.geojson")
    assert ring["geometry"]["type"] == "Polygon" and len(ring["geometry"]["coordinates"]) == 2
    assert pair["geometry"]["type"] == "MultiPolygon" and len(pair["geometry"]["coordinates"]) == 2
    assert pair["geometry"]["coordinates"][0][0][0] == [30, 20]
    measured = ring["properties"]["measurements"]
    assert measured == {"confidence": 0.75, "area µm^2": pytest.approx(np.count_nonzero(labels == 3) * 0.125)}
    assert ring["properties"]["name"] == "3" and pair["properties"]["classification"]["name"] == "pair"


def test_labels_on_coarser_pixels_lie_where_they_lie(tmp_path: Path) -> None:
    """Two of the image's pixels make one: their common corner is the first pixel's corner."""
    labels = np.zeros((15, 20), np.uint8)
    labels[5:10, 4:6] = 1
    coarse = Image(labels, "yx", (1.0, 0.5), (1.25, 2.125))
    geojson.write_outlines(Labels(coarse), tmp_path / "a.geojson", PLANE, kinds={1: "x"})
    [one] = features(tmp_path / "a.geojson")
    [ring] = one["geometry"]["coordinates"]
    assert sorted({tuple(corner) for corner in ring}) == [(8, 10), (8, 20), (12, 10), (12, 20)]


def test_an_object_of_a_stack_is_on_every_plane_of_the_image_it_crosses(tmp_path: Path) -> None:
    """Its labels are on planes twice as thick."""
    labels = np.zeros((2, 30, 40), np.uint8)
    labels[1, 5:9, 5:9] = 2
    thick = Image(labels, "zyx", (4.0, 0.5, 0.25), (1.0, 0.0, 0.0))
    geojson.write_outlines(Labels(thick), tmp_path / "a.geojson", STACK, kinds={2: "x"})
    told = features(tmp_path / "a.geojson")
    assert [one["geometry"]["plane"]["z"] for one in told] == [2, 3]
    assert {one["properties"]["name"] for one in told} == {"2"} and len({one["id"] for one in told}) == 2


def test_nothing_found_is_a_collection_of_nothing(tmp_path: Path) -> None:
    geojson.write_points(Points.none(2), tmp_path / "a.geojson", PLANE)
    geojson.write_outlines(Labels(PLANE), tmp_path / "b.geojson", PLANE, kinds={})
    assert features(tmp_path / "a.geojson") == features(tmp_path / "b.geojson") == []


def test_the_same_points_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.geojson", "b.geojson"):
        geojson.write_points(Points.marked(np.array([[1.0, 2.5]])), tmp_path / name, PLANE)
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
