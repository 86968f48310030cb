"""An image with rings around what was found in it, a scale bar and a legend: the picture to check a result by.

Below the image lies a strip with the scale bar and the legend, so that neither hides an object. Colours are those of
Okabe and Ito, which stay apart for the colour-blind; rings have a dark rim, so that they show on any grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from PIL.Image import fromarray

from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.io.atomic import replacing
from graticule.metrics.detection import Verdict, judge, truth_points
from graticule.results import Points

CLASS_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
RIGHT, FALSE, MISSED, UNJUDGED = "#56B4E9", "#D55E00", "#F0E442", "#BBBBBB"

DPI = 100
POINTS = 72 / DPI
"""Points per pixel: Matplotlib measures lines and letters in points."""

SCREEN_PX = 2200
"""Longer side of a picture for the screen: larger images are averaged down to it."""

LARGEST_PX = 16_000
"""Longer side of the largest picture that is made; beyond 2^16 pixels Agg draws nothing."""

SMALLEST_PX = 640
"""Width below which small images are enlarged, by a whole number, so that rings and words have room."""

SMALLEST_RING_PX = 7.0
UNKNOWN_RING_PX = 14.0
CONTRAST = (0.5, 99.5)
"""Percentiles of the grey levels that become black and white."""

LETTER = 0.6
"""Width of a letter as a share of its height, on average."""

SAMPLE = 1_000_000
BAR_SHARE = 0.2
"""Longest scale bar, as a share of the picture's width."""


def draw_overlay(
    found: Points,
    image: Image,
    path: str | Path,
    *,
    diameters_um: Mapping[str, float] | None = None,
    title: str = "",
    full_resolution: bool = False,
) -> None:
    """A PNG of `image` with a ring around each of `found`, coloured by class, and how many there are of each.

    Rings have the objects' own diameters where those were measured, else those of their classes in `diameters_um`, else
    a fixed size. `full_resolution` keeps every pixel of a large image.
    """
    sizes_um = _diameters_um(found, diameters_um or {})
    groups = []
    for number, name in enumerate(found.kinds):
        own = found.kind == number
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        groups.append(_Rings(f"{name}: {own.sum()}", colour, "-", found.position_um[own], sizes_um[own]))
    _draw(image, groups, Path(path), title=title, full_resolution=full_resolution)


def draw_verdict(
    found: Points,
    example: Example,
    within_um: Mapping[str, float],
    path: str | Path,
    *,
    diameters_um: Mapping[str, float] | None = None,
    title: str = "",
    full_resolution: bool = False,
) -> None:
    """A PNG of an annotated image with what was found right, what is false, and what was missed; see `metrics.judge`.

    Findings outside the region where the annotation is complete are not judged; its outline is dotted.
    """
    verdict, truth = judge(found, example, within_um), truth_points(example)
    sizes_um, true_sizes_um = _diameters_um(found, diameters_um or {}), _diameters_um(truth, diameters_um or {})
    groups = [
        _Rings(f"{label}: {own.sum()}", colour, line, points.position_um[own], sizes[own])
        for label, colour, line, points, own, sizes in (
            ("right", RIGHT, "-", found, verdict.hit, sizes_um),
            ("false", FALSE, "-", found, verdict.wrong, sizes_um),
            ("missed", MISSED, "--", truth, verdict.missed, true_sizes_um),
            ("not judged", UNJUDGED, "-", found, _unjudged(verdict), sizes_um),
        )
    ]
    _draw(example.image, groups, Path(path), title=title, full_resolution=full_resolution, region=example.complete)


def _unjudged(verdict: Verdict) -> Array:
    neither: Array = ~(verdict.hit | verdict.wrong)
    return neither


