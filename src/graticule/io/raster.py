"""PNG and JPEG. Neither knows a microscope's pixel size: their dots per inch or metre are for printers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from graticule.errors import FormatError
from graticule.image import Array
from graticule.io.scan import SAVE_AGAIN, Scan, check_given_axes, check_plausible, check_signature, reading

WHAT = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}

OPEN = {"PNG": PngImageFile, "JPEG": JpegImageFile}

PNG_COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}

GREY = {"1": np.uint8, "L": np.uint8, "I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "I": np.int32}
"""Pillow's names for images with one value per pixel, and what the pixels are read as."""


def describe(path: Path, *, axes: str | None = None) -> Scan:
    """What the file holds; axes ``yx``, or ``yxs`` with three colours."""
    what = WHAT[path.suffix.lower()]
    check_signature(path, what)
    with reading(path, what):
        if what == "PNG":
            _check_depth(path)
        pixels, remarks = _pixels(path, what)
    own = "yx" if pixels.ndim == 2 else "yxs"
    names = own if axes is None else check_given_axes(axes, pixels.ndim, path)
    return Scan(pixels, names, None, (f"{what} files record no pixel size", *remarks))


def _check_depth(path: Path) -> None:
    """Pillow silently drops the low byte of 16-bit colours."""
    with path.open("rb") as file:
        header = file.read(26)
    if len(header) < 26:
        raise FormatError(f"{path}: found a truncated PNG ({len(header)} bytes); need all of it; {SAVE_AGAIN}")
    depth, colour = header[24], PNG_COLOUR_TYPES.get(header[25], "unknown")
    if depth == 16 and colour != "grey":
        raise FormatError(
            f"{path}: found a 16-bit PNG of type {colour}; need 8 bits per colour, or 16-bit grey; save it as TIFF"
        )


def _pixels(path: Path, what: str) -> tuple[Array, tuple[str, ...]]:
    """``(y, x)`` or ``(y, x, 3)``, in the file's own number of bits, and what there is to say about them."""
    # Opened by its own class, since PIL.Image.open takes micrographs of 20000 × 20000 pixels for an attack;
    # `check_plausible` knows a real one.
    with OPEN[what](path) as file:
        check_plausible(path, (file.height, file.width, len(file.getbands())), 1)
        turned = file.getexif().get(0x0112, 1)
        mode = file.mode
        pixels = _decoded(file, path)
    remarks = [f"Pillow mode {mode}"]
    if turned != 1:
        remarks.append("EXIF asks viewers to turn the image; the pixels are used as stored")
    return pixels, tuple(remarks)


def _decoded(file: PIL.Image.Image, path: Path) -> Array:
    if file.mode in GREY:
        pixels = np.array(file).astype(GREY[file.mode], copy=False)
        # 16-bit PNGs come as 32-bit integers from older Pillows.
        fits = file.mode == "I" and 0 <= pixels.min() and pixels.max() < 2**16
        return pixels.astype(np.uint16) if fits else pixels
    if file.mode == "LA":
        return np.array(file.getchannel("L"))
    if file.mode in ("RGB", "RGBA", "RGBX"):
        return np.array(file)[..., :3]
    if file.mode in ("P", "PA"):
        colours = np.array(file.convert("RGBA").convert("RGB"))
        grey = (colours == colours[..., :1]).all()
        return np.ascontiguousarray(colours[..., 0]) if grey else colours
    raise FormatError(f"{path}: found colours of type {file.mode}; need grey or RGB; save it as TIFF")
