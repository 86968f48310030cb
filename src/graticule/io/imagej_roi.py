"""ImageJ's point selections: ``.roi`` holds one, ``.zip`` one or more.

ImageJ counts points from the centres of pixels, as we do: 7 is the middle of pixel 7, with and without sub-pixel
resolution, and is drawn half a pixel further (``ij.gui.Roi.useLineSubpixelConvention``, which holds for points). Only
the outlines of areas count from the corners of pixels. So nothing is shifted here.

The classes of points are the names of the selections in a ``.zip``, or the counters of one multi-point selection.
Confidence and diameter have no place there. ImageJ knows slices, not depths: z is a whole number of slices.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import roifile

from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.io.atomic import replacing
from graticule.io.naming import unknown
from graticule.io.placing import on_image
from graticule.io.scan import check_is_file, reading
from graticule.results import Points

logging.getLogger("roifile").addHandler(logging.NullHandler())

AUTOMATIC = re.compile(r"\d{3,}-\d{3,}(-\d{3,})?(-\d+)?")
"""Names that the ROI manager gives: slice, y and x."""

COUNTERS = 100
"""ImageJ's multi-point tool has this many."""


def write(points: Points, path: str | Path, image: Image) -> None:
    """``.zip``: one selection per class, named after it. ``.roi``: one selection, its counters number the classes."""
    path = Path(path)
    voxels = image.to_voxels(points.position_um)
    if path.suffix.lower() == ".zip":
        with replacing(path) as aside, zipfile.ZipFile(aside, "w") as archive:
            for i, name in enumerate(points.kinds):
                if (points.kind == i).any():
                    selection = _selection(voxels[points.kind == i], name, None)
                    archive.writestr(zipfile.ZipInfo(_entry(name)), selection.tobytes())
        return
    _check_fits_one_selection(points, path)
    with replacing(path) as aside:
        aside.write_bytes(_selection(voxels, path.stem, points.kind).tobytes())


def _entry(name: str) -> str:
    return re.sub(r"[^\w .+-]", "_", name) + ".roi"


def _check_fits_one_selection(points: Points, path: Path) -> None:
    if not len(points):
        raise AnnotationError(f"{path}: found no points; ImageJ has no empty selection; write a .zip or .csv instead")
    if len(points.kinds) > COUNTERS:
        raise AnnotationError(
            f"{path}: found {len(points.kinds)} classes; ImageJ has {COUNTERS} counters; write a .csv"
        )


def _selection(voxels: Array, name: str, counter: Array | None) -> roifile.ImagejRoi:
    xy = np.asarray(voxels[:, :-3:-1], np.float32)
    corner = np.floor(xy.min(axis=0) + 0.5).astype(int)
    far = np.floor(xy.max(axis=0) + 1.5).astype(int)
    selection = roifile.ImagejRoi()
    selection.roitype = roifile.ROI_TYPE.POINT
    selection.options = roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    selection.name = name
    selection.left, selection.top, selection.right, selection.bottom = (*map(int, corner), *map(int, far))
    selection.n_coordinates = len(xy)
    selection.integer_coordinates = np.floor(xy + 0.5).astype(np.int32) - corner.astype(np.int32)
    selection.subpixel_coordinates = xy
    if counter is not None or voxels.shape[1] == 3:
        selection.counters = np.zeros(len(xy), np.uint8) if counter is None else counter.astype(np.uint8)
        slices = np.rint(voxels[:, 0]).astype(np.uint32) + 1 if voxels.shape[1] == 3 else np.zeros(len(xy), np.uint32)
        selection.counter_positions = slices
    return selection


def read(path: str | Path, image: Image, *, kind: str | None = None, kinds: Sequence[str] | None = None) -> Points:
    """Points on `image`, in micrometres, with confidence 1.

    Parameters
    ----------
    path
        A ``.roi`` or a ``.zip`` of them.
    image
        What the points lie on.
    kind
        The class of all of them, whatever the file says.
    kinds
        The classes there can be. The counters of a multi-point selection number them from 0.
    """
    path = Path(path)
    check_is_file(path)
    with reading(path, "ImageJ selection"):
        selections = list(_selections(path))
        parts = [(_voxels(one, image, path), _names(one, path, kind, kinds)) for one in selections]
    voxels = np.concatenate([np.zeros((0, image.ndim)), *(places for places, _ in parts)])
    names = [name for _, part in parts for name in part]
    table = tuple(kinds) if kinds is not None else tuple(dict.fromkeys(names)) or (kind or "object",)
    for name in names:
        if name not in table:
            raise AnnotationError(f"{path}: {unknown('class', name, table)}")
    position_um = on_image(voxels, image, "px", path, [f"point {i + 1}" for i in range(len(voxels))])
    return Points.marked(position_um, np.array([table.index(name) for name in names], int), table)


def _selections(path: Path) -> Iterator[roifile.ImagejRoi]:
    if path.suffix.lower() == ".roi":
        yield roifile.ImagejRoi.frombytes(path.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".roi") and not name.startswith("__MACOSX"):
                selection = roifile.ImagejRoi.frombytes(archive.read(name))
                selection.name = selection.name or Path(name).stem
                yield selection


def _voxels(selection: roifile.ImagejRoi, image: Image, path: Path) -> Array:
    """``(N, ndim)``, possibly between voxels."""
    if selection.roitype != roifile.ROI_TYPE.POINT:
        raise AnnotationError(
            f"{path}: found a {selection.roitype.name.lower()} selection; need points; use ImageJ's multi-point tool"
        )
    yx = np.asarray(selection.coordinates(), float).reshape(-1, 2)[:, ::-1]
    if not np.isfinite(yx).all():
        raise AnnotationError(f"{path}: found points without a place; need numbers; save the selection again")
    return yx if image.ndim == 2 else np.column_stack([_slices(selection, len(yx), path), yx])


def _slices(selection: roifile.ImagejRoi, count: int, path: Path) -> Array:
    """From 0; ImageJ counts from 1, and 0 means all slices."""
    own: Any = selection.counter_positions
    if own is None or not np.any(own):
        own = np.full(count, selection.z_position or selection.position)
    if not np.all(own):
        raise AnnotationError(
            f"{path}: found points that belong to no slice, for a stack; need the slice of each; mark them on the stack"
        )
    return np.asarray(own, float) - 1


def _names(selection: roifile.ImagejRoi, path: Path, kind: str | None, kinds: Sequence[str] | None) -> list[str]:
    """The class of each point of a selection."""
    count = selection.n_coordinates
    if kind is not None:
        return [kind] * count
    counters = selection.counters
    if counters is not None and (np.any(counters) or _is_automatic(selection.name, path)):
        return [_counted(int(counter), kinds, path) for counter in counters]
    if kinds is not None and len(kinds) == 1:
        return [kinds[0]] * count
    return ["object" if _is_automatic(selection.name, path) else selection.name] * count


def _is_automatic(name: str, path: Path) -> bool:
    return not name or name == path.stem or AUTOMATIC.fullmatch(name) is not None


def _counted(counter: int, kinds: Sequence[str] | None, path: Path) -> str:
    if kinds is None:
        return f"counter {counter}"
    if counter >= len(kinds):
        raise AnnotationError(
            f"{path}: found counter {counter}; need 0 … {len(kinds) - 1}, one per class; recount them"
        )
    return kinds[counter]
