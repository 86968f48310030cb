"""How sure a method is, and whether it may be, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from graticule.image import Array
from graticule.report.overlay import CLASS_COLOURS
from graticule.report.png import svg
from graticule.statistics import intervals

BINS = 20
FEWEST = 5
"""A bin of fewer findings says too little to be drawn."""


def draw_confidences(
    by_class: Mapping[str, Array], thresholds: Mapping[str, float], *, candidates: bool = False
) -> bytes:
    """SVG: how many objects of each class have which confidence; dashed lines where they begin to count.

    Of all `candidates` most are hardly any: counts above ten are then drawn by their logarithm.
    """
    figure = Figure(figsize=(6.5, 2.6), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, BINS + 1)
    for (name, values), colour in zip(by_class.items(), cycle(CLASS_COLOURS)):
        axes.stairs(np.histogram(values, edges)[0], edges, color=colour, label=f"{name} ({len(values)})", linewidth=1.8)
        if name in thresholds:
            axes.axvline(thresholds[name], color=colour, linestyle="--", linewidth=1.2)
    axes.set(xlim=(0, 1), xlabel="confidence", ylabel=f"objects per {1 / BINS:g}")
    if candidates:
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylabel(f"candidates per {1 / BINS:g}")
    axes.set_ylim(bottom=0)
    if by_class:
        axes.legend(frameon=False, loc="upper center" if candidates else "upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Findings in bins of like confidence.

    Attributes
    ----------
    confidence
        Mean of each bin.
    right
        Share of each bin that is right; `low` and `high` are the ends of its 95 % interval (Wilson).
    count
        Findings in each bin.
    error
        Expected calibration error: the mean difference between confidence and share, weighted by `count` (Naeini et al.
        2015); NaN without findings.
    """

    confidence: Array
    right: Array
    low: Array
    high: Array
    count: Array
    error: float


def calibration(confidence: Array, right: Array, bins: int = 10) -> Calibration:
    """Of findings with a confidence ``(N,)`` in 0 … 1 and whether each is right ``(N,)``."""
    which = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    rows = []
    for number in range(bins):
        own = which == number
        if own.any():
            hits, count = int(right[own].sum()), int(own.sum())
            rows.append((float(confidence[own].mean()), hits / count, *intervals.share(hits, count), count))
    table = np.array(rows, float).reshape(-1, 5)
    mean, share, low, high, counts = table.T
    error = float(np.average(np.abs(mean - share), weights=counts)) if len(table) else float("nan")
    return Calibration(mean, share, low, high, counts.astype(int), error)


def draw_calibration(found: Calibration) -> bytes:
    """SVG: the share that is right against the confidence that was said; on the diagonal both agree."""
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="said = right")
    shown = found.count >= FEWEST
    axes.errorbar(
        found.confidence[shown],
        found.right[shown],
        yerr=[np.maximum(0, (found.right - found.low)[shown]), np.maximum(0, (found.high - found.right)[shown])],
        fmt="o",
        color=CLASS_COLOURS[-1],
        capsize=3,
        label="findings, 95 % interval",
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)
