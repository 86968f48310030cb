"""A search for settings as pictures and a page: how it went, what mattered, what to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graticule.report.page import Page, Part, Picture, Section, Table, Text, Warnings, facts
from graticule.report.png import svg
from graticule.task import Choice
from graticule.training.study import Settings, Trial

DONE, EARLY, BEST = "#0072B2", "0.6", "#D55E00"  # Okabe and Ito
ACROSS = 3
"""Small pictures side by side."""

FEW = 20
"""Trials below which importances are hardly more than chance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What came of a search.

    Attributes
    ----------
    figure
        What the score is called.
    trials, best
        All that ended, and the best of those that were completed.
    space, start
        What was drawn from, and the values that were tried first.
    importance
        Share of each setting in being among the better trials; empty where trials are too few to say.
    learnt_from, chosen_on, left_out
        Images that every trial learnt from, those it was scored on, and those that were not opened.
    """

    task: str
    figure: str
    trials: Sequence[Trial]
    best: Trial | None
    space: Mapping[str, Choice]
    start: Settings
    importance: Mapping[str, float]
    learnt_from: tuple[str, ...]
    chosen_on: tuple[str, ...]
    left_out: tuple[str, ...]
    seed: int


def search_page(found: Found) -> Page:
    """All there is to say of a search."""
    return Page(
        f"Settings for {found.task}",
        _summary(found),
        (
            Section("What was found", _result(found)),
            Section("Before you use it", (Warnings(tuple(_cautions(found))),)),
            Section("How the search went", _history(found)),
            Section("What mattered", _mattered(found)),
            Section("Every trial", (_all_trials(found),)),
            Section("How it was made", (_made(found),)),
        ),
    )


def _summary(found: Found) -> str:
    if found.best is None:
        return "No trial was completed."
    first = next((trial for trial in found.trials if trial.settings == found.start and trial.score is not None), None)
    against = "" if first is None else f"; {first.score:.4f} with the settings as they were"
    return f"{found.figure} {found.best.score:.4f} in trial {found.best.number} of {len(found.trials)}{against}."


def _result(found: Found) -> tuple[Part, ...]:
    if found.best is None:
        return (Text(("Nothing: see the trials below for what kept them from being completed.",)),)
    rows = [
        (name, shown(value), shown(found.start[name]), _range(found.space[name]))
        for name, value in found.best.settings.items()
    ]
    words = [f"Train with these: graticule train {found.task} DATASET --settings best.toml -o MODEL"]
    if found.left_out:
        words.append(
            f"That learns from every image but those of the test part in dataset.yaml's split: see that it names "
            f"{', '.join(found.left_out)}, or they are no test any more."
        )
    return (Table(("setting", "found", "as it was", "searched in"), tuple(rows)), Text(tuple(words)))


def _cautions(found: Found) -> list[str]:
    left_out = ", ".join(found.left_out)
    flattering = (
        f"The {found.figure} above is that of the best of many trials on the same images ({', '.join(found.chosen_on)}): it is "
        "flattering. Judge the settings on images that no trial saw, with graticule evaluate."
    )
    kept = (
        f"Kept for the test, and never opened: {left_out}."
        if found.left_out
        else "The dataset keeps no images for a test (split in dataset.yaml, or --leave-out): every image was used to choose. "
        "What is measured on any of them from now on is flattering, too, cross-validation included."
    )
    lines = [flattering, kept]
    if len(found.trials) < FEW:
        lines.append(
            f"{len(found.trials)} trials are few for {len(found.space)} settings: differences in the third digit are chance."
        )
    return lines


def _history(found: Found) -> tuple[Part, ...]:
    return (
        Picture(draw_history(found), "svg+xml", "score of every trial, and the best so far"),
        Picture(
            draw_courses(found), "svg+xml", "score by epoch of every trial", "Grey trials were ended early: at that epoch "
            "they were worse than the median of those before."
        ),
    )  # fmt: skip


def _mattered(found: Found) -> tuple[Part, ...]:
    parts: list[Part] = []
    if found.importance:
        parts.append(Picture(draw_importance(found.importance), "svg+xml", "share of each setting in the score"))
        words = (
            "How much it takes of each setting, by itself, to be among the better trials (PED-ANOVA, Watanabe et al. 2023, "
            "arXiv:2304.10255), as shares of all. Settings that act only together are not told apart, and a setting can only "
            "matter within the range that was searched."
        )
    else:
        words = "Too few trials were completed to say which settings mattered."
    return (*parts, Text((words,)), Picture(draw_values(found), "svg+xml", "score against each setting"))


def _all_trials(found: Found) -> Table:
    names = tuple(found.space)
    rows = [
        (
            f"{trial.number}",
            trial.state if not trial.why else f"{trial.state}: {trial.why}",
            "" if trial.score is None else f"{trial.score:.4f}",
            f"{max(trial.scores, default=0)}",
            f"{trial.seconds:.0f}",
            *(shown(trial.settings[name]) if name in trial.settings else "" for name in names),
        )
        for trial in found.trials
    ]
    return Table(("trial", "", found.figure, "epochs", "s", *names), tuple(rows), "The same is in trials.csv.")


def _made(found: Found) -> Table:
    return facts(
        [
            ("every trial learnt from", ", ".join(found.learnt_from)),
            ("every trial was scored on", ", ".join(found.chosen_on)),
            ("kept for the test", ", ".join(found.left_out)),
            ("seed", found.seed),
            ("drawn by", "a tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna (Akiba et al. 2019)"),
            ("ended early", "below the median of earlier trials at the same epoch"),
        ]
    )


def shown(value: Any) -> str:
    """A setting in a few letters."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _range(choice: Choice) -> str:
    if choice.values:
        return ", ".join(map(shown, choice.values))
    return f"{choice.low:g} … {choice.high:g}{', by logarithm' if choice.kind == 'log' else ''}"


