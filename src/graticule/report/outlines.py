"""Slices of an image with what was outlined in them, and the confidence beside: the picture to check a mask by."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL.Image import fromarray

from graticule.image import Array, Floats, Image
from graticule.io.atomic import replacing
from graticule.report.overlay import CLASS_COLOURS, CONTRAST, round_length_um, said_length

PANEL_PX = 900
"""Longer side of a panel."""

SLICES = 3
DPI = 100
LETTERS_PX = 15
GAP_PX = 12


def draw_outlines(
    image: Image,
    labels: Image,
    path: str | Path,
    *,
    kinds: Sequence[str] = ("object",),
    confidence: Image | None = None,
    title: str = "",
) -> None:
    """A PNG: for a plane one row, for a volume one for each of a few slices.

    Left the image with the outlines of `labels` (1: `kinds[0]` …; with one kind, of all that is not 0), right the
    confidence, of several classes the highest. `labels` and `confidence` show what `image` shows, maybe in fewer voxels;
    confidences that are integers are 255ths.
    """
    depth = image.shape[0] if image.ndim == 3 else 1
    slices = sorted({round((i + 0.5) * depth / SLICES - 0.5) for i in range(SLICES)}) if depth > 1 else [0]
    columns = 1 if confidence is None else 2
    factor = max(1, ceil(max(image.shape[-2:]) / PANEL_PX))
    height, width = (max(1, n // factor) for n in image.shape[-2:])
    enlarge = max(1, PANEL_PX // 2 // max(height, width))
    panel = (height * enlarge, max(width * enlarge, 240))
    size = (columns * (panel[1] + GAP_PX) + GAP_PX, len(slices) * (panel[0] + 4 * LETTERS_PX))
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for row, number in enumerate(slices):
        grey = _plane(image, number / depth, factor)
        left = _panel(figure, row, 0, panel, size)
        low, high = np.percentile(grey, CONTRAST)
        _show(left, grey, "gray", (low, max(high, low + 1e-6)))
        _outline(left, labels, number / depth, grey.shape, kinds)
        where = f"z = {number}" if image.ndim == 3 else ""
        left.set_title("   ".join(part for part in (title if row == 0 else "", where) if part), fontsize=9, loc="left")
        if columns == 2 and confidence is not None:
            right = _panel(figure, row, 1, panel, size)
            _show(right, _resized(_confidence(confidence, number / depth, factor), grey.shape), "cividis", (0, 1))
            right.set_title("confidence: dark 0, bright 1", fontsize=9, loc="left")
        _scale_bar(left, image.spacing_um[-1] * factor)
    handles = [Line2D([], [], color=CLASS_COLOURS[n % len(CLASS_COLOURS)], label=kind) for n, kind in enumerate(kinds)]
    figure.legend(handles=handles, loc="lower right", frameon=False, fontsize=9, ncols=len(handles))
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    with replacing(path) as aside:
        fromarray(np.ascontiguousarray(drawn)).save(aside, format="png", compress_level=3)


def _panel(figure: Figure, row: int, column: int, panel: tuple[int, int], size: tuple[int, int]) -> Axes:
    left = (GAP_PX + column * (panel[1] + GAP_PX)) / size[0]
    top = 1 - (row * (panel[0] + 4 * LETTERS_PX) + 1.6 * LETTERS_PX) / size[1]
    axes = figure.add_axes((left, top - panel[0] / size[1], panel[1] / size[0], panel[0] / size[1]))
    axes.set_axis_off()
    return axes


def _show(axes: Axes, pixels: Floats, colours: str, limits: tuple[float, float]) -> None:
    axes.imshow(pixels, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")


def _outline(axes: Axes, labels: Image, share: float, shape: tuple[int, ...], kinds: Sequence[str]) -> None:
    """At the resolution of the picture, whatever that of the labels is."""
    voxels = _sampled(labels, share, shape)
    for number, _ in enumerate(kinds, start=1):
        mask = voxels == number if len(kinds) > 1 else _apart(voxels)
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=CLASS_COLOURS[(number - 1) % len(CLASS_COLOURS)], linewidths=1.3)
        elif mask.all():
            _say(axes, f"all {kinds[number - 1]}")
    if not voxels.any():
        _say(axes, f"no {' or '.join(kinds)}")


def _apart(voxels: Array) -> Array:
    """``(h, w)``: in an object, but for a line between two that touch, so that each has an outline of its own."""
    mask: Array = voxels != 0
    across, down = (np.zeros(voxels.shape, bool) for _ in range(2))
    across[:, :-1] = (voxels[:, :-1] != voxels[:, 1:]) & mask[:, :-1] & mask[:, 1:]
    down[:-1] = (voxels[:-1] != voxels[1:]) & mask[:-1] & mask[1:]
    return mask & ~across & ~down


def _say(axes: Axes, words: str) -> None:
    box = {"facecolor": "black", "edgecolor": "none", "pad": 3.0}
    axes.text(0.02, 0.03, words, transform=axes.transAxes, color="white", fontsize=10, bbox=box)


def _scale_bar(axes: Axes, um_per_px: float) -> None:
    """Below the image, where it hides nothing."""
    width = axes.get_xlim()[1] - axes.get_xlim()[0]
    length_um = round_length_um(0.2 * width * um_per_px)
    share = length_um / um_per_px / width
    axes.plot([0, share], [-0.012, -0.012], transform=axes.transAxes, color="black", linewidth=3, clip_on=False)
    axes.text(share + 0.01, -0.012, said_length(length_um), transform=axes.transAxes, fontsize=9, va="center")


def _window(image: Image, share: float, rows: slice) -> Array:
    """``([c,] y, x)``: some rows of the slice that lies at a share of the image's depth."""
    depth: tuple[int, ...] = (min(image.shape[0] - 1, int(share * image.shape[0] + 1e-6)),) if image.ndim == 3 else ()
    return np.asarray(image.data[(..., *depth, rows, slice(None))])


