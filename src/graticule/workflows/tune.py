"""Search for the settings that train best: on images held out from training, never on those kept for the test."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from graticule.errors import SettingsError
from graticule.example import Example
from graticule.io.atomic import replacing
from graticule.report.page import render
from graticule.report.search import Found, search_page
from graticule.settings import to_plain
from graticule.task import Choice, Recipe, Trainable
from graticule.training import Epoch, fit
from graticule.training.folds import hold_out
from graticule.training.study import Report, Settings, Study, Trial
from graticule.workflows.cross_validate import called
from graticule.workflows.provenance import example_hash
from graticule.workflows.ready import all_ready
from graticule.workflows.results import check_writable

STUDY, BEST, TRIALS, REPORT = "study.db", "best.toml", "trials.csv", "report.html"
WARM_UP = 1 / 3
"""Share of a training before which no trial is ended early: a moving average of weights starts late."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to search for, and how long.

    Attributes
    ----------
    task
        With the settings that a search begins with.
    chosen
        Of these the ones somebody chose, in a preset, a file or by a flag: they go into the result.
    fixed
        Names of settings that stay as they are.
    trials
        How many there shall be in all, those of earlier runs included.
    hours
        No trial is begun that would probably not be done by then; 0: whatever it takes.
    left_out
        Images that were kept for the test, and not opened.
    """

    task: Trainable
    chosen: Settings
    fixed: tuple[str, ...] = ()
    trials: int = 20
    hours: float = 0.0
    seed: int = 0
    device: str = "auto"
    left_out: tuple[str, ...] = ()


def tune(search: Search, examples: Sequence[Example], out: Path, *, say: Say = print) -> Found:
    """Search, and write what was found to `out`: study.db, trials.csv, best.toml, report.html.

    Each trial is a whole training on the same images as the others, and its score is that on the images which this
    training holds out (see `hold_out`): the same for all. What an earlier call with the same search left in `out` is gone
    on with, whenever and however that ended.

    Raises
    ------
    SettingsError
        If there is nothing to search for, or the task holds out nothing to choose by.
    StoreError
        If `out` holds the study of another search.
    """
    space = space_of(search)
    check_writable(out / STUDY)
    resolved = search.task.resolve(examples)
    if not resolved.recipe.held_out:
        raise SettingsError(
            f"found no images held out by {search.task.name}, which learns from all; a search needs a score to choose by"
        )
    learn, choose = hold_out(examples, search.seed, resolved.recipe.held_out)
    attempt = partial(_attempt, search, examples, learn, choose)
    start = {name: getattr(search.task, name) for name in space}
    with Study(
        out / STUDY,
        space,
        start,
        _identity(search, space, examples),
        seed=search.seed,
        warm_up=_warm_up(resolved.recipe),
    ) as study:
        _say_begun(study, search, learn, choose, say)
        for _ in _turns(study, search, say):
            say(_line(study.one(attempt), study, search))
            _write(study, search, out)
        found = Found(
            task=search.task.name,
            figure=called(search.task),
            trials=study.trials,
            best=study.best,
            space=space,
            start=start,
            importance=study.importance,
            learnt_from=tuple(e.name for e in learn),
            chosen_on=tuple(e.name for e in choose),
            left_out=search.left_out,
            seed=search.seed,
        )
        _write(study, search, out)
    with replacing(out / REPORT) as aside:
        aside.write_text(render(search_page(found)), encoding="utf-8")
    return found


def space_of(search: Search) -> dict[str, Choice]:
    """What the task says is worth a search, without what the user has fixed; wide enough for the values to begin with."""
    known: Mapping[str, Choice] = getattr(search.task, "searched", {})
    space = {
        name: choice.including(getattr(search.task, name)) for name, choice in known.items() if name not in search.fixed
    }
    if not space:
        given = f"; all of {', '.join(known)} are given" if known else ""
        raise SettingsError(f"found nothing to search for with {search.task.name}{given}; leave some open")
    return space


def _attempt(
    search: Search,
    examples: Sequence[Example],
    learn: Sequence[Example],
    choose: Sequence[Example],
    settings: Settings,
    report: Report,
) -> float:
    """One training with these settings; its best score on the images held out."""
    task = replace(search.task, **settings).resolve(examples)  # type: ignore[type-var]

    def watch(epoch: Epoch, _: float) -> None:
        if epoch.score is not None:
            report(sum(phase.epochs for phase in task.recipe.phases[: epoch.phase]) + epoch.epoch, epoch.score)

    ready = all_ready(task, learn), all_ready(task, choose)
    return fit(task, *ready, seed=search.seed, device=search.device, watch=watch).score


def _turns(study: Study, search: Search, say: Say) -> Any:
    """As many turns as there is room and time for."""
    began = time.monotonic()
    while study.ended < search.trials:
        hours = (time.monotonic() - began + max((t.seconds for t in study.trials), default=0.0)) / 3600
        if search.hours and hours > search.hours:
            say(f"the next trial would probably not be done within {search.hours:g} h; the same command goes on")
            return
        yield


def _warm_up(recipe: Recipe) -> int:
    return round(WARM_UP * sum(phase.epochs for phase in recipe.phases))


def _identity(search: Search, space: Mapping[str, Choice], examples: Sequence[Example]) -> dict[str, Any]:
    """Without these, scores could not be compared."""
    return {
        "task": search.task.name,
        "settings": {name: value for name, value in to_plain(search.task).items() if name not in space},
        "search space": {name: to_plain(choice) for name, choice in space.items()},
        "seed": search.seed,
        "images": {e.name: example_hash(e) for e in examples},
    }


# -- what is said and written ------------------------------------------------------------------------------------------


def _say_begun(study: Study, search: Search, learn: Sequence[Example], choose: Sequence[Example], say: Say) -> None:
    if search.left_out:
        say(f"kept for the test, and not opened: {', '.join(search.left_out)}")
    say(f"every trial learns from {len(learn)} image(s) and is scored on {', '.join(e.name for e in choose)}")
    if study.ended:
        say(f"found {study.ended} trials that have ended; going on")
    for number in study.died:
        why = next(trial.why for trial in study.trials if trial.number == number)
        again = "its settings are left out" if why == "died again and again" else "it is run again"
        say(f"trial {number} {why} with its program: {again}")


def _line(trial: Trial, study: Study, search: Search) -> str:
    """One trial in one line."""
    figure, best = called(search.task), study.best
    so_far = f" (best {best.score:.4f})" if best is not None and best.score is not None else ""
    told = {
        "complete": f"{figure} {trial.score or 0:.4f}{so_far}",
        "pruned": f"ended after epoch {max(trial.scores, default=0)}, {figure} {trial.score or 0:.4f}{so_far}",
        "failed": f"failed: {trial.why}",
    }[trial.state]
    return f"trial {trial.number} ({study.ended} of {search.trials}): {told}  {_words(trial.settings)}  {trial.seconds:.0f} s"


def _words(settings: Settings) -> str:
    return "  ".join(f"{name} {_short(value)}" for name, value in settings.items())


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _write(study: Study, search: Search, out: Path) -> None:
    _write_trials(study, out / TRIALS)
    if study.best is not None:
        with replacing(out / BEST) as aside:
            aside.write_text(settings_file(study.best, search), encoding="utf-8")


def settings_file(best: Trial, search: Search) -> str:
    """TOML that ``graticule train --settings`` takes: what was found, and what was chosen beforehand."""
    chosen = {**search.chosen, **best.settings}
    head = f"""\
# Settings for graticule train {search.task.name}, found by graticule tune: trial {best.number}, seed {search.seed}.
# {called(search.task)} {best.score:.4f} on images held out from training. It was chosen by that figure: judge it on others.
"""
    # What JSON makes of numbers, words, yes and no, and rows of them is TOML, too.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in chosen.items()]
    return head + "\n".join(lines) + "\n"


def _write_trials(study: Study, path: Path) -> None:
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["trial", "state", "score", "epochs", "seconds", *study.space, "why"])
        for trial in study.trials:
            values = [json.dumps(trial.settings[n]) if n in trial.settings else "" for n in study.space]
            score = "" if trial.score is None else f"{trial.score:.6f}"
            table.writerow(
                [trial.number, trial.state, score, max(trial.scores, default=0), trial.seconds, *values, trial.why]
            )
