"""How right outlines are on annotated images that the model has not seen: Dice and Jaccard, voxel by voxel.

Where single objects are proposed or outlined, also how many of the true ones are met, how many found ones are false, and
what became of each.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Array, Image
from graticule.io import tiff
from graticule.metrics import events, instances
from graticule.metrics.events import Froc, froc
from graticule.metrics.overlap import overlap, true_labels
from graticule.report.froc import draw_froc
from graticule.report.outlines import draw_outlines
from graticule.results import Labels, Result
from graticule.task import Description, Scores, Task
from graticule.workflows.evaluate import figures_of, write_table
from graticule.workflows.predict import joint_task, on_voxels_of, predict, predict_maps
from graticule.workflows.provenance import made_on
from graticule.workflows.report import write_report
from graticule.workflows.results import MARK, result_folder
from graticule.workflows.worst_objects import write_worst_objects

Say = Callable[[str], None]

VERDICT = ("right", "false", "missed")
COLUMNS = ("dice", "jaccard", "precision", "recall", "tp", "fp", "fn")
EVENT_COLUMNS = (
    *("events", "met", "false", "event_recall", "event_precision", "event_f1", "false_per_image"),
    *("touched", "untouched", "covered_10", "covered_40", "covered_80"),
)
"""Before the others, where objects are proposed."""

OBJECT_COLUMNS = (
    *("objects_true", "objects_found", "objects_met", "objects_false", "splits", "merges"),
    *("object_f1", "object_precision", "object_recall", "object_f1_75", "ap", "pq", "sq", "rq"),
    *("boundary_nm", "boundary_nm_95"),
)
"""Before the others, where objects are outlined each by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelEvaluation:
    """One model, or one ensemble, on some outlined examples.

    Attributes
    ----------
    found
        For each example its labels, on the image's own voxels.
    pooled
        Of all images together: ``dice``, ``dice[CLASS]`` …, and how many voxels are right, false and missed.
    by_image
        The same for each image alone.
    proposals, curve
        Where objects are proposed: for each example what another threshold would find, and how good all that would be.
    """

    task: Task
    examples: tuple[Example, ...]
    found: tuple[Labels, ...]
    pooled: Scores
    by_image: Mapping[str, Scores]
    seconds: float
    proposals: tuple[events.At, ...] = ()
    curve: Froc | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the figures, in the order of a table's columns."""
        first = {"event_f1": EVENT_COLUMNS, "object_f1": OBJECT_COLUMNS}
        return (*(name for figure, names in first.items() if figure in self.pooled for name in names), *COLUMNS)

    @property
    def classes(self) -> tuple[str, ...]:
        kinds: tuple[str, ...] = self.task.regions.kinds  # type: ignore[attr-defined]
        return kinds


@dataclass(frozen=True, slots=True)
class PatchScore:
    """One patch of one image, where it begins, and how well the outlines of it agree."""

    image: str
    start: tuple[int, ...]
    dice: float
    jaccard: float


def evaluate_labels(
    models: Sequence[Checkpoint],
    examples: Sequence[Example],
    *,
    tta: bool = False,
    device: str = "auto",
    say: Say | None = None,
) -> LabelEvaluation:
    """Score `models` on `examples`, at their own thresholds, on each image's own voxels."""
    began, task = time.monotonic(), joint_task(models)
    found, proposals = [], []
    for number, example in enumerate(examples, start=1):
        if hasattr(task, "at"):
            candidates = task.permissive().decode(predict_maps(example.image, models, tta=tta, device=device))
            proposals.append(partial(_proposals, task, candidates, example.image))
            labels: Result = _on_own_voxels(task.keep(candidates), example.image)
        else:
            labels = predict(example.image, models, tta=tta, device=device)
        assert isinstance(labels, Labels), "an outlining task finds labels"
        found.append(labels)
        if say is not None:
            say(f"{number}/{len(examples)}  {example.name}")
    done = judged_labels(task, examples, found)
    curve = froc(proposals, examples) if proposals else None
    return replace(done, proposals=tuple(proposals), curve=curve, seconds=time.monotonic() - began)


def _proposals(task: Task, candidates: Result, image: Image, threshold: float) -> Labels:
    """Those at another threshold, on the image's own voxels."""
    return _on_own_voxels(task.at(candidates, threshold), image)  # type: ignore[attr-defined]


def _on_own_voxels(found: Result, image: Image) -> Labels:
    assert isinstance(found, Labels), "proposals have outlines"
    return Labels(on_voxels_of(image, found.image))


def judged_labels(
    task: Task, examples: Sequence[Example], found: Sequence[Labels], seconds: float = 0.0
) -> LabelEvaluation:
    """The evaluation of outlines, wherever they come from."""
    by_image = {e.name: task.score([one], [e]) for one, e in zip(found, examples, strict=True)}
    pooled = by_image[examples[0].name] if len(examples) == 1 else task.score(found, examples)
    return LabelEvaluation(task, tuple(examples), tuple(found), pooled, by_image, seconds)


def rows(done: LabelEvaluation) -> list[tuple[str, str, dict[str, float]]]:
    """Image, class and figures, for every class of every image, and pooled (image ``""``); class ``""`` is their mean."""
    every: list[tuple[str, Scores]] = [*done.by_image.items(), ("", done.pooled)]
    names = (*done.classes, "") if len(done.classes) > 1 else ("",)
    return [(image, name, figures_of(scores, name, done.columns)) for image, scores in every for name in names]


