"""MRC, the format of electron tomography: a header of 1024 bytes, then voxels in one piece; lengths are in Å.

What the header means is mrcfile's business, which takes long to import, and so is imported by those who need it only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from graticule.errors import FormatError
from graticule.image import SPATIAL, Array, Image
from graticule.io.atomic import replacing
from graticule.io.lazy import Contiguous
from graticule.io.scan import SAVE_AGAIN, Scan, check_given_axes, check_is_file, in_order, reading

PER_UM = 1e4
"""Å in one µm."""

HEADER = 1024
IMOD = 1146047817
"""IMOD's mark; its bytes are unsigned unless a flag says otherwise."""

AXIS = {1: "x", 2: "y", 3: "z"}
LABEL = b"Written by Graticule"


def describe(path: Path, *, axes: str | None = None) -> Scan:
    """What the file holds. A stack of images is no volume until `axes` says so."""
    from mrcfile.mrcfile import MrcFile

    check_is_file(path)
    with reading(path, "MRC"), MrcFile(str(path), "r", header_only=True) as file:
        header, extra = file.header.copy(), int(file.header.nsymbt)
    with reading(path, "MRC"):
        shape, dtype = _layout(header, path)
    _check_end(HEADER + extra, shape, dtype, path)
    data = Contiguous(path, HEADER + extra, shape, dtype)
    letters = _axes(header, len(shape)) if axes is None else check_given_axes(axes, len(shape), path)
    sizes, source = _sizes_um(header, len(shape))
    remarks = ("the header calls it a stack of images, not a volume",) if "?" in letters else ()
    spacing = in_order(letters, sizes)
    return Scan(data, letters, spacing, (source, *remarks), (), _origin(header, letters) if spacing else None)


