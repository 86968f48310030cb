"""Files to nouns and back; the suffix decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from graticule.errors import FormatError
from graticule.image import Image
from graticule.io import hdf5, imagej_roi, mrc, numpy_array, omezarr, points_csv, raster, star, tiff
from graticule.io.address import Address, Source, image_name
from graticule.io.scan import Scan, check_is_file, to_image
from graticule.results import Labels, Points

__all__ = ["POINT_WRITERS", "READERS", "Scan", "describe", "image_name", "is_image", "read", "read_points", "write"]


class Describe(Protocol):
    """How each format opens a file; those with things inside take their addresses, too."""

    def __call__(self, path: Any, /, *, axes: str | None = None) -> Scan: ...


READERS: dict[str, Describe] = {
    ".tif": tiff.describe,
    ".tiff": tiff.describe,
    ".png": raster.describe,
    ".jpg": raster.describe,
    ".jpeg": raster.describe,
    ".npy": numpy_array.describe,
    ".zarr": omezarr.describe,
    ".h5": hdf5.describe,
    ".hdf5": hdf5.describe,
    ".mrc": mrc.describe,
    ".rec": mrc.describe,
    ".map": mrc.describe,
    ".st": mrc.describe,
}
"""Suffixes of images, in lower case."""

HDF5 = (".h5", ".hdf5")

CONTAINERS = (".zarr", *HDF5)
"""Suffixes of what may hold several images, or lie behind an address on the web."""

POINT_WRITERS: dict[str, Callable[[Points, Path, Image], None]] = {
    ".csv": points_csv.write,
    ".roi": imagej_roi.write,
    ".zip": imagej_roi.write,
    ".star": star.write,
}
"""Suffixes of points, in lower case."""

IMAGE_WRITERS: dict[str, Callable[[Image, Path], None]] = {
    ".tif": tiff.write,
    ".tiff": tiff.write,
    ".zarr": omezarr.write,
    ".h5": hdf5.write,
    ".hdf5": hdf5.write,
    ".mrc": mrc.write,
}
"""Suffixes of images and labels that can be written, in lower case."""


def describe(path: Source, *, axes: str | None = None) -> Scan:
    """What an image file says about itself; nothing has to be complete but the file.

    `path` may be an address, and say what is meant inside: ``https://host/volume.zarr:/labels/mask``. `axes`, e.g.
    ``"zyx"``, replaces what the file says of its dimensions.
    """
    at = Address.of(path)
    reader = READERS.get(at.suffix)
    if reader is None:
        known = ", ".join(READERS)
        raise FormatError(f"{path}: found suffix {at.suffix!r}; need one of {known}; convert it, e.g. to TIFF")
    if at.suffix in CONTAINERS:
        return reader(path, axes=axes)
    if at.is_remote:
        raise FormatError(f"{path}: found a {at.suffix} file on the web; need OME-Zarr there; download it first")
    check_is_file(at.path)
    return reader(at.path, axes=axes)


def is_image(path: Source) -> bool:
    """Whether `path` is to be opened as one image, by its name: also folders that hold a Zarr, and addresses."""
    at = Address.of(path)
    if at.is_remote or at.inner:
        return True
    if at.path.is_dir():
        return at.suffix == ".zarr"
    return at.suffix in READERS


def read(
    path: Source,
    *,
    spacing_um: Sequence[float] | None = None,
    channel: str | int | None = None,
    axes: str | None = None,
) -> Image:
    """Open an image; large ones are read window by window where the format allows.

    Parameters
    ----------
    path
        The file or folder, or its address, and what is meant inside: see `describe`.
    spacing_um
        Pixel size along the spatial axes ``(z,) y, x``, in place of the file's; one number counts for all.
    channel
        Which channel or colour, by number from 0 or by name; ``"mean"``; ``"all"`` keeps the channels.
    axes
        What the file's dimensions are, in place of what it says, e.g. ``"zyx"``.
    """
    return to_image(describe(path, axes=axes), path, spacing_um=spacing_um, channel=channel)


def read_points(
    path: str | Path,
    image: Image,
    *,
    unit: str | None = None,
    kind: str | None = None,
    kinds: Sequence[str] | None = None,
) -> Points:
    """Points on `image` from a ``.csv``, ``.roi``, ``.zip`` or ``.star``: see `points_csv.read`, `imagej_roi.read` and
    `star.read`.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".csv":
            return points_csv.read(path, image, unit=unit, kind=kind, kinds=kinds)
        case ".roi" | ".zip":
            return imagej_roi.read(path, image, kind=kind, kinds=kinds)
        case ".star":
            return star.read(path, image, kind=kind, kinds=kinds)
        case other:
            raise FormatError(f"{path}: found suffix {other!r}; need one of {', '.join(POINT_WRITERS)}; convert it")


def write(result: Points | Labels | Image, path: Source, *, on: Image | None = None) -> None:
    """Write points, labels or an image; the file or folder appears whole or not at all.

    `on` is the image that points were found on: tables hold pixels beside micrometres.
    """
    if isinstance(result, Points):
        if on is None:
            raise ValueError("points are written with the image they lie on: pass on=image")
        path = Path(path)
        _chosen(POINT_WRITERS, path.suffix.lower(), path, "points")(result, path, on)
    elif isinstance(result, Labels):
        write_image(result.image, path, labels=True)
    else:
        write_image(result, path)


def write_image(image: Image, path: Source, *, labels: bool = False, channels: Sequence[str] = ()) -> None:
    """Write voxels in the memory of a few blocks. Only Zarr has places for names of channels and for `labels`."""
    at = Address.of(path)
    check_image_target(path)
    if at.suffix == ".zarr":
        omezarr.write(image, at.path, labels=labels, channels=channels)
    elif at.suffix in HDF5:
        hdf5.write(image, path)
    else:
        IMAGE_WRITERS[at.suffix](image, at.path)


def check_image_target(path: Source) -> None:
    """Refuse what voxels cannot be written to: an unknown suffix, an address on the web, a place inside something."""
    at = Address.of(path)
    _chosen(IMAGE_WRITERS, at.suffix, path, "voxels")
    if at.is_remote:
        raise FormatError(f"{path}: found an address on the web; need a place on a disk to write to; choose one")
    if at.inner and at.suffix not in HDF5:
        raise FormatError(f"{path}: found a place inside a Zarr; need a new one to write to; leave out {at.inner}")


Writer = TypeVar("Writer")


def _chosen(writers: dict[str, Writer], suffix: str, path: Source, what: str) -> Writer:
    if suffix not in writers:
        raise FormatError(f"{path}: found suffix {suffix!r} for {what}; need one of {', '.join(writers)}; change it")
    return writers[suffix]
