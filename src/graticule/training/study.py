"""A search for settings that can be killed at any moment: every trial in one SQLite file, by Optuna (Akiba et al. 2019).

Values are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011), anew for each trial from the seed and the
number of trials that have ended: so a trial that died is drawn again as it was, and a search that was stopped and resumed
is the search that was never stopped. Trials that at some epoch fare worse than the median of those before end there.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graticule.errors import GraticuleError, SettingsError, StoreError
from graticule.task import Choice

if TYPE_CHECKING:
    import optuna

STARTUP = 8
"""Trials that are drawn at random, but for the first, which has the settings as they are."""

BEFORE_PRUNING = 4
"""Trials that end in their own time before any is ended early."""

MOST_DEATHS = 3
"""Times that the same settings may die with their program before they are taken for the reason."""

WHY, LOST, IDENTITY = "why", "lost", "identity"

Settings = Mapping[str, Any]
Report = Callable[[int, float], None]
"""Called with an epoch, from 1, and its score; raises `Hopeless` where going on is not worth it."""

Attempt = Callable[[Settings, Report], float]
"""From settings to their score; higher is better."""

State = Literal["complete", "pruned", "failed"]


class Hopeless(Exception):  # noqa: N818 (no error: a trial that ends early)
    """A trial fares worse than the median of those before it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of settings, and what came of it.

    Attributes
    ----------
    number
        From 0, in the order in which they began.
    state
        "complete"; "pruned": ended early; "failed": impossible, died, or stopped.
    settings
        Those that were searched for.
    score
        The best of its epochs; of a trial that was pruned the last one; None of one that failed.
    scores
        By epoch, as far as epochs were examined.
    why
        What kept it from being completed.
    """

    number: int
    state: State
    settings: Settings
    score: float | None
    scores: Mapping[int, float]
    seconds: float
    why: str = ""


class Study:
    """All trials of one search, on disk. One program at a time: the lock goes with the process, however that ends.

    Parameters
    ----------
    path
        The SQLite file; made where there is none.
    space
        What to draw from, by the setting's name.
    start
        Values of the same settings to try first.
    identity
        What must be the same for trials to be comparable: JSON.
    seed
        The same seed gives the same trials, as far as the same settings get the same scores.
    warm_up
        Epochs before which no trial is ended early.

    Raises
    ------
    StoreError
        If the file is of another search, is no study, or is in use.
    """

    def __init__(
        self,
        path: Path,
        space: Mapping[str, Choice],
        start: Settings,
        identity: Mapping[str, Any],
        *,
        seed: int = 0,
        warm_up: int = 0,
    ) -> None:
        self.path, self.space, self.start, self.seed = path, space, start, seed
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = _locked(path.parent)
        try:
            self._study = _opened(path, warm_up)
            self._check_identity(json.loads(json.dumps(identity)))
            self.died = tuple(self._bury())
        except BaseException:
            os.close(self._folder)
            raise

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self._study._storage.remove_session()
        os.close(self._folder)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that have ended, in whatever way."""
        return tuple(self._as_trial(t) for t in self._study.get_trials(deepcopy=False) if t.state.is_finished())

    @property
    def ended(self) -> int:
        """Trials that count: all but those that died or were stopped, and will be drawn again."""
        return sum(_counts(t) for t in self._study.get_trials(deepcopy=False))

    @property
    def best(self) -> Trial | None:
        """Of the completed trials, the earliest with the highest score."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.score is not None]
        return max(complete, key=lambda trial: (trial.score, -trial.number), default=None)

    @property
    def importance(self) -> Mapping[str, float]:
        """Share of each setting in being among the better trials (PED-ANOVA, Watanabe et al. 2023); empty if too few."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        complete = [trial for trial in self.trials if trial.state == "complete"]
        if len(complete) < 2 * BEFORE_PRUNING or len({trial.score for trial in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # so Optuna 4 calls it; in 5 it is the usual one
            return dict(get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator()))

    def one(self, attempt: Attempt) -> Trial:
        """Draw settings, try them, and note what came of it.

        A refusal of ours, or a lack of memory, is a trial that failed. In the first trial it is raised, as whatever else is:
        settings as they are should work.
        """
        from optuna import TrialPruned
        from optuna.trial import TrialState

        trial = self._drawn()
        settings = {name: _suggested(trial, name, choice) for name, choice in self.space.items()}
        try:
            score = attempt(settings, self._reporting(trial))
        except (Hopeless, TrialPruned):
            self._study.tell(trial, state=TrialState.PRUNED)
        except (GraticuleError, MemoryError, RuntimeError) as error:
            ours = isinstance(error, GraticuleError)
            if self.ended == 0 or not (ours or _too_large(error)):
                self._fail(trial, LOST, "stopped")
                raise
            self._fail(trial, WHY, str(error) if ours else "found too little memory for these settings")
        except BaseException:
            self._fail(trial, LOST, "stopped")
            raise
        else:
            self._study.tell(trial, score)
        return self._as_trial(self._study.get_trials(deepcopy=False)[trial.number])

    def _drawn(self) -> optuna.Trial:
        import optuna

        drawn = np.random.SeedSequence([self.seed, self.ended]).generate_state(1)[0]
        self._study.sampler = optuna.samplers.TPESampler(seed=int(drawn), n_startup_trials=STARTUP)
        if self.ended == 0:
            self._study.enqueue_trial({name: _told(self.space[name], self.start[name]) for name in self.space})
        return self._study.ask()

    def _reporting(self, trial: optuna.Trial) -> Report:
        def report(epoch: int, score: float) -> None:
            trial.report(score, epoch)
            if trial.should_prune():
                raise Hopeless

        return report

    def _fail(self, trial: optuna.Trial, kind: str, why: str) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr(kind, why.partition("\n")[0])
        self._study.tell(trial, state=TrialState.FAIL)

    def _bury(self) -> Iterator[int]:
        """Trials that were running when their program ended: they are drawn again, but not a fourth time."""
        import optuna
        from optuna.trial import TrialState

        every = self._study.get_trials(deepcopy=False)
        for trial in [t for t in every if t.state == TrialState.RUNNING]:
            before = [t for t in every if t.user_attrs.get(LOST) == "died" and t.params == trial.params]
            again = len(before) < MOST_DEATHS - 1 or len(trial.params) < len(self.space)
            kind, why = (LOST, "died") if again else (WHY, "died again and again")
            self._fail(optuna.Trial(self._study, trial._trial_id), kind, why)
            yield trial.number
        for trial in [t for t in every if t.state == TrialState.WAITING]:  # put in line, never begun: put in line anew
            self._study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def _check_identity(self, identity: Mapping[str, Any]) -> None:
        known = self._study.user_attrs.get(IDENTITY)
        if known is None:
            self._study.set_user_attr(IDENTITY, identity)
        elif known != identity:
            changed = [key for key in {**known, **identity} if known.get(key) != identity.get(key)]
            raise StoreError(
                f"{self.path} was begun with other {', '.join(changed)}; need the same to go on; choose another --out, or "
                "delete it"
            )

    def _as_trial(self, trial: optuna.trial.FrozenTrial) -> Trial:
        from optuna.trial import TrialState

        states: dict[Any, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
        state = states.get(trial.state, "failed")
        told = {n: _meant(self.space[n], v) for n, v in trial.params.items() if n in self.space}
        why = str(trial.user_attrs.get(WHY) or trial.user_attrs.get(LOST) or "")
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        score = None if state == "failed" else trial.value
        return Trial(trial.number, state, told, score, dict(trial.intermediate_values), round(seconds, 1), why)


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
    from optuna.trial import TrialState

    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or WHY in trial.user_attrs


def _opened(path: Path, warm_up: int) -> optuna.Study:
    try:
        import optuna
        from sqlalchemy import URL
        from sqlalchemy.exc import DatabaseError
    except ModuleNotFoundError as error:
        if error.name not in ("optuna", "sqlalchemy"):
            raise
        raise SettingsError(
            f"found no package {error.name}; need it to search for settings; run pip install 'graticule[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every trial, and so do we
    pruner = optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=warm_up)
    address = URL.create("sqlite", database=str(path.resolve())).render_as_string()
    try:
        return optuna.create_study(
            storage=address, study_name="graticule", direction="maximize", pruner=pruner, load_if_exists=True
        )
    except (DatabaseError, RuntimeError) as error:
        raise StoreError(f"{path}: found no study in this file; need one of ours; choose another --out") from error


def _suggested(trial: optuna.Trial, name: str, choice: Choice) -> Any:
    if choice.values:
        return _meant(choice, trial.suggest_categorical(name, [str(value) for value in choice.values]))
    if choice.kind == "whole":
        return trial.suggest_int(name, int(choice.low), int(choice.high))
    return trial.suggest_float(name, choice.low, choice.high, log=choice.kind == "log")


def _told(choice: Choice, value: Any) -> Any:
    """As the study keeps it: of a few values their text, as rows have no place in it."""
    return str(value) if choice.values else value


def _meant(choice: Choice, kept: Any) -> Any:
    return next(value for value in choice.values if str(value) == kept) if choice.values else kept


def _too_large(error: BaseException) -> bool:
    """Whether there was no memory left, in Python's way of saying so or in torch's."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)
    )


def _locked(folder: Path) -> int:
    """Two programs would each take the other's trials for dead. Where the system has no such locks there is none."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise StoreError(f"{folder}: found it in use by another search; need one at a time; wait for it") from error
    except (ImportError, OSError):  # not on Windows, nor on every shared disk
        pass
    return handle
