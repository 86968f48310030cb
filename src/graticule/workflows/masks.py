"""Which mask belongs to an image: a file, one of its name in a folder, or what an earlier run of ours outlined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference.gate import Gate
from graticule.io import describe, image_name, is_image, read
from graticule.io.address import Address
from graticule.workflows.results import MARK

OURS = ("mask.tif", "confidence.ome.zarr/labels/mask", "objects.tif", "confidence.ome.zarr/labels/objects")
"""Where in a folder of results the labels may lie."""


def is_inside(path: Path) -> bool:
    """It names something inside a file or folder, or on the web."""
    at = Address.of(path)
    return bool(at.inner) or at.is_remote


def is_single_mask(path: Path) -> bool:
    """It is one mask, not a folder of many."""
    return path.is_file() or is_image(path) or (path / MARK).is_file()


def mask_of(mask: Path | None, image_file: Path) -> Path | None:
    """The mask of an image: itself, that of the image's name in a folder, or that in the results of a run of ours."""
    if mask is None or path_is_image(mask):
        return mask
    if (mask / MARK).is_file():
        return _in_results(mask)
    name = image_name(image_file)
    if (mask / name / MARK).is_file():
        return _in_results(mask / name)
    own = [path for path in sorted(mask.iterdir()) if image_name(path) == name and is_image(path)]
    if not own:
        raise FormatError(f"{image_file}: found no mask of the name {name} in {mask}; add one, or leave --mask out")
    return own[0]


def path_is_image(path: Path) -> bool:
    """It is one image by its name, or a file."""
    return path.is_file() or is_image(path)


def _in_results(folder: Path) -> Path:
    found = next((folder / name for name in OURS if (folder / name).exists()), None)
    if found is None:
        raise FormatError(f"{folder}: found results without outlines; need a mask; give those of a run that outlines")
    return found


def open_mask(file: Path, image: Image) -> Image:
    """The mask in `file`; one of as many voxels as the image lies where the image does, whatever the file says."""
    said = describe(file).spacing_um
    mask = read(file, spacing_um=image.spacing_um if said is None else None)
    if mask.shape == image.shape:
        return replace(mask, spacing_um=image.spacing_um, origin_um=image.origin_um)
    if said is None:
        found, needed = (" x ".join(map(str, shape)) for shape in (mask.shape, image.shape))
        raise FormatError(
            f"{file}: found a mask of {found} pixels and no voxel size; need {needed} pixels, as the image has, or the "
            "size of its voxels; redraw it on the image"
        )
    try:
        Gate(mask, image)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from error
    return mask
