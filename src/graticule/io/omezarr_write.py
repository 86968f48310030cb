"""OME-Zarr 0.5, as we write it: the group with its metadata, and its arrays to be filled block by block.

zarr takes long to import, and so is imported by those who need it only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graticule.image import SPATIAL
from graticule.io import omezarr_metadata
from graticule.io.atomic import replacing

if TYPE_CHECKING:
    import zarr

CHUNK_3D = (64, 128, 128)
"""Voxels of a volume in one file: 1 MB of bytes, so that disks and networks are kept busy by few requests."""

CHUNK_2D = (512, 512)

LEVEL_0 = "0"
META = "zarr.json"


def chunk_of(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The chunks we write: a single channel each, and no larger than the image.

    >>> chunk_of("czyx", (3, 40, 1000, 1000))
    (1, 40, 128, 128)
    """
    usual = dict(zip(SPATIAL, CHUNK_3D, strict=True)) if "z" in axes else dict(zip("yx", CHUNK_2D, strict=True))
    return tuple(max(1, min(usual.get(axis, 1), length)) for axis, length in zip(axes, shape, strict=True))


def create(
    folder: Path,
    *,
    axes: str,
    shape: tuple[int, ...],
    dtype: Any,
    spacing_um: tuple[float, ...],
    origin_um: tuple[float, ...] = (),
    channels: Sequence[str] = (),
    labels_of: Path | None = None,
    labels: bool = False,
    name: str = "",
    chunks: tuple[int, ...] | None = None,
) -> zarr.Array[Any]:
    """A new image of zeros in `folder`, complete but for its voxels; its level 0, to be written block by block.

    Chunks that hold nothing but zeros take no room on disk. Coarser levels are made from it by `omezarr.add_pyramid`.

    Parameters
    ----------
    folder
        The image's own folder, made here. May not hold an image yet.
    axes
        ``(c, z,) y, x`` as in `Image`; `shape` has one entry for each letter.
    spacing_um, origin_um
        One entry for each spatial axis.
    channels
        Names of the channels, if `axes` has a ``c``.
    labels_of
        For labels on the voxels of an image: the folder of that image, of which `folder` is ``labels/NAME``.
    labels
        The voxels are labels, also without an image: coarser levels then hold no means.
    name
        For people; the folder's name if left out.
    chunks
        In place of ``chunk_of(axes, shape)``. Who writes blocks that are multiples of them owns the files he writes.
    """
    import zarr

    folder = Path(folder)
    kind = np.dtype(dtype)
    labels = labels or labels_of is not None
    if labels_of is not None and folder.parent != Path(labels_of) / "labels":
        raise ValueError(f"{folder}: labels of {labels_of} lie in {Path(labels_of) / 'labels'}")
    origin = origin_um or (0.0,) * len(spacing_um)
    title = name or folder.name.removesuffix(".zarr").removesuffix(".ome")
    said: dict[str, Any] = {
        "version": omezarr_metadata.VERSION,
        "multiscales": [omezarr_metadata.multiscales(title, axes, [spacing_um], [origin], labels=labels)],
    }
    if channels:
        said["omero"] = omezarr_metadata.omero(channels, kind)
    if labels:
        said["image-label"] = {"source": {"image": "../../"}} if labels_of is not None else {}
    zarr.create_group(folder, zarr_format=3, attributes={"ome": said})
    array = add_level(folder, LEVEL_0, axes, shape, kind, chunks or chunk_of(axes, shape))
    if labels_of is not None:
        _enlist(Path(labels_of), folder.name)
    return array


def add_level(
    folder: Path, name: str, axes: str, shape: Sequence[int], dtype: np.dtype[Any], chunks: Sequence[int]
) -> zarr.Array[Any]:
    """A new array of zeros in the image `folder`; one of this name is replaced."""
    import zarr
    from zarr.codecs import ZstdCodec

    return zarr.create_array(
        folder / name,
        shape=tuple(shape),
        dtype=dtype.newbyteorder("="),
        chunks=tuple(chunks),
        # Zstandard's checksum tells a damaged chunk from a sound one.
        compressors=ZstdCodec(level=3, checksum=True),
        fill_value=0,
        dimension_names=list(axes),
        overwrite=True,
    )


def open_level(folder: Path, level: int = 0) -> zarr.Array[Any]:
    """A level of an image written by `create`, to go on writing."""
    import zarr

    return zarr.open_array(Path(folder) / str(level), mode="r+")


def _enlist(image: Path, name: str) -> None:
    """The group ``labels`` lists what is in it."""
    import zarr

    meta = image / "labels" / META
    if not meta.exists():
        zarr.create_group(meta.parent, zarr_format=3, attributes={"ome": {"version": omezarr_metadata.VERSION}})
    ome = attributes(meta.parent)["ome"]
    listed = ome.get("labels", [])
    if name not in listed:
        set_ome(meta.parent, ome | {"labels": [*listed, name]})


def attributes(folder: Path) -> dict[str, Any]:
    """What a group of ours says of itself."""
    said: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))["attributes"]
    return said


def set_ome(folder: Path, ome: dict[str, Any]) -> None:
    """Replace what a group of ours says of itself, at once or not at all."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    meta["attributes"]["ome"] = ome
    with replacing(folder / META) as aside:
        aside.write_text(json.dumps(meta, indent=2), encoding="utf-8")
