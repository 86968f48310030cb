"""Events found against false proposals per image, over all thresholds, as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from graticule.metrics.events import Froc
from graticule.report.overlay import CLASS_COLOURS

MOST_FALSE = 8.0
"""Beyond so many false proposals per image nobody reviews them."""


def draw_froc(curve: Froc, operating_point: tuple[float, float], path: Path, *, title: str = "") -> None:
    """A PNG: both recalls of `curve` over false proposals per image, and a dot where the model's own threshold is.

    `operating_point` is ``(false per image, recall)`` of events met one to one.
    """
    figure = Figure(figsize=(5, 4.5), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for shares, name, colour in (
        (curve.recall, "met, one to one", CLASS_COLOURS[0]),
        (curve.touched, "touched by a pixel or more", CLASS_COLOURS[1]),
    ):
        axes.plot(curve.false_per_image, shares, ".-", label=name, color=colour, markersize=3, linewidth=1)
    axes.plot(*operating_point, "o", color=CLASS_COLOURS[0], markeredgecolor="black", markersize=7)
    widest = min(MOST_FALSE, max(1.0, *curve.false_per_image, operating_point[0]))
    axes.set(xlim=(-0.02 * widest, 1.02 * widest), ylim=(0, 1.02), xlabel="false proposals per image", title=title)
    axes.set_ylabel("share of the events")
    axes.legend(loc="lower right", title="dot: the model's threshold", frameon=False)
    figure.savefig(path)
