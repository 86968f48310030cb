"""TIFF: plain, ImageJ, OME, and what some microscopes write into it."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from graticule.errors import FormatError
from graticule.image import SPATIAL, Array, Image
from graticule.io import tiff_pixels
from graticule.io.atomic import replacing
from graticule.io.scan import Scan, check_given_axes, check_signature, in_order, numeric, reading
from graticule.io.tiff_sizes import channel_names, sizes_um

# What tifffile has to say about a damaged file, we say ourselves, in one line.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

IMAGEJ_TYPES = ("uint8", "uint16", "float32")
IMAGEJ_BYTES = 2**32 - 2**20
"""ImageJ's TIFF has no room for more; OME-TIFF has."""


def describe(path: Path, *, axes: str | None = None) -> Scan:
    """What the file holds. `axes` replaces what it says of its dimensions."""
    check_signature(path, "TIFF")
    with reading(path, "TIFF"), tifffile.TiffFile(path) as file:
        series = tiff_pixels.main_series(file, path)
        numeric(np.dtype(series.dtype), path)
        tiff_pixels.check_complete(file, series, path)
        names = series.axes.lower() if axes is None else check_given_axes(axes, len(series.shape), path)
        sizes, source = sizes_um(file)
        data = tiff_pixels.pixels(file, series, path)
        said = _sizing_note(names, sizes, source)
        notes = (said, *_remarks(series, names, renamed=axes is not None))
        return Scan(data, names, in_order(names, sizes), notes, channel_names(file))


def _sizing_note(axes: str, sizes: Mapping[str, float], source: str) -> str:
    missing = [axis for axis in axes if axis in SPATIAL and axis not in sizes]
    if not sizes or not missing:
        return source
    known = ", ".join(f"{axis} {sizes[axis]:g} µm" for axis in SPATIAL if axis in sizes)
    return f"{source}, for some axes only ({known}; {', '.join(missing)} not recorded)"


def _remarks(series: Any, axes: str, *, renamed: bool) -> Iterator[str]:
    if renamed:
        yield f"axes {axes} as given; the file says {series.axes.lower()}"
    unnamed = [axis for axis in axes if axis not in "czyxst"]
    if unnamed:
        yield f"the file does not say what its dimension of {series.shape[axes.index(unnamed[0])]} is"
    if "s" in axes:
        yield f"{series.shape[axes.index('s')]} samples per pixel (colours, alpha)"
    if series.keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE:
        yield "the colour table is left aside; the stored values are used"
    if series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        yield "shown inverted (0 is white); the stored values are used"
    if series.dtype == bool:
        yield "1-bit pixels, read as 0 and 1"


def write(image: Image, path: Path) -> None:
    """Write voxels and their size in µm, page by page, so that the image may be larger than memory.

    ImageJ's TIFF where it has room for the data type and the size, since ImageJ, Fiji and most others keep its scale
    without a plugin; OME-TIFF for the rest. The origin of a crop has no place in either and is left out.
    """
    dtype = _writable(np.dtype(image.data.dtype), path)
    nbytes = int(np.prod(image.data.shape)) * dtype.itemsize
    if path.name.lower().endswith((".ome.tif", ".ome.tiff")) or dtype.name not in IMAGEJ_TYPES or nbytes > IMAGEJ_BYTES:
        options = _ome_options(image, nbytes)
    else:
        options = _imagej_options(image)
    order = "".join(axis for axis in ("zcyx" if "imagej" in options else "czyx") if axis in image.axes)
    shape = tuple(image.data.shape[image.axes.index(axis)] for axis in order)
    with replacing(path) as aside, _full_disk_said():
        tifffile.imwrite(aside, _planes(image, order, dtype, path), shape=shape, dtype=dtype, **options)


@contextmanager
def _full_disk_said() -> Iterator[None]:
    """NumPy tells of a full disk in numbers: how many it meant to write, and how many it could."""
    try:
        yield
    except OSError as error:
        if error.errno is None and re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _writable(dtype: np.dtype[Any], path: Path) -> np.dtype[Any]:
    """The type in the file: what TIFF readers know of."""
    known = {"bool": np.uint8, "float16": np.float32, "int64": np.uint32, "uint64": np.uint32}
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise FormatError(f"{path}: found values of type {dtype}; need whole or floating-point numbers; convert them")
    return np.dtype(known.get(dtype.name, dtype)).newbyteorder("=")


def _planes(image: Image, order: str, dtype: np.dtype[Any], path: Path) -> Iterator[Array]:
    """Planes ``(y, x)``, the last of the leading axes changing fastest."""
    lead = order[:-2]
    lengths = [range(image.data.shape[image.axes.index(axis)]) for axis in lead]
    for place in product(*lengths):
        at = dict(zip(lead, place, strict=True))
        plane = np.asarray(image.data[tuple(at[axis] if axis in at else slice(None) for axis in image.axes)])
        if plane.dtype.itemsize > dtype.itemsize and plane.size and not 0 <= plane.min() <= plane.max() < 2**32:
            raise FormatError(f"{path}: found whole numbers beyond 0 … 2³² - 1, which TIFF cannot hold; renumber them")
        yield np.ascontiguousarray(plane, dtype)


def _imagej_options(image: Image) -> dict[str, Any]:
    by_axis = dict(zip((a for a in image.axes if a in SPATIAL), image.spacing_um, strict=True))
    axes = "".join(axis for axis in "zcyx" if axis in image.axes).upper()
    metadata: dict[str, Any] = {"axes": axes, "unit": "um", "mode": "grayscale"}
    if "z" in by_axis:
        metadata["spacing"] = by_axis["z"]
    resolution = (1 / by_axis["x"], 1 / by_axis["y"])
    return {"imagej": True, "resolution": resolution, "metadata": metadata, "photometric": "minisblack"}


def _ome_options(image: Image, nbytes: int) -> dict[str, Any]:
    by_axis = dict(zip((a for a in image.axes if a in SPATIAL), image.spacing_um, strict=True))
    metadata: dict[str, Any] = {"axes": "".join(axis for axis in "czyx" if axis in image.axes).upper()}
    for axis, size in by_axis.items():
        metadata |= {f"PhysicalSize{axis.upper()}": size, f"PhysicalSize{axis.upper()}Unit": "µm"}
    return {"ome": True, "metadata": metadata, "photometric": "minisblack", "bigtiff": nbytes > IMAGEJ_BYTES}
