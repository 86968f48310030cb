"""HDF5: a file of arrays with names, of which one is the image: ``file.h5:/path/to/dataset``.

Voxel sizes are where Fiji and ilastik write them: the attribute ``element_size_um`` (z, y, x). h5py takes long to
import, and so is imported by those who need it only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from graticule.box import window
from graticule.errors import FormatError
from graticule.image import SPATIAL, Array, Image
from graticule.io.address import Address, Source
from graticule.io.atomic import replacing
from graticule.io.blocks import copy
from graticule.io.omezarr_write import chunk_of
from graticule.io.scan import (
    SAVE_AGAIN,
    Scan,
    check_given_axes,
    check_signature,
    in_order,
    numeric,
    reading,
    reason,
    squeezed,
)

SIZES, ORIGIN, TAGS = "element_size_um", "origin_um", "axistags"
DATASET = "data"
"""Name of the dataset that we write, unless another is given."""


def describe(source: Source, *, axes: str | None = None) -> Scan:
    """What is stored in the dataset that `source` names, or in the only one that can be an image."""
    import h5py

    at = Address.of(source)
    if at.is_remote:
        raise FormatError(f"{source}: found an HDF5 file on the web; need OME-Zarr there; download it first")
    check_signature(at.path, "HDF5")
    with reading(at.root, "HDF5"), h5py.File(at.path, "r") as file:
        name = _chosen(file, at)
        dataset = file[name]
        numeric(np.dtype(dataset.dtype), source)
        return _scan(at, name, dataset, axes)


def _chosen(file: Any, at: Address) -> str:
    import h5py

    names = _images(file)
    listed = ", ".join(names[:20]) or "none, as there is no array of two dimensions or more"
    if at.inner:
        if not isinstance(file.get(at.inner), h5py.Dataset):
            raise FormatError(f"{at.root}: found no dataset {at.inner!r} inside; need one of {listed}; change it")
        return at.inner
    if len(names) != 1:
        example = f"; name it, e.g. {at.root}:/{names[0]}" if names else f"; {SAVE_AGAIN}"
        raise FormatError(f"{at.root}: found {len(names)} datasets that can be images ({listed}); need one{example}")
    return names[0]


def _images(file: Any) -> list[str]:
    """Names of datasets with two dimensions or more."""
    import h5py

    found: list[str] = []

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and len(node.shape or ()) >= 2:
            found.append(name)

    file.visititems(look)
    return sorted(found)


def _scan(at: Address, name: str, dataset: Any, axes: str | None) -> Scan:
    data = Stored(at.path, name, tuple(dataset.shape), np.dtype(dataset.dtype), dataset.chunks)
    if len(data.shape) < 2:
        raise FormatError(f"{at.root}: found an array of shape {data.shape} in {name!r}; need y and x at least")
    sizes = _lengths(dataset.attrs.get(SIZES))
    letters = _axes(dataset, sizes) if axes is None else check_given_axes(axes, len(data.shape), at.root)
    positive = bool(sizes) and all(size > 0 for size in sizes)
    by_axis = dict(zip(SPATIAL[-len(sizes) :], sizes, strict=True)) if positive else {}
    spacing = in_order(letters, by_axis)
    remarks = (f"the file does not say what its {len(data.shape)} dimensions are",) if "?" in letters else ()
    scan = Scan(data, letters, spacing, (_sizing_note(sizes, positive), f"dataset /{name}", *remarks))
    start = dict(zip(SPATIAL[-len(sizes) :], _lengths(dataset.attrs.get(ORIGIN)), strict=False))
    scan = Scan(data, letters, spacing, scan.notes, (), in_order(letters, start) if spacing else None)
    return scan if axes is not None else squeezed(scan)


def _sizing_note(sizes: tuple[float, ...], positive: bool) -> str:
    if positive:
        return f"voxel size from the attribute {SIZES}"
    return f"the attribute {SIZES} gives a voxel size of {sizes}" if sizes else f"there is no attribute {SIZES}"


def _lengths(said: Any) -> tuple[float, ...]:
    """Two or three numbers; none where there is anything else."""
    try:
        numbers = tuple(float(number) for number in np.ravel(said))
    except (TypeError, ValueError):
        return ()
    return numbers if len(numbers) in (2, 3) and np.isfinite(numbers).all() else ()


def _axes(dataset: Any, sizes: tuple[float, ...]) -> str:
    """By ilastik's tags, HDF5's own labels, or as many voxel sizes as there are dimensions; else unknown."""
    ndim = len(dataset.shape)
    for said in (_tags(dataset), _labels(dataset)):
        if len(said) == ndim and set(said) <= set("czyxt") and {"y", "x"} <= set(said) and len(set(said)) == ndim:
            return said
    if ndim == 2 or ndim == len(sizes):
        return SPATIAL[-ndim:]
    return "?" * (ndim - 2) + "yx"


def _tags(dataset: Any) -> str:
    try:
        return "".join(axis["key"] for axis in json.loads(dataset.attrs[TAGS])["axes"])
    except (KeyError, TypeError, ValueError):
        return ""


def _labels(dataset: Any) -> str:
    """Read as the attribute they are: the library's own function for them crashes on damaged files."""
    said = np.ravel(dataset.attrs.get("DIMENSION_LABELS", ()))
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in said]
    return "".join(word.lower() if len(word) == 1 else "?" for word in words)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A dataset that is only ever sliced; its file is opened anew for each window, so nothing stays open."""

    path: Path
    name: str
    shape: tuple[int, ...]
    stored: np.dtype[Any]
    chunks: tuple[int, ...] | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """In this machine's byte order; what is true or false is 0 or 1."""
        return np.dtype(np.uint8) if self.stored.kind == "b" else self.stored.newbyteorder("=")

    def __getitem__(self, key: Any) -> Array:
        import h5py

        read, then = window(key, self.shape)
        try:
            with h5py.File(self.path, "r") as file:
                found = np.asarray(file[self.name][read])
        except Exception as error:  # filters raise anything on damaged bytes
            where = ", ".join(f"{s.start}–{s.stop - 1}" for s in read)
            raise FormatError(
                f"{self.path}: found voxels {where} of {self.name!r} that cannot be read ({reason(error)}); need all "
                "that is stored to be whole, and no filter that h5py lacks; copy it again, or save it with gzip"
            ) from error
        return found.astype(self.dtype, copy=False)[then]


