"""How right a model is on annotated images that it has not seen."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.errors import DatasetError
from graticule.example import Example
from graticule.image import Array
from graticule.metrics import detection
from graticule.metrics.detection import Tally
from graticule.report.gallery import crops
from graticule.report.overlay import draw_verdict
from graticule.report.precision_recall import draw_precision_recall
from graticule.results import Points
from graticule.task import Scores, Task
from graticule.workflows.cross_validate import find
from graticule.workflows.predict import joint_task
from graticule.workflows.provenance import made_on, pixel_hash
from graticule.workflows.ready import ready
from graticule.workflows.report import write_report
from graticule.workflows.results import ERRORS, MARK, VERDICTS, result_folder
from graticule.workflows.write_found import class_diameters_um

Say = Callable[[str], None]

Row = tuple[str, str, dict[str, float]]
SHOWN_ERRORS = 21
VIEW_RADII = 10
"""A picture of a single error shows so many matching radii."""

COLUMNS = ("precision", "recall", "f1", "ap", "tp", "fp", "fn")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One model, or one ensemble, on some examples.

    Attributes
    ----------
    candidates
        For each example all that might be something, however unsure; `found` is what counts at the model's threshold.
    pooled
        Counts of all images together and what follows from them: ``f1``, ``f1[CLASS]`` ….
    by_image
        The same for each image alone.
    """

    task: Task
    examples: tuple[Example, ...]
    candidates: tuple[Points, ...]
    found: tuple[Points, ...]
    pooled: Scores
    by_image: Mapping[str, Scores]
    seconds: float

    @property
    def classes(self) -> tuple[str, ...]:
        return self.found[0].kinds

    def tally(self, image: str | None, name: str = "") -> Tally:
        """Right, false and missed of a class (``""``: of all), in one image or, with None, in all."""
        scores = self.pooled if image is None else self.by_image[image]
        suffix = f"[{name}]" if name else ""
        tp, fp, fn = (int(scores.get(f"{count}{suffix}", 0)) for count in ("tp", "fp", "fn"))
        return Tally(tp, fp, fn)


def evaluate(
    models: Checkpoint | Sequence[Checkpoint],
    examples: Sequence[Example],
    *,
    tta: bool = False,
    device: str = "auto",
    allow_seen: bool = False,
    say: Say | None = None,
) -> Evaluation:
    """Score `models` on `examples` at their own threshold; images they learnt from are refused unless `allow_seen`."""
    began = time.monotonic()
    models = [models] if isinstance(models, Checkpoint) else list(models)
    if not allow_seen:
        refuse_seen(models, examples)
    task = joint_task(models)
    candidates = []
    for number, example in enumerate(examples, start=1):
        found = find(task.permissive(), models, ready(task, example), tta, device)
        assert isinstance(found, Points), "labels come with the first task that makes some"
        candidates.append(found)
        if say is not None:
            say(f"{number}/{len(examples)}  {example.name}")
    return judged(task, examples, candidates, time.monotonic() - began)


def judged(task: Task, examples: Sequence[Example], candidates: Sequence[Points], seconds: float = 0.0) -> Evaluation:
    """The evaluation of what a task found, be it by a network or not."""
    found = [task.keep(one) for one in candidates]
    by_image = {e.name: _scores(task, [c], [e]) for c, e in zip(candidates, examples, strict=True)}
    pooled = _scores(task, candidates, examples)
    points = tuple(one for one in found if isinstance(one, Points))
    return Evaluation(task, tuple(examples), tuple(candidates), points, pooled, by_image, seconds)


def refuse_seen(models: Sequence[Checkpoint], examples: Sequence[Example]) -> None:
    """A model knows what it learnt from: to score it on that would say nothing about the next image."""
    shown: set[str] = set().union(*(model.made_by.get("images", {}) for model in models))
    seen = [e.name for e in examples if shown and pixel_hash(e.image) in shown]
    if seen:
        raise DatasetError(
            f"the model was trained on {len(seen)} of these {len(examples)} images ({', '.join(seen)}); need images it "
            "has never seen; take others, cross-validate, or pass --allow-seen and do not quote the figures"
        )


def write_evaluation(done: Evaluation, out: Path, facts: Mapping[str, Any]) -> None:
    """Figures as JSON and CSV, the precision-recall curve, and each image with what was right, false and missed."""
    with result_folder(out) as aside:
        (aside / "scores.json").write_text(json.dumps(as_plain(done), indent=1, ensure_ascii=False), encoding="utf-8")
        write_table(rows(done), aside / "scores.csv")
        draw_precision_recall(*curves(done), aside / "precision_recall.png")
        _write_verdicts(done, aside / VERDICTS)
        _write_errors(done, aside / ERRORS)
        _draw_verdicts(done, aside / "overlays")
        about = {"command": "evaluate", **made_on(), **facts, "seconds": round(done.seconds, 2)}
        (aside / MARK).write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
        write_report(aside, name=out.name)


def doubts(done: Evaluation) -> str:
    """What a person should know before she believes the precision; empty if there is nothing to be said.

    Clicks on a few of many objects make most of what is found false, however right it is.
    """
    tally = done.tally(None)
    if all(example.complete is not None for example in done.examples) or tally.fp <= tally.tp + tally.fn:
        return ""
    return (
        f"{tally.fp} were found where nothing is marked, more than there are marked objects ({tally.tp + tally.fn}): if not "
        "every object is marked, precision and F1 mean nothing, and only recall does; masks/ say where all are"
    )


