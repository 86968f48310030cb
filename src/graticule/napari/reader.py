"""Our folders of results as napari's layers: the image, and what was found in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graticule.errors import FormatError
from graticule.image import Image
from graticule.io import read, read_points
from graticule.napari.layers import LayerData, image_layers, labels_layer, points_layer
from graticule.results import Labels
from graticule.workflows.results import MARK

TABLE = "objects.csv"
OUTLINES = ("objects.tif", "mask.tif", "confidence.ome.zarr:/labels/objects", "confidence.ome.zarr:/labels/mask")
NM = 1e-3  # µm

Read = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Read | None:
    """A function that reads `path`, or None if that is no result of ours; run.json and objects.csv stand for their folder."""
    return read_results if not isinstance(path, list | tuple) and _folder(Path(str(path))) is not None else None


def read_results(path: str | Sequence[str]) -> list[LayerData]:
    """Layers of one result, in µm.

    The image comes first, if it is still where it was; `FormatError` if run.json is damaged.
    """
    folder = _folder(Path(str(path)))
    if folder is None:
        raise FormatError(f"{path}: found no result here; need a folder with {MARK}; give what graticule predict wrote")
    run = _run(folder)
    told = {"folder": str(folder), "task": run.get("task", ""), "models": run.get("models", [])}
    outlines = next((name for name in OUTLINES if _inside(folder, name).exists()), None)
    labels = None if outlines is None else Labels(read(f"{folder}/{outlines}"))
    image = _image(run)
    layers = [] if image is None else image_layers(image, folder.name, told)
    if labels is not None:
        layers.append(labels_layer(labels, f"{folder.name}, outlines", told))
    if labels is None and image is not None and (folder / TABLE).is_file():
        layers.append(_points(folder, image, run, told))
    if not layers:
        raise FormatError(f"{folder}: found nothing to show; need the image {run['image']['file']}; put it back there")
    return layers


def _folder(path: Path) -> Path | None:
    """The result's folder that a path stands for."""
    folder = path.parent if path.name in (MARK, TABLE) else path
    return folder if (folder / MARK).is_file() else None


def _inside(folder: Path, name: str) -> Path:
    """Where a file of a result, or a group in its Zarr, lies."""
    store, _, inner = name.partition(":")
    return folder / store / inner.strip("/")


def _run(folder: Path) -> dict[str, Any]:
    try:
        run = json.loads((folder / MARK).read_text(encoding="utf-8"))
        run["image"]["file"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{folder / MARK}: found no account of a prediction in it; predict anew") from error
    return dict(run)


def _image(run: dict[str, Any]) -> Image | None:
    """The one it was made of; None if it is no longer there."""
    source, how = str(run["image"]["file"]), run.get("read_as") or {}
    if "://" not in source and not Path(source.split(":/")[0]).exists():
        return None
    spacing = how.get("spacing_um")
    return read(
        source,
        spacing_um=None if spacing is None else tuple(spacing),
        channel=how.get("channel"),
        axes=how.get("axes"),
    )


def _points(folder: Path, image: Image, run: dict[str, Any], told: dict[str, Any]) -> LayerData:
    settings = run.get("settings", {})
    classes = tuple(settings.get("classes", ()))
    sizes = zip(classes, settings.get("diameters_nm", ()), strict=False)
    found = read_points(folder / TABLE, image, kinds=classes or None)
    return points_layer(found, image, f"{folder.name}, points", {name: nm * NM for name, nm in sizes}, told)