def _layout(header: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    from mrcfile import utils

    dtype = np.dtype(utils.data_dtype_from_header(header))
    if dtype.kind == "c":
        raise FormatError(f"{path}: found complex numbers; need whole or floating-point numbers; save their magnitude")
    if dtype == np.int8 and _is_unsigned(header):
        dtype = np.dtype(np.uint8)
    shape = tuple(int(n) for n in utils.data_shape_from_header(header))
    if min(shape) < 1:
        raise FormatError(f"{path}: found a size of {' × '.join(map(str, shape))}; need voxels; {SAVE_AGAIN}")
    return shape, dtype


def _is_unsigned(header: Any) -> bool:
    """IMOD's mark and flags lie at byte 152 of the file, in what the format leaves free from byte 112 on."""
    stamp, flags = np.frombuffer(header["extra2"].tobytes()[40:48], header["mode"].dtype)
    return bool(stamp == IMOD and not flags & 1)


def _check_end(start: int, shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    end, size = start + int(np.prod(shape, dtype=float)) * dtype.itemsize, path.stat().st_size
    if end > size:
        raise FormatError(f"{path}: found a truncated MRC ({size} of {end} bytes); need all; copy it again")


def _axes(header: Any, ndim: int) -> str:
    """Columns, rows and sections are x, y and z, unless the header turns them."""
    order = [int(header[name]) for name in ("maps", "mapr", "mapc")]
    turned = "".join(AXIS[number] for number in order) if sorted(order) == [1, 2, 3] else SPATIAL
    if ndim == 3 and int(header["ispg"]) != 0:
        return turned
    return "yx" if ndim == 2 else "?" * (ndim - 2) + "yx" if int(header["ispg"]) == 0 else "?" + turned


def _sizes_um(header: Any, ndim: int) -> tuple[dict[str, float], str]:
    """By axis. Single precision holds seven digits; what is behind them is no one's choice."""
    sizes = {}
    for axis in SPATIAL[-min(ndim, 3) :]:
        cell, count = float(header["cella"][axis]), int(header["m" + axis])
        stack = axis == "z" and int(header["ispg"]) == 0 and count != int(header["nz"])
        if count > 0 and cell > 0 and np.isfinite(cell) and not stack:
            sizes[axis] = float(f"{cell / count / PER_UM:.7g}")
    if not {"y", "x"} <= set(sizes):
        return {}, "the MRC header gives a voxel size of 0"
    return sizes, "voxel size from the MRC header, unit Å"


def _origin(header: Any, axes: str) -> tuple[float, ...]:
    return tuple(float(f"{float(header['origin'][axis]) / PER_UM:.7g}") for axis in axes if axis in SPATIAL)


# -- writing -----------------------------------------------------------------------------------------------------------

WIDER = {
    "bool": "uint16",
    "uint8": "uint16",
    "uint32": "uint16",
    "uint64": "uint16",
    "int32": "int16",
    "int64": "int16",
    "float64": "float32",
}
"""What becomes of numbers that MRC has no place for; whole ones have to fit."""


def write(image: Image, path: Path) -> None:
    """A volume or a single plane, plane by plane. Bytes become 16-bit numbers, doubles lose digits: MRC has neither."""
    if "c" in image.axes:
        raise FormatError(
            f"{path}: found {image.data.shape[0]} channels; MRC has one; write them one by one: --channel"
        )
    own = np.dtype(image.data.dtype)
    dtype = np.dtype(WIDER.get(own.name, own))
    if dtype.name not in ("int8", "int16", "uint16", "float16", "float32"):
        raise FormatError(f"{path}: found values of type {own}; need whole or floating-point numbers; convert them")
    statistics = Statistics()
    with replacing(path) as aside, aside.open("wb") as file:
        file.write(bytes(HEADER))
        for plane in _planes(image, dtype, path):
            statistics.add(plane)
            file.write(plane.tobytes())
        file.seek(0)
        _write_header(file, image, dtype, statistics)


def _planes(image: Image, dtype: np.dtype[Any], path: Path) -> Iterator[Array]:
    for place in product(*(range(n) for n in image.data.shape[:-2])):
        plane = np.asarray(image.data[place])
        if dtype.kind != "f" and plane.size:
            limits = np.iinfo(dtype)
            if plane.min() < limits.min or plane.max() > limits.max:
                raise FormatError(
                    f"{path}: found whole numbers beyond {limits.min} … {limits.max}, which MRC cannot hold; write "
                    "TIFF, HDF5 or Zarr"
                )
        yield np.ascontiguousarray(plane, dtype)


@dataclass(slots=True)
class Statistics:
    """Of all voxels, which the header of an MRC has to know; gathered on the way."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, plane: Array) -> None:
        """Count `plane` in."""
        exact = plane.astype(np.float64)
        self.count += plane.size
        self.total += float(exact.sum())
        self.squares += float(np.square(exact).sum())
        self.low, self.high = min(self.low, float(exact.min())), max(self.high, float(exact.max()))

    @property
    def mean(self) -> float:
        """The arithmetic one."""
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(max(0.0, self.squares / self.count - self.mean**2)))


def _write_header(file: BinaryIO, image: Image, dtype: np.dtype[Any], statistics: Statistics) -> None:
    from mrcfile import utils
    from mrcfile.dtypes import HEADER_DTYPE

    header = np.zeros((), HEADER_DTYPE)
    ndim = image.ndim
    for axis, length, size, start in zip(SPATIAL[-ndim:], image.shape, image.spacing_um, image.origin_um, strict=True):
        header["n" + axis] = header["m" + axis] = length
        header["cella"][axis] = length * size * PER_UM
        header["origin"][axis] = start * PER_UM
    if ndim == 2:
        header["nz"] = header["mz"] = 1
        header["cella"]["z"] = image.spacing_um[-1] * PER_UM
    header["mode"] = utils.mode_from_dtype(dtype)
    for angle in ("alpha", "beta", "gamma"):
        header["cellb"][angle] = 90
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"] = statistics.low, statistics.high
    header["dmean"], header["rms"] = statistics.mean, statistics.deviation
    header["ispg"] = 1 if ndim == 3 else 0
    header["nversion"], header["map"] = 20141, b"MAP "
    header["machst"] = utils.machine_stamp_from_byte_order("=")
    # A date would make two runs differ.
    header["nlabl"], header["label"][0] = 1, LABEL
    file.write(header.tobytes())
