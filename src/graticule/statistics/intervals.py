"""Intervals for counts and shares."""

from __future__ import annotations

from scipy.stats import binomtest, chi2

LEVEL = 0.95


def poisson(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval for the mean of a Poisson count (Garwood 1936): how far chance alone would scatter it.

    >>> low, high = poisson(10)
    >>> round(low, 2), round(high, 2)
    (4.8, 18.39)
    """
    low = float(chi2.ppf((1 - level) / 2, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf((1 + level) / 2, 2 * (count + 1))) / 2


def share(hits: int, seen: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval (1927) for a share of which `hits` of `seen` are known.

    >>> low, high = share(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if not seen:
        return 0.0, 1.0
    interval = binomtest(hits, seen).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
