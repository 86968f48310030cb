"""What a model learnt from a few clicks says to who clicked: what to label next, and whether more clicks would help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Array
from graticule.results import Points
from graticule.review.queue import by_expected_error, expected_error
from graticule.statistics.intervals import share as interval
from graticule.task import Task, Trainable
from graticule.training import fit
from graticule.workflows.cross_validate import find
from graticule.workflows.ready import all_ready, ready

Say = Callable[[str], None]

NEXT = 5
DIVERSITY = 0.5
FOLDS = 3
FEWEST = 3
"""Clicks that a task learns from at least."""


@dataclass(frozen=True, slots=True)
class Window:
    """A place worth a look: in which image, where ``(z,) y, x``, and how sure the model is that it is a particle."""

    image: str
    position_um: tuple[float, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Step:
    """One number of clicks: of those left out, how many the model then finds, as a share with its interval."""

    clicks: float
    found: int
    of: int
    low: float
    high: float


def learns_from_clicks(task: Task) -> bool:
    """Whether what is unmarked is unlabelled to it."""
    recipe = getattr(task, "recipe", None)
    return recipe is not None and recipe.marked > 0


def next_windows(
    model: Checkpoint, examples: Sequence[Example], *, count: int = NEXT, device: str = "auto"
) -> list[Window]:
    """The unmarked places that would teach most: the model is undecided there, and they are unlike one another.

    What lies where annotation is complete is known already.
    """
    permissive = Checkpoint(model.task.permissive(), model.weights)
    threshold = float(getattr(model.task, "thresholds", (0.5,))[0])
    windows: list[Window] = []
    for example in examples:
        anywhere = ready(permissive.task, replace(example, complete=None))
        found, truth = find(permissive.task, [permissive], anywhere, False, device), example.truth
        assert isinstance(found, Points) and isinstance(truth, Points)
        new = found[_apart(found.position_um, truth.position_um, max(model.task.match_um.values()))]  # type: ignore[attr-defined]
        if example.complete is not None:
            new = new[~example.is_complete_at(new.position_um)]
        windows += [
            Window(example.name, tuple(place), float(c))
            for place, c in zip(new.position_um, new.confidence, strict=True)
        ]
    if not windows:
        return []
    confidence = np.array([window.confidence for window in windows])
    names = [example.name for example in examples]
    features = np.array([(*w.position_um, names.index(w.image), w.confidence) for w in windows])
    order = by_expected_error(expected_error(confidence, threshold), features, DIVERSITY)
    return [windows[n] for n in order[:count]]


def learning_curve(
    task: Trainable, examples: Sequence[Example], *, seed: int = 0, device: str = "auto", say: Say = print
) -> list[Step]:
    """How many clicks that were left out are found after learning from a third of them, and from two thirds.

    Each click is left out once or twice: `FOLDS` trainings on two parts of three, and as many on one, but for those with
    fewer clicks than `FEWEST`. Recall only: what is found besides nobody has marked, so nothing is known of it. Where
    annotation is complete is not used either: a click that is left out would be known background there.
    """
    examples = [replace(example, complete=None) for example in examples]
    marked = [(n, k) for n, example in enumerate(examples) for k in range(_count(example))]
    dealt = np.random.default_rng(seed).permutation(len(marked)) % FOLDS
    steps = []
    for parts in (1, 2):
        hits = left = learnt = trained = 0
        for fold in range(FOLDS):
            kept = np.isin(dealt, [(fold + part) % FOLDS for part in range(parts)])
            if kept.sum() < FEWEST:
                continue
            found, out = _one_fold(task, examples, [marked[i] for i in np.flatnonzero(kept)], seed + fold, device)
            hits, left, learnt, trained = hits + found, left + out, learnt + int(kept.sum()), trained + 1
            say(f"learnt from {kept.sum()} clicks: {found} of {out} others found")
        if left:
            low, high = interval(hits, left)
            steps.append(Step(round(learnt / trained, 1), hits, left, low, high))
    return steps


def _one_fold(
    task: Trainable, examples: Sequence[Example], kept: Sequence[tuple[int, int]], seed: int, device: str
) -> tuple[int, int]:
    """How many of the clicks left out are found, and how many these are."""
    fewer = [_only(example, [k for m, k in kept if m == n]) for n, example in enumerate(examples)]
    again: Any = task  # a dataclass, whatever else it is
    if hasattr(task, "prior"):
        # Of fewer clicks more particles are left unlabelled; how many there are is known as before. How faint a particle may
        # be is not: clicks that are left out must not say it.
        again = replace(again, prior=0.0, least_light=0.0).resolve(fewer)
    prepared = all_ready(again, fewer)
    fitted = fit(again, prepared, prepared, seed=seed, device=device)
    model = Checkpoint(fitted.task, fitted.weights)
    hits = out = 0
    for example, less in zip(examples, fewer, strict=True):
        assert isinstance(example.truth, Points) and isinstance(less.truth, Points)
        left = example.truth[_apart(example.truth.position_um, less.truth.position_um, 1e-9)]
        found = fitted.task.keep(find(fitted.task, [model], ready(fitted.task, example), False, device))
        assert isinstance(found, Points)
        within = max(fitted.task.match_um.values())  # type: ignore[attr-defined]
        hits += int((~_apart(left.position_um, found.position_um, within)).sum())
        out += len(left)
    return hits, out


def _only(example: Example, clicks: Sequence[int]) -> Example:
    assert isinstance(example.truth, Points)
    return replace(example, truth=example.truth[np.array(clicks, int)])


def _apart(places: Array, others: Array, distance: float) -> Array:
    """``(N,)`` booleans: which have none of the others within that distance."""
    if not len(places) or not len(others):
        return np.ones(len(places), bool)
    nearest, _ = cKDTree(others).query(places)
    far: Array = nearest > distance
    return far


def _count(example: Example) -> int:
    return len(example.truth) if isinstance(example.truth, Points) else 0
