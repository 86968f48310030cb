"""``graticule tune TASK DATASET -o DIR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Channel, Common, Device, Out, PointsUnit, SpacingUm
from graticule.cli.task_flags import CHOSEN, app_of_kinds
from graticule.cli.train import Preset, SettingsFile, described
from graticule.cli.voice import Voice
from graticule.tasks import TASKS


def tune_task(
    dataset: Path,
    /,
    *,
    out: Annotated[
        Out, Parameter(help="Folder for the study and what was found; a search that is there is gone on with.")
    ],
    kind: type[Any],
    settings: Mapping[str, Any],
    trials: Annotated[int, Parameter(help="How many there shall be in all, those of earlier runs included.")] = 20,
    hours: Annotated[
        float, Parameter(help="Begin no trial that would probably not be done by then. 0: whatever it takes.")
    ] = 0.0,
    leave_out: Annotated[
        tuple[str, ...],
        Parameter(
            consume_multiple=True,
            negative=(),
            show_default=False,
            help="Images or specimens to keep for the test, besides those of the test part in dataset.yaml's split.",
        ),
    ] = (),
    preset: Preset = None,
    settings_file: SettingsFile = None,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    points_unit: PointsUnit = None,
    common: Common = COMMON,
) -> None:
    """Search for the settings that learn best from the annotated images in DATASET.

    Every trial is a training, scored on the images it holds out; one that falls behind the others is ended early. The
    first has the settings as they are. Settings given here, or in a file, stay as given; of the others those are searched
    that the task names. Writes OUT/best.toml, for train --settings, OUT/trials.csv, OUT/report.html and OUT/study.db: the
    same command goes on with it, also after a kill. Images kept for the test are not opened.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv or labels/NAME.tif, perhaps masks/NAME.tif and dataset.yaml.
    """
    from graticule.errors import SettingsError
    from graticule.settings import checked
    from graticule.workflows.choose_settings import choose, file_settings, preset_settings
    from graticule.workflows.examples import examples_for
    from graticule.workflows.parts import kept_for_test, to_learn_from
    from graticule.workflows.tune import BEST, REPORT, Search, tune

    voice = Voice(common)
    if trials < 1:
        raise SettingsError(f"found --trials {trials}; need one or more")
    if not hours >= 0:
        raise SettingsError(f"found --hours {hours:g}; need a number above 0, or 0 for as long as it takes")
    given = {**file_settings(kind, settings_file), **checked(kind, settings, "settings")}
    left_out = kept_for_test(dataset, leave_out)
    read = to_learn_from(dataset, left_out, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    task = choose(kind, read, settings, preset=preset, file=settings_file)
    search = Search(
        task=task,
        chosen={**preset_settings(kind, preset), **given},
        fixed=tuple(given),
        trials=trials,
        hours=hours,
        seed=common.seed,
        device=device,
        left_out=left_out,
    )
    examples = examples_for(task, read)
    voice.say(f"{read.name}: {len(examples)} images; {described(task.resolve(examples))}")
    found = tune(search, examples, out, say=voice.say)
    if found.best is None:
        voice.show(f"{out}: no trial was completed; see {out / REPORT}")
    else:
        voice.show(
            f"{out / BEST}: {found.figure} {found.best.score:.4f} on held-out images, trial {found.best.number} of "
            f"{len(found.trials)}; graticule train {kind.name} {dataset}{read_as(spacing_um, channel, points_unit)} --settings "
            f"{out / BEST} -o MODEL"
        )
        if leave_out:
            voice.say(
                f"train learns from every image but those of the test part in dataset.yaml's split: name {', '.join(left_out)} "
                "there first, or they are no test any more"
            )
    best = None if found.best is None else {"trial": found.best.number, "score": found.best.score}
    voice.finish({"best": best, "trials": len(found.trials), "importance": dict(found.importance), "out": str(out)})


def read_as(spacing_um: Sequence[float] | None, channel: str | None, points_unit: str | None) -> str:
    """The flags by which the images were read, for another command to read them so."""
    flags = {
        "spacing-um": " ".join(f"{um:g}" for um in spacing_um or ()),
        "channel": channel,
        "points-unit": points_unit,
    }
    return "".join(f" --{name} {value}" for name, value in flags.items() if value)


SEARCHED = {name: kind for name, kind in TASKS.items() if getattr(kind, "searched", None)}
"""Tasks that say what is worth a search: those that hold out images to choose by."""

tune = app_of_kinds("tune", "Search for the settings that learn best.", tune_task, SEARCHED, without=CHOSEN)
