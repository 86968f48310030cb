"""Beads that are in the images and were never marked: places to leave out of training and of judging.

A dataset may name classes that nobody annotated, with their diameters. Taught as background they would teach the wrong
thing, and finding one would be called false. So places that look like one of them become unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from graticule.arrays.blobs import Polarity, blob_peaks, blob_response
from graticule.arrays.evidence import contrast_at, polarity_of
from graticule.example import Example
from graticule.image import Array, Floats
from graticule.io.dataset import Dataset
from graticule.results import Points

NM = 1e-3  # µm
SMALLER, LARGER = 0.75, 1.4  # diameters, as shares of the class's, that must fit a place less well
PLAIN_SPREADS = 4.0  # contrast asked for where no annotated bead shows what to ask for, in spreads of the whole image
REACH = 0.65  # radius of what becomes unknown, in diameters: the bead and its blurred rim


def with_unknown_places(dataset: Dataset) -> list[Example]:
    """The dataset's examples; where a bead of an unannotated class seems to be, `complete` is 0."""
    return [_one(example, dataset.unannotated) for example in dataset.examples]


def unannotated_places(example: Example, diameter_nm: float) -> Array:
    """``(N, 2)`` µm: where a disc of this diameter seems to be that nobody marked.

    It must fit better than smaller and larger discs, and be as plain to see as the typical annotated bead.
    """
    truth = example.truth
    assert isinstance(truth, Points)
    image, pixels = example.image, np.asarray(example.image.data[...], np.float32)
    diameter_px = diameter_nm * NM / image.spacing_um[0]
    marked_px = image.to_voxels(truth.position_um)
    polarity: Polarity = polarity_of(pixels, marked_px, diameter_px / 2) if len(truth) else "dark"
    response = blob_response(pixels, diameter_px, polarity=polarity, roundness=0.5)
    asked = _typical_contrast(pixels, marked_px, diameter_px, polarity)
    peaks, _ = blob_peaks(response, threshold=asked, min_distance_px=max(1, round(diameter_px / 2)))
    peaks = peaks[_fits_best(pixels, peaks, response, diameter_px, polarity)]
    return image.to_um(peaks[_apart(peaks, marked_px, REACH * diameter_px)])


def _one(example: Example, unannotated: Mapping[str, float]) -> Example:
    if not isinstance(example.truth, Points) or not unannotated or len(example.image.axes) != 2:
        return example
    complete = np.ones(example.image.shape, np.uint8)
    if example.complete is not None:
        complete = (np.asarray(example.complete.data[...]) != 0).astype(np.uint8)
    for diameter_nm in unannotated.values():
        for place in example.image.to_voxels(unannotated_places(example, diameter_nm)):
            _clear(complete, place, REACH * diameter_nm * NM / example.image.spacing_um[0])
    return replace(example, complete=replace(example.image, data=complete))


def _clear(complete: Array, centre: Array, radius: float) -> None:
    """Zeros in the disc."""
    low = np.maximum(np.floor(centre - radius).astype(int), 0)
    high = np.minimum(np.ceil(centre + radius).astype(int) + 1, complete.shape)
    y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
    window = complete[low[0] : high[0], low[1] : high[1]]
    window[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = 0


def _typical_contrast(pixels: Floats, marked_px: Array, diameter_px: float, polarity: Polarity) -> float:
    """Of annotated beads, taken to be about half as large: a larger bead of gold is darker still."""
    low, high = np.percentile(pixels, (15.87, 84.13))
    spread = float(high - low) / 2
    if not len(marked_px):
        return PLAIN_SPREADS * spread
    return max(float(np.nanmedian(contrast_at(pixels, marked_px, diameter_px / 2, polarity))), spread)


def _fits_best(pixels: Floats, peaks: Array, response: Floats, diameter_px: float, polarity: Polarity) -> Array:
    here = _at(response, peaks)
    others = [
        blob_response(pixels, share * diameter_px, polarity=polarity, roundness=0.5) for share in (SMALLER, LARGER)
    ]
    best: Array = np.all([here >= _at(other, peaks) for other in others], axis=0)
    return best


def _at(response: Floats, places_px: Array) -> Array:
    cells = np.clip(np.round(places_px).astype(int), 0, np.array(response.shape) - 1)
    values: Array = response[tuple(cells.T)]
    return values


def _apart(places: Array, others: Array, distance: float) -> Array:
    if not len(places) or not len(others):
        return np.ones(len(places), bool)
    nearest, _ = KDTree(others).query(places)
    apart: Array = nearest > distance
    return apart
