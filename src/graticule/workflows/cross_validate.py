"""How well a task will do on the next specimen: nested leave-one-specimen-out.

Outer folds hold out one specimen each, which nothing ever sees before it is scored. Within a fold the other specimens
are split again: each inner model learns on some and stops by the rest, the operating point is chosen on the pooled
results of all inner models on what they did not learn from, and the inner models together are the fold's model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from graticule.checkpoint import Checkpoint
from graticule.errors import DatasetError
from graticule.example import Example
from graticule.inference import make_plan, run
from graticule.io.atomic import replacing
from graticule.metrics.detection import Tally, pooled
from graticule.results import Result
from graticule.settings import to_plain
from graticule.task import Scores, Task, Trainable
from graticule.tasks import BASELINES
from graticule.training import Ready, fit
from graticule.training.fit import with_measured
from graticule.training.folds import Fold, check, leave_one_out, leave_out, pick, slabs, specimens
from graticule.workflows.predict import is_outlining, joint_forward, predict
from graticule.workflows.provenance import example_hash, pixel_hash
from graticule.workflows.ready import all_ready
from graticule.workflows.train import beginning

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One outer fold, on the specimen that nothing saw before.

    Attributes
    ----------
    fold, inner
        Who learnt and who was held out, outside and inside.
    settings
        Of the fold's model, with the thresholds chosen inside.
    scores, baseline
        On the held-out specimen: of the model, and of the classical method tuned on the same examples.
    seconds
        For everything in this fold.
    """

    fold: Fold
    inner: tuple[Fold, ...]
    settings: Mapping[str, Any]
    scores: Scores
    baseline: Scores
    seconds: float


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """All folds, and their counts pooled."""

    folds: tuple[FoldReport, ...]
    seed: int

    def pooled(self, of: str = "scores") -> dict[str, Tally]:
        """Counts of all folds together, by class and (under "") in all; `of` is ``"scores"`` or ``"baseline"``."""
        each: list[Scores] = [getattr(fold, of) for fold in self.folds]
        classes = sorted({key[3:-1] for scores in each for key in scores if key.startswith("tp[")})
        return {name: pooled(_tally(scores, name) for scores in each) for name in ("", *classes)}

    def events(self, of: str = "scores") -> Tally | None:
        """Of proposals: events met, false proposals and events not met, of all folds together; else None."""
        return self._counted(of, "event_f1", ("met", "false", "events"))

    def objects(self, of: str = "scores") -> Tally | None:
        """Of single objects: those met, false ones and those not met, of all folds together; else None."""
        return self._counted(of, "object_f1", ("objects_met", "objects_false", "objects_true"))

    def _counted(self, of: str, figure: str, names: tuple[str, str, str]) -> Tally | None:
        each: list[Scores] = [getattr(fold, of) for fold in self.folds]
        if not all(figure in scores for scores in each):
            return None
        counts = ([int(scores[name]) for name in names] for scores in each)
        return pooled(Tally(met, false, true - met) for met, false, true in counts)


def cross_validate(
    task: Trainable,
    examples: Sequence[Example],
    *,
    inner: int = 3,
    seed: int = 0,
    device: str = "auto",
    tta: bool = False,
    start: Checkpoint | None = None,
    out: Path | None = None,
    say: Say = print,
) -> CrossValidation:
    """Nested leave-one-specimen-out; `inner` models a fold. A single outlined volume is cut into slabs instead.

    With `out`, each finished fold is kept there and not done again when called anew with the same settings and seed.
    """
    reports = []
    _refuse_informed_start(start, examples)
    if len(specimens(examples)) == 1:
        examples = [slab for example in examples for slab in slabs(example, inner + 1)]
        say(
            f"a single volume, cut into {len(examples)} slabs with gaps between: neighbours of one specimen, so take care"
        )
    key = {
        "task": to_plain(task),
        "inner": inner,
        "seed": seed,
        "tta": tta,
        "start": start and start.made_by.get("time"),
        "examples": {e.name: example_hash(e) for e in examples},
    }
    for number, fold in enumerate(leave_one_out(examples)):
        kept = None if out is None else out / f"fold-{number}-seed-{seed}.json"
        report = _kept(kept, key, fold, examples)
        if report is None:
            report = one_fold(
                task, examples, fold, inner=inner, seed=seed, device=device, tta=tta, start=start, say=say
            )
            _keep(kept, key, report)
        reports.append(report)
        say(line(report))
    return CrossValidation(tuple(reports), seed)


def _refuse_informed_start(start: Checkpoint | None, examples: Sequence[Example]) -> None:
    """A model to start from may have seen none of the images: each is held out once."""
    shown = {} if start is None else start.made_by.get("images", {})
    seen = [e.name for e in examples if shown and pixel_hash(e.image) in shown]
    if seen:
        raise DatasetError(
            f"the model to start from was trained on {', '.join(seen)}, which this would hold out; need one that never "
            "saw them, e.g. trained on simulated images"
        )


