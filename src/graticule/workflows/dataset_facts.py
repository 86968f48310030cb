"""What is in an annotated dataset: pixels, marks, and what the marked spots look like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graticule.arrays.cells import cell_diameter_px, looks_like_cells
from graticule.arrays.evidence import contrast_at, evidence, measured_diameter, polarity_of
from graticule.example import Example
from graticule.image import Array, Image
from graticule.io.dataset import Survey
from graticule.results import Labels, Points
from graticule.workflows.label_facts import SAMPLE, class_shares, sampling, shares_said
from graticule.workflows.outline_facts import OutlineFacts, outline_facts, outline_line

NM = 1e-3  # µm

MEASURED_ON = 4
"""Images a class's diameter is measured on: those with most of it."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image, and what is marked in it.

    Attributes
    ----------
    grey
        Smallest, median and largest pixel.
    clipped
        Share of the pixels that have the least and the greatest value the file's type can hold; 0 for fractions.
    objects
        How many are marked, by class; of labels, under "objects".
    outside_mask
        How many of them lie where the annotation is not complete.
    shares
        Of labels: share of the annotated voxels that each class has.
    cells
        Where the image holds numbers of cells in place of grey levels: how many, and their median diameter in pixels.
    outlined
        Of labels on grey levels: how large objects are, and how bright.
    read
        Whether what is marked could be read.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    spacing_um: tuple[float, ...]
    grey: tuple[float, float, float]
    clipped: tuple[float, float]
    objects: Mapping[str, int]
    outside_mask: int
    shares: Mapping[str, float] = field(default_factory=dict)
    cells: tuple[int, float] | None = None
    outlined: OutlineFacts | None = None
    read: bool = True


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """One class over all images. None is what cannot be known or measured.

    Attributes
    ----------
    contrast
        Median difference from what is around, in grey levels.
    on_spots
        Share of the marks that sit on a spot.
    """

    name: str
    count: int
    images: int
    stated_nm: float | None
    measured_nm: float | None
    polarity: str | None
    contrast: float | None
    on_spots: float | None


def image_facts(name: str, image: Image, example: Example | None, classes: Sequence[str] = ()) -> ImageFacts:
    """Of an image, and of its annotation where that can be read."""
    pixels = _sample(image)
    truth = None if example is None else example.truth
    objects: dict[str, int] = {}
    shares: dict[str, float] = {}
    outside, cells = 0, _cells(image)
    if isinstance(truth, Points) and example is not None:
        objects = {kind: int((truth.kind == number).sum()) for number, kind in enumerate(truth.kinds)}
        outside = int((~example.is_complete_at(truth.position_um)).sum())
    elif isinstance(truth, Labels) and example is not None:
        shares = class_shares(example, classes)
        objects = {"objects": len(np.setdiff1d(np.unique(truth.image.data[...]), [0]))}
    return ImageFacts(
        name=name,
        axes=image.axes,
        shape=tuple(int(n) for n in image.data.shape),
        dtype=str(image.data.dtype),
        spacing_um=image.spacing_um,
        grey=(float(pixels.min()), float(np.median(pixels)), float(pixels.max())),
        clipped=_clipped(pixels),
        objects=objects,
        outside_mask=outside,
        shares=shares,
        cells=cells,
        read=example is not None,
        outlined=None if example is None or cells is not None else outline_facts(example, classes),
    )


def _cells(image: Image) -> tuple[int, float] | None:
    if image.axes != "yx" or np.prod(image.shape) > SAMPLE * 16:
        return None
    pixels = np.asarray(image.data[...])
    if not looks_like_cells(pixels):
        return None
    return len(np.setdiff1d(np.unique(pixels), [0])), cell_diameter_px(pixels)


def _sample(image: Image) -> Array:
    """All pixels, or a regular grid of them in a large image."""
    return np.asarray(image.data[(..., *sampling(image.shape))])


def _clipped(pixels: Array) -> tuple[float, float]:
    if pixels.dtype.kind not in "iu":
        return 0.0, 0.0
    limits = np.iinfo(pixels.dtype)
    return float((pixels == limits.min).mean()), float((pixels == limits.max).mean())


