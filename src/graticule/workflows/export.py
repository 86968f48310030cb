"""A result in the files that other programs read, as it was found or as a reviewer left it."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference.outline import CONFIDENCE
from graticule.io import geojson, imagej_roi, read, star, write
from graticule.io.atomic import replacing
from graticule.report.outlines import draw_outlines
from graticule.report.overlay import CLASS_COLOURS, draw_overlay
from graticule.report.page import Page, Picture, Section, Table, Text, render
from graticule.report.png import shrunk
from graticule.results import Labels
from graticule.review import Session
from graticule.statistics.intervals import poisson
from graticule.workflows.report import LONGEST_PX, page_of
from graticule.workflows.results import JOURNALS, MARK, check_writable
from graticule.workflows.review import OUTLINES, TABLE, journal_of, load_result, reading_of
from graticule.workflows.standing import Changes, Standing

Kind = Literal["csv", "star", "roi", "geojson", "overlay", "labels", "report", "all"]
Sort = Literal["points", "outlines", "mask"]

SUFFIXES: Mapping[Kind, tuple[str, ...]] = {
    "csv": (".csv",),
    "star": (".star",),
    "roi": (".zip", ".roi"),
    "geojson": (".geojson", ".json"),
    "overlay": (".png",),
    "labels": (".tif", ".tiff"),
    "report": (".html",),
    "all": (".zip",),
}
"""How the file of each kind may end, the usual one first."""

KINDS: Mapping[Sort, tuple[Kind, ...]] = {
    "points": ("csv", "star", "roi", "geojson", "overlay", "report", "all"),
    "outlines": ("csv", "star", "geojson", "overlay", "labels", "report", "all"),
    "mask": ("geojson", "overlay", "labels", "report", "all"),
}
"""What makes sense of points, of outlined objects, and of masks. ImageJ's selections hold points; it opens labels, too."""

WORDS: Mapping[Sort, str] = {"points": "points", "outlines": "outlined objects", "mask": "a mask"}
MASKS = ("mask.tif", f"{CONFIDENCE}:/labels/mask")
NAMES: Mapping[Kind, str] = {
    "csv": "objects.csv",
    "star": "objects.star",
    "roi": "objects.zip",
    "geojson": "objects.geojson",
    "overlay": "overlay.png",
    "labels": "labels.tif",
    "report": "report.html",
    "all": "all.zip",
}
"""What the files are called, in an archive of everything, and after the image's name in a folder."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""In archives, so that they do not differ by when they were made."""


def export(folder: Path, kind: Kind, out: Path, *, who: str = "", image_file: Path | None = None) -> Path:
    """Write a result, ``OUT/NAME``, as a file of `kind`; where it is.

    Parameters
    ----------
    folder
        What predict wrote for one image, perhaps reviewed since.
    kind
        One of `SUFFIXES`; ``FormatError`` names those that make sense of this result. ``all``: a zip of these.
    out
        The file, or a folder (what ends in none of the kind's suffixes): there it is called after the image.
    who
        Count this reviewer's decisions: rejected objects are gone, what was moved, relabelled, redrawn or added is as it
        was decided; numbers stay. Without it, all is as it was found, the table to the last byte.
    image_file
        Where the image is now, if it was moved. ``csv`` and pictures of what was found do without it.
    """
    check_export(folder, kind, who)
    source = _Source(folder, who, image_file)
    path = target(folder, kind, out)
    _check_place(source, path)
    WRITE[kind](source, path)
    return path


def target(folder: Path, kind: Kind, out: Path) -> Path:
    """The file that `export` would write."""
    usual, *_ = SUFFIXES[kind]
    if out.suffix.lower() in SUFFIXES[kind] and not out.is_dir():
        return out
    others = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
    if out.suffix.lower() in others and not out.is_dir():
        raise FormatError(f"{out}: found suffix {out.suffix!r} for {kind}; need {usual}; change it, or name a folder")
    # Never the image's own name: it may well lie in that folder.
    return out / f"{folder.resolve().name}-{NAMES[kind]}"


def kinds_of(folder: Path) -> tuple[Kind, ...]:
    """The kinds that make sense of a result, for menus."""
    return KINDS[_Source(folder).sort]


