"""``graticule cross-validate TASK DATASET -o DIR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Channel, Common, Device, Out, PointsUnit, SpacingUm
from graticule.cli.task_flags import CHOSEN, app_of_kinds
from graticule.cli.train import Preset, SettingsFile, described
from graticule.cli.voice import Voice
from graticule.tasks import TASKS

if TYPE_CHECKING:
    from graticule.metrics.detection import Tally
    from graticule.workflows.cross_validate import CrossValidation


def cross_validate_task(
    dataset: Path,
    /,
    *,
    out: Annotated[
        Out, Parameter(help="Folder for the folds and the summary; finished folds there are not done again.")
    ],
    kind: type[Any],
    settings: Mapping[str, Any],
    inner: Annotated[int, Parameter(help="Models for each held-out specimen, which also choose its threshold.")] = 3,
    seeds: Annotated[int, Parameter(help="How often to do it all, with seeds --seed, --seed + 1 …")] = 1,
    preset: Preset = None,
    settings_file: SettingsFile = None,
    start: Annotated[
        Path | None, Parameter(name="--from", help="A model to begin with; it must have seen none of these images.")
    ] = None,
    tta: Annotated[
        bool, Parameter(negative=(), help="Average over turned and mirrored views: eight times slower.")
    ] = False,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    points_unit: PointsUnit = None,
    common: Common = COMMON,
) -> None:
    """Hold out each specimen of DATASET once, and say how right models are that never saw it.

    Nothing of a held-out specimen is used to train, to stop, or to choose a threshold: those use an inner split of the
    other specimens. A classical method tuned on the same images is scored beside it.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv, perhaps masks/NAME.tif and dataset.yaml with groups (specimens).
    """
    from graticule.checkpoint import Checkpoint
    from graticule.io.dataset import load
    from graticule.workflows.choose_settings import choose
    from graticule.workflows.cross_validate import cross_validate
    from graticule.workflows.examples import examples_for
    from graticule.workflows.results import check_writable

    voice = Voice(common)
    check_writable(out / "summary.json")
    read = load(dataset, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    task = choose(kind, read, settings, preset=preset, file=settings_file)
    examples = examples_for(task, read)
    voice.say(f"{read.name}: {len(examples)} images; {described(task)}; {inner} models a fold")
    done = [
        cross_validate(
            task,
            examples,
            inner=inner,
            seed=seed,
            device=device,
            tta=tta,
            start=None if start is None else Checkpoint.load(start),
            out=out / "folds",
            say=voice.say,
        )
        for seed in range(common.seed, common.seed + seeds)
    ]
    _report(voice, out, read.name, done)


def _report(voice: Voice, out: Path, name: str, done: Sequence[CrossValidation]) -> None:
    import json

    from graticule.io.atomic import replacing
    from graticule.workflows.report import write_report

    lines = summary(name, done)
    facts = {"dataset": name, "runs": [_facts(each) for each in done], "out": str(out)}
    with replacing(out / "summary.txt") as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with replacing(out / "summary.json") as aside:
        aside.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    write_report(out)
    for line in lines:
        voice.show(line)
    voice.finish(facts)


def summary(name: str, done: Sequence[CrossValidation]) -> list[str]:
    """Every fold, never a subset, then all counts pooled, class by class, with the baseline beside."""
    from graticule.workflows.cross_validate import line

    figure = "Dice" if done and "dice" in done[0].folds[0].scores else "F1"  # over voxels they are the same
    lines = [f"{name}: nested leave-one-specimen-out"]
    for each in done:
        lines += ["", f"seed {each.seed}", *(line(fold) for fold in each.folds)]
        lines += [_pooled_line(kind or "all classes", tally, figure) for kind, tally in each.pooled().items()]
        if any(fold.baseline for fold in each.folds):
            classical = each.pooled("baseline").items()
            lines += [_pooled_line(f"baseline, {kind or 'all'}", tally, figure) for kind, tally in classical]
        met = {"events": each.events(), "baseline, events": each.events("baseline")}
        met |= {"objects": each.objects(), "baseline, objects": each.objects("baseline")}
        lines += [_pooled_line(what, tally, "F1  ") for what, tally in met.items() if tally is not None]
    if len(done) > 1:
        f1 = [each.pooled()[""].f1 for each in done]
        lines += [
            "",
            f"pooled {figure} over {len(done)} seeds: mean {sum(f1) / len(f1):.4f}, {min(f1):.4f} to {max(f1):.4f}",
        ]
    return lines


def _pooled_line(what: str, tally: Tally, figure: str) -> str:
    figures = f"{figure} {tally.f1:.4f}  P {tally.precision:.4f}  R {tally.recall:.4f}"
    return f"pooled, {what:<16} {figures}  (right {tally.tp}, false {tally.fp}, missed {tally.fn})"


def _facts(done: CrossValidation) -> dict[str, Any]:
    folds = [
        {
            "held_out": fold.fold.held_out,
            "scores": fold.scores,
            "baseline": fold.baseline,
            "settings": fold.settings,
            "seconds": fold.seconds,
        }
        for fold in done.folds
    ]
    has_baseline = any(fold.baseline for fold in done.folds)
    baseline = _pooled_facts(done, "baseline") if has_baseline else {}
    return {"seed": done.seed, "pooled": _pooled_facts(done, "scores"), "baseline": baseline, "folds": folds}


def _pooled_facts(done: CrossValidation, of: str) -> dict[str, dict[str, float]]:
    return {
        kind or "all": {
            "f1": tally.f1,
            "precision": tally.precision,
            "recall": tally.recall,
            "tp": tally.tp,
            "fp": tally.fp,
            "fn": tally.fn,
        }
        for kind, tally in done.pooled(of).items()
    }


cross_validate = app_of_kinds(
    "cross-validate", "How right a model will be on the next specimen.", cross_validate_task, TASKS, without=CHOSEN
)
