"""Where annotated positions would sit on spots, if they do not: another unit, scale, axis order, or shift.

Positions are tried in the ways in which tables are usually misread. What makes trials of all kinds comparable is how
unlikely each would be for random places, with the number of trials allowed for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from graticule.arrays.blobs import Polarity, blob_response
from graticule.arrays.evidence import Evidence, evidence, sampled, surprise
from graticule.image import Array, Floats

SCALES = (0.4, 2.5)
"""Factors that are tried in small steps: magnifications written down wrongly."""

CLEAR = -6.0
"""Decimal logarithm of the chance, for random places on this image, below which a fit is believable."""

CLEARER = 1.3
"""How many times better than any other a fit has to be. Clustered places fit a clustered texture in many ways."""

APART = 2.0
"""Diameters by which positions have to move, on average, to count as placed otherwise."""

MOST = 0.7
"""Share of the positions that a believable fit puts on spots, each by itself."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A way to read positions: swap the axes, scale about the first pixel, turn the y axis upside down, shift.

    Attributes
    ----------
    scale
        Factor along y and x, after swapping.
    shift_px
        Along y and x.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    shift_px: tuple[float, float] = (0.0, 0.0)
    swapped: bool = False
    upside_down: bool = False

    def apply(self, positions_px: Array, shape: tuple[int, ...]) -> Array:
        """The positions ``(N, 2)`` read this way, in an image of this shape."""
        placed = (positions_px[:, ::-1] if self.swapped else positions_px) * np.array(self.scale)
        if self.upside_down:
            placed = np.stack([shape[0] - 1 - placed[:, 0], placed[:, 1]], axis=1)
        moved: Array = placed + np.array(self.shift_px)
        return moved


@dataclass(frozen=True, slots=True)
class Registration:
    """A placement that fits, how well positions sit on spots as they are, and how well they would then."""

    placement: Placement
    now: Evidence
    then: Evidence


