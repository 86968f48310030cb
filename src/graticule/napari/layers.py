"""Images, points and labels as napari's layers, and back: in micrometres, by each layer's scale and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pint

from graticule.errors import SpacingError
from graticule.image import Array, ArrayLike, Image
from graticule.napari.colours import STATUS, SYMBOLS
from graticule.napari.rings import RING, RING_WIDTH
from graticule.napari.window import contrast
from graticule.results import Labels, Points

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: data, keyword arguments, kind of layer."""

UM = "um"
IN_MEMORY = 2**26
"""Images of more voxels are read plane by plane, as they are shown."""
UNKNOWN_PX = 10.0
"""Diameter of a ring around what has none."""


def image_layers(image: Image, name: str, metadata: Mapping[str, Any] | None = None) -> list[LayerData]:
    """One layer, or one for each channel."""
    voxels = _held(image)
    channels = [voxels] if image.ndim == len(image.axes) else [voxels[n] for n in range(voxels.shape[0])]
    made = []
    for number, channel in enumerate(channels):
        how = {
            "name": name if len(channels) == 1 else f"{name}, channel {number}",
            "contrast_limits": contrast(np.asarray(channel[tuple(n // 2 for n in channel.shape[:-2])])),
            "blending": "additive" if number else "translucent_no_depth",
            "metadata": {"graticule": dict(metadata or {})},
            **placed(image),
        }
        made.append((channel, how, "image"))
    return made


def points_layer(
    points: Points,
    image: Image,
    name: str,
    diameters_um: Mapping[str, float],
    metadata: Mapping[str, Any] | None = None,
) -> LayerData:
    """Rings in voxels of `image`; the table of features holds each one's class, confidence and, if known, diameter."""
    names = [points.kinds[int(kind)] for kind in points.kind]
    features: dict[str, Any] = {"class": names, "confidence": points.confidence}
    known = np.array([diameters_um.get(name, np.nan) for name in names], float)
    if points.diameter_um is not None:
        features["diameter_um"] = points.diameter_um
        known = np.asarray(points.diameter_um, float)
    size = np.nan_to_num(RING * known / image.spacing_um[-1], nan=UNKNOWN_PX)
    how = {
        "name": name,
        "ndim": image.ndim,
        "features": features,
        "size": size if len(points) else UNKNOWN_PX,
        "symbol": [SYMBOLS[int(kind) % len(SYMBOLS)] for kind in points.kind] if len(points) else SYMBOLS[0],
        "face_color": "transparent",
        "border_color": STATUS["open"],
        "border_width": RING_WIDTH,
        "metadata": {"graticule": {"classes": list(points.kinds), **(metadata or {})}},
        **placed(image),
    }
    return image.to_voxels(points.position_um).reshape(-1, image.ndim), how, "points"


def labels_layer(labels: Labels, name: str, metadata: Mapping[str, Any] | None = None) -> LayerData:
    """Numbered voxels."""
    image = labels.image
    voxels = _held(image)
    how = {"name": name, "metadata": {"graticule": dict(metadata or {})}, **placed(image)}
    return voxels.astype(np.uint8) if voxels.dtype == bool else voxels, how, "labels"


def placed(image: Image) -> dict[str, Any]:
    """Voxel size and place, for a layer."""
    return {"scale": image.spacing_um, "translate": image.origin_um, "units": (UM,) * image.ndim}


def to_points(data: Array, how: Mapping[str, Any]) -> tuple[Points, Image]:
    """The points of a layer, in µm, and a stand-in for the image they lie on, whose voxels are the layer's units.

    Raises
    ------
    SpacingError
        The layer lies in pixels.
    """
    data = np.asarray(data, float)
    place = stand_in(data.shape[1], how)
    table = how.get("features")
    columns = {} if table is None else {str(name): np.asarray(table[name]) for name in table}
    names = [str(name) for name in columns.get("class", ["object"] * len(data))]
    told = how.get("metadata", {}).get("graticule", {}).get("classes", ())
    kinds = tuple(dict.fromkeys((*told, *names))) or ("object",)
    confidence = np.asarray(columns.get("confidence", np.ones(len(data))), float)
    diameter = columns.get("diameter_um")
    return (
        Points(
            place.to_um(data),
            np.clip(np.nan_to_num(confidence, nan=1.0), 0, 1),
            np.array([kinds.index(name) for name in names], int),
            kinds,
            None
            if diameter is None or not np.isfinite(np.asarray(diameter, float)).all()
            else np.asarray(diameter, float),
        ),
        place,
    )


def to_labels(data: Any, how: Mapping[str, Any]) -> Labels:
    """The labels of a layer. `SpacingError` if it lies in pixels."""
    place = stand_in(data.ndim, how)
    return Labels(Image(np.asarray(data), place.axes, place.spacing_um, place.origin_um))


def stand_in(ndim: int, how: Mapping[str, Any]) -> Image:
    """An image of one voxel at a layer's place, with its voxel size in µm."""
    if ndim not in (2, 3):
        raise SpacingError(f"found a layer of {ndim} dimensions; need 2 or 3; split it")
    units = tuple(how.get("units") or ("pixel",) * ndim)
    factor = [_um(str(unit)) for unit in units]
    spacing = tuple(float(s) * f for s, f in zip(how.get("scale", (1.0,) * ndim), factor, strict=True))
    origin = tuple(float(t) * f for t, f in zip(how.get("translate", (0.0,) * ndim), factor, strict=True))
    return Image(np.zeros((1,) * ndim, np.uint8), "zyx"[-ndim:], spacing, origin)


def _um(unit: str) -> float:
    """Micrometres in a unit."""
    try:
        return float(pint.application_registry.Quantity(1, unit).to("micrometer").magnitude)
    except pint.DimensionalityError as error:
        raise SpacingError(
            f"found a layer in {unit}; need lengths to write micrometres; say what a pixel is: layer.scale = (…), "
            "layer.units = 'um'"
        ) from error


def _held(image: Image) -> Any:
    """Voxels in memory or, of a large image, as an array of dask's that reads a plane when it is shown."""
    if np.prod(image.data.shape, dtype=float) <= IN_MEMORY:
        return np.asarray(image.data[...])
    import dask.array

    chunks = (*(1 for _ in image.data.shape[:-2]), *image.data.shape[-2:])
    return dask.array.from_array(_Planes(image.data), chunks=chunks, asarray=True, name=False)


@dataclass(frozen=True, eq=False)
class _Planes:
    """What dask asks of an array."""

    data: ArrayLike

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return len(self.data.shape)

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self.data[key])
