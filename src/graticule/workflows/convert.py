"""An image from one format into another, of any size, with its axes and its voxel size."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graticule.errors import FormatError
from graticule.image import Image
from graticule.io import Scan, check_image_target, describe, write_image
from graticule.io.address import Address, Source
from graticule.io.blocks import Slabs, Watched
from graticule.io.scan import to_image
from graticule.workflows.results import check_writable

PLANE_BY_PLANE = (".tif", ".tiff", ".mrc")
"""Formats that are written so; the others in blocks."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written; `lost` is what the new format has no place for, a sentence each."""

    image: Image
    stored: str
    lost: tuple[str, ...]


def convert(
    source: Source,
    target: Source,
    *,
    axes: str | None = None,
    spacing_um: Sequence[float] | None = None,
    channel: str | int | None = None,
    labels: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write the image `source` as `target`, whose suffix says the format; it appears whole or not at all.

    Parameters
    ----------
    source, target
        Files, folders or, of the source, addresses. There may be nothing at `target` yet.
    axes, spacing_um, channel
        How to read the source, as `graticule.io.read` has it; all channels are kept unless one is named.
    labels
        The voxels are numbers of objects, though the source does not say so: coarser levels then hold no means.
    progress
        Called with the per cent of voxels that are read, and 100.
    """
    check_image_target(target)
    _check_new(Address.of(target).path)
    scan = describe(source, axes=axes)
    image = to_image(scan, source, spacing_um=spacing_um, channel="all" if channel is None else channel)
    _check_labels(labels, image, source)
    write_image(
        _watched(image, Address.of(target).suffix, progress),
        target,
        labels=labels or scan.labels,
        channels=_names(scan, image),
    )
    stored = describe(target)
    return Converted(image=image, stored=str(stored.data.dtype), lost=tuple(_lost(image, stored)))


def _check_new(path: Path) -> None:
    """A conversion is no reason to lose what is there, labels in an OME-Zarr above all."""
    if os.path.lexists(path):
        raise FormatError(f"{path}: found something there already; need a new name; choose another, or remove it")
    check_writable(path)


def _check_labels(labels: bool, image: Image, source: Source) -> None:
    if labels and np.dtype(image.data.dtype).kind not in "iub":
        raise FormatError(f"{source}: found values of type {image.data.dtype}; labels are whole numbers; drop --labels")


def _watched(image: Image, suffix: str, progress: Progress | None) -> Image:
    """The image as the writer of `suffix` is to read it."""
    data = Slabs.of(image.data, image.axes) if suffix in PLANE_BY_PLANE else image.data
    if progress is not None:
        told = progress
        data = Watched(data, lambda done, total: told(100 * done // total, 100))
    return Image(data, image.axes, image.spacing_um, image.origin_um)


def _names(scan: Scan, image: Image) -> tuple[str, ...]:
    """Names of the channels that were kept."""
    kept = "c" in image.axes and len(scan.channels) == image.data.shape[image.axes.index("c")]
    return scan.channels if kept else ()


def _lost(image: Image, stored: Scan) -> list[str]:
    lost = []
    if any(image.origin_um) and stored.origin_um is None:
        place = ", ".join(f"{start:g}" for start in image.origin_um)
        lost.append(f"the place of the first voxel ({place} µm): the new format has none")
    if np.dtype(image.data.dtype) != np.dtype(stored.data.dtype):
        lost.append(f"the type of numbers: {image.data.dtype} became {stored.data.dtype}")
    return lost
