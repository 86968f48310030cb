from xml.etree import ElementTree

import pytest

from graticule.report.page import render
from graticule.report.search import Found, draw_courses, draw_history, draw_importance, draw_values, search_page, shown
from graticule.task import Choice
from graticule.training.study import Trial

SPACE = {"rate": Choice(1e-4, 1e-1, "log"), "batch": Choice(1, 8, "whole"), "rows": Choice(values=((1, 2), (3, 4, 5)))}
FIRST = {"rate": 1e-2, "batch": 4, "rows": (1, 2)}
OTHER = {"rate": 2e-2, "batch": 6, "rows": (3, 4, 5)}
TRIALS = (
    Trial(0, "complete", FIRST, 0.71, {1: 0.5, 2: 0.71}, 9.0),
    Trial(1, "pruned", FIRST, 0.3, {1: 0.3}, 4.0),
    Trial(2, "failed", OTHER, None, {}, 1.0, "found too little memory for these settings"),
    Trial(3, "complete", OTHER, 0.8125, {1: 0.6, 2: 0.8125}, 9.0),
)


def found(trials=TRIALS, best=TRIALS[3], importance=None, left_out=()):
    return Found(
        task="tissue",
        figure="Dice",
        trials=trials,
        best=best,
        space=SPACE,
        start=FIRST,
        importance=importance or {},
        learnt_from=("a",),
        chosen_on=("b",),
        left_out=left_out,
        seed=0,
    )


@pytest.mark.parametrize("some", [TRIALS, TRIALS[:1], TRIALS[2:3], ()])
def test_every_picture_can_be_drawn_however_little_there_is(some):
    best = next((trial for trial in some if trial.state == "complete"), None)
    for draw in (draw_history, draw_courses, draw_values):
        ElementTree.fromstring(draw(found(some, best)))
    ElementTree.fromstring(draw_importance({"rate": 0.7, "batch": 0.3}))


def test_the_page_names_the_best_and_what_it_is_compared_with():
    page = search_page(found())
    assert page.summary == "Dice 0.8125 in trial 3 of 4; 0.7100 with the settings as they were."
    html = render(page)
    assert "failed: found too little memory for these settings" in html
    assert "Too few trials were completed" in html


def test_a_reader_is_told_whether_images_are_left_to_judge_by():
    assert "never opened: S7, S8" in render(search_page(found(left_out=("S7", "S8"))))
    assert "keeps no images for a test" in render(search_page(found()))


def test_a_search_without_a_completed_trial_has_a_page_too():
    assert "No trial was completed" in render(search_page(found(TRIALS[2:3], None)))


def test_settings_are_shown_in_few_letters():
    assert [shown(value) for value in (0.00123456, (1, 2), 8, "dice")] == ["0.00123", "1 2", "8", "dice"]
