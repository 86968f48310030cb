"""The trade between finding all and finding only what is there, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from graticule.image import Array
from graticule.report.overlay import CLASS_COLOURS

Curve = tuple[Array, Array]
Point = tuple[float, float]


def draw_precision_recall(
    curves: Mapping[str, Curve], operating_points: Mapping[str, Point], path: Path, *, title: str = ""
) -> None:
    """One line per class, ``(recall, precision)`` in 0 … 1, with a dot where the model's own threshold puts it."""
    figure = Figure(figsize=(5, 4.5), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, (recall, precision)), colour in zip(curves.items(), cycle(CLASS_COLOURS)):
        axes.plot(recall, precision, label=name, color=colour, drawstyle="steps-post")
        if name in operating_points:
            axes.plot(*operating_points[name], "o", color=colour, markeredgecolor="black", markersize=7)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall: share of the objects found", title=title)
    axes.set_ylabel("precision: share of the findings that are right")
    if curves:
        axes.legend(loc="lower left", title="dot: the model's threshold", frameon=False)
    figure.savefig(path)