@dataclass(frozen=True, slots=True, eq=False)
class _Rings:
    """Circles of one look. A diameter that is NaN is not known."""

    label: str
    colour: str
    line: str
    position_um: Array
    diameter_um: Array


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes of the picture, all in its own pixels.

    Attributes
    ----------
    scale
        Pixels of the picture per pixel of the image.
    strip
        Height of what lies below the image.
    font
        Height of letters.
    """

    width: int
    height: int
    scale: float
    strip: int
    font: float


def _diameters_um(points: Points, by_class: Mapping[str, float]) -> Array:
    if points.diameter_um is not None:
        return points.diameter_um
    table = np.array([by_class.get(name, np.nan) for name in points.kinds])
    return table[points.kind] if len(points) else np.zeros(0)


def _draw(
    image: Image,
    groups: Sequence[_Rings],
    path: Path,
    *,
    title: str,
    full_resolution: bool,
    region: Image | None = None,
) -> None:
    layout = _layout(image.shape[-2:], LARGEST_PX if full_resolution else SCREEN_PX)
    height = layout.height + layout.strip
    figure = Figure(figsize=(layout.width / DPI, height / DPI), dpi=DPI, facecolor="none")
    canvas = FigureCanvasAgg(figure)
    share = layout.strip / height
    picture, strip = figure.add_axes((0, share, 1, 1 - share)), figure.add_axes((0, 0, 1, share))
    # One unit of these axes is one pixel of the picture; an image narrower than the strip keeps its scale.
    picture.set(xlim=(0, layout.width), ylim=(layout.height, 0))
    picture.set_axis_off()
    if region is not None:
        _outline(picture, region, layout)
    for rings in groups:
        _ring(picture, rings, image, layout)
    _fill_strip(strip, groups, image, layout, title)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    with replacing(path) as aside:
        # Noise does not compress: trying harder takes seconds and saves little.
        fromarray(_laid_over(drawn, _grey(image, layout))).save(aside, format="png", compress_level=1)


def _laid_over(drawn: Array, grey: Array) -> Array:
    """``(H, W, 3)``: the drawing ``(H, W, 4)`` over `grey`, which is put into its upper left corner, the rest white.

    Matplotlib would resample the image: slowly, and not pixel by pixel.
    """
    picture = np.full((*drawn.shape[:2], 3), 255, np.uint8)
    picture[: grey.shape[0], : grey.shape[1]] = grey[..., None]
    where = drawn[..., 3] > 0
    opacity = drawn[where, 3:].astype(np.float32) / 255
    picture[where] = np.round(drawn[where, :3] * opacity + picture[where] * (1 - opacity)).astype(np.uint8)
    return picture


def _layout(shape: Sequence[int], longest_px: int) -> _Layout:
    enlarge = max(1, round(SMALLEST_PX / shape[1])) if shape[1] < SMALLEST_PX else 1
    enlarge = max(1, min(enlarge, longest_px // max(shape)))
    shrink = ceil(max(shape) / longest_px)
    scale = enlarge / shrink
    height, width = (max(1, floor(n * scale)) for n in shape)
    font = float(np.clip(width / 70, 11, 60))
    return _Layout(max(width, 320), height, scale, strip=round(3.7 * font), font=font)


def _grey(image: Image, layout: _Layout) -> Array:
    """``(y, x)`` grey levels of the picture, 8 bits; small images enlarged pixel by pixel."""
    pixels = _reduced(image, max(1, round(1 / layout.scale)))
    low, high = _contrast(pixels)
    grey = (np.clip(np.nan_to_num((pixels - low) / (high - low)), 0, 1) * 255).astype(np.uint8)
    cell = round(_per_cell(layout))
    enlarged: Array = grey.repeat(cell, axis=0).repeat(cell, axis=1)
    return enlarged[: layout.height, : layout.width]


def _per_cell(layout: _Layout) -> float:
    """Picture pixels per cell of the reduced image: 1, or more where small images are enlarged."""
    return max(1.0, layout.scale)


def _reduced(image: Image, factor: int) -> Floats:
    """``(y, x)``: means of blocks of `factor` pixels, and over channels and slices; read in strips of rows."""
    rows, columns = (n // factor * factor for n in image.shape[-2:])
    strip = factor * max(1, 4_000_000 // max(1, columns * factor))
    parts = []
    for top in range(0, rows, strip):
        window = np.asarray(image.data[..., top : min(top + strip, rows), :columns], np.float32)
        window = window.reshape(-1, *window.shape[-2:]).mean(axis=0)
        blocks = window.reshape(window.shape[0] // factor, factor, columns // factor, factor)
        parts.append(blocks.mean(axis=(1, 3)))
    return np.concatenate(parts)


def _contrast(pixels: Floats) -> tuple[float, float]:
    step = max(1, int(np.sqrt(pixels.size / SAMPLE)))
    sample = pixels[::step, ::step]
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, CONTRAST) if len(sample) else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def _to_picture(position_um: Array, image: Image, layout: _Layout) -> Array:
    """``(N, 2)`` x and y in the picture; the middle of the image's first pixel lies half a pixel in."""
    placed: Array = (image.to_voxels(position_um)[:, -2:] + 0.5)[:, ::-1] * layout.scale
    return placed


