"""``graticule train TASK DATASET -o MODEL``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Channel, Common, Device, Out, PointsUnit, SpacingUm
from graticule.cli.task_flags import CHOSEN, app_of_kinds
from graticule.cli.voice import Voice
from graticule.errors import SettingsError
from graticule.tasks import TASKS

if TYPE_CHECKING:
    from graticule.checkpoint import Checkpoint
    from graticule.example import Example
    from graticule.task import Task

SUFFIX = ".safetensors"

Preset = Annotated[str | None, Parameter(help="Settings that go together, by name; others count for more.")]
SettingsFile = Annotated[
    Path | None, Parameter(name="--settings", help="A TOML file with settings, e.g. epochs = 10; flags count for more.")
]


def train_task(
    dataset: Path,
    /,
    *,
    out: Annotated[Out, Parameter(help="The model file to write.")],
    kind: type[Any],
    settings: Mapping[str, Any],
    preset: Preset = None,
    settings_file: SettingsFile = None,
    start: Annotated[
        Path | None, Parameter(name="--from", help="A model to begin with: fine-tunes it on this dataset.")
    ] = None,
    encoder_weights: Annotated[
        Path | None, Parameter(help="A pretrained encoder (a MoCo checkpoint in the layout of CEM500K).")
    ] = None,
    resume: Annotated[
        bool, Parameter(negative=(), help="Go on with a training that was stopped: same command, plus this.")
    ] = False,
    learning_curve: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Of clicks: also how many that are left out are found from fewer; up to six more trainings.",
        ),
    ] = False,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    points_unit: PointsUnit = None,
    common: Common = COMMON,
) -> None:
    """Learn from the annotated images in DATASET.

    A part of the specimens (most tasks: a quarter) is held out to choose when to stop and from which confidence an object
    counts. The model is written whenever a better one is found, so that a training that is stopped later leaves one that
    works (particles: at the end). Images that dataset.yaml keeps for the test (``split``) are not opened.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv or labels/NAME.tif, perhaps masks/NAME.tif and dataset.yaml.
    """
    from graticule.checkpoint import Checkpoint
    from graticule.cli.progress import epochs
    from graticule.workflows.choose_settings import choose
    from graticule.workflows.cross_validate import called
    from graticule.workflows.examples import examples_for
    from graticule.workflows.parts import kept_for_test, to_learn_from
    from graticule.workflows.provenance import about_dataset
    from graticule.workflows.results import check_writable
    from graticule.workflows.train import train

    voice = Voice(common)
    check_writable(out)
    model_path = out if out.suffix else out.with_name(out.name + SUFFIX)
    left_out = kept_for_test(dataset)
    read = to_learn_from(dataset, left_out, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    if left_out:
        voice.say(f"kept for the test, as dataset.yaml has it, and not learnt from: {', '.join(left_out)}")
    begun = None if start is None else Checkpoint.load(start)
    task = choose(kind, read, settings, preset=preset, file=settings_file, start=None if begun is None else begun.task)
    if learning_curve:
        _refuse_without_clicks(task)
    examples = examples_for(task, read)
    task = task.resolve(examples)
    voice.say(f"{read.name}: {len(examples)} images; {described(task)}")
    for remark in getattr(task, "remarks", lambda _: ())(examples):
        voice.say(remark)
    _warn_of_stopped(voice, model_path, resume)
    total, figure = sum(phase.epochs for phase in task.recipe.phases), called(task)
    with _stoppable(voice, model_path), epochs(voice, total, figure=figure) as watch:
        model = train(
            task,
            examples,
            model_path,
            seed=common.seed,
            device=device,
            start=begun,
            encoder_weights=encoder_weights,
            resume=resume,
            provenance=about_dataset(dataset, read),
            watch=watch,
        )
    score = model.made_by["score"]
    judged = "nothing held out, so no score" if score is None else f"{figure} {score:.3f} on the images held out"
    voice.show(f"{model_path}: {judged}; {operating_point(model.task)}")
    advice = _advise(voice, model, examples, common.seed, device, learning_curve)
    voice.finish({"model": str(model_path), "score": score, "settings": to_plain_settings(model.task), **advice})


def _advise(
    voice: Voice, model: Checkpoint, examples: Sequence[Example], seed: int, device: str, curve: bool
) -> dict[str, Any]:
    """To who clicked: what to label next and, if it was asked, whether more clicks would help."""
    from graticule.workflows.clicks import learning_curve, learns_from_clicks, next_windows

    if not learns_from_clicks(model.task):
        return {}
    windows = next_windows(model, examples, device=device)
    voice.show(
        "label these next (axes in the image's order, µm):" if windows else "nothing is in doubt: label what it misses"
    )
    for one in windows:
        place = " ".join(f"{value:.2f}" for value in one.position_um)
        voice.show(f"  {one.image}  {place}  confidence {one.confidence:.2f}")
    steps = learning_curve(model.task, examples, seed=seed, device=device, say=voice.say) if curve else []  # type: ignore[arg-type]
    for step in steps:
        voice.show(
            f"from {step.clicks:g} clicks {step.found / step.of:.0%} of those left out are found "
            f"({step.low:.0%} to {step.high:.0%})"
        )
    return {"label_next": [asdict(one) for one in windows], "learning_curve": [asdict(step) for step in steps]}


def _refuse_without_clicks(task: Task) -> None:
    from graticule.workflows.clicks import learns_from_clicks

    if not learns_from_clicks(task):
        raise SettingsError(
            f"found --learning-curve for {task.name}; it is for tasks that learn from clicks; leave it out"
        )


def _warn_of_stopped(voice: Voice, model: Path, resume: bool) -> None:
    if model.is_file() and not resume:
        voice.say(f"found {model}; it is replaced as soon as this training has a model")
    state = model.with_name(model.name + ".training")
    if state.is_file() and not resume:
        voice.say(f"found {state} of a training that was stopped; beginning anew (--resume would have gone on)")


@contextmanager
def _stoppable(voice: Voice, model: Path) -> Iterator[None]:
    """Who stops a training with Ctrl-C is told what there is, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if model.with_name(model.name + ".training").is_file():
            so_far = f"{model} is the best so far, and works" if model.is_file() else "there is no model yet"
            voice.say(f"{so_far}; the same command with --resume goes on")
        raise


def described(task: Any) -> str:
    """Classes and their sizes, as far as a task has such settings."""
    names, sizes = getattr(task, "classes", ()), getattr(task, "diameters_nm", ())
    if not names:
        return str(task.name)
    each = [f"{n} ({d:g} nm)" for n, d in zip(names, sizes, strict=True)] if sizes else list(names)
    return f"classes {', '.join(each)}"


def operating_point(task: Any) -> str:
    """The confidence from which an object counts, class by class."""
    pairs = zip(getattr(task, "classes", ()), getattr(task, "thresholds", ()), strict=False)
    said = ", ".join(f"{name} {threshold:.2f}" for name, threshold in pairs)
    return f"counts from confidence {said}" if said else "no threshold"


def to_plain_settings(task: Any) -> dict[str, Any]:
    """For --json."""
    from graticule.settings import to_plain

    return to_plain(task)


train = app_of_kinds("train", "Learn from annotated images: one model file.", train_task, TASKS, without=CHOSEN)
