"""Outlines of a part of an image as closed lines, and drawn lines as regions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from scipy.ndimage import find_objects
from skimage.draw import polygon
from skimage.measure import approximate_polygon, find_contours

from graticule.box import Box
from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.review import Region
from graticule.review.state import State

MOST_PIXELS = 16_000_000
"""Of a plane that outlines are looked up in at once."""

STRAIGHT_PX = 0.35
"""Corners that lie no further off a straight line are left out."""

Ring = list[tuple[float, float]]
"""Places ``(y, x)`` in pixels of the image; the last is the first."""


def rings_in(state: State, image: Image, y: int, x: int, height: int, width: int, z: int = 0) -> dict[int, list[Ring]]:
    """Lines around each outlined item in a window of `image`, by id: of rejected ones, too."""
    place = state.place
    box = _box_on(place, image, (z, y, x), (z + 1, y + height, x + width))
    if prod(box.shape) > MOST_PIXELS:
        raise AnnotationError(
            f"found a window of {prod(box.shape):,} pixels; need at most {MOST_PIXELS:,} to show outlines; zoom in"
        )
    if not prod(box.shape):
        return {}
    numbers = state.outlines(box, statuses=("open", "accepted", "rejected")).reshape(box.shape[-2:])
    present, compact = np.unique(numbers, return_inverse=True)
    compact = compact.reshape(numbers.shape) + (0 if present[0] == 0 else 1)
    ids = present[present != 0]
    corner = np.array(box.start, float)
    every = zip(ids, find_objects(compact), strict=True)
    return {int(number): _around(compact, n, at, corner, place, image) for n, (number, at) in enumerate(every, start=1)}


def region_of(outline_um: Sequence[Sequence[float]], place: Image) -> Region:
    """The voxels of `place` within a line drawn on one plane, ``(z,) y, x`` in µm each."""
    corners = np.array(outline_um, float)
    if corners.ndim != 2 or corners.shape[1] != place.ndim or len(corners) < 3 or not np.isfinite(corners).all():
        raise AnnotationError(f"found an outline of {len(corners)} places; need three or more on a plane; draw it anew")
    voxels = place.to_voxels(corners)
    low = np.clip(np.floor(voxels.min(axis=0)), 0, place.shape).astype(int)
    high = np.clip(np.ceil(voxels.max(axis=0)) + 1, 0, place.shape).astype(int)
    size = np.maximum(high - low, 0)[-2:]
    if not 0 < prod(size.tolist()) <= MOST_PIXELS:
        raise AnnotationError("found an outline outside the image, or too large for it; need one on it; draw it anew")
    drawn = voxels[:, -2:] - low[-2:]
    rows, columns = polygon(drawn[:, 0], drawn[:, 1], shape=tuple(size))
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    plane = [int(np.clip(np.round(voxels[:, 0].mean()), 0, place.shape[0] - 1))] if place.ndim == 3 else []
    return Region.of(mask.reshape(*[1] * len(plane), *mask.shape), (*plane, int(low[-2]), int(low[-1])))


def _box_on(place: Image, image: Image, start: Sequence[int], stop: Sequence[int]) -> Box:
    """A box of the image's voxels on those of the outlines, which may be coarser; one plane of a volume."""
    corners = np.array([start[-image.ndim :], stop[-image.ndim :]], float) - 0.5
    low, high = np.round(place.to_voxels(image.to_um(corners)) + 0.5).astype(int)
    if place.ndim == 3:
        middle = image.to_um(np.array([[start[0], 0, 0]], float))
        low[0] = round(float(place.to_voxels(middle)[0, 0]))
        high[0] = low[0] + 1
    low = np.clip(low, 0, place.shape)
    return Box(tuple(int(n) for n in low), tuple(int(n) for n in np.clip(high, low, place.shape)))


def _around(
    numbers: Array, number: int, at: tuple[slice, ...], corner: Array, place: Image, image: Image
) -> list[Ring]:
    """Lines halfway between the voxels of a number, which all lie in `at`, and the others."""
    lines = find_contours(np.pad(numbers[at] == number, 1).astype(np.float32), 0.5)
    shift = np.array([at[0].start, at[1].start]) - 1
    return [_on_image(approximate_polygon(line, STRAIGHT_PX) + shift, corner, place, image) for line in lines]


def _on_image(ring: Array, corner: Array, place: Image, image: Image) -> Ring:
    depth = np.full((len(ring), 1), corner[0]) if place.ndim == 3 else np.zeros((len(ring), 0))
    voxels = np.hstack([depth, ring + corner[-2:]])
    pixels = image.to_voxels(place.to_um(voxels))[:, -2:]
    return [(round(float(y), 2), round(float(x), 2)) for y, x in pixels]
