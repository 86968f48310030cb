"""Points and outlines as GeoJSON, as QuPath imports it: a FeatureCollection of detections.

QuPath counts in pixels of the full image from its upper left *corner*: a lone first pixel is the square from (0, 0) to
(1, 1) (P. Bankhead, "A note on contours", 2018), so its middle, our (0, 0), is (0.5, 0.5) there. Outlines run along the
sides of pixels: what is drawn holds exactly the pixels that were labelled, and its area is their number. Parts that
touch only at a corner are polygons of their own, and holes are holes.

A stack has features on planes: a point on the nearest one, an outline on every plane it crosses, each with
``geometry.plane`` (``qupath.lib.io.ROITypeAdapters``). Those of one object have its number as their name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from scipy import ndimage

from graticule.image import Array, Image
from graticule.io.atomic import replacing
from graticule.results import Labels, Points

DECIMALS = 4
"""Of a pixel, as in our tables of points."""

Colour = tuple[int, int, int]
Feature = dict[str, Any]


def write_points(
    points: Points,
    path: str | Path,
    image: Image,
    *,
    numbers: Sequence[int] | None = None,
    colours: Mapping[str, Colour] | None = None,
) -> None:
    """One feature per point, in their order; `image` is what the pixels are counted on.

    `numbers` are the points' own, else 1, 2 …; `colours` those of classes, red, green and blue in 0 … 255, else
    QuPath's.
    """
    numbers = range(1, len(points) + 1) if numbers is None else numbers
    voxels = image.to_voxels(points.position_um)
    features = [
        _feature(
            {"type": "Point", "coordinates": _corner(voxels[row, :-3:-1] + 0.5), **_plane(voxels[row, :-2])},
            int(number),
            points.kinds[int(points.kind[row])],
            colours,
            _measured(points, row),
        )
        for row, number in enumerate(numbers)
    ]
    _write(features, path)


def write_outlines(
    labels: Labels,
    path: str | Path,
    image: Image,
    *,
    kinds: Mapping[int, str],
    confidences: Mapping[int, float] | None = None,
    colours: Mapping[str, Colour] | None = None,
) -> None:
    """One feature per object and plane it lies on; read plane by plane.

    Parameters
    ----------
    labels
        On the pixels of `image`, or on coarser or finer ones of the same place: outlines are those of the labels' own.
    image
        What the pixels are counted on.
    kinds
        Class of each number that is to be written; other numbers are left aside.
    confidences, colours
        Of each number, and of each class, where they are known.
    """
    features = []
    pixel_um2 = float(np.prod(labels.image.spacing_um[-2:]))
    for depth, plane in _planes(labels.image, image):
        for number, mask, corner in _objects(plane, kinds):
            polygons = [_on(image, labels.image, rings, corner) for rings in polygons_of(mask)]
            measured = {"area µm^2": float(np.count_nonzero(mask)) * pixel_um2}
            if confidences is not None and number in confidences:
                measured = {"confidence": confidences[number], **measured}
            shape = _geometry(polygons) | _plane(depth)
            features.append(_feature(shape, number, kinds[number], colours, measured))
    _write(features, path)


def polygons_of(mask: Array) -> list[list[Array]]:
    """The outlines of a mask along the sides of its pixels, by parts that hang together by sides.

    Each part is a list of rings: the rim, then its holes. A ring is ``(N, 2)`` corners, row and column counted from the
    corner of the mask, its last corner the first again; rims turn one way and holes the other. No ring meets itself.
    """
    parts, count = ndimage.label(mask)
    return [_rings(parts[window] == n, window) for n, window in enumerate(ndimage.find_objects(parts, count), start=1)]


def _rings(part: Array, window: tuple[slice, ...]) -> list[Array]:
    rings = [ring for loop in _loops(part) for ring in _simple(loop)]
    corner = np.array([side.start for side in window])
    # The rim encloses the holes, so it is the largest.
    rings.sort(key=lambda ring: -abs(area_of(ring)))
    return [_straight(ring) + corner for ring in rings]


def _loops(part: Array) -> Iterator[list[tuple[int, int]]]:
    """Closed walks along all sides between the part and the rest, the part on the right hand."""
    inside = np.pad(part, 1)
    follows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    top, bottom = inside[1:] & ~inside[:-1], inside[:-1] & ~inside[1:]
    left, right = inside[:, 1:] & ~inside[:, :-1], inside[:, :-1] & ~inside[:, 1:]
    # Corner (r, c) of the mask lies between padded rows r and r + 1.
    for sides, start, end in (
        (top, (0, -1), (0, 0)),
        (bottom, (0, 0), (0, -1)),
        (left, (0, 0), (-1, 0)),
        (right, (-1, 0), (0, 0)),
    ):
        for r, c in np.argwhere(sides).tolist():
            follows.setdefault((r + start[0], c + start[1]), []).append((r + end[0], c + end[1]))
    while follows:
        first = at = next(iter(follows))
        loop = [first]
        while True:
            ahead = follows[at]
            step = ahead.pop()
            if not ahead:
                del follows[at]
            loop.append(step)
            at = step
            if at == first:
                break
        yield loop


def _simple(loop: Sequence[tuple[int, int]]) -> Iterator[Array]:
    """A walk that comes back to a corner before its end is two rings, or more."""
    path: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for corner in loop:
        if corner in place:
            ring = [*path[place[corner] :], corner]
            for left in path[place[corner] :]:
                del place[left]
            del path[len(path) - len(ring) + 1 :]
            yield np.array(ring)
        place[corner] = len(path)
        path.append(corner)


def _straight(ring: Array) -> Array:
    """Without the corners that lie on a straight line."""
    open_ring = ring[:-1]
    before, after = open_ring - np.roll(open_ring, 1, axis=0), np.roll(open_ring, -1, axis=0) - open_ring
    kept = open_ring[(before != after).any(axis=1)]
    return np.concatenate([kept, kept[:1]])


def area_of(ring: Array) -> float:
    """Enclosed by a closed ring ``(N, 2)``, negative where it turns the other way (the shoelace formula)."""
    y, x = ring[:, 0].astype(float), ring[:, 1].astype(float)
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _planes(labels: Image, image: Image) -> Iterator[tuple[Array, Array]]:
    """Each plane of the image, as ``(z,)`` (nothing where there is one plane), with the labels nearest to it."""
    if image.ndim == 2:
        yield np.zeros(0), np.asarray(labels.data[...])
        return
    for z in range(image.shape[0]):
        um = image.to_um(np.array([[z, 0, 0]], float))
        own = int(np.clip(np.rint(labels.to_voxels(um)[0, 0]), 0, labels.shape[0] - 1))
        yield np.array([z], float), np.asarray(labels.data[own])


def _objects(plane: Array, kinds: Mapping[int, str]) -> Iterator[tuple[int, Array, Array]]:
    """Number, mask in the smallest window around it, and that window's first row and column."""
    # Numbers may be few and large: 1, 2 … keep the list of windows short.
    present, dense = np.unique(plane, return_inverse=True)
    dense = dense.reshape(plane.shape) + 1
    for place, window in enumerate(ndimage.find_objects(dense), start=1):
        number = int(present[place - 1])
        if number and number in kinds:
            yield number, dense[window] == place, np.array([side.start for side in window], float)


