"""Reasons for what a network found, as pictures and a page, with what such pictures can and cannot show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import Normal, Stroke
from scipy import ndimage
from scipy.stats import spearmanr

from graticule.image import Array, Floats
from graticule.nets.explainer import BLUR_PX, Reasons
from graticule.report.overlay import CONTRAST, round_length_um, said_length
from graticule.report.page import Gallery, Page, Part, Picture, Section, Table, Text, Warnings, facts
from graticule.report.png import png

LOWERS, RAISES, RIM = "#0072B2", "#D55E00", "#F0E442"  # Okabe and Ito
SIGNED = LinearSegmentedColormap.from_list("signed", [LOWERS, "#ffffff", RAISES])
ONE_SIDED = LinearSegmentedColormap.from_list("one-sided", ["#ffffff", RAISES])

STRONGEST = 99.5
"""Percentile of a map that gets the full colour: single voxels would leave the rest pale."""

SMOOTHED_PX = 1.0
"""Standard deviation by which integrated gradients are smoothed for the eye, in pictures only."""

DPI = 110
BAR: dict[str, Any] = {"shrink": 0.85, "pad": 0.02, "aspect": 30}
SIDE_PX = 112
SHOWN = 12
"""Feature maps of each layer."""

ALIKE = 0.5
"""Correlation with a network that has learnt nothing from which a map says little of what was learnt."""

BARELY = 0.5
"""Share of the logit that a baseline gives by itself from which a reader is told."""

INCOMPLETE = 0.05
"""Share of the difference that integrated gradients may miss before a reader is told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """One object with its reasons.

    Attributes
    ----------
    number, kind, why
        From 1; its class; why it was chosen.
    position_um
        Of its middle.
    confidence, alone
        In the whole image, None where nothing was found; and in the window by itself, where that can be said.
    cut
        Whether it goes on beyond what was looked at at once.
    shown, outline
        ``(*space)``, the window as the network sees it, the mean of its channels, and which voxels are the object's.
    plane
        Of a volume the one to show.
    spacing_um, origin_um
        Of the window's voxels.
    """

    number: int
    kind: str
    why: str
    position_um: tuple[float, ...]
    confidence: float | None
    alone: float | None
    cut: bool
    shown: Floats
    outline: Array
    plane: int | None
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...]
    reasons: Reasons

    @property
    def figures(self) -> dict[str, float]:
        """What there is to check the maps by."""
        reasons = self.reasons
        difference, total = reasons.answer - reasons.without, float(reasons.gradients.sum())
        return {
            "logit": reasons.answer,
            "logit_of_baseline": reasons.without,
            "difference": difference,
            "sum_of_integrated_gradients": total,
            "missing_share": abs(total - difference) / max(abs(difference), 1e-6),
            "gradients_like_unlearnt": alike(reasons.gradients, reasons.gradients_unlearnt),
            "gradients_size_like_unlearnt": alike(np.abs(reasons.gradients), np.abs(reasons.gradients_unlearnt)),
            "grad_cam_like_unlearnt": alike(reasons.cam, reasons.cam_unlearnt),
        }

    @property
    def said(self) -> str:
        """In one line."""
        place = " ".join(f"{p:.4g}" for p in self.position_um)
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        return f"{self.kind} at {place} µm ({self.why}{sure}): logit {self.reasons.answer:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class Insides:
    """What the network looks for, and what it saw in the first object's window.

    Attributes
    ----------
    filters
        ``(n, C, *kernel)``, of the first layer.
    early, deepest
        ``(channels, *cells)``, features of the first layer and of the bottleneck.
    """

    filters: Floats
    early: Floats
    deepest: Floats


def alike(one: Array, other: Array) -> float:
    """Spearman's rank correlation of two maps; NaN where one of them is the same everywhere."""
    if not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


# -- pictures ----------------------------------------------------------------------------------------------------------


