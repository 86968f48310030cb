"""Folders as `graticule predict` writes them, made of drawn images: points, outlines, a volume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graticule.image import Image
from graticule.io import write
from graticule.results import Labels, Points
from graticule.workflows.provenance import fingerprint
from graticule.workflows.results import MARK

PX_UM = 0.002


def grid(number: int, shape: Sequence[int]) -> np.ndarray:
    """``(number, ndim)`` voxels spread evenly over an image, well apart."""
    side = int(np.ceil(number ** (1 / len(shape))))
    axes = [np.linspace(0, n, side, endpoint=False) + n / side / 2 for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape))[:number].round()


def discs(places: np.ndarray, shape: Sequence[int], radius_px: float) -> np.ndarray:
    """Numbered from 1."""
    labels = np.zeros(shape, np.int32)
    reach = int(np.ceil(radius_px))
    for number, place in enumerate(places.astype(int), start=1):
        box = tuple(slice(max(0, p - reach), p + reach + 1) for p in place)
        grids = np.ogrid[tuple(slice(s.start, min(s.stop, n)) for s, n in zip(box, shape, strict=True))]
        inside = sum((g - p) ** 2 for g, p in zip(grids, place, strict=True)) <= radius_px**2
        labels[box][inside] = number
    return labels


def write_result(
    folder: Path,
    name: str = "a",
    *,
    number: int = 12,
    shape: Sequence[int] = (120, 160),
    outlined: bool = False,
    radius_px: float = 4.0,
    seed: int = 0,
) -> Path:
    """OUT/NAME with an image of dark discs (or balls) and what was found in it; OUT is `folder`."""
    rng = np.random.default_rng(seed)
    axes, ndim = ("yx" if len(shape) == 2 else "zyx"), len(shape)
    places = grid(number, shape)
    labels = discs(places, shape, radius_px)
    pixels = np.clip(170 - 90 * (labels > 0) + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)
    image = Image(pixels, axes, (PX_UM,) * ndim)
    source, result = folder / "images" / f"{name}.tif", folder / "out" / name
    source.parent.mkdir(parents=True, exist_ok=True)
    result.mkdir(parents=True)
    write(image, source)
    kinds, diameters = ("6nm", "12nm"), (2e3 * radius_px * PX_UM, 2.5e3 * radius_px * PX_UM)
    kind = np.zeros(len(places), int) if outlined else rng.integers(0, 2, len(places))
    found = Points(image.to_um(places), rng.uniform(0.3, 1, len(places)).round(4), kind, kinds)
    write(found, result / "objects.csv", on=image)
    if outlined:
        write(Labels(Image(labels, axes, image.spacing_um)), result / "objects.tif")
    _mark(result, source, {"classes": list(kinds)} | ({} if outlined else {"diameters_nm": list(diameters)}))
    return result


def _mark(result: Path, source: Path, settings: dict[str, Any]) -> None:
    run = {"command": "predict", "image": fingerprint(source), "task": "beads", "settings": settings}
    (result / MARK).write_text(json.dumps(run))
