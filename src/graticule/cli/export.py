"""``graticule export RESULT… --to KIND -o OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from graticule.cli.options import COMMON, Common, Out


def export(
    *results: Path,
    to: Literal["csv", "star", "roi", "geojson", "overlay", "labels", "report", "all"],
    out: Out,
    who: str = "",
    image: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Write what was found for other programs, as it was found or as a reviewer left it.

    Parameters
    ----------
    results
        What graticule predict wrote: folders of results, or of single images' results.
    to
        csv: a table. star: RELION's. roi: ImageJ's selections. geojson: QuPath's detections. overlay: a picture (PNG).
        labels: outlined objects by number (TIFF). report: one page of HTML. all: a zip of whatever makes sense.
    out
        A file, for one result, or a folder, where each file is called after its image.
    who
        Count this reviewer's decisions: what was rejected is left out, what was moved, relabelled, redrawn or added is as
        it was decided. Particle numbers stay what they are.
    image
        Where the image is now, if it was moved; for a single result.
    """
    from graticule.cli.voice import Voice
    from graticule.errors import FormatError, SettingsError
    from graticule.workflows.export import check_export, target
    from graticule.workflows.export import export as run
    from graticule.workflows.review import results_in

    voice = Voice(common)
    if not results:
        raise FormatError("found no result to export; name some: graticule export RESULT… --to csv -o FOLDER")
    folders = [folder for result in results for folder in results_in(result)]
    if image is not None and len(folders) != 1:
        raise SettingsError(f"found --image and {len(folders)} results; need one; name the folder of a single result")
    places = [target(folder, to, out) for folder in folders]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise SettingsError(
            f"found {places.count(twice)} results for {twice}; need one for each file; name a folder, or fewer"
        )
    for folder in folders:
        check_export(folder, to, who)
    for folder, place in zip(folders, places, strict=True):
        run(folder, to, place, who=who, image_file=image)
        voice.show(f"{place}")
    told = [{"result": str(folder), "file": str(place)} for folder, place in zip(folders, places, strict=True)]
    voice.finish({"to": to, "who": who or None, "exported": told})
