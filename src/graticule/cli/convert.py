"""``graticule convert SOURCE OUT``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from graticule.cli.options import COMMON, Axes, Channel, Common, SpacingUm


def convert(
    source: str,
    out: Annotated[str, Parameter(name=("--out", "-o"))],
    *,
    labels: Annotated[bool, Parameter(negative=())] = False,
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    axes: Axes = None,
    common: Common = COMMON,
) -> int:
    """Copy an image into another format, whatever its size; its voxels, axes and voxel size stay what they are.

    Parameters
    ----------
    source
        An image file, an OME-Zarr folder, or an address such as https://host/volume.zarr; what is meant inside
        follows a colon: volume.zarr:1, volume.zarr:/labels/mask, file.h5:/path/to/dataset.
    out
        What to write: a new name that ends in .tif, .ome.tif, .zarr, .h5 or .mrc.
    labels
        The voxels are numbers of objects: coarser levels of a .zarr then hold no means of them.
    """
    from graticule.cli.progress import tiles
    from graticule.cli.voice import Voice
    from graticule.workflows.convert import convert as run

    voice = Voice(common)
    with tiles(voice, out) as progress:
        done = run(source, out, axes=axes, spacing_um=spacing_um, channel=channel, labels=labels, progress=progress)
    image = done.image
    size = " x ".join(map(str, image.data.shape))
    sides = " x ".join(f"{s:.6g}" for s in image.spacing_um)
    voice.show(f"{out}: {size} voxels (axes {image.axes}) of {sides} µm, {done.stored}")
    for lost in done.lost:
        voice.show(f"  not kept     {lost}")
    voice.finish(
        {
            "source": source,
            "out": out,
            "axes": image.axes,
            "shape": list(image.data.shape),
            "dtype": done.stored,
            "spacing_um": list(image.spacing_um),
            "origin_um": list(image.origin_um),
            "not_kept": list(done.lost),
        }
    )
    return 0