@dataclass(frozen=True, eq=False)
class _Source:
    """A result; what costs something is read when it is asked for."""

    folder: Path
    who: str = ""
    image_file: Path | None = None

    @cached_property
    def run(self) -> dict[str, Any]:
        path = self.folder / MARK
        if not path.is_file():
            raise FormatError(
                f"{self.folder}: found no {MARK}; need a result of graticule predict; give its folder, OUT/NAME"
            )
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise FormatError(f"{path}: found no account of a prediction in it; predict anew") from error

    @cached_property
    def sort(self) -> Sort:
        _ = self.run
        if not (self.folder / TABLE).is_file():
            return "mask"
        return "outlines" if self.outlines_file else "points"

    @cached_property
    def outlines_file(self) -> str:
        """As `read` takes it; empty if there is none."""
        names = (*OUTLINES, *MASKS) if not (self.folder / TABLE).is_file() else OUTLINES
        there = (name for name in names if (self.folder / name.replace(":/", "/")).exists())
        name = next(there, "")
        return f"{self.folder}/{name}" if name else ""

    @cached_property
    def standing(self) -> Standing:
        reviewed = load_result(self.folder, image_file=self.image_file)
        if not self.who:
            return Standing(reviewed)
        journal = journal_of(self.folder, self.who)
        return Standing(reviewed, Session.read(journal, reviewed.image, reviewed.proposals, reviewed.about))

    @cached_property
    def image(self) -> Image:
        """What was looked at; of a mask, too."""
        if self.sort != "mask":
            return self.standing.reviewed.image
        return read(self.image_file or self.run["image"]["file"], **reading_of(self.run))

    @property
    def title(self) -> str:
        changes = self.standing.changes if self.who else None
        name = self.folder.resolve().name
        return name if changes is None else f"{name}, {changes}"


def check_export(folder: Path, kind: Kind, who: str = "") -> None:
    """Refuse a kind that makes no sense of a result, and a reviewer who did not review it, before anything is read."""
    source = _Source(folder)
    sensible = KINDS[source.sort]
    if kind not in sensible:
        raise FormatError(
            f"{folder}: found {WORDS[source.sort]}, of which {kind} makes nothing; need one of {', '.join(sensible)}; "
            "choose one"
        )
    if who and source.sort == "mask":
        raise FormatError(
            f"{folder}: found a mask, which nobody reviews object by object; need no reviewer; leave out --who"
        )
    if who and not journal_of(folder, who).is_file():
        others = [file.stem for file in sorted((folder / JOURNALS).glob("*.jsonl"))]
        known = f"one of {', '.join(others)}" if others else "a review: graticule review"
        raise FormatError(f"{folder}: found no decisions of {who}; need {known}; correct --who, or leave it out")


def _check_place(source: _Source, path: Path) -> None:
    """A journal is about the files of its result, so these stay; and images are nobody's to replace."""
    image = source.image_file or Path(str(source.run.get("image", {}).get("file", "")))
    if source.folder.resolve() in path.resolve().parents or path.resolve() == image.resolve():
        raise FormatError(
            f"{path}: found what this would replace, or stand beside, of the result; choose another place"
        )
    check_writable(path)


# -- one kind each -----------------------------------------------------------------------------------------------------


def _csv(source: _Source, path: Path) -> None:
    if source.who:
        source.standing.write_table(path)
    else:
        _copy(source.folder / TABLE, path)


def _star(source: _Source, path: Path) -> None:
    standing = source.standing
    micrograph = Path(str(source.run["image"]["file"])).name
    star.write(standing.points, path, source.image, micrograph=micrograph, numbers=standing.numbers)


def _roi(source: _Source, path: Path) -> None:
    made = source.folder / "objects.zip"
    if not source.who and path.suffix.lower() == ".zip" and made.is_file():
        _copy(made, path)
        return
    if not source.standing.items:
        raise FormatError(
            f"{source.folder}: found no object, and ImageJ opens no empty selections; need another kind; choose csv"
        )
    imagej_roi.write(source.standing.points, path, source.image)


def _geojson(source: _Source, path: Path) -> None:
    if source.sort == "mask":
        names = _mask_classes(source.run)
        geojson.write_outlines(_labels(source), path, source.image, kinds=names, colours=_colours([*names.values()]))
        return
    standing = source.standing
    colours = _colours(standing.reviewed.proposals.kinds)
    if source.sort == "points":
        geojson.write_points(standing.points, path, source.image, numbers=standing.numbers, colours=colours)
        return
    kinds = {item.id: item.kind for item in standing.items}
    confidences = {item.id: item.confidence for item in standing.items}
    geojson.write_outlines(_labels(source), path, source.image, kinds=kinds, confidences=confidences, colours=colours)


def _mask_classes(run: Mapping[str, Any]) -> dict[int, str]:
    return dict(enumerate(run.get("counts", {}), start=1)) or {1: str(run.get("task", "mask"))}


def _colours(kinds: tuple[str, ...] | list[str]) -> dict[str, geojson.Colour]:
    """Those of our pictures."""
    told = [CLASS_COLOURS[place % len(CLASS_COLOURS)].lstrip("#") for place in range(len(kinds))]
    red_green_blue = [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in told]
    return dict(zip(kinds, red_green_blue, strict=True))


def _labels(source: _Source) -> Labels:
    if source.sort == "mask":
        return Labels(read(source.outlines_file))
    labels = source.standing.labels
    assert labels is not None, "points have no kind that asks for labels"
    return labels


