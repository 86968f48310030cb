"""Do annotated positions sit on spots, and how large are those spots?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import maximum_filter
from scipy.spatial import KDTree
from scipy.stats import gamma

from graticule.arrays.blobs import Polarity, blob_response, ideal_answer, sigma
from graticule.image import Array, Floats

POLARITIES: tuple[Polarity, Polarity] = ("dark", "bright")

SMALLEST_PX, LARGEST_PX = 3.0, 64.0
STEP = 1.2
"""Ratio of neighbouring diameters that are tried; a parabola finds the top between them."""

OFF_CENTRE = 0.5
"""How far from a spot's centre a person's mark may lie, in diameters."""

ENOUGH = 64
"""Spots measured at most: a median needs no more."""


NEIGHBOURS = 4
"""Rungs either side of the typical diameter among which a single spot's own is sought: up to a factor of two."""

SURE = 4.0
"""Standard errors by which spots must stand out at the best of all diameters; chance rarely gives three."""


RAREST = 1e-3
"""Share of the image below which a place is not more surprising: a few extreme places shall not decide alone."""

RARE = 0.05
"""A place is on a spot if no more than this share of the image looks as much like one."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """How well positions sit on spots.

    Attributes
    ----------
    surprise
        ``(N,)``, one number per position: minus the logarithm of the share of the image that looks at least as much
        like a spot. 1 on average for random places, 0 outside the image.
    """

    surprise: Array

    @property
    def on_spot(self) -> Array:
        """``(N,)`` booleans."""
        return np.asarray(self.surprise >= -np.log(RARE))

    @property
    def share(self) -> float:
        """Of the positions that are on a spot."""
        return float(self.on_spot.mean()) if len(self.surprise) else 0.0

    @property
    def log10_chance(self) -> float:
        """Decimal logarithm of the probability that as many random places do as well.

        Surprises of random places are exponentially distributed; their sum is a gamma-distributed number.
        """
        return log10_chance(float(self.surprise.sum()), len(self.surprise))


def evidence(pixels: Array, positions_px: Array, diameter_px: float, polarity: Polarity = "dark") -> Evidence:
    """How well positions ``(N, 2)`` sit on spots of this diameter; marks may be off by half a diameter.

    They are compared with places that are not near any of them, so that many true marks do not make each other common.
    """
    others = _apart_from(positions_px, _scattered(pixels.shape, 4 * COMPARED), diameter_px)[:COMPARED]
    elsewhere = np.sort(contrast_at(pixels, others, diameter_px, polarity))
    here = contrast_at(pixels, positions_px, diameter_px, polarity)
    share = 1 - np.searchsorted(elsewhere, here) / len(elsewhere)
    return Evidence(np.where(np.isfinite(here), -np.log(np.clip(share, RAREST, 1)), 0.0))


COMPARED = 1000
"""Places that marks are compared with."""


def _apart_from(positions: Array, places: Array, distance: float) -> Array:
    """Those of `places` that are at least this far from all positions; a twentieth of them, if those are too few."""
    if not len(positions):
        return places
    nearest, _ = KDTree(positions).query(places)
    apart = places[nearest >= distance]
    few = len(places) // 20
    return apart if len(apart) >= few else places[np.argsort(-nearest, kind="stable")[:few]]


def surprise(pixels: Array, diameter_px: float, polarity: Polarity = "dark") -> Floats:
    """``(*space)``: how surprisingly near every place is to a spot; see `Evidence`."""
    off = max(1, round(OFF_CENTRE * diameter_px))
    response = maximum_filter(blob_response(pixels, diameter_px, polarity=polarity), size=2 * off + 1)
    step = max(1, int(np.sqrt(response.size / SAMPLE)))
    sample = np.sort(response[::step, ::step], axis=None)
    below = np.searchsorted(sample, response.ravel()).reshape(response.shape)
    share = np.clip(1 - below / len(sample), RAREST, 1)
    return np.asarray(-np.log(share), np.float32)


SAMPLE = 200_000
"""Places that are plenty to rank by."""


def sampled(surprise: Floats, positions_px: Array) -> Array:
    """Value of a map at each position ``(N, 2)``; 0 outside it."""
    inside = _is_inside(positions_px, surprise.shape)
    values = np.zeros(len(positions_px))
    values[inside] = surprise[tuple(np.round(positions_px[inside]).astype(int).T)]
    return values


def log10_chance(total: float, count: int) -> float:
    """Decimal logarithm of the probability that the surprises of `count` random places add up to at least `total`."""
    return float(gamma.logsf(total, count) / np.log(10)) if count else 0.0


def measured_diameter(
    pixels: Array, positions_px: Array, *, smallest_px: float = SMALLEST_PX, largest_px: float = LARGEST_PX
) -> float | None:
    """Typical diameter, in pixels, of the spots, dark or bright, at `positions_px` ``(N, 2)``; None without a spot.

    The diameter at which the scale-normalised Laplacian of Gaussian answers more at the positions than elsewhere in the
    image by the widest margin; then the median over the spots of each one's own best diameter near it. A spot with
    blurred flanks measures a little larger than the sharp one it was. Marks may be off by half a diameter.
    """
    ladder = _ladder(smallest_px, largest_px)
    at_spots = _answers(pixels, _some(positions_px, ENOUGH), ladder)
    if not len(at_spots):
        return None
    elsewhere = _answers(pixels, _elsewhere(pixels.shape, positions_px), ladder)
    excess = np.median(at_spots, axis=0) - np.median(elsewhere, axis=0)
    rung, sign = np.unravel_index(int(np.argmax(excess)), excess.shape)
    if excess[rung, sign] <= SURE * _error_of_median(elsewhere[:, rung, sign], len(at_spots)):
        return None
    near = slice(max(0, int(rung) - NEIGHBOURS), int(rung) + NEIGHBOURS + 1)
    return float(np.median(_tops(at_spots[:, near, int(sign)], ladder[near])))


def contrast_at(pixels: Array, positions_px: Array, diameter_px: float, polarity: Polarity) -> Array:
    """How much each spot of this diameter differs from what is around it, in grey levels, ``(N,)``.

    The strongest answer of the Laplacian of Gaussian within half a diameter of each position: near 0, or negative,
    where there is no spot. NaN outside the image.
    """
    inside = _is_inside(positions_px, pixels.shape)
    contrast = np.full(len(positions_px), np.nan)
    if inside.any():
        answers = _answers(pixels, positions_px[inside], np.array([diameter_px]))
        contrast[inside] = answers[:, 0, POLARITIES.index(polarity)]
    return contrast


def polarity_of(pixels: Array, positions_px: Array, diameter_px: float) -> Polarity:
    """Whether spots of this diameter at `positions_px` ``(N, 2)`` are darker or brighter than what is around them."""
    answers = _answers(pixels, _some(positions_px, ENOUGH), np.array([diameter_px]))
    dark, bright = np.median(answers, axis=0)[0] if len(answers) else (0.0, 0.0)
    return POLARITIES[0] if dark >= bright else POLARITIES[1]


def _error_of_median(values: Array, count: int) -> float:
    """Standard error of the median of `count` draws from a population like `values`, by its middle half."""
    low, high = np.percentile(values, (25, 75))
    return float(1.2533 * (high - low) / 1.349 / np.sqrt(count))


def _ladder(smallest_px: float, largest_px: float) -> Array:
    rungs = max(3, 1 + round(np.log(largest_px / smallest_px) / np.log(STEP)))
    return np.geomspace(smallest_px, largest_px, rungs)


def _some(positions: Array, at_most: int) -> Array:
    """Evenly picked rows."""
    if len(positions) <= at_most:
        return positions
    picked: Array = positions[np.linspace(0, len(positions) - 1, at_most).round().astype(int)]
    return picked


def _elsewhere(shape: tuple[int, ...], positions_px: Array) -> Array:
    """Places that fill the image evenly, as far from the positions as there is room."""
    places = _scattered(shape, 4 * ENOUGH)
    distance, _ = KDTree(positions_px).query(places)
    return places[np.argsort(-distance, kind="stable")[:ENOUGH]]


def _scattered(shape: tuple[int, ...], count: int) -> Array:
    """``(count, 2)`` places that fill an image evenly without a pattern: a Kronecker sequence of the plastic number."""
    plastic = 1.324717957244746
    steps = np.array([1 / plastic, 1 / plastic**2])
    share: Array = (0.5 + np.outer(np.arange(1, count + 1), steps)) % 1
    places: Array = share * (np.array(shape) - 1)
    return places


def _answers(pixels: Array, positions_px: Array, diameters_px: Array) -> Array:
    """Largest response near each position to dark and to bright discs of each diameter: ``(N, D, 2)``, in grey levels.

    Only windows around the positions are looked at. Positions outside the image are left out.
    """
    centres = np.round(positions_px[_is_inside(positions_px, pixels.shape)]).astype(int)
    reach = int(np.ceil(1.6 * diameters_px.max())) + 2  # half a diameter off centre, and three standard deviations
    windows = _windows(pixels, centres, reach)
    side = windows.shape[-1]
    spectrum = rfft2(windows, workers=1)
    frequency = np.hypot(2 * np.pi * np.fft.fftfreq(side)[:, None], 2 * np.pi * np.fft.rfftfreq(side)[None])
    answers = np.empty((len(centres), len(diameters_px), 2))
    for rung, diameter in enumerate(diameters_px):
        width = sigma(diameter)
        kernel = (width * frequency) ** 2 * np.exp(-((width * frequency) ** 2) / 2) / ideal_answer(2)
        response = -irfft2(spectrum * kernel.astype(np.float32), s=(side, side), workers=1)
        off = max(1, round(OFF_CENTRE * diameter))
        core = response[:, reach - off : reach + off + 1, reach - off : reach + off + 1]
        answers[:, rung] = np.stack([core.max(axis=(1, 2)), -core.min(axis=(1, 2))], axis=1)
    return answers


def _is_inside(positions_px: Array, shape: tuple[int, ...]) -> Array:
    inside = (positions_px >= -0.49) & (positions_px <= np.array(shape) - 0.51)
    return np.asarray(inside.all(axis=1))


def _windows(pixels: Array, centres: Array, reach: int) -> Floats:
    """``(N, side, side)``: what lies within `reach` of each centre, which comes to lie at `reach`; edges go on."""
    side = next_fast_len(2 * reach + 1, real=True)
    steps = np.arange(side) - reach
    rows, columns = (np.clip(centres[:, axis, None] + steps, 0, pixels.shape[axis] - 1) for axis in (0, 1))
    windows: Floats = np.asarray(pixels)[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    windows -= windows.mean(axis=(1, 2), keepdims=True)  # keeps single precision exact enough far from zero
    return windows


def _tops(answers: Array, ladder: Array) -> Array:
    """``(N,)`` diameters at which each row of `answers` ``(N, D)`` is highest, between rungs by a parabola."""
    best = answers.argmax(axis=1)
    inner = np.clip(best, 1, len(ladder) - 2)
    rows = np.arange(len(answers))
    before, top, after = (answers[rows, inner + k] for k in (-1, 0, 1))
    bend = before - 2 * top + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros(len(answers)), where=(bend < 0) & (best == inner))
    tops: Array = ladder[best] * (ladder[1] / ladder[0]) ** np.clip(shift, -0.5, 0.5)
    return tops
