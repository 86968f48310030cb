"""Putting points onto an image: their unit, and whether they lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graticule.errors import AnnotationError
from graticule.image import SPATIAL, Array, Image

UNITS = ("um", "nm", "px")
"""Units of places, the one that is read first where a table gives several."""

SLACK_PX = 1.0
"""Tables are rounded (a laboratory's to 0.9 px): points this little outside are moved onto the image's edge."""


def on_image(places: Array, image: Image, unit: str, path: Path, rows: Sequence[str]) -> Array:
    """``(N, ndim)`` places in `unit` as micrometres, all on the image; `rows` is what to call each in a refusal."""
    um = _to_um(places, image, unit)
    voxels = image.to_voxels(um)
    last = np.array(image.shape) - 0.5
    beyond = np.maximum(-0.5 - voxels, voxels - last)
    outside = (beyond > SLACK_PX).any(axis=1)
    if outside.any():
        raise AnnotationError(_outside(path, rows, places, image, unit, beyond, int(outside.sum())))
    edge = 1e-3  # so that rounding to whole voxels stays on the image
    on_image = np.clip(voxels, edge - 0.5, last - edge)
    return np.where(on_image == voxels, um, image.to_um(on_image))


def _outside(path: Path, rows: Sequence[str], places: Array, image: Image, unit: str, beyond: Array, count: int) -> str:
    worst = int(beyond.max(axis=1).argmax())
    corners = _from_um(image.to_um(np.array([[-0.5] * image.ndim, [n - 0.5 for n in image.shape]])), image, unit)
    axes = [axis for axis in image.axes if axis in SPATIAL]
    extent = ", ".join(f"{axes[i]} {corners[0, i]:.4g} to {corners[1, i]:.4g}" for i in reversed(range(len(axes))))
    where = ", ".join(f"{axes[i]} {places[worst, i]:.6g}" for i in reversed(range(len(axes))))
    return (
        f"{path}: found {count} of {len(places)} points outside the image, the furthest in "
        f"{rows[worst]} at {where} {unit}; need {extent} {unit}; is the unit or the pixel size "
        f"({listed(image.spacing_um)} µm) wrong? check --points-unit and --spacing-um"
    )


def _to_um(places: Array, image: Image, unit: str) -> Array:
    return image.to_um(places) if unit == "px" else places / (1000 if unit == "nm" else 1)


def _from_um(um: Array, image: Image, unit: str) -> Array:
    return image.to_voxels(um) if unit == "px" else um * (1000 if unit == "nm" else 1)


def listed(numbers: Sequence[float]) -> str:
    """Numbers for people, equal ones once."""
    return " × ".join(f"{number:.6g}" for number in dict.fromkeys(numbers))