def class_facts(name: str, examples: Sequence[Example], seen: Survey) -> ClassFacts:
    """Of one class; what it looks like is measured on flat images only."""
    own = [(example, _places_px(example, name)) for example in examples]
    own = sorted([(e, places) for e, places in own if len(places)], key=lambda pair: -len(pair[1]))
    flat = [(e, places) for e, places in own if e.image.axes == "yx"]
    stated = _stated_nm(name, seen)
    measured = _measured_nm(flat[:MEASURED_ON])
    diameter_nm = stated or measured
    polarity, contrast, share = None, None, None
    if diameter_nm is not None and flat:
        polarity, contrast, share = _looks(flat, diameter_nm)
    return ClassFacts(name, sum(len(p) for _, p in own), len(own), stated, measured, polarity, contrast, share)


def _places_px(example: Example, name: str) -> Array:
    truth = example.truth
    if not isinstance(truth, Points) or name not in truth.kinds:
        return np.zeros((0, example.image.ndim))
    return example.image.to_voxels(truth.of_kind(name).position_um)


def _stated_nm(name: str, seen: Survey) -> float | None:
    """By dataset.yaml, else by the name: 6nm."""
    if seen.dataset is not None and name in seen.dataset.diameters_nm:
        return seen.dataset.diameters_nm[name]
    said = re.search(r"(\d+(?:\.\d+)?)\s*nm\b", name, re.IGNORECASE)
    return float(said[1]) if said else None


def _measured_nm(marked: Sequence[tuple[Example, Array]]) -> float | None:
    sizes = []
    for example, places in marked:
        px = measured_diameter(np.asarray(example.image.data[...]), places)
        if px is not None:
            sizes.append(px * min(example.image.spacing_um) / NM)
    return round(float(np.median(sizes)), 3) if sizes else None


def _looks(marked: Sequence[tuple[Example, Array]], diameter_nm: float) -> tuple[str, float, float]:
    """Polarity of most marks, median contrast in grey levels, and share on spots."""
    votes, contrasts, hits = {"dark": 0, "bright": 0}, [], []
    for example, places in marked:
        pixels, size_px = np.asarray(example.image.data[...]), diameter_nm * NM / min(example.image.spacing_um)
        polarity = polarity_of(pixels, places, size_px)
        votes[polarity] += len(places)
        contrasts.append(contrast_at(pixels, places, size_px, polarity))
        hits.append(evidence(pixels, places, size_px, polarity).on_spot)
    most = "dark" if votes["dark"] >= votes["bright"] else "bright"
    return most, round(float(np.nanmedian(np.concatenate(contrasts))), 2), round(float(np.concatenate(hits).mean()), 3)


def image_line(one: ImageFacts) -> str:
    """For people."""
    size = " x ".join(map(str, one.shape))
    spacing = " x ".join(f"{s:.6g}" for s in dict.fromkeys(one.spacing_um))
    seen = f"grey {one.grey[0]:.4g} … {one.grey[2]:.4g}"
    if one.cells is not None:
        seen = f"{one.cells[0]} cells of {one.cells[1]:.3g} pixels (median diameter)"
    objects = ", ".join(f"{count} {name}" for name, count in one.objects.items())
    marked = shares_said(one.shares) or objects or ("nothing" if one.read else "could not be read")
    if one.cells is not None and one.shares and objects:
        marked += f" in {objects}"
    said = f"{one.name}: {size} ({one.axes}, {one.dtype}), {spacing} µm per pixel, {seen}, marked: {marked}"
    return "\n".join(line for line in (said, one.outlined and outline_line(one.name, one.outlined)) if line)


def class_line(one: ClassFacts) -> str:
    """For people."""
    parts = [f"{one.count} marked in {one.images} images"]
    if one.stated_nm is not None:
        parts.append(f"stated {one.stated_nm:.4g} nm")
    if one.measured_nm is not None:
        parts.append(f"measured {one.measured_nm:.4g} nm")
    if one.contrast is not None:
        parts.append(f"{one.polarity}, contrast {one.contrast:.4g} grey levels")
    if one.on_spots is not None:
        parts.append(f"{one.on_spots:.0%} on spots")
    return f"class {one.name}: {', '.join(parts)}"