def draw_reasons(told: Explained) -> bytes:
    """PNG: the window with the object, and integrated gradients, occlusion and Grad-CAM laid over it.

    Of a volume the plane through the object's middle. Orange raises the answer, blue lowers it.
    """
    reasons = told.reasons
    smooth = np.asarray(ndimage.gaussian_filter(_flat(reasons.gradients, told), SMOOTHED_PX), np.float32)
    grey, rim = _flat(told.shown, told), _flat(told.outline, told)
    height, width = grey.shape
    across = 2.75
    figure = Figure(figsize=(4 * across + 0.2, across * height / width + 0.85), layout="constrained", dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 4)
    _ground(panels[0], grey, told)
    _mark(panels[0], rim, told)
    # Room for a scale that is not there: so all four stand in line.
    blank = figure.colorbar(panels[0].images[0], ax=panels[0], orientation="horizontal", **BAR)
    blank.set_label(" ", fontsize=8)
    blank.ax.tick_params(labelsize=8, labelcolor="none", color="none")
    blank.outline.set_visible(False)
    blank.solids.set_visible(False)  # type: ignore[union-attr]
    panels[0].set_title(f"{told.number}: {told.kind}", fontsize=10)
    maps = (
        ("integrated gradients", smooth, SIGNED, "logit per voxel"),
        (f"occlusion, {' × '.join(map(str, reasons.patch))} voxels", _flat(reasons.occluded, told), SIGNED, "logit"),
        ("Grad-CAM on the bottleneck", _flat(reasons.cam, told), ONE_SIDED, "no unit"),
    )
    for axes, (title, values, colours, unit) in zip(panels[1:], maps, strict=True):
        _lay_over(axes, grey, values, colours, unit, figure)
        _mark(axes, rim, told)
        axes.set_title(title, fontsize=10)
    buffer = BytesIO()
    canvas.print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _flat(values: Array, told: Explained) -> Array:
    return values if told.plane is None else values[told.plane]


def _ground(axes: Axes, grey: Array, told: Explained) -> None:
    low, high = _range(grey)
    axes.imshow(grey, cmap="gray", vmin=low, vmax=high, interpolation="nearest", aspect=_aspect(told))
    axes.set_axis_off()
    _scale_bar(axes, grey.shape, told)


def _range(grey: Array) -> tuple[float, float]:
    low, high = np.percentile(grey, CONTRAST)
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def _aspect(told: Explained) -> float:
    return told.spacing_um[-2] / told.spacing_um[-1]


def _scale_bar(axes: Axes, shape: Sequence[int], told: Explained) -> None:
    length_um = round_length_um(0.3 * shape[1] * told.spacing_um[-1])
    length = length_um / told.spacing_um[-1]
    left, top, thick = 0.05 * shape[1], 0.93 * shape[0], 0.018 * shape[0]
    axes.add_patch(Rectangle((left, top), length, thick, facecolor="white", edgecolor="black", linewidth=0.6))
    said = axes.text(
        left + length / 2, top - thick, said_length(length_um), color="white", fontsize=8, ha="center", va="bottom"
    )
    said.set_path_effects([Stroke(linewidth=2, foreground="black"), Normal()])


def _lay_over(
    axes: Axes, grey: Array, values: Array, colours: LinearSegmentedColormap, unit: str, figure: Figure
) -> None:
    """Colour as strong as the value, over a paler image."""
    signed = colours is SIGNED
    strongest = float(np.percentile(np.abs(values), STRONGEST)) or float(np.abs(values).max()) or 1.0
    low, high = _range(grey)
    axes.imshow(0.35 + 0.65 * np.clip((grey - low) / (high - low), 0, 1), cmap="gray", vmin=0, vmax=1)
    drawn = axes.imshow(
        values,
        cmap=colours,
        vmin=-strongest if signed else 0,
        vmax=strongest,
        alpha=np.clip(np.abs(values) / strongest, 0, 1) * 0.85,
        interpolation="nearest",
    )
    axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", **BAR)
    bar.solids.set_alpha(1)  # type: ignore[union-attr]
    bar.set_ticks([-strongest, 0, strongest] if signed else [0, strongest])
    bar.ax.set_xticklabels([f"{t:.2g}" for t in bar.get_ticks()])
    bar.ax.tick_params(labelsize=8)
    bar.set_label(unit, fontsize=8)


def _mark(axes: Axes, rim: Array, told: Explained) -> None:
    """The object's outline; a ring around what is a single voxel."""
    dark = [Stroke(linewidth=2.2, foreground="black", alpha=0.6), Normal()]
    if told.outline.sum() > 1 and rim.any() and not rim.all():
        drawn = axes.contour(rim, levels=[0.5], colors=RIM, linewidths=1.1)
        drawn.set_path_effects(dark)
        return
    if told.outline.sum() == 1:
        y, x = (int(n) for n in np.argwhere(told.outline)[0][-2:])
        ring = Circle((x, y), 0.05 * rim.shape[1], fill=False, edgecolor=RIM, linewidth=1.1)
        ring.set_path_effects(dark)
        axes.add_patch(ring)


