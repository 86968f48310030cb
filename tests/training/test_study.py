import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graticule.errors import SettingsError, StoreError
from graticule.task import Choice
from graticule.training.study import Hopeless, Study, _suggested

pytest.importorskip("optuna")

SPACE = {"rate": Choice(1e-4, 1.0, "log"), "batch": Choice(1, 8, "whole"), "rows": Choice(values=((1, 2), (3, 4)))}
START = {"rate": 1e-2, "batch": 4, "rows": (3, 4)}
SOURCE = Path(__file__).parents[2] / "src"


def score(settings) -> float:
    """Best at a rate of 0.1 and a batch of 6."""
    return -abs(math.log10(settings["rate"]) + 1) - 0.1 * abs(settings["batch"] - 6)


def attempt(settings, report):
    for epoch in (1, 2, 3):
        report(epoch, score(settings) - 1 / epoch)
    return score(settings)


def study(folder, **more):
    return Study(folder / "study.db", SPACE, START, {"task": "one"}, **more)


def searched(folder, count, attempt=attempt, **more):
    with study(folder, **more) as one:
        while one.ended < count:
            one.one(attempt)
        return one.trials


def told(trials):
    """All but numbers and times."""
    return [(t.state, t.settings, t.score, t.scores) for t in trials if t.why not in ("died", "stopped")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a study of 16 trials, and these."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, searched(folder, 16, warm_up=1)


def left_running(folder):
    """As a program that is killed leaves it: a trial that was begun and never ended."""
    with study(folder) as one:
        trial = one._drawn()
        for name, choice in SPACE.items():
            _suggested(trial, name, choice)


def test_the_first_trial_has_the_settings_as_they_are(whole):
    assert whole[1][0].settings == START


def test_all_that_is_drawn_lies_in_the_space_and_has_its_type(whole):
    for trial in whole[1]:
        assert 1e-4 <= trial.settings["rate"] <= 1
        assert isinstance(trial.settings["batch"], int) and 1 <= trial.settings["batch"] <= 8
        assert trial.settings["rows"] in ((1, 2), (3, 4))
    assert len({trial.settings["rate"] for trial in whole[1]}) == len(whole[1]), "each is drawn anew"


def test_a_search_finds_better_than_it_began_with_and_knows_why(whole):
    with study(whole[0]) as one:
        assert one.best is not None and one.best.score > score(START) + 0.3
        assert max(one.importance, key=one.importance.get) == "rate"
        assert sum(one.importance.values()) == pytest.approx(1)


def test_trials_that_fall_behind_end_early_and_never_win(whole):
    early = [trial for trial in whole[1] if trial.state == "pruned"]
    assert early and all(max(trial.scores) < 3 for trial in early)
    assert {trial.state for trial in whole[1][:4]} == {"complete"}, "nobody to fall behind yet"
    with study(whole[0]) as one:
        assert one.best is not None and one.best.state == "complete"


def test_another_seed_is_another_study(whole, tmp_path):
    assert told(searched(tmp_path, 2, seed=6))[1] != told(whole[1])[1]


def test_a_stopped_search_that_goes_on_is_the_search_that_was_never_stopped(whole, tmp_path):
    """Which says, too, that the same seed is the same study: parzen estimators have begun to draw by then."""
    calls = iter(range(100))

    def stopping(settings, report):
        if next(calls) == 9:
            report(1, 0.0)
            raise KeyboardInterrupt
        return attempt(settings, report)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, 11, stopping, warm_up=1)
    assert told(searched(tmp_path, 11, warm_up=1)) == told(whole[1])[:11]


KILLED = """
import os, signal, sys
sys.path.insert(0, {source!r}); sys.path.insert(0, {root!r})
from pathlib import Path
from tests.training.test_study import attempt, study
calls = iter(range(100))
def dying(settings, report):
    if next(calls) == {after}:
        report(1, 0.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt(settings, report)
with study(Path({folder!r})) as one:
    while one.ended < 3:
        one.one(dying)
"""


def kill(folder, after):
    code = KILLED.format(source=str(SOURCE), root=str(SOURCE.parent), folder=str(folder), after=after)
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX does")
def test_a_trial_that_was_killed_is_run_again(whole, tmp_path):
    kill(tmp_path, 2)
    with study(tmp_path) as one:
        assert one.died == (2,)
        assert [trial.why for trial in one.trials] == ["", "", "died"]
    assert told(searched(tmp_path, 3)) == told(whole[1])[:3]


def test_settings_whose_trial_died_again_and_again_are_left_out(whole, tmp_path):
    searched(tmp_path, 1)
    for _ in range(3):
        left_running(tmp_path)
    after = searched(tmp_path, 3)
    assert [trial.why for trial in after] == ["", "died", "died", "died again and again", ""]
    assert after[1].settings == after[2].settings == after[3].settings == whole[1][1].settings
    assert after[4].settings != after[3].settings


def test_a_kill_before_the_first_trial_was_drawn_changes_nothing(tmp_path):
    with study(tmp_path) as one:
        one._study.enqueue_trial({"rate": 0.5})
    assert searched(tmp_path, 1)[-1].settings == START


def test_settings_that_cannot_be_are_a_trial_that_failed(tmp_path):
    def picky(settings, report):
        if settings["rows"] == (1, 2):
            raise SettingsError("found rows 1 2; need more")
        return attempt(settings, report)

    trials = searched(tmp_path, 5, picky)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert len(trials) == 5 and failed
    assert {trial.why for trial in failed} == {"found rows 1 2; need more"}
    assert all(trial.score is None for trial in failed)


def test_too_little_memory_is_a_trial_that_failed_and_a_mistake_of_ours_is_not(tmp_path):
    def greedy(settings, report):
        if settings != START:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return 0.0

    assert "memory" in searched(tmp_path / "a", 2, greedy)[1].why

    def wrong(settings, report):
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        searched(tmp_path / "b", 2, wrong)


def test_the_settings_as_they_are_have_to_work(tmp_path):
    def never(settings, report):
        raise SettingsError("found nothing; need something")

    with pytest.raises(SettingsError):
        searched(tmp_path, 3, never)


def test_hopeless_is_how_a_trial_is_told_to_end(tmp_path):
    def giving_up(settings, report):
        report(1, 0.5)
        raise Hopeless

    [trial] = searched(tmp_path, 1, giving_up)
    assert (trial.state, trial.score) == ("pruned", 0.5)


def test_a_study_of_another_search_is_refused(tmp_path):
    searched(tmp_path, 1)
    with pytest.raises(StoreError, match="begun with other task"):
        Study(tmp_path / "study.db", SPACE, START, {"task": "two"})


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_text(json.dumps({"not": "a study"}) * 50)
    with pytest.raises(StoreError, match="no study"):
        study(tmp_path)


def test_one_program_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    with study(tmp_path), pytest.raises(StoreError, match="in use"):
        study(tmp_path)
    with study(tmp_path):  # and then the next
        pass
