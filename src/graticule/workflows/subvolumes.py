"""Every particle of a result as a small image of its own, its centre in the middle, in voxels alike along all axes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from graticule.errors import FormatError, SettingsError
from graticule.image import Array, Image
from graticule.io import write_image
from graticule.workflows.results import result_folder
from graticule.workflows.review import load_result

TABLE = "subvolumes.csv"
SUFFIXES = (".mrc", ".tif")
MOST_VOXELS = 512**3


def subvolumes(
    folder: Path,
    out: Path,
    *,
    side_um: float,
    spacing_um: float = 0.0,
    suffix: str = ".mrc",
    image_file: Path | None = None,
) -> int:
    """Cut out what predict found in one image, ``OUT/NAME``, into the new folder `out`; how many.

    Parameters
    ----------
    side_um
        Of each cube (or square), in whole voxels; see `cut_around` for where its middle is.
    spacing_um
        Voxel size along all axes; 0: the image's finest.
    suffix
        ``.mrc`` or ``.tif``.
    image_file
        Where the image is now, if it was moved.

    Raises
    ------
    SettingsError
        If the cubes are empty, absurdly large or larger than the image, or in another format.
    FormatError
        If the result is of an image with channels.
    """
    if suffix not in SUFFIXES:
        raise SettingsError(f"found {suffix!r} for sub-volumes; need {' or '.join(SUFFIXES)}")
    found = load_result(folder, image_file=image_file)
    image = found.image
    if len(image.axes) != image.ndim:
        raise FormatError(
            f"{folder}: found axes {image.axes!r}; sub-volumes are cut from one channel; choose it in predict"
        )
    spacing = spacing_um or min(image.spacing_um)
    side = round(side_um / spacing) if side_um > 0 and spacing > 0 else 0
    if side < 3 or side**image.ndim > MOST_VOXELS:
        raise SettingsError(
            f"found sides of {side_um:g} µm in voxels of {spacing:g} µm; need more than two voxels, fewer than 500"
        )
    longest = max(n * s for n, s in zip(image.shape, image.spacing_um, strict=True))
    if side_um > longest:
        raise SettingsError(
            f"found sides of {side_um:g} µm, and an image of {longest:.4g} µm at most; need sides no longer; is it µm?"
        )
    with result_folder(out) as aside, (aside / TABLE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["particle_id", "file", *(f"{axis}_um" for axis in reversed(image.axes)), "confidence"])
        for item in found.proposals.items:
            name = f"particle-{item.id:05d}{suffix}"
            write_image(cut_around(image, np.array(item.position_um), side, spacing), aside / name)
            place = [f"{value:.9g}" for value in reversed(item.position_um)]
            table.writerow([item.id, name, *place, f"{item.confidence:.6g}"])
    return len(found.proposals.items)


def cut_around(image: Image, place_um: Array, side: int, spacing_um: float) -> Image:
    """`side` voxels a side around a place, interpolated linearly; beyond the image the median of what is seen.

    The place is the middle of voxel ``side // 2``, counted from 0: of an even number that is where RELION has its origin.
    """
    before = side // 2
    steps = (np.arange(side) - before) * spacing_um
    places = [image.to_voxels(place_um[None])[0][axis] + steps / step for axis, step in enumerate(image.spacing_um)]
    low = [max(0, int(np.floor(p[0]))) for p in places]
    high = [min(n, int(np.ceil(p[-1])) + 1) for p, n in zip(places, image.shape, strict=True)]
    window = tuple(slice(min(a, n - 1), max(b, a + 1)) for a, b, n in zip(low, high, image.shape, strict=True))
    seen = np.asarray(image.data[window], np.float32)
    where = np.stack(np.meshgrid(*[p - w.start for p, w in zip(places, window, strict=True)], indexing="ij"))
    voxels = map_coordinates(seen, where, order=1, mode="nearest")
    limits = np.reshape(np.array(seen.shape) - 0.5, (-1, *[1] * image.ndim))
    inside = ((where >= -0.5) & (where <= limits)).all(axis=0)
    voxels[~inside] = np.median(voxels[inside]) if inside.any() else 0
    origin = tuple(float(p) - before * spacing_um for p in place_um)
    return Image(voxels, image.axes, (spacing_um,) * image.ndim, origin)