def _on(image: Image, labels: Image, rings: Sequence[Array], corner: Array) -> list[Array]:
    """Corners of the labels' pixels as ``(x, y)`` corners of the image's."""
    spacing, origin = (np.array(values[-2:]) for values in (labels.spacing_um, labels.origin_um))
    to_um = [(ring + corner - 0.5) * spacing + origin for ring in rings]
    own_spacing, own_origin = (np.array(values[-2:]) for values in (image.spacing_um, image.origin_um))
    return [((um - own_origin) / own_spacing + 0.5)[:, ::-1] for um in to_um]


def _geometry(polygons: Sequence[Sequence[Array]]) -> dict[str, Any]:
    told = [[[_corner(point) for point in ring] for ring in rings] for rings in polygons]
    if len(told) == 1:
        return {"type": "Polygon", "coordinates": told[0]}
    return {"type": "MultiPolygon", "coordinates": told}


def _corner(xy: Array) -> list[float]:
    """Without a minus before zero."""
    return [round(float(value), DECIMALS) + 0.0 for value in xy]


def _plane(depth: Array) -> dict[str, Any]:
    """``c`` −1: of all channels."""
    return {"plane": {"c": -1, "z": round(float(depth[0])), "t": 0}} if len(depth) else {}


def _measured(points: Points, row: int) -> dict[str, float]:
    told = {"confidence": float(f"{points.confidence[row]:.6g}")}
    if points.diameter_um is not None and np.isfinite(points.diameter_um[row]):
        told["diameter nm"] = float(f"{points.diameter_um[row] * 1000:.9g}")
    return told


def _feature(
    geometry: dict[str, Any],
    number: int,
    kind: str,
    colours: Mapping[str, Colour] | None,
    measured: Mapping[str, float],
) -> Feature:
    classification: dict[str, Any] = {"name": kind}
    if colours is not None and kind in colours:
        classification["color"] = list(colours[kind])
    return {
        "type": "Feature",
        # QuPath takes a UUID for an id, and makes one where it finds another thing.
        "id": str(uuid5(NAMESPACE_OID, json.dumps([number, geometry]))),
        "geometry": geometry,
        "properties": {
            "objectType": "detection",
            "name": str(number),
            "classification": classification,
            "measurements": dict(measured),
        },
    }


def _write(features: Sequence[Feature], path: str | Path) -> None:
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for place, feature in enumerate(features):
            file.write(",\n" if place else "\n")
            json.dump(feature, file, ensure_ascii=False, allow_nan=False)
        file.write("\n]}\n")
