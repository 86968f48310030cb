"""Pixel size in the metadata of a TIFF: OME's, ImageJ's, a vendor's, or the plain resolution tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from graticule.image import SPATIAL
from graticule.io.lengths import in_um, tidy

PRINT_UM = 20.0
"""Pixels this large or larger are a printer's resolution in disguise: 1200 dpi is 21 µm, 72 dpi is 353 µm."""

CENTIMETRE, INCH = 3, 2
"""Values of the tag ResolutionUnit."""

Sizes = tuple[dict[str, float], str]
"""Micrometres by axis, and a sentence on where they are from or why there are none."""


def sizes_um(file: tifffile.TiffFile) -> Sizes:
    """Pixel size by axis, and one sentence on where it is from or why there is none."""
    for source in (_ome_sizes, _imagej_sizes, _vendor_sizes, _tag_sizes):
        found = source(file)
        if found is not None:
            return found
    return {}, "the file records no pixel size"


def _ome_sizes(file: tifffile.TiffFile) -> Sizes | None:
    pixels = _ome_pixels(file)
    if pixels is None:
        return None
    sizes: dict[str, float] = {}
    units = []
    for axis in SPATIAL:
        value = pixels.get(f"PhysicalSize{axis.upper()}")
        if value is None:
            continue
        unit = pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")
        units.append(unit)
        per_um, size = in_um(unit), _number(value)
        if per_um is None:
            return {}, f"the OME metadata give a pixel size in {unit!r}, which is no length"
        if size is None or size <= 0:
            return {}, f"the OME metadata give a pixel size of {value!r}, which is no length"
        sizes[axis] = tidy(size * per_um)
    if not sizes:
        return None
    return sizes, f"pixel size from OME metadata, unit {units[-1]}"


def _ome_pixels(file: tifffile.TiffFile) -> Any:
    """The first <Pixels> element, whatever its namespace; None in other files."""
    if not file.is_ome or not file.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)
    except (ElementTree.ParseError, ValueError):
        return None
    return next((element for element in root.iter() if element.tag.rpartition("}")[2] == "Pixels"), None)


def _imagej_sizes(file: tifffile.TiffFile) -> Sizes | None:
    said: Mapping[str, Any] = file.imagej_metadata or {}
    unit = str(said.get("unit", "")).strip()
    if not unit:
        return None
    resolution = {"y": _resolution(file, "YResolution"), "x": _resolution(file, "XResolution")}
    raw = {axis: 1 / value for axis, value in resolution.items() if value}
    # ImageJ leaves out a depth of exactly 1, so a stack without `spacing` either has that depth or was never told one.
    depth = _number(said.get("spacing"))
    if depth:
        raw["z"] = abs(depth)
    sizes = {}
    for axis, value in raw.items():
        own = str(said.get(f"{axis}unit", unit)).strip()
        per_um = in_um(own)
        if per_um is None:
            return {}, f"the ImageJ metadata give a pixel size in {own!r}, which is no length"
        if own in ("inch", "cm") and value * per_um >= PRINT_UM:
            return {}, f"the file records no pixel size ({1 / value:g} dots per {own} are a printing resolution)"
        sizes[axis] = tidy(value * per_um)
    return (sizes, f"pixel size from ImageJ metadata, unit {unit}") if sizes else None


def _vendor_sizes(file: tifffile.TiffFile) -> Sizes | None:
    """Makers of electron microscopes and cameras have tags of their own."""
    if file.is_fei and file.fei_metadata:
        scan = file.fei_metadata.get("Scan", {})
        width, height = _number(scan.get("PixelWidth")), _number(scan.get("PixelHeight"))
        if width and height:
            return {"y": tidy(height * 1e6), "x": tidy(width * 1e6)}, "pixel size from FEI metadata, unit m"
    if file.is_sem and file.sem_metadata:
        found = file.sem_metadata.get("ap_image_pixel_size") or file.sem_metadata.get("ap_pixel_size")
        if found and len(found) == 3 and (per_um := in_um(str(found[2]))) and (size := _number(found[1])):
            side = tidy(size * per_um)
            return {"y": side, "x": side}, f"pixel size from Zeiss metadata, unit {found[2]}"
    if file.is_lsm and file.lsm_metadata:
        voxel = {axis: _number(file.lsm_metadata.get(f"VoxelSize{axis.upper()}")) for axis in SPATIAL}
        sizes = {axis: tidy(size * 1e6) for axis, size in voxel.items() if size}
        if sizes:
            return sizes, "pixel size from LSM metadata, unit m"
    return None


def _tag_sizes(file: tifffile.TiffFile) -> Sizes | None:
    """Resolution per centimetre is a microscope's doing; per inch a printer's, whatever the number."""
    tags = file.pages.first.tags
    unit = tags.valueof("ResolutionUnit")
    x, y = _resolution(file, "XResolution"), _resolution(file, "YResolution")
    if not x or not y or unit not in (CENTIMETRE, INCH):
        return None
    if unit == INCH:
        return {}, f"the file records no pixel size ({x:g} dots per inch are a printing resolution)"
    sizes = {"y": tidy(1e4 / y), "x": tidy(1e4 / x)}
    if max(sizes.values()) >= PRINT_UM:
        return {}, f"the file records no pixel size ({x:g} dots per cm are a printing resolution)"
    return sizes, "pixel size from TIFF resolution, unit cm"


def _resolution(file: tifffile.TiffFile, name: str) -> float | None:
    """Pixels per unit, from a ratio of two whole numbers; None for zero, infinite and missing ones."""
    value = file.pages.first.tags.valueof(name)
    if not isinstance(value, tuple) or len(value) != 2 or not value[0] or not value[1]:
        return None
    return float(value[0]) / float(value[1])


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def channel_names(file: tifffile.TiffFile) -> tuple[str, ...]:
    """Names of the channels, as OME metadata give them; empty for other files."""
    pixels = _ome_pixels(file)
    if pixels is None:
        return ()
    return tuple(e.get("Name", "") for e in pixels if e.tag.rpartition("}")[2] == "Channel")
