"""NumPy's .npy: numbers and a shape, nothing about size or meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graticule.errors import FormatError
from graticule.image import Array, ArrayLike
from graticule.io.scan import IN_MEMORY, Scan, check_given_axes, check_signature, numeric, reading


def describe(path: Path, *, axes: str | None = None) -> Scan:
    """What the file holds; two dimensions are ``yx``, the meaning of more is unknown until `axes` says."""
    check_signature(path, "NPY")
    with reading(path, "NPY"):
        # Mapped even when small: that checks the file's length before any memory is asked for. Never pickles.
        _check_plain(path)
        mapped = np.lib.format.open_memmap(path, mode="r")
        numeric(mapped.dtype, path)
        ndim = mapped.ndim
        if ndim < 2:
            raise FormatError(f"{path}: found an array of shape {mapped.shape}; need at least two dimensions, y and x")
        data = _in_memory(mapped) if mapped.nbytes <= IN_MEMORY or not mapped.dtype.isnative else mapped
    names = "?" * (ndim - 2) + "yx" if axes is None else check_given_axes(axes, ndim, path)
    unnamed = () if ndim == 2 or axes is not None else (f"the file does not say what its {ndim} dimensions are",)
    return Scan(data, names, None, ("NPY files record no pixel size", *unnamed))


def _check_plain(path: Path) -> None:
    """Arrays of Python objects are pickled, and loading a pickle runs code."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            _, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            _, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise FormatError(f"{path}: found pickled Python objects; need numbers; save a plain array with numpy.save")


def _in_memory(mapped: Array) -> ArrayLike:
    dtype = np.dtype(np.uint8) if mapped.dtype == bool else mapped.dtype.newbyteorder("=")
    return np.array(mapped, dtype, order="C")
