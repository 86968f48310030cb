"""``graticule check DATASET``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graticule.cli.options import COMMON, Channel, Common, PointsUnit, SpacingUm


def check(
    dataset: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    points_unit: PointsUnit = None,
    common: Common = COMMON,
) -> int:
    """Say everything that is wrong with an annotated dataset, or looks it, before you wait for a training.

    Files that cannot be read, pixel sizes that are missing or contradict one another, images without annotation, marks
    outside the image or on nothing (with the unit, scale or shift that would put them on spots), and what is in it:
    sizes, grey levels, marks of every class, how many objects are outlined, how large and how bright. Problems have to
    be mended (exit code 2); warnings may be right.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv or labels/NAME.tif, perhaps masks/NAME.tif and dataset.yaml.
    out
        Also write it all to this file, as JSON; or, if its name ends in .png, .svg or .pdf, draw how bright what is
        outlined is beside the background.
    """
    from graticule.cli.voice import Voice
    from graticule.workflows.check import check as run
    from graticule.workflows.check import write_check
    from graticule.workflows.results import check_writable

    voice = Voice(common)
    if out is not None:
        check_writable(out)
    report = run(dataset, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    if out is not None:
        write_check(report, out)
    voice.show(str(report))
    if not report.ok:
        count = len(report.problems)
        voice.complain(
            f"{dataset}: found {count} problem{'s' if count > 1 else ''}; need none; mend what is said above"
        )
    voice.finish(report.as_dict())
    return 0 if report.ok else 2
