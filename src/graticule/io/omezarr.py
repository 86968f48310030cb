"""OME-Zarr: volumes of any size as folders of chunks, on disk or behind an address. 0.4 and 0.5 are read, 0.5 written.

::

    volume.zarr/zarr.json            which axes, levels and voxel sizes there are
    volume.zarr/0, 1, …              the voxels, each level half as fine as the one before
    volume.zarr/labels/NAME          labels on the same voxels, an image of its own

What is meant inside a folder follows a colon: ``volume.zarr:1``, ``volume.zarr:/labels/mask``. Zarr without OME's
metadata is read, too; what it does not say is asked for. zarr takes long to import, and so is imported by those who
need it only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graticule.errors import FormatError, GraticuleError
from graticule.image import SPATIAL, Image
from graticule.io import omezarr_metadata
from graticule.io.address import ZARR_MARKS, Address, Source, image_name, is_zarr
from graticule.io.atomic import replacing_folder
from graticule.io.blocks import copy
from graticule.io.omezarr_metadata import Multiscale
from graticule.io.omezarr_pyramid import add_pyramid
from graticule.io.omezarr_write import CHUNK_2D, CHUNK_3D, chunk_of, create, open_level
from graticule.io.scan import SAVE_AGAIN, Scan, check_given_axes, numeric, reason, renamed, squeezed
from graticule.io.zarr_array import Stored

if TYPE_CHECKING:
    import zarr

__all__ = ["CHUNK_2D", "CHUNK_3D", "add_pyramid", "chunk_of", "create", "describe", "open_level", "write"]

Node = Any
"""A Zarr group or array."""


def describe(source: Source, *, axes: str | None = None) -> Scan:
    """What is stored at `source`; its finest level unless another is named. `axes` replaces what it says of them."""
    at = Address.of(source)
    with _understanding(at):
        root = _open(at, "")
        found = _find(at, root)
    numeric(np.dtype(found.array.dtype), at.root)
    data = Stored(str(source), found.array)
    scan = _sized(data, found) if found.image else _bare(data, found.array, axes)
    if axes is not None and found.image:
        return renamed(scan, axes, source)
    return scan if axes is not None else squeezed(scan)


# -- which array -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An array, and the image it is a level of, if any."""

    array: zarr.Array[Any]
    image: Multiscale | None = None
    level: int = 0


def _open(at: Address, path: str) -> Node:
    """The group or array at `path` in the store, of either version of Zarr."""
    import zarr

    if not at.is_remote:
        if not at.path.exists():
            raise FormatError(f"{at.root}: found no such file or folder; need an existing one; check the name")
        return zarr.open(zarr.storage.LocalStore(at.path, read_only=True), path=path, mode="r")
    try:
        store = zarr.storage.FsspecStore.from_url(at.root, read_only=True)
    except ImportError as error:
        raise FormatError(
            f"{at.root}: found an address that takes another package to open ({error}); install it, or copy the image"
        ) from error
    return zarr.open(store, path=path, mode="r")


def _find(at: Address, root: Node) -> Found:
    """The array that is meant: of the image at the root, or of one further inside."""
    import zarr

    node, image, inner = root, _image_of(root, at), at.inner
    while inner and not (image and image.level(inner)):
        name, _, inner = inner.partition("/")
        if isinstance(node, zarr.Array) or name not in node:
            raise FormatError(f"{at.root}: found no {at.inner!r} inside; need one of {_choices(node)}; change it")
        node = node[name]
        image = _image_of(node, at)
    if isinstance(node, zarr.Array):
        return Found(node)
    if image is None:
        return _only_array(node, at)
    level = image.level(inner) if inner else image.levels[0]
    assert level is not None
    return Found(_level_array(node, level.path, image, at), image, image.levels.index(level))


def _image_of(node: Node, at: Address) -> Multiscale | None:
    import zarr

    return None if isinstance(node, zarr.Array) else omezarr_metadata.parse(dict(node.attrs), at.root)


def _level_array(group: Node, path: str, image: Multiscale, at: Address) -> zarr.Array[Any]:
    import zarr

    array = group.get(path)
    if not isinstance(array, zarr.Array):
        raise FormatError(
            f"{at.root}: found no array {path!r}, a level that the metadata list; need all of them; copy it again"
        )
    if len(array.shape) != len(image.axes):
        raise FormatError(
            f"{at.root}: found {len(array.shape)} dimensions in {path!r}, but {len(image.axes)} axes in the metadata; "
            f"need as many; {omezarr_metadata.ASK_AGAIN}"
        )
    return array


def _only_array(group: Node, at: Address) -> Found:
    """The array of a group that says nothing; or its only image, as Bio-Formats nests them."""
    arrays, groups = _members(group)
    if len(arrays) == 1:
        return Found(group[arrays[0]])
    inside = [name for name in groups if _image_of(group[name], at)] if not arrays else []
    if len(inside) == 1:
        nested = group[inside[0]]
        image = _image_of(nested, at)
        assert image is not None
        return Found(_level_array(nested, image.levels[0].path, image, at), image, 0)
    where = f"{at.root}:/{at.inner + '/' if at.inner else ''}"
    if not arrays and not groups:
        raise FormatError(f"{at.root}: found a Zarr group without arrays, as far as can be seen; name one: {where}NAME")
    named = arrays or inside or groups
    raise FormatError(
        f"{at.root}: found {len(named)} {'arrays' if arrays else 'groups'} ({', '.join(named[:20])}); need one; name "
        f"it, e.g. {where}{named[0]}"
    )


