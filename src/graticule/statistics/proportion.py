"""How many objects there are, judged by a few that were marked and by everything that looks like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from graticule.image import Array


@dataclass(frozen=True, slots=True)
class Count:
    """A number of objects, and the interval it lies in with the confidence that was asked for."""

    value: float
    low: float
    high: float


def count_like(marked: Array, candidates: Array, *, confidence: float = 0.9) -> Count:
    """How many of the `candidates` ``(M,)`` are objects like those `marked` ``(N,)``; both are answers of one filter.

    Marked objects are taken to be drawn at random. Above any level lie at least (share of the marked above it) times all
    objects, so that candidates above it over that share bound the number from above (mixture proportion estimation:
    Blanchard, Lee and Scott 2010, JMLR 11:2973). The level that counts is the one with the least bound once the share's
    own uncertainty is counted in: else chance would choose. The interval is that of the share (Clopper and Pearson 1934).
    Where something else answers as objects do, it is counted, too.
    """
    total = len(marked)
    asked = np.unique(marked[marked <= np.median(marked)])  # above higher ones too few lie to say anything
    bounds = [_at(level, marked, candidates, confidence) for level in asked]
    best = min(bounds, key=lambda count: count.high)
    return Count(*(max(float(total), value) for value in (best.value, best.low, best.high)))


def _at(level: float, marked: Array, candidates: Array, confidence: float) -> Count:
    """From those above one level."""
    total, reached = len(marked), int((marked >= level).sum())
    above = float((candidates >= level).sum())
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, reached, total - reached + 1))
    high = float(beta.ppf(1 - tail, reached + 1, total - reached)) if reached < total else 1.0
    return Count(above * total / reached, above / high, above / low)