def as_plain(done: Evaluation) -> dict[str, Any]:
    """For JSON."""
    return {"task": done.task.name, "classes": done.classes, "pooled": dict(done.pooled), "images": {**done.by_image}}


def rows(done: Evaluation) -> list[Row]:
    """Image, class and figures, for every class of every image, and pooled (image ``""``); class ``""`` is all."""
    every: list[tuple[str, Scores]] = [*done.by_image.items(), ("", done.pooled)]
    return [(image, name, figures_of(scores, name)) for image, scores in every for name in (*done.classes, "")]


def curves(done: Evaluation) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """Precision-recall curves of the classes that have annotated objects, and where on them the model's threshold is."""
    lines, dots = {}, {}
    for name in done.classes:
        tally = done.tally(None, name)
        if tally.tp + tally.fn:
            within_um = done.task.match_um  # type: ignore[attr-defined]
            _, precision, recall = detection.pr_curve(done.candidates, done.examples, within_um, name)
            lines[name] = (recall, precision)
            dots[name] = (tally.recall, tally.precision)
    return lines, dots


def _write_verdicts(done: Evaluation, path: Path) -> None:
    """A row for each candidate, be it above the threshold (`counted`) or not, and for each object no candidate is on."""
    within_um = done.task.match_um  # type: ignore[attr-defined]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        axes = [f"{axis}_um" for axis in "xyz"[: done.examples[0].image.ndim]]
        table.writerow(["image", *axes, "class", "confidence", "verdict", "counted"])
        for candidates, example in zip(done.candidates, done.examples, strict=True):
            verdict = detection.judge(candidates, example, within_um)
            said = np.where(verdict.hit, "right", np.where(verdict.wrong, "false", "not judged"))
            counted = _counts(done.task, candidates)
            for n, place in enumerate(candidates.position_um):
                kind = candidates.kinds[int(candidates.kind[n])]
                confidence = f"{candidates.confidence[n]:.6g}"
                table.writerow([example.name, *_xyz(place), kind, confidence, said[n], "yes" if counted[n] else "no"])
            truth = detection.truth_points(example)
            missed = truth[verdict.missed]
            for place, kind in zip(missed.position_um, missed.kind, strict=True):
                table.writerow([example.name, *_xyz(place), missed.kinds[int(kind)], "", "missed", "no"])


def _write_errors(done: Evaluation, folder: Path) -> None:
    """A picture of each of the surest false findings, and of as many missed objects: what to look at first."""
    within_um = done.task.match_um  # type: ignore[attr-defined]
    view_um = VIEW_RADII * max(within_um.values())
    false, missed = [], []
    for found, example in zip(done.found, done.examples, strict=True):
        verdict, truth = detection.judge(found, example, within_um), detection.truth_points(example)
        false += [(-found.confidence[n], example, found[n : n + 1]) for n in np.flatnonzero(verdict.wrong)]
        missed += [(0.0, example, truth[n : n + 1]) for n in np.flatnonzero(verdict.missed)]
    folder.mkdir()
    for name, errors in (("false", sorted(false, key=lambda e: e[0])), ("missed", missed)):
        for number, (_, example, one) in enumerate(errors[:SHOWN_ERRORS], start=1):
            kind = one.kinds[int(one.kind[0])]
            sure = f" {one.confidence[0]:.2f}" if name == "false" else ""
            [picture] = crops(example.image, one.position_um, [""], view_um=view_um)
            (folder / f"{name}-{number:02d} {example.name} {kind}{sure}.png").write_bytes(picture.data)


def _counts(task: Task, candidates: Points) -> Array:
    """``(N,)`` booleans: which reach the task's threshold."""
    kept = task.keep(candidates)
    assert isinstance(kept, Points)
    reached = {(*place, kind) for place, kind in zip(kept.position_um.tolist(), kept.kind.tolist(), strict=True)}
    every = zip(candidates.position_um.tolist(), candidates.kind.tolist(), strict=True)
    return np.array([(*place, kind) in reached for place, kind in every], bool)


def _xyz(place: Array) -> list[str]:
    return [f"{along:.9g}" for along in place[::-1]]


def _draw_verdicts(done: Evaluation, folder: Path) -> None:
    within_um = done.task.match_um  # type: ignore[attr-defined]
    for found, example in zip(done.found, done.examples, strict=True):
        path = folder / f"{example.name}.png"
        draw_verdict(found, example, within_um, path, diameters_um=class_diameters_um(done.task), title=example.name)


def _scores(task: Task, candidates: Sequence[Points], examples: Sequence[Example]) -> Scores:
    """Counts at the task's threshold; average precision, which knows no threshold, from all candidates."""
    at_threshold = task.score([task.keep(one) for one in candidates], examples)
    over_all = task.score(candidates, examples)
    return {**at_threshold, **{key: value for key, value in over_all.items() if key.startswith("ap")}}


def figures_of(scores: Scores, name: str, columns: Sequence[str] = COLUMNS) -> dict[str, float]:
    """Those of one class, or of all (``""``), as far as there are any."""
    suffix = f"[{name}]" if name else ""
    return {key: scores[f"{key}{suffix}"] for key in columns if f"{key}{suffix}" in scores}


def write_table(lines: Iterable[Row], path: Path, columns: Sequence[str] = COLUMNS) -> None:
    """One line for each class of each image, and for all."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "class", *columns])
        for image, name, figures in lines:
            cells = [f"{figures[key]:.6g}" if key in figures else "" for key in columns]
            table.writerow([image or "all images", name or "all classes", *cells])
