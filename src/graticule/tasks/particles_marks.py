"""What a few clicks tell before anything is learnt: how large particles are, bright or dark, and about how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graticule.arrays.blobs import Polarity, blob_peaks, blob_response
from graticule.arrays.resample import to_spacing
from graticule.errors import AnnotationError, FormatError
from graticule.example import Example
from graticule.image import Array, Image
from graticule.results import Points
from graticule.statistics.proportion import Count, count_like

FEWEST_CLICKS = 3
NM = 1e-3  # µm
STEP = 1.15  # ratio of neighbouring diameters that are tried
ACROSS = 8  # voxels across a diameter that it is measured with
MOST_CLICKS = 40  # looked at for a size: a sum over so many says enough
FINE = 6  # voxels across a particle that candidates are looked for with
SLENDER = 0.6  # diameters, of the spots that candidates look like: particles are rarely as thick as long
POLARITIES: tuple[Polarity, ...] = ("bright", "dark")


def refuse_unfit(examples: Sequence[Example]) -> None:
    """Say in one line why these cannot be learnt from.

    Raises
    ------
    AnnotationError
        If there are no points, fewer than `FEWEST_CLICKS`, or some outside their image.
    FormatError
        If planes and volumes are mixed, or a volume is a single plane.
    """
    clicks = 0
    for example in examples:
        truth, image = example.truth, example.image
        if not isinstance(truth, Points):
            raise AnnotationError(
                f"{example.name}: found labels; particles need points; give points/{example.name}.csv"
            )
        if min(image.shape) < 2:
            raise FormatError(
                f"{example.name}: found a volume of shape {image.shape}, which is a single plane; need a plane (axes yx) or a "
                "volume of several; save it as a plane"
            )
        voxels = image.to_voxels(truth.position_um)
        outside = ((voxels < -0.5) | (voxels > np.array(image.shape) - 0.5)).any(axis=1)
        if outside.any():
            raise AnnotationError(
                f"{example.name}: found {int(outside.sum())} of {len(truth)} clicks outside the image; need all inside; are "
                "their unit and the voxel size right?"
            )
        clicks += len(truth)
    if clicks < FEWEST_CLICKS:
        raise AnnotationError(
            f"found {clicks} clicked particles; need at least {FEWEST_CLICKS}, better 10; click some more"
        )
    if len({example.image.ndim for example in examples}) > 1:
        raise FormatError("found planes and volumes in one dataset; need one kind; make a dataset of each")


def look_of(examples: Sequence[Example], diameter_nm: float | None = None) -> tuple[Polarity, float]:
    """Whether the clicked particles are bright or dark, and their diameter in nm, by the scale at which blobs fit best.

    Where the diameter is known, no other is tried: those as large as the image take long.
    """
    ladder = _ladder(examples) if diameter_nm is None else np.array([diameter_nm * NM])
    total = np.zeros((len(POLARITIES), len(ladder)))
    for image, place in _clicks(examples):
        for number, diameter in enumerate(ladder):
            total[:, number] += np.array([1, -1]) * _bright_blob(image, place, float(diameter))
    best = np.unravel_index(int(total.argmax()), total.shape)
    return POLARITIES[int(best[0])], round(float(ladder[int(best[1])]) / NM, 1)


def _ladder(examples: Sequence[Example]) -> Array:
    """Diameters in µm, from three voxels (where they are finest) to half of the smallest image."""
    finest = max(min(e.image.spacing_um) for e in examples)
    widest = min(n * s for e in examples for n, s in zip(e.image.shape, e.image.spacing_um, strict=True)) / 2
    if widest <= 3 * finest:
        raise FormatError("found images too small to measure a particle in; give its size with --diameters-nm")
    ladder: Array = 3 * finest * STEP ** np.arange(int(np.log(widest / (3 * finest)) / np.log(STEP)) + 1)
    return ladder


def _clicks(examples: Sequence[Example]) -> Iterator[tuple[Image, Array]]:
    """Up to `MOST_CLICKS` images and places in them, evenly spread over all clicks."""
    every = [(e.image, place) for e in examples if isinstance(e.truth, Points) for place in e.truth.position_um]
    yield from every[:: -(-len(every) // MOST_CLICKS)]


def _bright_blob(image: Image, place: Array, diameter_um: float) -> float:
    """How much like a bright ball of this diameter `place` is, in grey levels."""
    reach = 1.5 * diameter_um
    start = np.floor(image.to_voxels((place - reach)[None])[0]).astype(int)
    stop = np.ceil(image.to_voxels((place + reach)[None])[0]).astype(int) + 1
    around = image.crop(tuple(map(int, np.maximum(start, 0))), tuple(map(int, np.minimum(stop, image.shape))))
    crop = to_spacing(around, (diameter_um / ACROSS,) * len(place))
    middle = np.clip(np.round(crop.to_voxels(place[None])[0]).astype(int), 0, np.array(crop.shape) - 1)
    response = blob_response(np.asarray(crop.data[...], np.float32), ACROSS, polarity="bright")
    return float(response[tuple(middle)])


def count_of(examples: Sequence[Example], diameter_nm: float, polarity: Polarity) -> Count:
    """About how many particles there are in all `examples` together, by blobs that answer like the clicked ones."""
    marked: list[Array] = []
    candidates: list[Array] = []
    for example in examples:
        spacing = diameter_nm * NM / FINE
        image = to_spacing(example.image, (spacing,) * example.image.ndim)
        pixels = np.asarray(image.data[...], np.float32)
        response = blob_response(pixels, SLENDER * FINE, polarity=polarity)
        places, heights = blob_peaks(response, threshold=0.0, min_distance_px=1)
        candidates.append(heights)
        if isinstance(example.truth, Points) and len(example.truth) and len(places):
            clicks = image.to_voxels(example.truth.position_um)
            apart = np.linalg.norm(places[None] - clicks[:, None], axis=2)
            near = np.where(apart <= FINE / 2, heights[None], -np.inf).max(axis=1)
            marked.append(np.where(np.isfinite(near), near, 0.0))
    if not marked:
        raise FormatError(
            "found no spot in the images: they are all alike; need images that show the clicked particles"
        )
    return count_like(np.concatenate(marked), np.concatenate(candidates))
