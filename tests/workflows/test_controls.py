"""What may be moved after a run, and how it is typed."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import SettingsError
from graticule.tasks import LABEL_FREE, TASKS, Beads, Rosettes, Tissue
from graticule.workflows.choose_settings import adjusted
from graticule.workflows.controls import as_flags, controls, with_values
from graticule.workflows.predict_files import _at

BEADS = Beads(
    classes=("6nm", "12nm"), diameters_nm=(6.1, 11.7), match_nm=(5, 8), working_nm=0.56, thresholds=(0.3127, 0.4)
)
TISSUE = Tissue(classes=("tissue", "resin"), dimensions=2, working_nm=(7.3, 7.3), thresholds=(0.5, 0.61))
EVERY = [BEADS, replace(BEADS, thresholds=()), TISSUE, Rosettes(thresholds=(0.35,)), Rosettes()]
EVERY += [kind() for kind in LABEL_FREE.values()]
EVERY += [kind(classes=("a",)) for kind in TASKS.values() if kind not in set(map(type, EVERY))]


def by_key(task):
    return {control.key: control for control in controls(task)}


def typed(flags, task):
    """What `graticule predict` makes of these words; see its --threshold and --set."""
    taken = {"--threshold": [], "--set": []}
    for word in flags:
        if word in taken:
            into = taken[word]
        else:
            into.append(word)
    changed = adjusted(task, taken["--set"], every=False) if taken["--set"] else task
    return _at(changed, [float(word) for word in taken["--threshold"]])


def moves(task):
    """Any of the controls, at any value that is allowed."""
    values = {}
    for control in controls(task):
        if control.choices:
            values[control.key] = st.sampled_from(control.choices)
        elif isinstance(getattr(task, control.setting), int):
            values[control.key] = st.integers(int(control.low), int(control.high))
        else:
            values[control.key] = st.floats(control.low, control.high)
    return st.fixed_dictionaries({}, optional=values)


def test_every_task_has_a_control_for_each_of_its_adjustable_settings():
    assert {type(task) for task in EVERY} == {*TASKS.values(), *LABEL_FREE.values()}
    for task in EVERY:
        assert {control.setting for control in controls(task)} == set(task.adjustable)
        assert all(control.low <= control.value <= control.high for control in controls(task) if not control.choices)
        assert controls(task)[0].label.startswith("confidence, ")


@pytest.mark.parametrize("task", EVERY)
def test_controls_left_where_they_are_leave_the_task_as_it_is(task):
    assert with_values(task, {control.key: control.value for control in controls(task)}) == task
    assert as_flags(task, task) == []


@given(st.data())
def test_a_moved_control_shows_the_value_it_was_moved_to(data):
    task = data.draw(st.sampled_from(EVERY))
    values = data.draw(moves(task))
    now = by_key(with_values(task, values))
    for key, value in values.items():
        assert now[key].value == (value if isinstance(value, str) else pytest.approx(value, rel=1e-12, abs=1e-300))
    untouched = [key for key in now if key not in values and not key.startswith("thresholds.")]
    assert all(now[key].value == by_key(task)[key].value for key in untouched)


@given(st.data())
def test_what_is_typed_for_a_task_gives_that_very_task(data):
    original = data.draw(st.sampled_from(EVERY))
    task = with_values(original, data.draw(moves(original)))
    assert typed(as_flags(task, original), original) == task


def test_the_threshold_of_one_class_leaves_that_of_the_other():
    assert with_values(BEADS, {"thresholds.1": 0.9}).thresholds == (0.3127, 0.9)
    assert with_values(replace(BEADS, thresholds=()), {"thresholds.1": 0.9}).thresholds == (0.0, 0.9)
    assert [control.label for control in controls(BEADS)[:2]] == ["confidence, 6nm", "confidence, 12nm"]
    assert [(c.low, c.high, c.step) for c in controls(BEADS)[:2]] == [(0, 1, 0.001)] * 2


def test_suppression_is_a_distance_between_the_smallest_beads_in_nm():
    control = by_key(BEADS)["suppression"]
    assert (control.value, control.unit) == (pytest.approx(0.5 * 6.1), "nm") and "6nm" in control.label
    assert with_values(BEADS, {"suppression": 6.1}).suppression == 1.0
    unsized = by_key(Beads(classes=("gold",)))["suppression"]
    assert (unsized.value, unsized.unit) == (0.5, "diameters")


def test_what_takes_the_network_again_says_so():
    live = {control.key: control.live for control in controls(Rosettes())}
    assert live == {"thresholds.0": True, "min_cells": True, "cells": False}
    assert by_key(Rosettes())["cells"].choices == ("auto", "labels", "membranes")


def test_a_task_whose_classes_are_not_known_yet_has_no_confidences_to_move():
    assert [control.key for control in controls(Beads())] == ["suppression"]


def test_yes_and_no_are_choices():
    assert by_key(TISSUE)["fill_holes"].value == "no"
    assert with_values(TISSUE, {"fill_holes": "yes"}).fill_holes is True
    assert as_flags(replace(TISSUE, keep_largest=True), TISSUE) == ["--set", "keep_largest=true"]


def test_whole_numbers_stay_whole():
    mask = LABEL_FREE["tissue-texture"]()
    assert with_values(mask, {"min_region_size": 300.0}).min_region_size == 300
    with pytest.raises(SettingsError, match=r"found 300\.5 for smallest region; need a whole number"):
        with_values(mask, {"min_region_size": 300.5})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("thresholds.2", 0.5, r"thresholds\.1"),
        ("suppression.0", 1, "suppression"),
        ("thresholds.0", 1.5, "found 1.5 for confidence, 6nm; need 0 to 1"),
        ("thresholds.0", float("nan"), "need 0 to 1"),
        ("thresholds.0", True, "need 0 to 1"),
        ("suppression", "much", "need 0 to 12.2 nm"),
        ("suppression", -1, "need 0 to 12.2 nm"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(key, value, says):
    with pytest.raises(SettingsError, match=says) as refusal:
        with_values(BEADS, {key: value})
    assert "\n" not in str(refusal.value)


def test_no_such_choice_is_refused():
    with pytest.raises(SettingsError, match="need one of auto, labels, membranes"):
        with_values(Rosettes(), {"cells": "nuclei"})


def test_a_setting_beyond_the_slider_is_still_on_it():
    far = replace(BEADS, suppression=40.0)
    assert by_key(far)["suppression"].high == pytest.approx(40 * 6.1)
    assert with_values(far, {"suppression": by_key(far)["suppression"].value}) == far


@dataclass(frozen=True)
class Sixth:
    """A task that nobody has heard of, and that says nothing of how it is shown."""

    adjustable: ClassVar[tuple[str, ...]] = ("ratio", "count", "thresholds")
    classes: tuple[str, ...] = ("a",)
    thresholds: tuple[float, ...] = (0.5,)
    ratio: float = 2.0
    count: int = 3


def test_a_task_that_says_nothing_of_its_settings_has_controls_all_the_same():
    assert [(c.key, c.label, c.high, c.step) for c in controls(Sixth())] == [
        ("thresholds.0", "confidence, a", 1, 0.001),
        ("ratio", "ratio", 20.0, 0.01),
        ("count", "count", 30, 1),
    ]
    assert with_values(Sixth(), {"count": 5, "ratio": 0.1}) == Sixth(ratio=0.1, count=5)
    assert {field.name for field in fields(Sixth)} > set(Sixth.adjustable)
