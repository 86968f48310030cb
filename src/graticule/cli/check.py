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
    sizes, grey levels, marks of every class. Problems have to be mended (exit code 2); warnings may be right.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv, perhaps masks/NAME.tif and dataset.yaml.
    out
        Also write it all to this file, as JSON.
    """
    import json

    from graticule.cli.voice import Voice
    from graticule.io.atomic import replacing
    from graticule.workflows.check import check as run
    from graticule.workflows.results import check_writable

    voice = Voice(common)
    if out is not None:
        check_writable(out)
    report = run(dataset, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    if out is not None:
        with replacing(out) as aside:
            aside.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
    voice.show(str(report))
    if not report.ok:
        count = len(report.problems)
        voice.complain(
            f"{dataset}: found {count} problem{'s' if count > 1 else ''}; need none; mend what is said above"
        )
    voice.finish(report.as_dict())
    return 0 if report.ok else 2
