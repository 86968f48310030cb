"""The whole way in a few minutes: simulate, train, predict, evaluate, beside a classical method."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graticule.checkpoint import Checkpoint
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.io.dataset import Dataset
from graticule.io.naming import unknown
from graticule.report.curves import draw_training
from graticule.results import Points
from graticule.simulate import SCENES
from graticule.tasks import BASELINES, PRESETS, TASKS
from graticule.training.fit import Watch
from graticule.workflows.choose_settings import choose
from graticule.workflows.cross_validate import called, find
from graticule.workflows.evaluate import Evaluation, evaluate, judged, write_evaluation
from graticule.workflows.evaluate_labels import LabelEvaluation, evaluate_labels, write_label_evaluation
from graticule.workflows.examples import examples_for
from graticule.workflows.predict import is_outlining
from graticule.workflows.predict_files import Job, image_files, predict_file
from graticule.workflows.provenance import about_dataset, made_on
from graticule.workflows.ready import ready
from graticule.workflows.results import MARK, check_result_folder
from graticule.workflows.simulate import simulate
from graticule.workflows.train import train

Say = Callable[[str], None]

DEMO = "demo"
"""The preset that a task is shown with, if it has one: what its defaults take too long for."""

CLICKED: Mapping[str, tuple[int, Mapping[str, Any]]] = {"particles": (2, {"marked": 5, "particles": (20, 30)})}
"""By task that learns from a few clicks: images to learn from, and how these are simulated."""

HELD_OUT_SEED = 1_000_003
"""Added to the seed for the images that are held out: they share nothing with those learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is made and learnt from; the default takes a few minutes on two cores. `size_px` 0: as usual."""

    learn: int = 10
    held_out: int = 4
    size_px: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Demo:
    """What came of it. `baseline` is None for tasks without a classical method."""

    evaluation: Evaluation | LabelEvaluation
    baseline: Evaluation | LabelEvaluation | None
    out: Path
    seconds: float


def demo(
    task_name: str,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    size: Size | None = None,
    say: Say = print,
    watch: Callable[[int], Watch] | None = None,
) -> Demo:
    """Everything lies in `out` afterwards, as a user's own commands would have left it.

    `watch` is asked, with the number of epochs, for what to call after each.
    """
    began, size = time.monotonic(), size or Size()
    kind = _kind(task_name)
    _begin(out, seed)
    count, scenes = CLICKED.get(task_name, (size.learn, {}))
    learn = _simulated(task_name, out / "learn", min(count, size.learn), size, seed, say, scenes)
    test = _simulated(task_name, out / "held-out", size.held_out, size, seed + HELD_OUT_SEED, say)
    task = choose(kind, learn, size.settings, preset=DEMO if DEMO in PRESETS.get(task_name, {}) else None)
    examples, unseen = examples_for(task, learn), examples_for(task, test)
    task = task.resolve(examples)
    say(f"training on {len(examples)} images (graticule train {task_name} {out}/learn -o {out}/model.safetensors)")
    model = train(
        task,
        examples,
        out / "model.safetensors",
        seed=seed,
        device=device,
        provenance=about_dataset(out / "learn", learn),
        watch=None if watch is None else watch(sum(phase.epochs for phase in task.recipe.phases)),
    )
    say(
        f"finding them in {len(unseen)} other images (graticule predict {out}/held-out/images --model … -o {out}/found)"
    )
    draw_training(model.made_by["history"], out / "training.png", score=f"{called(task)} on held-out images")
    job = Job(models=(model,), files=(out / "model.safetensors",), out=out / "found", device=device, seed=seed)
    for file in image_files([out / "held-out" / "images"]):
        predict_file(file, job)
    say(f"judging what was found (graticule evaluate {out}/held-out --model … -o {out}/evaluation)")
    done = _judged(model, unseen, out / "evaluation", about_dataset(out / "held-out", test), device)
    return Demo(done, _baseline(task_name, model, examples, unseen), out, time.monotonic() - began)


def _judged(
    model: Checkpoint, unseen: Sequence[Example], out: Path, facts: Mapping[str, Any], device: str
) -> Evaluation | LabelEvaluation:
    if is_outlining(model.task):
        outlined = evaluate_labels([model], unseen, device=device)
        write_label_evaluation(outlined, out, facts)
        return outlined
    done = evaluate(model, unseen, device=device)
    write_evaluation(done, out, facts)
    return done


def _kind(task_name: str) -> type[Any]:
    known = tuple(name for name in TASKS if name in SCENES)
    if task_name not in known:
        raise SettingsError(unknown("task", task_name, known))
    return TASKS[task_name]


def _begin(out: Path, seed: int) -> None:
    """An empty folder, marked as ours, so that the next demo may replace it."""
    check_result_folder(out)
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text(json.dumps({"command": "demo", **made_on(), "seed": seed}, indent=1), encoding="utf-8")


def _simulated(
    task_name: str, folder: Path, count: int, size: Size, seed: int, say: Say, scenes: Mapping[str, Any] | None = None
) -> Dataset:
    say(f"simulating {count} images into {folder}")
    return simulate(SCENES[task_name], folder, count=count, size_px=size.size_px, seed=seed, settings=scenes)


def _baseline(
    task_name: str, model: Checkpoint, learn: Sequence[Example], unseen: Sequence[Example]
) -> Evaluation | LabelEvaluation | None:
    """The classical method, tuned on the images that the model learnt from, on those that it did not."""
    if task_name not in BASELINES:
        return None
    classical = BASELINES[task_name](model.task, learn)
    if is_outlining(classical):
        return evaluate_labels([Checkpoint(classical)], unseen)
    permissive = Checkpoint(classical.permissive())
    candidates = [find(permissive.task, [permissive], ready(classical, one), False, "cpu") for one in unseen]
    return judged(classical, unseen, [one for one in candidates if isinstance(one, Points)])
