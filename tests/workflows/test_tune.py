import csv
import re
import tomllib
from dataclasses import replace

import pytest

from graticule.errors import FormatError, SettingsError, StoreError
from graticule.io import dataset
from graticule.settings import checked
from graticule.tasks import TASKS
from graticule.tasks.beads import Beads
from graticule.tasks.particles import Particles
from graticule.training.folds import hold_out
from graticule.workflows.parts import kept_for_test, to_learn_from
from graticule.workflows.tune import Search, settings_file, space_of, tune
from tests.synthetic import scattered

pytest.importorskip("optuna")

EXAMPLES = [scattered(seed) for seed in range(4)]
TINY = Beads(width=0.125, neck_channels=16, neck_rounds=1, head_channels=16, patch_px=64, batch=2, steps=2, epochs=(2,))
FIXED = ("width", "neck_channels", "neck_rounds", "patch_px", "batch")
SEARCH = Search(task=TINY, chosen={"epochs": (2,)}, fixed=FIXED, trials=2, device="cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Where a search of two trials wrote to, what it found, and what it said."""
    out, said = tmp_path_factory.mktemp("whole") / "out", []
    return out, tune(SEARCH, EXAMPLES, out, say=said.append), said


@pytest.mark.parametrize("kind", TASKS.values())
def test_a_task_says_what_is_worth_a_search_or_holds_nothing_out(kind):
    searched = getattr(kind, "searched", {})
    assert searched or kind is Particles
    for name, choice in searched.items():
        value = getattr(kind(), name)
        assert choice.including(value) == choice, f"{name} {value} is not among what is searched"
        for each in choice.values or (choice.low, choice.high):
            whole = int(each) if choice.kind == "whole" else each
            checked(kind, {name: whole}, "searched")
            replace(kind(), **{name: whole})


def test_what_was_found_trains_and_is_the_best_of_the_table(whole):
    out, found, said = whole
    plain = tomllib.loads((out / "best.toml").read_text())
    task = Beads(**checked(Beads, plain, "best.toml"))
    assert found.best is not None
    assert {name: getattr(task, name) for name in found.best.settings} == found.best.settings
    assert task.epochs == (2,)
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1"]
    assert found.best.score == pytest.approx(max(float(row["score"]) for row in rows), abs=1e-6)
    assert len([line for line in said if line.startswith("trial ")]) == 2


def test_the_page_says_what_the_figure_is_worth_and_fetches_nothing(whole):
    page = (whole[0] / "report.html").read_text()
    assert "flattering" in page and "learning_rate" in page
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_every_trial_is_scored_on_the_images_that_training_would_hold_out(whole):
    learn, choose = hold_out(EXAMPLES, 0)
    assert whole[1].learnt_from == tuple(e.name for e in learn)
    assert whole[1].chosen_on == tuple(e.name for e in choose)


def test_a_search_goes_on_where_it_was_and_is_the_same_as_in_one_go(whole, tmp_path):
    said = []
    tune(replace(SEARCH, trials=1), EXAMPLES, tmp_path, say=said.append)
    late = tune(replace(SEARCH, hours=1e-9), EXAMPLES, tmp_path, say=said.append)
    assert len(late.trials) == 1 and "probably not be done" in said[-1]
    parts = tune(SEARCH, EXAMPLES, tmp_path, say=said.append)
    assert [(t.settings, t.score, t.scores) for t in parts.trials] == [
        (t.settings, t.score, t.scores) for t in whole[1].trials
    ]


def test_another_search_in_the_same_folder_is_refused(whole):
    with pytest.raises(StoreError, match="other settings"):
        tune(replace(SEARCH, task=replace(TINY, steps=3)), EXAMPLES, whole[0], say=lambda _: None)
    with pytest.raises(StoreError, match="other images"):
        tune(SEARCH, EXAMPLES[:3], whole[0], say=lambda _: None)


def test_what_is_given_is_not_searched_and_what_begins_is_always_within():
    space = space_of(replace(SEARCH, task=replace(TINY, learning_rate=0.5), fixed=()))
    assert space["learning_rate"].high == 0.5
    assert 64 in space["patch_px"].values
    assert "learning_rate" not in space_of(replace(SEARCH, fixed=("learning_rate",)))


def test_there_has_to_be_something_to_search_for(tmp_path):
    with pytest.raises(SettingsError, match="leave some open"):
        space_of(replace(SEARCH, fixed=tuple(Beads.searched)))
    with pytest.raises(SettingsError, match="nothing to search for with particles"):
        space_of(Search(task=Particles(), chosen={}))


def test_settings_of_every_type_come_back_from_the_file():
    found = tune_free_trial({"width": 0.5, "stem_skip": False, "encoder": "resnet18", "epochs": (3,)})
    assert checked(Beads, tomllib.loads(found), "x") == {
        "width": 0.5, "stem_skip": False, "encoder": "resnet18", "epochs": (3,), "learning_rate": 1e-05,
    }  # fmt: skip


def tune_free_trial(chosen):
    from graticule.training.study import Trial

    best = Trial(0, "complete", {"learning_rate": 1e-05}, 0.5, {}, 1.0)
    return settings_file(best, replace(SEARCH, chosen=chosen))


# -- the test images ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    split = {"train": ("discs-0", "discs-1", "discs-2"), "test": ("discs-3",)}
    dataset.write(tmp_path / "discs", EXAMPLES, classes=("6nm",), split=split)
    return tmp_path / "discs"


def test_a_test_image_is_never_opened(folder, tmp_path, monkeypatch):
    """Neither its file nor that of its annotation: they could be damaged and nobody would know."""
    for path in (*folder.glob("images/discs-3.*"), *folder.glob("points/discs-3.*")):
        path.write_bytes(b"damaged")
    read = to_learn_from(folder, kept_for_test(folder))
    found = tune(
        replace(SEARCH, trials=1, left_out=kept_for_test(folder)), read.examples, tmp_path / "out", say=lambda _: None
    )
    assert "discs-3" not in (*found.learnt_from, *found.chosen_on)
    assert "discs-3" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(FormatError, match="discs-3"):
        dataset.load(folder)