# -- pictures ----------------------------------------------------------------------------------------------------------


def draw_history(found: Found) -> bytes:
    """SVG: the score of every trial in the order they began, and the best so far."""
    figure = Figure(figsize=(6.5, 3), layout="constrained")
    axes = figure.add_subplot()
    for state, colour, mark, label in (("complete", DONE, "o", "completed"), ("pruned", EARLY, "v", "ended early")):
        some = [trial for trial in found.trials if trial.state == state and trial.score is not None]
        if some:
            axes.plot(
                [t.number for t in some],
                [t.score or 0.0 for t in some],
                mark,
                color=colour,
                label=label,
                markersize=5,
                zorder=3,
            )
    told = [
        (trial.number, trial.score) for trial in found.trials if trial.state == "complete" and trial.score is not None
    ]
    if told:
        numbers, scores = zip(*told, strict=True)
        best = np.maximum.accumulate(scores)
        axes.step([*numbers, found.trials[-1].number], [*best, best[-1]], where="post", color=BEST, label="best so far")
    axes.set(xlabel="trial", ylabel=f"{found.figure} on held-out images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best", fontsize=9)
    return _finished(figure)


def draw_courses(found: Found) -> bytes:
    """SVG: the score of every trial by epoch; the best one on top."""
    figure = Figure(figsize=(6.5, 3), layout="constrained")
    axes = figure.add_subplot()
    for trial in sorted(found.trials, key=lambda t: (t.state == "complete", t is found.best)):
        if trial.scores:
            is_best = found.best is not None and trial.number == found.best.number
            colour = BEST if is_best else DONE if trial.state == "complete" else EARLY
            epochs, scores = zip(*sorted(trial.scores.items()), strict=True)
            axes.plot(
                epochs, scores, color=colour, linewidth=2 if is_best else 1, alpha=1 if is_best else 0.6,
                marker="." if len(epochs) == 1 else None, zorder=4 if is_best else 2,
            )  # fmt: skip
    axes.set(xlabel="epoch", ylabel=f"{found.figure} on held-out images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finished(figure)


def draw_importance(importance: Mapping[str, float]) -> bytes:
    """SVG: a bar for each setting, the most important on top."""
    figure = Figure(figsize=(6.5, 0.6 + 0.32 * len(importance)), layout="constrained")
    axes = figure.add_subplot()
    names = sorted(importance, key=lambda name: importance[name])
    axes.barh(names, [importance[name] for name in names], color=DONE, height=0.65)
    axes.set(xlim=(0, 1), xlabel="share in being among the better trials")
    return _finished(figure)


def draw_values(found: Found) -> bytes:
    """SVG: a small picture for each setting, score against value; the best trial ringed."""
    rows = -(-len(found.space) // ACROSS)
    figure = Figure(figsize=(8.4, 2.1 * rows), layout="constrained")
    every = figure.subplots(rows, ACROSS, squeeze=False, sharey=True)
    for axes, (name, choice) in zip(every.flat, found.space.items(), strict=False):
        _against(axes, found, name, choice)
    for axes in every.flat[len(found.space) :]:
        axes.set_visible(False)
    for axes in every[:, 0]:
        axes.set_ylabel(found.figure)
    return _finished(figure)


def _against(axes: Axes, found: Found, name: str, choice: Choice) -> None:
    for state, colour, mark in (("pruned", EARLY, "v"), ("complete", DONE, "o")):
        some = [t for t in found.trials if t.state == state and t.score is not None and name in t.settings]
        axes.plot(
            [_place(t, name, choice) for t in some], [t.score or 0.0 for t in some], mark, color=colour, markersize=4
        )
    if found.best is not None and name in found.best.settings:
        axes.plot(
            _place(found.best, name, choice),
            found.best.score or 0.0,
            "o",
            color=BEST,
            markersize=9,
            markerfacecolor="none",
        )
    axes.set_title(name, fontsize=10)
    if choice.values:
        axes.set_xticks(range(len(choice.values)), [_tick(value) for value in choice.values], fontsize=8)
        axes.set_xlim(-0.5, len(choice.values) - 0.5)
    elif choice.kind == "log":
        axes.set_xscale("log")


def _place(trial: Trial, name: str, choice: Choice) -> float:
    value = trial.settings[name]
    return float(choice.values.index(value) if choice.values else value)


def _tick(value: Any) -> str:
    """Rows by their ends: all of them would run into one another."""
    return f"{value[0]}–{value[-1]}\n({len(value)})" if isinstance(value, tuple) and len(value) > 2 else shown(value)


def _finished(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)
