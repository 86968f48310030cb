"""What a file says about itself, before anything is demanded of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from graticule.errors import FormatError, GraticuleError, SpacingError
from graticule.image import SPATIAL, ArrayLike, Image
from graticule.io import channels
from graticule.io.address import Source
from graticule.io.lazy import Arranged, Finite, Taken

IN_MEMORY = 64 * 2**20
"""Images of up to this many bytes are read at once; larger ones window by window, where the format allows."""

PLAUSIBLE = 5000
"""Largest ratio of pixels to stored bytes: deflate reaches 1032. More is a damaged header, not a good codec."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A file as it is: enough to describe it, and to make an `Image` of it once nothing is missing.

    Attributes
    ----------
    data
        One dimension per letter of `axes`, in the file's order.
    axes
        ``z``, ``y``, ``x``; ``c`` for channels; ``s`` for red, green, blue; ``t`` for time; any other letter is a
        dimension that the file does not name.
    spacing_um
        Distance between voxel centres along the spatial axes, in the order of `axes`; None where the file does not say.
    notes
        Sentences for people. The first says where the pixel size comes from, or why there is none.
    channels
        Names of the channels, as far as the file gives any.
    origin_um
        Where the first voxel's centre lies, in the order of `spacing_um`; None where the file does not say.
    labels
        The file says that its voxels are numbers of objects.
    """

    data: ArrayLike
    axes: str
    spacing_um: tuple[float, ...] | None
    notes: tuple[str, ...]
    channels: tuple[str, ...] = ()
    origin_um: tuple[float, ...] | None = None
    labels: bool = False


def in_order(axes: str, sizes_um: Mapping[str, float]) -> tuple[float, ...] | None:
    """Voxel sizes by axis as a tuple in the order of the spatial ones among `axes`; None unless all are known."""
    spatial = [axis for axis in axes if axis in SPATIAL]
    return tuple(sizes_um[axis] for axis in spatial) if spatial and all(axis in sizes_um for axis in spatial) else None


def squeezed(scan: Scan) -> Scan:
    """Without time and depth where there is but one of them, as TIFF has it: most images of five axes are plane."""
    for axis in "tz":
        at = scan.axes.find(axis)
        if at >= 0 and scan.data.shape[at] == 1 and len(scan.axes) > 2:
            scan = _without(scan, at)
    return scan


def _without(scan: Scan, at: int) -> Scan:
    letters = scan.axes[:at] + scan.axes[at + 1 :]
    kept = [i for i, axis in enumerate(a for a in scan.axes if a in SPATIAL) if axis != scan.axes[at]]
    spacing, origin = (one and tuple(one[i] for i in kept) for one in (scan.spacing_um, scan.origin_um))
    return replace(scan, data=Taken(scan.data, at, 0), axes=letters, spacing_um=spacing, origin_um=origin)


def renamed(scan: Scan, axes: str, path: Source) -> Scan:
    """The same file with its dimensions called `axes`; a pixel size stays if it is one for just those."""
    names = check_given_axes(axes, len(scan.data.shape), path)
    same = [a for a in names if a in SPATIAL] == [a for a in scan.axes if a in SPATIAL]
    notes = scan.notes if same else (f"{scan.notes[0]}, and none along {', '.join(set(names) - set(scan.axes))}",)
    spacing, origin = (scan.spacing_um, scan.origin_um) if same else (None, None)
    return replace(scan, axes=names, spacing_um=spacing, origin_um=origin, notes=notes)


def to_image(
    scan: Scan, path: Source, *, spacing_um: Sequence[float] | None = None, channel: str | int | None = None
) -> Image:
    """The image in `scan`, or the one thing that is missing to make it.

    `channel` is a number, a name, ``"mean"``, or ``"all"`` to keep the channel axis; a `spacing_um` with one entry
    counts for all axes.
    """
    _check_axes(scan.axes, scan.data.shape, path)
    data, axes = channels.select(scan.data, scan.axes, scan.channels, channel, path)
    order = "".join(axis for axis in "czyx" if axis in axes)
    spacing = _spacing(scan, axes, spacing_um, path)
    spatial = [axis for axis in axes if axis in SPATIAL]
    turned = [spatial.index(axis) for axis in order if axis in SPATIAL]
    origin = () if scan.origin_um is None else tuple(scan.origin_um[i] for i in turned)
    if order != axes:
        data = Arranged.ordered(data, axes, order)
    return Image(_without_nan(data, path), order, tuple(spacing[i] for i in turned), origin)


def _check_axes(axes: str, lengths: Sequence[int], path: Source) -> None:
    shape = " × ".join(map(str, lengths))
    if 0 in lengths:
        raise FormatError(f"{path}: found an image without pixels ({shape}); need at least one; save it again")
    if any(axis not in "czyxst" for axis in axes) or not {"y", "x"} <= set(axes) or len(set(axes)) < len(axes):
        raise FormatError(
            f"{path}: found {len(axes)} dimensions ({shape}) and no word on what they are; need their meaning; pass "
            f"e.g. --axes {_completed(axes)} or, of a dataset, write axes: {_completed(axes)} into dataset.yaml"
        )
    if "t" in axes:
        raise FormatError(
            f"{path}: found {lengths[axes.index('t')]} time points ({shape}, axes {axes}); need a single one; save "
            f"the one you want as its own file, or, if they are slices of a stack, pass --axes {axes.replace('t', 'z')}, "
            f"or write axes: {axes.replace('t', 'z')} into dataset.yaml"
        )
    if {"c", "s"} <= set(axes):
        raise FormatError(
            f"{path}: found channels and colours ({shape}, axes {axes}); need one of them; save single channels"
        )


def _completed(axes: str) -> str:
    """`axes` with the commonest meaning for what is not named: a suggestion, nothing more.

    >>> _completed("qyx"), _completed("iyxs")
    ('zyx', 'zyxs')
    """
    if not {"y", "x"} & set(axes):
        return {2: "yx", 3: "zyx"}.get(len(axes), "czyx")
    unused = iter(axis for axis in "zct" if axis not in axes)
    return "".join(axis if axis in "czyxs" else next(unused, "?") for axis in axes)


def _spacing(scan: Scan, axes: str, given: Sequence[float] | None, path: Source) -> tuple[float, ...]:
    """In the order of the spatial axes of the file. A given spacing is in the order z, y, x, like the image's."""
    spatial = [axis for axis in axes if axis in SPATIAL]
    if given is None:
        if scan.spacing_um is None:
            raise SpacingError(
                f"{path}: {scan.notes[0]}; need the pixel size in µm; pass --spacing-um, e.g. --spacing-um 0.1, or "
                f"one number per axis ({', '.join(spatial)})"
            )
        return scan.spacing_um
    spacing = tuple(float(s) for s in given)
    spacing = spacing * len(spatial) if len(spacing) == 1 else spacing
    if len(spacing) != len(spatial) or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise SpacingError(
            f"{path}: found pixel size {' '.join(f'{s:g}' for s in spacing) or 'of no number'} µm; need 1 or "
            f"{len(spatial)} positive numbers, for axes {', '.join(sorted(spatial, reverse=True))}; change --spacing-um"
        )
    by_axis = dict(zip((a for a in SPATIAL if a in spatial), spacing, strict=True))
    return tuple(by_axis[axis] for axis in spatial)


