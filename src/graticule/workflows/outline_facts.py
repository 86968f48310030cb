"""What outlined objects are like: how many, how large, how bright beside what is around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from graticule.example import Example
from graticule.image import Array
from graticule.metrics.instances import is_mask, known_of, objects_of, small
from graticule.metrics.overlap import true_labels
from graticule.results import Labels
from graticule.workflows.label_facts import sampling
from graticule.workflows.tally import unit_of

PERCENTILES = (5, 25, 50, 75, 95)
QUARTILES = (25, 50, 75)
BINS = 64

LARGEST = 1_000_000_000
"""Voxels up to which objects are counted and measured: more would not fit an ordinary memory."""


@dataclass(frozen=True, slots=True)
class OutlineFacts:
    """Of one image.

    Attributes
    ----------
    objects, cut
        How many there are, and how many of them the image's edge cuts; None where numbers are those of classes.
    mask
        The labels are a mask, whose parts were counted.
    size, unit
        Lower quartile, median and upper quartile of the objects' sizes, and what they are in; empty without objects.
    inside, outside
        `PERCENTILES` of the grey levels of what is outlined and of the background; empty where there is none.
    levels, inside_shares, outside_shares
        Histograms: edges of up to `BINS` ranges of grey levels, and how the pixels of either are shared out among them.
    """

    objects: int | None
    cut: int | None
    mask: bool
    size: tuple[float, ...]
    unit: str
    inside: tuple[float, ...]
    outside: tuple[float, ...]
    levels: tuple[float, ...]
    inside_shares: tuple[float, ...]
    outside_shares: tuple[float, ...]


def outline_facts(example: Example, classes: Sequence[str] = ()) -> OutlineFacts | None:
    """Where voxels are outlined and annotated; None where objects are marked by points, or channels are several."""
    if not isinstance(example.truth, Labels) or example.image.axes not in ("yx", "zyx"):
        return None
    inside, outside = _greys(example)
    levels = _levels(np.concatenate([inside, outside]), whole=np.dtype(example.image.data.dtype).kind in "iub")
    countable = len(classes) < 2 and prod(example.image.shape) <= LARGEST
    sizes, cut, mask = _objects(example) if countable else (None, 0, False)
    return OutlineFacts(
        objects=None if sizes is None else len(sizes),
        cut=None if sizes is None else cut,
        mask=mask,
        size=() if sizes is None else _percentiles(sizes * prod(example.image.spacing_um), QUARTILES),
        unit=unit_of(example.image),
        inside=_percentiles(inside, PERCENTILES),
        outside=_percentiles(outside, PERCENTILES),
        levels=tuple(levels.tolist()),
        inside_shares=_shares(inside, levels),
        outside_shares=_shares(outside, levels),
    )


def outline_line(name: str, one: OutlineFacts) -> str:
    """For people."""
    parts = []
    if one.objects:
        low, middle, high = one.size
        what = "parts of a mask" if one.mask else "objects"
        parts.append(f"{one.objects} {what}, {one.cut} cut by the edge")
        parts.append(f"size {middle:.3g} {one.unit} (median; quartiles {low:.3g} and {high:.3g})")
    for where, greys in (("inside", one.inside), ("outside", one.outside)):
        if greys:
            parts.append(f"grey {where} {greys[2]:.4g} (5 to 95 %: {greys[0]:.4g} to {greys[-1]:.4g})")
    if not one.inside:
        return f"{name}: nothing is outlined; {'; '.join(parts)}" if parts else ""
    return f"{name}: outlined {'; '.join(parts)}" if parts else ""


def _greys(example: Example) -> tuple[Array, Array]:
    """Grey levels of a regular grid of pixels: outlined ones, and background."""
    assert isinstance(example.truth, Labels)
    grid, known = sampling(example.image.shape), example.complete
    pixels, numbers = (np.asarray(image.data[grid]) for image in (example.image, example.truth.image))
    where = np.ones(numbers.shape, bool) if known is None else np.asarray(known.data[grid]) != 0
    where &= np.isfinite(pixels)
    return pixels[where & (numbers != 0)].astype(float), pixels[where & (numbers == 0)].astype(float)


def _percentiles(values: Array, which: Sequence[int]) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in np.percentile(values, which)) if len(values) else ()


def _levels(values: Array, *, whole: bool) -> Array:
    """Edges of ranges that cover all values; of whole numbers each range holds as many, lest histograms look like combs."""
    if not whole or not len(values):
        fine = len(values) and np.ptp(values) < 2 * BINS * np.spacing(np.abs(values).max())  # too fine to be parted
        return np.histogram_bin_edges(values, 1 if fine else BINS)
    many = int(values.max() - values.min()) + 1
    width = -(-many // BINS)
    edges: Array = values.min() - 0.5 + width * np.arange(-(-many // width) + 1)
    return edges


def _shares(values: Array, levels: Array) -> tuple[float, ...]:
    counts = np.histogram(values, levels)[0]
    return tuple((counts / max(1, len(values))).round(5).tolist())


def _objects(example: Example) -> tuple[Array, int, bool]:
    """How many voxels each object has, how many objects the edge cuts, and whether they are the parts of a mask."""
    known, (_, numbers) = known_of(example), small(objects_of(example))
    if known is not None:
        numbers = np.where(known != 0, numbers, 0)
    top = int(numbers.max(initial=0))
    planes = numbers[None] if numbers.ndim == 2 else numbers
    sizes = sum((np.bincount(plane.ravel(), minlength=top + 1) for plane in planes), np.zeros(top + 1, np.int64))[1:]
    edges = [np.moveaxis(numbers, axis, 0)[[0, -1]].ravel() for axis, n in enumerate(numbers.shape) if n > 1]
    cut = np.unique(np.concatenate([np.zeros(0, numbers.dtype), *edges]))
    return sizes[sizes > 0], int((cut != 0).sum()), is_mask(true_labels(example))
