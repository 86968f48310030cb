"""How training went, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from graticule.image import Array
from graticule.io.atomic import replacing
from graticule.report.png import svg

LOSS, SCORE = "#0072B2", "#D55E00"  # Okabe and Ito


def draw_training(
    history: Sequence[Mapping[str, Any]], path: str | Path, *, score: str = "F1 on held-out images", title: str = ""
) -> None:
    """Loss and score by epoch; vertical lines between phases; a dot at the epoch that was kept. PNG, SVG or PDF.

    `history` is a checkpoint's: one mapping per epoch with ``phase``, ``loss``, ``score`` (None where the epoch was not
    examined), ``seconds`` since training began, and ``best`` (of all so far).
    """
    figure = _training(history, score, title)
    with replacing(path) as aside:
        figure.savefig(aside)


def training_svg(
    history: Sequence[Mapping[str, Any]], *, score: str = "F1 on held-out images", title: str = ""
) -> bytes:
    """The same as SVG, of a training that may be under way; see `draw_training`."""
    return svg(_training(history, score, title))


def _training(history: Sequence[Mapping[str, Any]], score: str, title: str) -> Figure:
    figure = Figure(figsize=(6.5, 4), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    right = left.twinx()
    epochs = np.arange(1, len(history) + 1)
    _line(left, epochs, [line["loss"] for line in history], LOSS, "training loss")
    examined = np.array([line["score"] is not None for line in history], bool)
    scores = np.array([line["score"] for line in history if line["score"] is not None], float)
    _line(right, epochs[examined], scores, SCORE, score)
    right.set_ylim(0, 1.02)
    left.set(xlabel=_epochs(history), title=title, xlim=(0.5, max(len(history), 1) + 0.5))
    told = zip(epochs, history, strict=True)
    kept = [(number, line["score"]) for number, line in told if line["best"] and line["score"] is not None]
    if kept:
        right.plot(*kept[-1], "o", color=SCORE, markersize=8, clip_on=False)
    phases = np.array([line["phase"] for line in history])
    for end in np.flatnonzero(phases[1:] != phases[:-1]):
        left.axvline(end + 1.5, color="0.7", linewidth=1, zorder=0)
    return figure


def _line(axes: Axes, epochs: Array, values: Sequence[float] | Array, colour: str, label: str) -> None:
    axes.plot(epochs, values, color=colour, marker="." if len(epochs) < 2 else None)
    axes.set_ylabel(label, color=colour)
    axes.tick_params(axis="y", labelcolor=colour)


def _epochs(history: Sequence[Mapping[str, Any]]) -> str:
    return f"epoch ({history[-1]['seconds'] / 60:.1f} minutes in all)" if history else "epoch"
