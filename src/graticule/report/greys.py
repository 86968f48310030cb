"""How bright what is outlined is beside the background: whether grey levels alone could tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from graticule.io.atomic import replacing

INSIDE, OUTSIDE = "#D55E00", "#0072B2"  # Okabe and Ito
COLUMNS = 3
MOST = 12
"""Images drawn; of more, the first."""

Histograms = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""Edges of the grey levels ``(B + 1,)``, and how the outlined pixels and the others are shared out among them ``(B,)``."""


def draw_greys(images: Mapping[str, Histograms], path: str | Path) -> None:
    """A panel for each image with two histograms of area 1; the file's name says the format: PNG, SVG or PDF."""
    shown = list(images.items())[:MOST]
    columns = min(COLUMNS, max(1, len(shown)))
    rows = max(1, ceil(len(shown) / columns))
    figure = Figure(figsize=(4 * columns, 2.6 * rows + 0.4), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    for number, (name, histograms) in enumerate(shown):
        axes = figure.add_subplot(rows, columns, number + 1)
        _draw(axes, histograms)
        axes.set_title(name, fontsize=9, loc="left")
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    with replacing(path) as aside:
        figure.savefig(aside)


def _draw(axes: Axes, histograms: Histograms) -> None:
    levels, *both = histograms
    for shares, colour, what in zip(both, (INSIDE, OUTSIDE), ("outlined", "background"), strict=True):
        if any(shares):
            axes.stairs(np.asarray(shares) * 100, levels, color=colour, fill=True, alpha=0.35)
            axes.stairs(np.asarray(shares) * 100, levels, color=colour, label=what)
    axes.set_xlabel("grey level", fontsize=8)
    axes.set_ylabel("% of the pixels", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
