"""napari's layers to files: points to tables with micrometres, labels to images with their voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graticule.io import write
from graticule.napari.layers import to_labels, to_points


def write_points(path: str, data: Any, how: dict[str, Any]) -> list[str]:
    """A .csv as `graticule predict` writes it, or ImageJ's selections (.roi, .zip); the paths written.

    `SpacingError` if the layer lies in pixels: then nobody knows its micrometres.
    """
    points, place = to_points(data, how)
    write(points, _with_suffix(path, ".csv"), on=place)
    return [_with_suffix(path, ".csv")]


def write_labels(path: str, data: Any, how: dict[str, Any]) -> list[str]:
    """A .tif, or a .zarr of any size; the paths written. `SpacingError` if the layer lies in pixels."""
    write(to_labels(data, how), _with_suffix(path, ".tif"))
    return [_with_suffix(path, ".tif")]


def _with_suffix(path: str, usual: str) -> str:
    return path if Path(path).suffix else path + usual
