"""``graticule subvolumes RESULT -o OUT --side-um S``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from graticule.cli.options import COMMON, Common, Out


def subvolumes(
    result: Path,
    /,
    *,
    out: Out,
    side_um: float,
    voxel_um: float = 0.0,
    to: Literal["mrc", "tif"] = "mrc",
    image: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Cut out every particle as a small image of its own, its centre in the middle, for averaging.

    Parameters
    ----------
    result
        What graticule predict wrote for one image: OUT/NAME.
    side_um
        Side of each cube (or square), in micrometres.
    voxel_um
        Voxel size along all axes; 0: the image's finest.
    to
        mrc or tif.
    image
        Where the image is now, if it was moved.
    """
    from graticule.cli.voice import Voice
    from graticule.workflows.results import check_new_folder
    from graticule.workflows.subvolumes import subvolumes as run

    voice = Voice(common)
    check_new_folder(out)
    count = run(result, out, side_um=side_um, spacing_um=voxel_um, suffix=f".{to}", image_file=image)
    voice.show(f"{out}: {count} particles, each in a cube of {side_um:g} µm")
    voice.finish({"out": str(out), "particles": count})