def _label_file(source: _Source, path: Path) -> None:
    made = Path(source.outlines_file)
    if not source.who and made.is_file() and made.suffix == path.suffix.lower():
        _copy(made, path)
    else:
        write(_labels(source), path)


def _overlay(source: _Source, path: Path) -> None:
    made = source.folder / "overlay.png"
    if not source.who and made.is_file():
        _copy(made, path)
    elif source.sort == "points":
        reviewed = source.standing.reviewed
        draw_overlay(source.standing.points, source.image, path, diameters_um=reviewed.diameters_um, title=source.title)
    else:
        _draw_outlines(source, path)


def _draw_outlines(source: _Source, path: Path) -> None:
    labels = _labels(source).image
    known = source.folder / "confidence.tif"
    names = [*_mask_classes(source.run).values()] if source.sort == "mask" else source.standing.reviewed.proposals.kinds
    draw_outlines(
        source.image,
        labels if labels.ndim == 3 else replace(labels, data=np.asarray(labels.data[...])),
        path,
        kinds=("object",) if source.sort == "outlines" and len(names) > 1 else tuple(names),
        confidence=read(known) if known.is_file() else None,
        title=source.title,
    )


def _report(source: _Source, path: Path) -> None:
    page = page_of(source.folder, image=source.image if source.image_file is not None else None)
    if source.who:
        with tempfile.TemporaryDirectory() as aside:
            _overlay(source, Path(aside) / "overlay.png")
            picture = (Path(aside) / "overlay.png").read_bytes()
        page = _corrected(page, source.standing, picture)
    with replacing(path) as written:
        written.write_text(render(page), encoding="utf-8")


def _corrected(page: Page, standing: Standing, picture: bytes) -> Page:
    """The method's page, with what its reviewer made of it before everything else."""
    changes = standing.changes
    assert changes is not None, "only what was reviewed is corrected"
    words = (
        f"{changes.who} looked at what the method found: of {changes.found:,} objects {changes.rejected:,} were rejected and "
        f"{changes.joined:,} joined to others, {changes.divided:,} came of dividing, {changes.added:,} were added; "
        f"{changes.moved:,} were moved, {changes.relabelled:,} relabelled, {changes.redrawn:,} redrawn. "
        f"{changes.stands:,} stand, {changes.undecided:,} of them undecided. What follows below is of the method alone."
    )
    shown = Picture(shrunk(picture, LONGEST_PX), "png", "the image with what stands marked", "What stands.")
    section = Section(f"Corrected by {changes.who}", (Text((words,)), _counted(standing, changes), shown))
    summary = f"Corrected by {changes.who}: {changes.stands:,} objects stand. {page.summary}"
    return replace(
        page, title=f"{page.title}, corrected by {changes.who}", summary=summary, sections=(section, *page.sections)
    )


def _counted(standing: Standing, changes: Changes) -> Table:
    image, kinds = standing.reviewed.image, standing.reviewed.proposals.kinds
    size = prod(n * s for n, s in zip(image.shape, image.spacing_um, strict=True))
    unit = f"µm{'²' if image.ndim == 2 else '³'}"
    rows = []
    for kind in kinds:
        count = sum(item.kind == kind for item in standing.items)
        found = sum(item.kind == kind for item in standing.reviewed.proposals.items)
        low, high = poisson(count)
        rows.append(
            (kind, f"{found:,}", f"{count:,}", f"{count / size:.4g}", f"({low / size:.4g} to {high / size:.4g})")
        )
    caption = (
        f"Density over the whole image ({size:.5g} {unit}); in brackets the 95 % interval of chance alone (Poisson)."
    )
    return Table(("class", "found", "stand", f"per {unit}", "interval"), tuple(rows), caption)


def _all(source: _Source, path: Path) -> None:
    name = source.folder.resolve().name
    with tempfile.TemporaryDirectory() as aside:
        for kind in KINDS[source.sort]:
            nothing = kind == "roi" and not source.standing.items
            if kind != "all" and not nothing:
                WRITE[kind](source, Path(aside) / NAMES[kind])
        _copy(source.folder / MARK, Path(aside) / MARK)
        if source.who:
            journal = journal_of(source.folder, source.who)
            _copy(journal, Path(aside) / journal.name)
        with replacing(path) as written, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(Path(aside).iterdir()):
                entry = zipfile.ZipInfo(f"{name}/{file.name}", LONG_AGO)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with file.open("rb") as content, archive.open(entry, "w", force_zip64=True) as place:
                    shutil.copyfileobj(content, place)


def _copy(source: Path, path: Path) -> None:
    with replacing(path) as aside:
        shutil.copyfile(source, aside)


WRITE: Mapping[Kind, Callable[[_Source, Path], None]] = {
    "csv": _csv,
    "star": _star,
    "roi": _roi,
    "geojson": _geojson,
    "overlay": _overlay,
    "labels": _label_file,
    "report": _report,
    "all": _all,
}