# -- writing -----------------------------------------------------------------------------------------------------------


def write(image: Image, path: Source) -> None:
    """One dataset of compressed chunks (deflate has a checksum of its own) that says its axes and voxel size as others do."""
    import h5py

    at = Address.of(path)
    dtype = np.dtype(image.data.dtype)
    numeric(dtype, path)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    chunks = chunk_of(image.axes, image.data.shape)
    how = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    with replacing(at.path) as aside, Sink(aside, "r+") as sink:
        with h5py.File(sink, "w") as file:
            dataset = file.create_dataset(
                at.inner or DATASET, image.data.shape, dtype, chunks=chunks, track_times=False, **how
            )
            _describe(dataset, image.axes, image.spacing_um, image.origin_um)
            copy(image.data, dataset, chunks, after=sink.check)
        sink.check()


def _describe(dataset: Any, axes: str, spacing_um: Sequence[float], origin_um: Sequence[float]) -> None:
    dataset.attrs[SIZES] = np.array(spacing_um, np.float64)
    dataset.attrs[ORIGIN] = np.array(origin_um, np.float64)
    # Type flags as vigra has them: 1 a channel, 2 space.
    tags = [
        {"key": axis, "typeFlags": 2 if axis in SPATIAL else 1, "resolution": 0, "description": ""} for axis in axes
    ]
    dataset.attrs[TAGS] = json.dumps({"axes": tags})
    for dimension, axis in zip(dataset.dims, axes, strict=True):
        dimension.label = axis


class Sink(FileIO):
    """A file to write to that never fails but remembers why it would have: HDF5 does not survive a full disk."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """All of `data`, or nothing more after the first failure."""
        left = memoryview(data).cast("B")
        try:
            while left and not self.error:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes

    def truncate(self, size: int | None = None, /) -> int:
        """Make room."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self.error:
            raise self.error
