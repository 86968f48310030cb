"""Files to nouns and back; the suffix decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from graticule.errors import FormatError
from graticule.image import Image
from graticule.io import numpy_array, raster, tiff
from graticule.io.scan import Scan, check_is_file, to_image

__all__ = ["READERS", "Scan", "describe", "image_name", "read"]


class Describe(Protocol):
    """How each format opens a file."""

    def __call__(self, path: Path, *, axes: str | None = None) -> Scan: ...


READERS: dict[str, Describe] = {
    ".tif": tiff.describe,
    ".tiff": tiff.describe,
    ".png": raster.describe,
    ".jpg": raster.describe,
    ".jpeg": raster.describe,
    ".npy": numpy_array.describe,
}
"""Suffixes of images, in lower case."""


def describe(path: str | Path, *, axes: str | None = None) -> Scan:
    """What an image file says about itself; nothing has to be complete but the file.

    `axes`, e.g. ``"zyx"``, replaces what the file says of its dimensions.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise FormatError(f"{path}: found suffix {path.suffix!r}; need one of {known}; convert it, e.g. to TIFF")
    check_is_file(path)
    return reader(path, axes=axes)


def read(
    path: str | Path,
    *,
    spacing_um: Sequence[float] | None = None,
    channel: str | int | None = None,
    axes: str | None = None,
) -> Image:
    """Open an image; large ones are read window by window where the format allows.

    Parameters
    ----------
    path
        The file.
    spacing_um
        Pixel size along the spatial axes ``(z,) y, x``, in place of the file's; one number counts for all.
    channel
        Which channel or colour, by number from 0 or by name; ``"mean"``; ``"all"`` keeps the channels.
    axes
        What the file's dimensions are, in place of what it says, e.g. ``"zyx"``.
    """
    path = Path(path)
    return to_image(describe(path, axes=axes), path, spacing_um=spacing_um, channel=channel)


def image_name(path: str | Path) -> str:
    """The file's name without its suffix, ``.ome`` included.

    >>> image_name("images/S1.ome.tif")
    'S1'
    """
    stem = Path(path).stem
    return stem[:-4] if stem.lower().endswith(".ome") else stem
