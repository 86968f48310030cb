"""Counts and densities of what was found in one image, as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from graticule.image import Image
from graticule.results import Points
from graticule.statistics.intervals import poisson


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one class.

    Attributes
    ----------
    count
        Objects; of a mask, voxels.
    amount
        Objects per µm² or µm³; of a mask its size in these.
    low, high
        Ends of the 95 % interval of `amount` if objects lie independently of one another (Poisson); of a mask the amount.
    share
        Of the image, for masks; else 0.
    """

    kind: str
    count: int
    amount: float
    low: float
    high: float
    share: float = 0.0


def unit_of(image: Image) -> str:
    """In which the image's size is given."""
    return "µm²" if image.ndim == 2 else "µm³"


def size_of(image: Image) -> float:
    """Of the whole image, in µm² or µm³."""
    return float(prod(n * s for n, s in zip(image.shape, image.spacing_um, strict=True)))


def tally_points(found: Points, image: Image) -> tuple[Tally, ...]:
    """Of each class, also of those of which none was found."""
    size = size_of(image)
    rows = []
    for number, kind in enumerate(found.kinds):
        count = int((found.kind == number).sum())
        low, high = poisson(count)
        rows.append(Tally(kind, count, count / size, low / size, high / size))
    return tuple(rows)


def tally_voxels(voxels: Mapping[str, int], labels: Image) -> tuple[Tally, ...]:
    """Of a mask's classes."""
    measure, whole = prod(labels.spacing_um), prod(labels.shape)
    return tuple(Tally(k, n, n * measure, n * measure, n * measure, n / whole) for k, n in voxels.items())