def registration(
    pixels: Array,
    positions_px: Array,
    diameter_px: float,
    *,
    factors: Sequence[tuple[float, float]] = (),
    polarity: Polarity = "dark",
) -> Registration | None:
    """The simplest reading of `positions_px` ``(N, 2)`` that puts them on spots clearly; None if there is none.

    That is ``Placement()`` for positions that sit on spots as they are.
    Tried in this order, and the first kind that has a believable fit is taken: exact readings (`factors` along y and x
    that a mistaken unit would explain, swapped axes, a y axis that points up); any scale about the first pixel; any
    shift; any scale and shift.

    Parameters
    ----------
    pixels
        ``(y, x)``.
    """
    if not len(positions_px):
        return None
    search = _Search(pixels, surprise(pixels, diameter_px, polarity), positions_px, diameter_px, polarity)
    readings = search.readings(((1.0, 1.0), *factors))
    best = (
        search.clearest(readings)
        or search.clearest(search.scaled(readings))
        or search.clearest(search.shifted(search.readings(((1.0, 1.0),))))
        or search.clearest(search.shifted(search.stretched()))
    )
    if best is None:
        return None
    best = search.refined(best, blob_response(pixels, diameter_px, polarity=polarity), readings)
    now, then = (evidence(pixels, places, diameter_px, polarity) for places in (positions_px, search.place(best)))
    return Registration(best, now, then)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Trials of one set of positions on one image.

    Attributes
    ----------
    chart
        ``(y, x)``: surprise at every place; see `arrays.evidence`.
    """

    pixels: Array
    chart: Floats
    positions_px: Array
    diameter_px: float
    polarity: Polarity

    def place(self, placement: Placement) -> Array:
        return placement.apply(self.positions_px, self.chart.shape)

    def readings(self, factors: Iterable[tuple[float, float]]) -> list[Placement]:
        """Every factor, with the axes as they are and swapped, with y downward and upward."""
        ways = product(dict.fromkeys(factors), (False, True), (False, True))
        return [Placement(scale=factor, swapped=swapped, upside_down=up) for factor, swapped, up in ways]

    def scaled(self, readings: Sequence[Placement]) -> list[Placement]:
        """Readings at scales so close that no position moves by more than half a diameter from one to the next."""
        trials = []
        for reading in readings:
            reach = np.abs(self.place(reading)).max(initial=0.0)
            fits = SCALES[0] * reach < max(self.chart.shape) and SCALES[1] * reach > self.diameter_px
            # With y upward the first pixel is not the positions' origin: a shift would have to be found as well.
            if fits and not reading.upside_down:
                trials += [_times(reading, factor) for factor in _scales(0.5 * self.diameter_px, reach)]
        return trials

    def stretched(self) -> list[Placement]:
        """Scales so close that no position moves by more than half a diameter about the middle of all."""
        half = np.ptp(self.positions_px, axis=0).max(initial=0.0) / 2
        if 2 * half * SCALES[0] > max(self.chart.shape):
            return []
        scales = _scales(0.5 * self.diameter_px, half)
        return [_times(Placement(swapped=swapped), factor) for swapped in (False, True) for factor in scales]

    def shifted(self, readings: Sequence[Placement]) -> list[Placement]:
        """Each reading with the two shifts, well apart, that put it on spots best.

        All shifts are tried at once by correlation, in steps of half a diameter: that is how far off a mark may be.
        """
        step = max(1, round(0.5 * self.diameter_px))
        coarse = self.chart[step // 2 :: step, step // 2 :: step]
        side = [next_fast_len(2 * n, real=True) for n in coarse.shape]
        spectrum = rfft2(coarse, s=side, workers=1)
        trials = []
        for reading in readings:
            cells = np.unique(np.floor(self.place(reading) / step).astype(int), axis=0)
            low, extent = cells.min(axis=0), np.ptp(cells, axis=0) + 1
            room = np.array(coarse.shape) - extent
            if (room < 0).any():
                continue
            raster = np.zeros(side, np.float32)
            raster[tuple((cells - low).T)] = 1
            fit = irfft2(spectrum * rfft2(raster, workers=1).conj(), s=side, workers=1)[: room[0] + 1, : room[1] + 1]
            for top in _two_tops(fit, apart=2 * round(APART)):
                down, right = (top - low) * step
                trials.append(replace(reading, shift_px=(float(down), float(right))))
        return trials

    def clearest(self, trials: Sequence[Placement]) -> Placement | None:
        """The one that fits best, if that is believable and far better than all that are not nearly the same."""
        if not trials:
            return None
        fits = np.array([self.fit(trial) for trial in trials])
        best = trials[int(fits.argmax())]
        rivals = [trial for trial, fit in zip(trials, fits, strict=True) if fit * CLEARER >= fits.max()]
        nearly = APART * self.diameter_px
        if any(self.apart(best, rival) > nearly for rival in rivals):
            return None
        return best if self.is_believable(best) else None

    def apart(self, one: Placement, other: Placement) -> float:
        """How far positions lie from one another in two placements, on average, in pixels."""
        return float(np.linalg.norm(self.place(one) - self.place(other), axis=1).mean())

    def fit(self, trial: Placement) -> float:
        """Mean surprise of the positions; those that fall together count once."""
        placed = self.place(trial)
        own = self.first_of_each_cell(placed)
        return float(sampled(self.chart, placed[own]).mean())

    def is_believable(self, trial: Placement) -> bool:
        """Most positions are on spots, each by itself, and that is hardly chance."""
        placed = self.place(trial)
        found = evidence(self.pixels, placed[self.first_of_each_cell(placed)], self.diameter_px, self.polarity)
        return bool(found.on_spot.sum() >= MOST * len(placed) and found.log10_chance < CLEAR)

    def first_of_each_cell(self, placed: Array) -> Array:
        """Indices of positions no two of which fall into one square of a diameter."""
        _, first = np.unique(np.floor(placed / self.diameter_px), axis=0, return_index=True)
        return first

    def refined(self, trial: Placement, response: Floats, readings: Sequence[Placement]) -> Placement:
        """`trial` with what is not exact about it, scale or shift or both, nudged to where the spots answer most."""
        exact_scale = any(trial.scale == reading.scale for reading in readings)
        exact_shift = trial.shift_px == (0.0, 0.0)
        reach = np.abs(self.place(trial)).max() if exact_shift else np.ptp(self.place(trial), axis=0).max() / 2
        for part in (0.5, 0.25, 0.12, 0.06):
            step = part * self.diameter_px
            factors = (1.0,) if exact_scale else (1 - step / reach, 1.0, 1 + step / reach)
            shifts = (0.0,) if exact_shift else (-step, 0.0, step)
            nudges = [self._nudged(trial, *by, hold=exact_shift) for by in product(factors, shifts, shifts)]
            trial = max(nudges, key=lambda nudge: float(sampled(response, self.place(nudge)).sum()))
        return trial

    def _nudged(self, trial: Placement, factor: float, down_px: float, right_px: float, *, hold: bool) -> Placement:
        """Scaled about the first pixel (`hold`), or about the middle of the positions and then moved."""
        scaled = _times(trial, factor)
        if hold:
            return scaled
        back = self.place(trial).mean(axis=0) - self.place(scaled).mean(axis=0)
        down, right = trial.shift_px[0] + back[0] + down_px, trial.shift_px[1] + back[1] + right_px
        return replace(scaled, shift_px=(float(down), float(right)))


def _two_tops(fit: Floats, apart: int) -> Iterator[Array]:
    """Where a map is highest, and where it is highest elsewhere."""
    top = np.array(np.unravel_index(int(fit.argmax()), fit.shape))
    yield top
    rest = fit.copy()
    rest[tuple(slice(max(0, t - apart), t + apart + 1) for t in top)] = -np.inf
    if np.isfinite(rest.max()):
        yield np.array(np.unravel_index(int(rest.argmax()), rest.shape))


def _scales(step_px: float, reach_px: float) -> Array:
    """Factors within `SCALES` between which a position `reach_px` away moves by at most `step_px`."""
    low, high = np.log(SCALES)
    return np.exp(np.linspace(low, high, 2 + int((high - low) * reach_px / step_px)))


def _times(placement: Placement, factor: float) -> Placement:
    return replace(placement, scale=(placement.scale[0] * float(factor), placement.scale[1] * float(factor)))