def draw_filters(filters: Floats) -> tuple[Picture, ...]:
    """A picture for each filter and channel; of a volume the middle plane. Grey is 0, alike in all."""
    flat = filters.reshape(-1, *filters.shape[2:])
    flat = flat if flat.ndim == 3 else flat[:, flat.shape[1] // 2]
    strongest = float(np.abs(flat).max()) or 1.0
    channels = filters.shape[1]
    return tuple(
        _small(
            (values + strongest) / (2 * strongest),
            f"{n // channels + 1}{f', channel {n % channels + 1}' * (channels > 1)}",
        )
        for n, values in enumerate(flat)
    )


def draw_features(features: Floats) -> tuple[Picture, ...]:
    """The maps of ``(channels, *cells)`` that are the most active in the mean; of a volume their middle planes."""
    active = np.abs(features).reshape(len(features), -1).mean(axis=1)
    pictures = []
    for number in np.argsort(-active, kind="stable")[:SHOWN]:
        values = features[number]
        plane = values if values.ndim == 2 else values[values.shape[0] // 2]
        low, high = float(plane.min()), float(plane.max())
        pictures.append(_small((plane - low) / ((high - low) or 1.0), f"{number + 1}: {low:.2g} … {high:.2g}"))
    return tuple(pictures)


def _small(values: Array, caption: str) -> Picture:
    """0 … 1 as grey, enlarged voxel by voxel."""
    grey = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    times = max(1, SIDE_PX // max(grey.shape))
    return Picture(png(grey.repeat(times, axis=0).repeat(times, axis=1)), "png", caption, caption)


# -- the page ----------------------------------------------------------------------------------------------------------

WHAT_THEY_SHOW = """
These maps show what the network's answer is sensitive to. They do not show why it is right, nor that it is: a wrong
answer has reasons, too, and look at these as you would at a colleague's habits. What is worth noticing is an answer
that hangs on something beside the object: a scratch, the edge of the section, a scale bar, the stain of one animal.

What is explained is one number: the mean logit over the cells of the object or, of a point, that of its peak. A
logit is the logarithm of the odds: +1 makes an object 2.7 times as likely as before, in the network's own opinion.

Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) share out the difference between this logit and
that of a baseline among the voxels: their parts add up to it, and the table says how nearly. A voxel that is equal
to the baseline gets nothing, whatever it means: with another baseline (--baseline) the map is another one.

Occlusion (Zeiler and Fergus 2014, arXiv:1311.2901) takes patches away and measures by how much the logit falls. It
needs no gradients, but its picture depends on the patch: small ones miss what large structures do together, large
ones blur (--patch-px). And a patch in the colour of the baseline is itself something the network never saw.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) shows where features of the coarsest layer speak for the answer.
It is as coarse as that layer, and what speaks against is not shown. In a U-Net much of the answer takes the short
ways past that layer: an empty map does not mean that there is no reason.

A map that looks the same when the network has learnt nothing shows the image, not what was learnt (Adebayo et al.
2018, arXiv:1810.03292). So each is compared with that of the same network with random weights: rank correlation,
near 0 is good; near 1 the map is hardly more than a drawing of edges. Sizes alone, without signs, nearly always
correlate: every network of this kind looks more at what is near than at what is far, and more where the image is
far from the baseline. Occlusion is a measurement of the network's own answers, and is not tested in this way.
"""
"""Paragraphs, with their sources."""


def reasons_page(name: str, told: Sequence[Explained], insides: Insides, run: Mapping[str, Any]) -> Page:
    """All reasons of one image; `run` is what run.json holds."""
    return Page(
        f"{name}: reasons",
        f"{len(told)} answers of a {run['task']} model, and what they hang on.",
        (
            Section(
                "What these maps show, and what they cannot",
                (Text(tuple(" ".join(words.split()) for words in WHAT_THEY_SHOW.strip().split("\n\n"))),),
            ),
            *_cautioned(told),
            *(Section(f"{one.number}: {one.kind}, {one.why}", _object(one)) for one in told),
            Section("What the network looks for, and what it saw", _inside(insides)),
            _made(run),
        ),
    )


def _cautioned(told: Sequence[Explained]) -> tuple[Section, ...]:
    lines = []
    same = [one.number for one in told if one.figures["gradients_like_unlearnt"] > ALIKE]
    if same:
        lines.append(
            f"Integrated gradients of {_listed(same)} resemble those of a network that has learnt nothing (correlation above "
            f"{ALIKE:g}): they show the image's own structure more than what was learnt."
        )
    short = [one.number for one in told if one.figures["missing_share"] > INCOMPLETE]
    if short:
        lines.append(
            f"Integrated gradients of {_listed(short)} miss more than {INCOMPLETE:.0%} of the difference they should add up "
            "to: take more --steps."
        )
    found = [
        one.number for one in told if one.figures["logit_of_baseline"] > BARELY * max(0.0, one.figures["logit"]) > 0
    ]
    if found:
        lines.append(
            f"Of {_listed(found)} the baseline by itself gives more than {BARELY:.0%} of the logit: only the small rest is "
            "shared out. Look at another --baseline, too."
        )
    other = [one.number for one in told if one.confidence and one.alone and abs(one.confidence - one.alone) > 0.1]
    if other:
        lines.append(
            f"The windows of {_listed(other)} by themselves give a confidence that differs by more than 0.1 from that in the "
            "whole image: part of the reason lies outside the window."
        )
    return (Section("Before you believe them", (Warnings(tuple(lines)),)),) if lines else ()


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _object(one: Explained) -> tuple[Part, ...]:
    place = ", ".join(f"{p:.5g}" for p in one.position_um)
    axes = "z, y, x" if len(one.position_um) == 3 else "y, x"
    figures = one.figures
    rows: list[tuple[str, object]] = [
        (f"place ({axes})", f"{place} µm"),
        ("confidence in the whole image", _two(one.confidence)),
        ("confidence in this window alone", _two(one.alone)),
        ("logit explained", f"{figures['logit']:.3f}"),
        ("logit of the baseline", f"{figures['logit_of_baseline']:.3f}"),
        ("integrated gradients add up to", _completeness(figures)),
        ("they resemble those of random weights by", _correlation(figures["gradients_like_unlearnt"])),
        ("… and by their sizes alone", _correlation(figures["gradients_size_like_unlearnt"])),
        ("Grad-CAM resembles that of random weights by", _correlation(figures["grad_cam_like_unlearnt"])),
        ("goes on", "beyond what is looked at at once; only this part is explained" if one.cut else None),
    ]
    what = "the plane through its middle" if one.plane is not None else "its window"
    caption = (
        f"Yellow: the object. Orange raises the answer, blue lowers it. Shown: {what}; integrated gradients smoothed by "
        f"{SMOOTHED_PX:g} voxel for the eye. The numbers are in object-{one.number}-*.tif."
    )
    alt = f"{one.kind} with integrated gradients, occlusion and Grad-CAM laid over it"
    return (Picture(draw_reasons(one), "png", alt, caption), facts(rows))


def _two(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _completeness(figures: Mapping[str, float]) -> str:
    return (
        f"{figures['sum_of_integrated_gradients']:.3f} of {figures['difference']:.3f}, the difference of the two "
        f"({figures['missing_share']:.1%} off)"
    )


def _correlation(value: float) -> str:
    return "not known: a map is empty" if np.isnan(value) else f"{value:.2f}"


def _inside(insides: Insides) -> tuple[Part, ...]:
    return (
        Gallery(draw_filters(insides.filters), "Filters of the first layer (grey is 0, white raises, black lowers):"),
        Gallery(
            draw_features(insides.early),
            "The most active of the first layer's features, in the window of object 1 (number: lowest … highest value):",
        ),
        Gallery(
            draw_features(insides.deepest), "The most active of the bottleneck's features there, each square a cell:"
        ),
        Text((NAMES_ARE_GUESSES,)),
    )


NAMES_ARE_GUESSES = (
    "Filters and features are what there is, not what it means: a name for a feature is a guess until images made to test it "
    "say so."
)


def _made(run: Mapping[str, Any]) -> Section:
    image, effort = run.get("image", {}), run.get("effort", {})
    versions = ", ".join(f"{name} {number}" for name, number in run.get("versions", {}).items())
    baselines = {"zero": "0, as beyond the image's edge", "blurred": f"the window blurred by {BLUR_PX:g} voxels"}
    rows: list[tuple[str, object]] = [
        ("image", image.get("file")),
        ("its SHA-256", image.get("sha256")),
        *(("model", model.get("file")) for model in run.get("models", ())),
        *(("its SHA-256", model.get("sha256")) for model in run.get("models", ())),
        ("baseline", baselines.get(effort.get("baseline", ""))),
        ("steps of integrated gradients", effort.get("steps")),
        ("by", "Captum (Kokhlikyan et al. 2020, arXiv:2009.07896)"),
        ("versions", versions),
        ("when", run.get("time")),
        ("seconds", run.get("seconds")),
    ]
    table: Table = facts(rows)
    return Section("How it was made", (table,))