def _without_nan(data: ArrayLike, path: Source) -> ArrayLike:
    """Floating-point pixels are checked here where they are in memory, and in every window that is read where not."""
    if not np.issubdtype(data.dtype, np.floating):
        return data
    guarded = Finite(data, str(path))
    return guarded[...] if isinstance(data, np.ndarray) else guarded


@contextmanager
def reading(path: Source, what: str) -> Iterator[None]:
    """Whatever goes wrong while reading becomes one line that names the file; `what` it should be, e.g. ``TIFF``."""
    try:
        yield
    except GraticuleError:
        raise
    except MemoryError as error:
        raise FormatError(f"{path}: found more pixels than there is memory; need a smaller file or crop") from error
    except Exception as error:  # decoders raise anything on damaged files: struct.error, KeyError, SyntaxError …
        raise FormatError(
            f"{path}: found a damaged or unsupported {what} ({reason(error)}); need a readable one; {SAVE_AGAIN}"
        ) from error


SAVE_AGAIN = "copy it again from where it came from, or open and save it anew in ImageJ"


def reason(error: BaseException) -> str:
    """The first line of what a library says, short enough for a line of ours."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:160]}" if said else type(error).__name__


SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "NPY",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP",
    b"\x89HDF": "HDF5",
    b"<!DO": "web page",
    b"<htm": "web page",
}


def check_is_file(path: Path) -> None:
    """There is a file, and something is in it."""
    if path.is_dir():
        raise FormatError(f"{path}: found a folder; need an image file; name one of the files in it")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FormatError(f"{path}: found no such file; need an existing one; check the name") from error
    if not size:
        raise FormatError(f"{path}: found an empty file (0 bytes); need an image; copy it again")


def check_signature(path: Path, what: str) -> None:
    """The file begins as a `what` does (TIFF, PNG, JPEG, NPY)."""
    check_is_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise FormatError(f"{path}: could not be opened ({error.strerror}); need a file you may read") from error
    found = next((name for begin, name in SIGNATURES.items() if start.startswith(begin)), None)
    if found == what:
        return
    if found:
        raise FormatError(f"{path}: found a {found} inside; need a {what}, as its name says; rename or convert it")
    raise FormatError(f"{path}: found no {what} inside (it begins {start[:4]!r}); need a {what}; {SAVE_AGAIN}")


def check_plausible(path: Path, shape: Sequence[int], itemsize: int) -> None:
    """A few stored bytes cannot hold a giant image; asked before memory is."""
    claimed, stored = int(np.prod(shape, dtype=float)) * itemsize, path.stat().st_size
    if claimed > max(IN_MEMORY, PLAUSIBLE * stored):
        raise FormatError(
            f"{path}: found a header that claims {' × '.join(map(str, shape))} pixels in {stored} bytes; it is "
            f"damaged; {SAVE_AGAIN}"
        )


def numeric(dtype: np.dtype[np.generic], path: Source) -> None:
    """Pixels are whole or floating-point numbers."""
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        raise FormatError(f"{path}: found {kind}; need whole or floating-point numbers; save e.g. their magnitude")


def check_given_axes(axes: str, ndim: int, path: Source) -> str:
    """`axes` as the user gave them, in lower case: one known letter per dimension."""
    lower = axes.strip().lower()
    if not re.fullmatch("[czyxst]+", lower) or len(set(lower)) < len(lower) or not {"y", "x"} <= set(lower):
        raise FormatError(
            f"{path}: found axes {axes!r}; need letters among c (channel), z, y, x, each once, y and x among them; "
            f"change --axes, e.g. to {_completed('?' * ndim)}"
        )
    if len(lower) != ndim:
        raise FormatError(
            f"{path}: found axes {axes!r} for {ndim} dimensions; need {ndim} letters; change --axes, e.g. to "
            f"{_completed('?' * ndim)}"
        )
    return lower
