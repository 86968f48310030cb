"""What OME-Zarr says about an image, as written into its group: version 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graticule.image import SPATIAL

VERSION = "0.5"


def multiscales(
    name: str,
    axes: str,
    spacing_um: Sequence[tuple[float, ...]],
    origin_um: Sequence[tuple[float, ...]],
    *,
    labels: bool,
) -> dict[str, Any]:
    """The entry ``multiscales`` for levels 0, 1, … with these voxel sizes and origins, in the order of `axes`."""
    datasets = [
        {"path": str(level), "coordinateTransformations": _transformations(axes, spacing, origin)}
        for level, (spacing, origin) in enumerate(zip(spacing_um, origin_um, strict=True))
    ]
    made_by = "most frequent of 2 x 2 x 2" if labels else "mean of 2 x 2 x 2"
    said = {"type": "mode" if labels else "mean", "metadata": {"description": made_by}}
    return {"name": name, "axes": [_axis(letter) for letter in axes], "datasets": datasets, **said}


def _axis(letter: str) -> dict[str, str]:
    if letter in SPATIAL:
        return {"name": letter, "type": "space", "unit": "micrometer"}
    return {"name": letter, "type": {"c": "channel", "t": "time"}[letter]}


def _transformations(axes: str, spacing: tuple[float, ...], origin: tuple[float, ...]) -> list[dict[str, Any]]:
    """Translation comes after scale, and so is in µm; other axes have neither."""
    scale, translation = [1.0] * len(axes), [0.0] * len(axes)
    for at, size, start in zip((i for i, a in enumerate(axes) if a in SPATIAL), spacing, origin, strict=True):
        scale[at], translation[at] = float(size), float(start)
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]


def omero(channels: Sequence[str], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Names of channels, with what the specification demands beside them for viewers: a colour and a range of grey."""
    low, high = (0.0, 1.0) if dtype.kind == "f" else _range(dtype)
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"channels": [{"label": name, "color": "FFFFFF", "window": window, "active": True} for name in channels]}


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    return (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
