"""What is written of what was found: tables of points, outlines as images, and a picture of each to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from graticule.arrays.objects import measure_objects
from graticule.box import Box
from graticule.image import Image
from graticule.inference import Plan
from graticule.inference.gate import Gate
from graticule.inference.outline import CONFIDENCE, Outlining
from graticule.inference.run import Progress
from graticule.inference.store import Store, writing
from graticule.inference.work import Work
from graticule.io import points_csv, write
from graticule.io.omezarr_pyramid import add_pyramid
from graticule.report.outlines import draw_outlines
from graticule.report.overlay import draw_overlay
from graticule.results import Labels, Points, Result
from graticule.settings import to_plain
from graticule.task import Description, Task
from graticule.workflows.predict import Setup, finding, on_voxels_of, outlining, within
from graticule.workflows.results import remove_folder

NM = 1e-3  # µm


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What to say of a result that is written: `facts` are for run.json."""

    counts: Mapping[str, int]
    said: str
    facts: Mapping[str, Any]


def write_points(
    setup: Setup,
    plan: Plan,
    store: Store,
    gate: Gate | None,
    title: str,
    progress: Progress | None,
    *,
    picture: bool = True,
) -> Found:
    """objects.csv, objects.zip (none if nothing was found) and, unless there shall be no `picture`, overlay.png."""
    points, work = finding(setup, plan, store, gate).go(progress)
    points = within(points, setup.image)
    write_objects(points, setup.image, store.folder, class_diameters_um(setup.task), title=title, picture=picture)
    remove_folder(store.folder / "points")
    number = counts(points)
    said = ", ".join(f"{count} {name}" for name, count in number.items())
    if gate is not None:
        said += f"; the mask spared {_spared(work)} and removed {work.removed} found outside it"
    return Found(counts=number, said=said, facts={"work": asdict(work)})


def write_outlines(
    setup: Setup,
    plan: Plan,
    store: Store,
    gate: Gate | None,
    title: str,
    progress: Progress | None,
    *,
    picture: bool = True,
) -> Found:
    """Labels and confidence and, unless there shall be no `picture`, overlay.png.

    Of a plane these are mask.tif and confidence.tif, on its own pixels; of a volume confidence.ome.zarr, on the voxels the
    model works on, with the labels inside it, under ``labels/``. Single objects are in objects.tif in place of mask.tif, and
    in objects.csv.
    """
    job = outlining(setup, plan, store, gate)
    work = job.go(progress)
    regions, image = job.regions, setup.image
    labels, confidence = job.labels.image, job.confidence
    if image.ndim == 2:
        labels, confidence = (on_voxels_of(image, _in_memory(one)) for one in (labels, confidence))
    about = _description(setup, labels)
    if picture:
        draw_outlines(
            about.picture or image,
            job.labels.image,
            store.folder / "overlay.png",
            kinds=("object",) if regions.counted and len(regions.kinds) > 1 else regions.kinds,
            confidence=job.confidence,
            title=title,
        )
    folder, name = store.folder / CONFIDENCE, "objects" if regions.counted else "mask"
    with writing(store.folder):
        if regions.counted:
            write_table(job, labels, confidence, about, image, store.folder / "objects.csv")
        for other, voxels in about.images.items():
            write(Labels(voxels), store.folder / f"{other}.tif")
        if image.ndim == 2:
            write(Labels(labels), store.folder / f"{name}.tif")
            write(confidence, store.folder / "confidence.tif")
            remove_folder(folder)
        else:
            add_pyramid(folder)
            add_pyramid(folder / "labels" / name)
    facts = {"work": asdict(work), "confidence": "whole 255ths", **about.facts}
    said = _said(job.labelled, plan, regions.counted)
    if gate is not None:
        said += f"; the mask spared {_spared(work)} and removed {work.removed:,} voxels outside it"
    return Found(counts=job.labelled, said=said, facts=facts)


def _description(setup: Setup, labels: Image) -> Description:
    """What the task has to say of what it found, if it is one that does."""
    describe = getattr(setup.task, "describe", None)
    about: Description = Description({}, {}, {}) if describe is None else describe(setup.image, Labels(labels))
    return about


def write_table(job: Outlining, labels: Image, confidence: Image, about: Description, image: Image, path: Path) -> None:
    """objects.csv: for every object its number, centre, class, mean confidence, area or volume, and what the task adds."""
    kinds = job.kind_of
    boxes = [Box((0,) * labels.ndim, labels.shape)] if labels.ndim == 2 else [b.write for b in job.plan.blocks]
    found = measure_objects(labels.data, confidence.data, boxes, kind_of=kinds)
    kind = np.array([kinds.get(int(number), 1) - 1 for number in found.number], int)
    points = Points(labels.to_um(found.centre), found.confidence, kind, job.regions.kinds)
    extent = "area_um2" if labels.ndim == 2 else "volume_um3"
    sizes = [f"{size * prod(labels.spacing_um):.6g}" for size in found.size]
    points_csv.write(points, path, image, numbers=found.number.tolist(), more={extent: sizes, **about.columns})


def _said(labelled: Mapping[str, int], plan: Plan, objects: bool) -> str:
    """Numbers of objects; of a mask its size, and its share of the image."""
    if objects:
        return ", ".join(f"{count} {kind}" for kind, count in labelled.items())
    unit = "µm²" if len(plan.shape) == 2 else "µm³"
    parts = [
        f"{kind} {count * prod(plan.spacing_um):.4g} {unit} ({count / prod(plan.shape):.1%})" if count else f"no {kind}"
        for kind, count in labelled.items()
    ]
    return ", ".join(parts)


def _spared(work: Work) -> str:
    return f"{work.skipped} of {work.blocks} blocks (about {work.saved_seconds:.0f} s)"


def _in_memory(image: Image) -> Image:
    return replace(image, data=np.asarray(image.data[...]))


def write_objects(
    found: Result,
    image: Image,
    folder: Path,
    diameters_um: Mapping[str, float],
    *,
    title: str = "",
    picture: bool = True,
) -> None:
    """The table, ImageJ's selections (none if nothing was found), and a picture to look at."""
    assert isinstance(found, Points), "outlines are written as images"
    write(found, folder / "objects.csv", on=image)
    if len(found):
        write(found, folder / "objects.zip", on=image)
    if picture:
        draw_overlay(found, image, folder / "overlay.png", diameters_um=diameters_um, title=title)


def class_diameters_um(task: Task) -> dict[str, float]:
    """Of each class, as far as the task has classes with sizes: for rings around what was found."""
    settings = to_plain(task)
    pairs = zip(settings.get("classes", ()), settings.get("diameters_nm", ()), strict=False)
    return {name: diameter_nm * NM for name, diameter_nm in pairs}


def counts(found: Result) -> dict[str, int]:
    """Objects of each class."""
    assert isinstance(found, Points)
    return {name: int((found.kind == kind).sum()) for kind, name in enumerate(found.kinds)}