def one_fold(
    task: Trainable,
    examples: Sequence[Example],
    fold: Fold,
    *,
    inner: int,
    seed: int,
    device: str,
    tta: bool,
    start: Checkpoint | None,
    say: Say | None = None,
) -> FoldReport:
    """Train inside, judge outside."""
    began = time.monotonic()
    check(fold, examples)
    inside, outside = pick(examples, fold.train), pick(examples, fold.held_out)
    task = task.resolve(inside)
    inner_folds = leave_out(inside, inner, seed)
    models, candidates, truth = [], [], []
    for number, part in enumerate(inner_folds):
        learn, choose = all_ready(task, pick(inside, part.train)), all_ready(task, pick(inside, part.held_out))
        begun = beginning(task, seed + number, start, None)
        fitted = fit(task, learn, choose, seed=seed + number, device=device, start=begun.weights)
        model = Checkpoint(fitted.task, fitted.weights)
        models.append(model)
        if say is not None:
            which = f"{' '.join(fold.held_out)} held out: model {number + 1} of {len(inner_folds)}"
            say(f"  {which}, {called(task)} {fitted.score:.3f} on inner images")
        candidates += [find(task.permissive(), [model], one, tta, device) for one in choose]
        truth += [one.example for one in choose]
    task = task.calibrate(candidates, truth)
    scores = _held_out_scores(task, models, outside, tta, device)
    baseline = _baseline_scores(task, inside, outside, device)
    return FoldReport(fold, inner_folds, to_plain(task), dict(scores), dict(baseline), time.monotonic() - began)


def called(task: Task | type[Task]) -> str:
    """What people call the figure that a task goes by."""
    return {"f1": "F1", "event_f1": "event F1", "object_f1": "object F1", "pq": "PQ"}.get(
        task.objective, task.objective.capitalize()
    )


def _held_out_scores(
    task: Task, models: Sequence[Checkpoint], outside: Sequence[Example], tta: bool, device: str
) -> Scores:
    """Outlines are compared on the image's own voxels, whatever the voxel size worked at."""
    if is_outlining(task):
        alike = [replace(model, task=task) for model in models]
        return task.score([predict(one.image, alike, tta=tta, device=device) for one in outside], outside)
    held_out = all_ready(task, outside)
    found = [find(task, models, one, tta, device) for one in held_out]
    return task.score(found, [one.example for one in held_out])


def find(task: Task, models: Sequence[Checkpoint], ready: Ready, tta: bool, device: str) -> Result:
    """What `task` decodes from the mean maps of `models` on one example."""
    prepare = partial(task.prepare, levels=ready.levels)
    image = ready.example.image
    models = [replace(model, weights=with_measured(model.task, model.weights, image)) for model in models]
    return task.decode(run(joint_forward(models, tta, device), prepare, image, make_plan(image, task.grid)))


def _baseline_scores(task: Task, inside: Sequence[Example], outside: Sequence[Example], device: str) -> Scores:
    """A classical method for the same classes, tuned on the same examples as the model, on the same held-out ones."""
    if task.name not in BASELINES:
        return {}
    classical = BASELINES[task.name](task, inside)
    if is_outlining(classical):
        return classical.score([predict(one.image, Checkpoint(classical), device=device) for one in outside], outside)
    ready = all_ready(classical, outside)
    found = [find(classical, [Checkpoint(classical)], one, False, device) for one in ready]
    return task.score(found, [one.example for one in ready])


def line(report: FoldReport) -> str:
    """One fold in one line."""
    s, b = report.scores, report.baseline
    if "event_f1" in s or "object_f1" in s:
        return _object_line(report)
    figure, name = ("f1", "F1") if "f1" in s else ("dice", "Dice")
    text = f"{' '.join(report.fold.held_out):<12} {name} {s[figure]:.3f}  P {s['precision']:.3f}  R {s['recall']:.3f}"
    text += f"  (right {s['tp']:.0f}, false {s['fp']:.0f}, missed {s['fn']:.0f})"
    if b:
        text += f"  baseline {name} {b[figure]:.3f} (right {b['tp']:.0f}, false {b['fp']:.0f}, missed {b['fn']:.0f})"
    return f"{text}  {report.seconds:.0f} s"


def _object_line(report: FoldReport) -> str:
    """Events or objects."""

    def said(s: Scores) -> str:
        if "event_f1" in s:
            return f"event F1 {s['event_f1']:.3f} (met {s['met']:.0f} of {s['events']:.0f}, false {s['false']:.0f})"
        counts = f"met {s['objects_met']:.0f} of {s['objects_true']:.0f}, false {s['objects_false']:.0f}"
        return f"object F1 {s['object_f1']:.3f} ({counts}, split {s['splits']:.0f}, merged {s['merges']:.0f})"

    text = f"{' '.join(report.fold.held_out):<12} {said(report.scores)}  Dice {report.scores['dice']:.3f}"
    return f"{text}  {f'baseline {said(report.baseline)}  ' if report.baseline else ''}{report.seconds:.0f} s"


def _tally(scores: Scores, name: str) -> Tally:
    suffix = f"[{name}]" if name else ""
    tp, fp, fn = (int(scores.get(f"{count}{suffix}", 0)) for count in ("tp", "fp", "fn"))
    return Tally(tp, fp, fn)


def _keep(path: Path | None, key: Mapping[str, Any], report: FoldReport) -> None:
    if path is not None:
        with replacing(path) as aside:
            aside.write_text(json.dumps({"key": key, "report": asdict(report)}, indent=1))


def _kept(path: Path | None, key: Mapping[str, Any], fold: Fold, examples: Sequence[Example]) -> FoldReport | None:
    """A finished fold from an earlier call, checked again: same settings, same split, no specimen on both sides."""
    if path is None or not path.is_file():
        return None
    stored = json.loads(path.read_text())
    report = stored["report"]
    folds = [Fold(tuple(f["train"]), tuple(f["held_out"])) for f in (report["fold"], *report["inner"])]
    if stored["key"] != json.loads(json.dumps(key)) or folds[0] != fold:
        raise DatasetError(
            f"{path} was made with other settings, images or annotations; choose another output folder, or delete it"
        )
    for one in folds:
        check(one, examples)
    return FoldReport(
        folds[0], tuple(folds[1:]), report["settings"], report["scores"], report["baseline"], report["seconds"]
    )