def _ring(axes: Axes, rings: _Rings, image: Image, layout: _Layout) -> None:
    if not len(rings.position_um):
        return
    line_px = max(1.3, layout.font / 9)
    across = np.array([rings.diameter_um / image.spacing_um[axis] for axis in (-1, -2)]) * layout.scale
    # The line lies outside the object's rim, so that the rim can be seen.
    across = np.maximum(np.nan_to_num(across, nan=UNKNOWN_RING_PX), SMALLEST_RING_PX) + 2 * line_px
    ring = EllipseCollection(
        across[0],
        across[1],
        np.zeros(len(rings.position_um)),
        units="xy",
        offsets=_to_picture(rings.position_um, image, layout),
        transOffset=axes.transData,
        facecolors="none",
        edgecolors=rings.colour,
        linewidths=line_px * POINTS,
        linestyles=rings.line,
    )
    ring.set_path_effects([Stroke(linewidth=(line_px + 1.4) * POINTS, foreground="black", alpha=0.55), Normal()])
    axes.add_collection(ring)


def _outline(axes: Axes, region: Image, layout: _Layout) -> None:
    mask = _reduced(region, max(1, round(1 / layout.scale))) > 0
    if mask.all():
        return
    cell = _per_cell(layout)
    y, x = ((np.arange(n) + 0.5) * cell for n in mask.shape)
    axes.contour(x, y, mask, levels=[0.5], colors="white", linewidths=layout.font / 14, linestyles="dotted")


def _fill_strip(axes: Axes, groups: Sequence[_Rings], image: Image, layout: _Layout, title: str) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, layout.width), ylim=(0, layout.strip))
    points = layout.font * POINTS
    edge = 0.8 * layout.font
    length_um = round_length_um(BAR_SHARE * layout.width / layout.scale * image.spacing_um[-1])
    length_px = length_um / image.spacing_um[-1] * layout.scale
    axes.add_patch(Rectangle((edge, 2.8 * layout.font), length_px, 0.4 * layout.font, color="black", linewidth=0))
    axes.text(edge, 2.5 * layout.font, said_length(length_um), fontsize=points, va="top")
    if title:
        axes.text(edge, 0.2 * layout.font, title, fontsize=0.8 * points, va="bottom", color="0.35")
    room = layout.width - 3 * edge - length_px
    wanted = sum(LETTER * len(rings.label) + 3 for rings in groups) * layout.font
    points *= min(1.0, room / max(wanted, 1))
    handles = [_handle(rings, points) for rings in groups]
    axes.legend(
        handles=handles,
        loc="upper right",
        ncols=max(1, len(handles)),
        frameon=False,
        fontsize=points,
        borderaxespad=0.3,
        handletextpad=0.3,
        columnspacing=1.2,
    )


def _handle(rings: _Rings, points: float) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=points,
        markerfacecolor="none",
        markeredgecolor=rings.colour,
        markeredgewidth=points / 6,
        label=rings.label,
    )


def round_length_um(longest_um: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is not above `longest_um`.

    >>> round_length_um(0.37), round_length_um(120.0), round_length_um(0.5)
    (0.2, 100.0, 0.5)
    """
    power = 10.0 ** floor(log10(longest_um) + 1e-9)
    return max(step * power for step in (1, 2, 5) if step * power <= longest_um * (1 + 1e-9))


def said_length(length_um: float) -> str:
    """In the unit that people would use.

    >>> said_length(0.2), said_length(50.0), said_length(2000.0)
    ('200 nm', '50 µm', '2 mm')
    """
    for unit, size_um in (("nm", 1e-3), ("µm", 1.0)):
        if length_um < 999.9 * size_um:
            return f"{length_um / size_um:.4g} {unit}"
    return f"{length_um / 1000:.4g} mm"
