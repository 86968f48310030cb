"""``graticule demo [TASK]``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common, Device

if TYPE_CHECKING:
    from graticule.cli.voice import Voice
    from graticule.workflows.demo import Demo


CLASSICAL = {
    "beads-log": "a Laplacian of Gaussian tuned on the same images",
    "tissue-texture": "by texture, without training",
    "mitochondria-dark": "by grey level alone, tuned on the same images",
    "rosettes-vertices": "by vertices alone, tuned on the same images",
}
"""What to call each classical method."""


def demo(
    task: str = "beads",
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("demo"),
    device: Device = "auto",
    common: Common = COMMON,
) -> None:
    """See it work, on images made for it: simulate, train, predict and evaluate; a few minutes on any laptop.

    Parameters
    ----------
    task
        What to find.
    out
        Folder for images, model, results and pictures; an earlier demo there is replaced.
    """
    from graticule.cli.progress import clock, epochs
    from graticule.cli.voice import Voice
    from graticule.tasks import TASKS
    from graticule.workflows.cross_validate import called
    from graticule.workflows.demo import demo as run
    from graticule.workflows.evaluate import Evaluation
    from graticule.workflows.evaluate_labels import LabelEvaluation

    def as_plain(one: Evaluation | LabelEvaluation) -> dict[str, Any]:
        return {"task": one.task.name, "classes": one.classes, "pooled": dict(one.pooled), "images": {**one.by_image}}

    voice = Voice(common)
    figure = called(TASKS[task]) if task in TASKS else ""
    with ExitStack() as stack:
        done = run(
            task,
            out,
            seed=common.seed,
            device=device,
            say=voice.say,
            watch=lambda total: stack.enter_context(epochs(voice, total, figure=figure)),
        )
    _show(voice, done)
    voice.show(f"all in {clock(done.seconds)} minutes")
    baseline = None if done.baseline is None else as_plain(done.baseline)
    facts = {"out": str(out), "seconds": done.seconds, "evaluation": as_plain(done.evaluation), "baseline": baseline}
    voice.finish(facts)


def _show(voice: Voice, done: Demo) -> None:
    from graticule.cli.evaluate import show, show_labels
    from graticule.workflows.cross_validate import called
    from graticule.workflows.evaluate import Evaluation

    voice.show("\nOn images that the model has never seen:\n")
    points = isinstance(done.evaluation, Evaluation)
    if isinstance(done.evaluation, Evaluation):
        show(voice, done.evaluation)
    else:
        show_labels(voice, done.evaluation)
    if done.baseline is not None:
        figure = done.evaluation.task.objective
        name, classical = called(done.evaluation.task), CLASSICAL.get(done.baseline.task.name, done.baseline.task.name)
        shares = (one.pooled[figure] for one in (done.evaluation, done.baseline))
        voice.show(f"\n{name} {next(shares):.3f}; {classical}: {next(shares):.3f}")
    tabled = points or done.evaluation.task.regions.counted  # type: ignore[attr-defined]
    for line in _what_next(done.out, done.evaluation.task.name, points, tabled):
        voice.show(line)


def _what_next(out: Path, task: str, points: bool, tabled: bool) -> Iterator[str]:
    yield "\nLook at:"
    yield f"  {out}/evaluation/         every held-out image with what was right, false and missed; figures; curve"
    what = "objects.csv" if tabled else "labels"
    yield f"  {out}/found/NAME/         overlay.png, {what}, run.json, as predict leaves them"
    yield f"  {out}/training.png        how the model learnt"
    folder = "points" if points else "labels"
    yield f"  {out}/learn/              what a dataset looks like: images/, {folder}/, dataset.yaml"
    yield "\nNext, with images of your own (graticule COMMAND --help explains all settings):"
    yield "  graticule info my-images/*.tif"
    yield "  graticule check my-dataset"
    yield f"  graticule train {task} my-dataset -o my-model.safetensors"
    yield "  graticule predict my-images/*.tif --model my-model.safetensors -o found"