def as_plain(done: LabelEvaluation) -> dict[str, Any]:
    """For JSON."""
    plain = {"task": done.task.name, "classes": done.classes, "pooled": dict(done.pooled), "images": {**done.by_image}}
    if done.curve is not None:
        plain["froc"] = {each.name: getattr(done.curve, each.name).round(6).tolist() for each in fields(Froc)}
    return plain


def write_label_evaluation(
    done: LabelEvaluation, out: Path, facts: Mapping[str, Any], *, patch: tuple[int, ...] = ()
) -> None:
    """Figures as JSON and CSV, and each image with the outlines of what was right, false and missed.

    Where objects are proposed, also the curve of recall against false proposals; outlines are then of whole objects. Where
    objects are outlined each by itself, also a table of what became of each, and pictures of the worst.

    With `patch`, also what was found and what is true in each patch of that size, as TIFF.
    """
    with result_folder(out) as aside:
        scores = {**as_plain(done)}
        if patch:
            scores["patches"] = _write_patches(done, patch, aside / "patches")
        (aside / "scores.json").write_text(json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8")
        write_table(rows(done), aside / "scores.csv", done.columns)
        if done.curve is not None:
            dot = done.pooled["false_per_image"], done.pooled["event_recall"]
            draw_froc(done.curve, dot, aside / "froc.png")
        if "object_f1" in done.pooled:
            write_worst_objects(done.found, done.examples, aside)
        for found, example in zip(done.found, done.examples, strict=True):
            path = aside / "overlays" / f"{example.name}.png"
            judged = _verdict_of(done, found, example)
            draw_outlines(_shown(done.task, example.image), judged, path, kinds=VERDICT, title=example.name)
        about = {"command": "evaluate", **made_on(), **facts, "seconds": round(done.seconds, 2)}
        (aside / MARK).write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
        write_report(aside, name=out.name)


def verdict(found: Labels, example: Example) -> Image:
    """By voxel: 1 where the right class was found, 2 a false one (or one where there is none), 3 where one was missed."""
    ours, true = np.asarray(found.image.data[...]), true_labels(example)
    right = (ours == true) if int(ours.max(initial=0)) > 1 else (ours != 0) == (true != 0)
    judged: Array = np.select([right & (true != 0), ~right & (ours != 0), ~right], [1, 2, 3], 0).astype(np.uint8)
    if example.complete is not None:
        judged[np.asarray(example.complete.data[...]) == 0] = 0
    return replace(found.image, data=judged)


def _verdict_of(done: LabelEvaluation, found: Labels, example: Example) -> Image:
    """Of whole objects where objects are judged, else voxel by voxel."""
    if "object_f1" in done.pooled:
        return replace(found.image, data=instances.verdict(found, example))
    if done.task.regions.counted:  # type: ignore[attr-defined]
        return replace(found.image, data=events.verdict(found, example))
    return verdict(found, example)


def _shown(task: Task, image: Image) -> Image:
    """What the task would have its overlays show."""
    describe = getattr(task, "describe", None)
    if describe is None:
        return image
    about: Description = describe(image, Labels(replace(image, data=np.zeros(image.shape, np.uint8))))
    return about.picture or image


def _write_patches(done: LabelEvaluation, patch: tuple[int, ...], folder: Path) -> dict[str, float]:
    """Every patch; the means over patches."""
    folder.mkdir()
    scores = []
    for found, example in zip(done.found, done.examples, strict=True):
        true = Labels(replace(found.image, data=true_labels(example)))
        for number, start in enumerate(patch_starts(found.image.shape, patch)):
            box = start, tuple(min(a + n, limit) for a, n, limit in zip(start, patch, found.image.shape, strict=True))
            parts = [labels.image.crop(*box) for labels in (found, true)]
            for part, what in zip(parts, ("found", "true"), strict=True):
                tiff.write(_as_file(part), folder / f"{example.name}-{number:03d}-{what}.tif")
            scores.append(_patch_score(example, start, box, parts))
    with (folder / "patches.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", *"zyx"[-len(patch) :], "dice", "jaccard"])
        table.writerows([one.image, *one.start, f"{one.dice:.6g}", f"{one.jaccard:.6g}"] for one in scores)
    mean = {name: float(np.mean([getattr(one, name) for one in scores])) for name in ("dice", "jaccard")}
    return {"count": len(scores), **mean}


def patch_starts(shape: tuple[int, ...], patch: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Corners of patches side by side; the last along an axis may be smaller.

    >>> list(patch_starts((5, 2), (4, 4)))
    [(0, 0), (4, 0)]
    """
    return product(*[range(0, n, step) for n, step in zip(shape, patch, strict=True)])


def _patch_score(
    example: Example, start: tuple[int, ...], box: tuple[tuple[int, ...], tuple[int, ...]], parts: Sequence[Image]
) -> PatchScore:
    known = None if example.complete is None else np.asarray(example.complete.crop(*box).data)
    one = overlap(np.asarray(parts[0].data), np.asarray(parts[1].data), known)
    return PatchScore(example.name, start, one.dice, one.jaccard)


def _as_file(labels: Image) -> Image:
    data: Array = np.asarray(labels.data)
    return replace(labels, data=data.astype(np.uint8) if data.dtype == bool else data)