def _plane(image: Image, share: float, factor: int) -> Floats:
    """``(y, x)`` means of blocks of `factor` pixels, and over channels; read in strips of rows."""
    rows, columns = (max(1, n // factor) for n in image.shape[-2:])
    strip = max(1, 4_000_000 // max(1, columns * factor * factor))
    parts = []
    for top in range(0, rows, strip):
        many = min(strip, rows - top)
        window = _window(image, share, slice(top * factor, (top + many) * factor)).astype(np.float32)
        window = window.reshape(-1, *window.shape[-2:]).mean(axis=0)[:, : columns * factor]
        parts.append(window.reshape(many, window.shape[0] // many, columns, -1).mean(axis=(1, 3)))
    return np.concatenate(parts)


def _confidence(image: Image, share: float, factor: int) -> Floats:
    if len(image.axes) > image.ndim:
        highest = np.asarray(_window(image, share, slice(None))).max(axis=0)
        image, share = Image(highest, "yx", image.spacing_um[-2:]), 0.0
    plane = _plane(image, share, min(factor, *image.shape[-2:]))
    return plane / np.float32(255) if np.issubdtype(np.dtype(image.data.dtype), np.integer) else plane


def _resized(pixels: Any, shape: tuple[int, ...]) -> Any:
    """The nearest of `pixels` for each pixel of a picture of `shape`."""
    rows, columns = ((np.arange(m) + 0.5) * n / m for n, m in zip(pixels.shape, shape, strict=True))
    return pixels[np.ix_(rows.astype(int), columns.astype(int))]


def _sampled(labels: Image, share: float, shape: tuple[int, ...]) -> Array:
    """``shape``: the label in the middle of each pixel of the picture; read in strips of rows."""
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(int) for n, m in zip(labels.shape[-2:], shape, strict=True))
    strip = max(1, 16_000_000 // labels.shape[-1])
    parts = []
    for top in range(0, labels.shape[-2], strip):
        mine = rows[(rows >= top) & (rows < top + strip)]
        if len(mine):
            window = _window(labels, share, slice(top, top + strip))
            parts.append(window[np.ix_(mine - top, columns)])
    return np.concatenate(parts)