def _members(group: Node) -> tuple[list[str], list[str]]:
    """Names of the arrays and groups inside; web servers cannot list any, unless the metadata are consolidated."""
    import zarr

    try:
        members = sorted(group.members())
    except Exception:
        return [], []
    return [n for n, m in members if isinstance(m, zarr.Array)], [
        n for n, m in members if not isinstance(m, zarr.Array)
    ]


def _choices(node: Node) -> str:
    import zarr

    if isinstance(node, zarr.Array):
        return "none, as it is an array"
    arrays, groups = _members(node)
    return ", ".join([*arrays, *groups][:20]) or "what is in it, which cannot be listed here"


# -- what it says ------------------------------------------------------------------------------------------------------


def _sized(data: Stored, found: Found) -> Scan:
    image = found.image
    assert image is not None
    level = image.levels[found.level]
    sizes, source = image.sizes_um(level)
    spatial = [axis for axis in image.axes if axis in SPATIAL]
    spacing = tuple(sizes[axis] for axis in spatial) if spatial and sizes else None
    notes = [source]
    if len(image.levels) > 1:
        notes.append(f"level {found.level} of {len(image.levels)} (0 is the finest; others by :1, :2 …)")
    origin = image.origin_um(level) if spacing else None
    return Scan(data, image.axes, spacing, tuple(notes), image.channels, origin, image.labels)


def _bare(data: Stored, array: zarr.Array[Any], axes: str | None) -> Scan:
    """Zarr without OME: it may name its dimensions, and has no place for sizes."""
    ndim = len(data.shape)
    if ndim < 2:
        raise FormatError(f"{data.source}: found an array of shape {data.shape}; need at least two dimensions, y and x")
    named = _dimension_names(array)
    own = named or ("yx" if ndim == 2 else "?" * (ndim - 2) + "yx")
    letters = own if axes is None else check_given_axes(axes, ndim, data.source)
    unnamed = (f"the file does not say what its {ndim} dimensions are",) if "?" in letters else ()
    return Scan(data, letters, None, ("the Zarr has no OME metadata and no voxel size", *unnamed))


def _dimension_names(array: zarr.Array[Any]) -> str:
    """Version 3 has a place for them, xarray one of its own in version 2; empty unless all are letters we know."""
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    lower = "".join(name.lower() if isinstance(name, str) and len(name) == 1 else "?" for name in names)
    known = set(lower) <= set("czyxt") and {"y", "x"} <= set(lower) and len(set(lower)) == len(lower)
    return lower if known and len(lower) == len(array.shape) else ""


# -- what can be wrong -------------------------------------------------------------------------------------------------


@contextmanager
def _understanding(at: Address) -> Iterator[None]:
    """Whatever goes wrong before the first voxel becomes one line that names the address, and the file if one knows."""
    try:
        yield
    except GraticuleError:
        raise
    except FileNotFoundError as error:
        if broken := _broken_file(at):
            raise broken from error
        found = "no Zarr there" if at.is_remote else "no Zarr array or group inside"
        raise FormatError(f"{at.root}: found {found}; need an OME-Zarr image; check the address") from error
    except Exception as error:
        raise _broken_file(at) or _unreadable(at, error) from error


def _unreadable(at: Address, error: Exception) -> FormatError:
    found, then = "a damaged or unsupported Zarr", "copy it again from where it came from"
    if at.is_remote:
        found, then = f"{found}, or no way to it", "check the address and the network"
    return FormatError(f"{at.root}: found {found} ({reason(error)}); need a readable one; {then}")


def _broken_file(at: Address) -> FormatError | None:
    """The first file of metadata that is no JSON, near what was asked for; only looked for on disk."""
    if at.is_remote:
        return None
    folders = [at.path, *(at.path.joinpath(*at.inner.split("/")[: i + 1]) for i in range(at.inner.count("/") + 1))]
    inside = [folder / name for folder in folders for name in ZARR_MARKS]
    below = [file for folder in folders for name in ZARR_MARKS for file in sorted(folder.glob(f"*/{name}"))]
    for file in [*inside, *below]:
        if file.is_file() and (why := _json_fault(file)):
            return FormatError(f"{file}: found damaged metadata ({why}); need whole JSON; {SAVE_AGAIN.split(',')[0]}")
    return None


def _json_fault(file: Path) -> str:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return reason(error)
    return "" if isinstance(said, Mapping) else f"a {type(said).__name__} where an object should be"


# -- writing -----------------------------------------------------------------------------------------------------------


def write(image: Image, path: Path, *, labels: bool = False, channels: Sequence[str] = ()) -> None:
    """A whole pyramid at `path`, in the memory of a few blocks; an earlier Zarr there is replaced.

    `labels` are not averaged in coarser levels.
    """
    dtype = _writable(np.dtype(image.data.dtype), path)
    with replacing_folder(path, replaceable=is_zarr) as aside:
        array = create(
            aside,
            axes=image.axes,
            shape=tuple(image.data.shape),
            dtype=dtype,
            spacing_um=image.spacing_um,
            origin_um=image.origin_um,
            channels=channels,
            labels=labels,
            name=image_name(path),
        )
        copy(image.data, array, array.chunks)
        add_pyramid(aside)


def _writable(dtype: np.dtype[Any], path: Path) -> np.dtype[Any]:
    """Every number there is a reader for; what is true or false becomes 1 or 0."""
    numeric(dtype, path)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype
