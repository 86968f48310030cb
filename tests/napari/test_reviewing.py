"""Keys without a window: what they do to the session, and what is to be shown anew."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from graticule.napari.keys import KEYS
from graticule.napari.reviewing import Change, Reviewing
from graticule.review import Region
from tests.napari.results import PX_UM, write_result


@pytest.fixture
def points(tmp_path: Path) -> Reviewing:
    return begun(write_result(tmp_path))


@pytest.fixture
def outlines(tmp_path: Path) -> Reviewing:
    return begun(write_result(tmp_path, outlined=True))


def begun(folder: Path) -> Reviewing:
    reviewing = Reviewing(folder, "ada")
    assert not reviewing.open_image(0).refused
    to_item(reviewing)
    return reviewing


def to_item(reviewing: Reviewing) -> int:
    """Past fields to be searched, to an item."""
    while reviewing.focus is not None and not reviewing.focus.item:
        reviewing.step("look")
    assert reviewing.focus is not None
    return reviewing.focus.item


def lines(reviewing: Reviewing) -> list[dict]:
    return [json.loads(text) for text in reviewing.the_session.journal.read_text().splitlines()[1:]]


def place(reviewing: Reviewing, number: int) -> tuple[float, ...]:
    return reviewing.the_session.items[number].position_um


def test_every_key_has_its_own_letter_and_step() -> None:
    assert len({key.key for key in KEYS}) == len({key.step for key in KEYS}) == len(KEYS)


def test_no_letter_is_one_that_napari_gives_to_layers_of_points_or_labels(viewers: None) -> None:
    from napari.utils import shortcuts

    of_others = ("image", "orient", "contrast", "shape", "vert", "activate_add", "direct", "paste")
    taken = {
        str(key): name
        for name, keys in shortcuts.default_shortcuts.items()
        for key in keys
        if not any(w in name for w in of_others)
    }
    assert {"V", "P", "M"} <= set(taken)
    assert not {key.key: taken[key.key] for key in KEYS if key.key in taken}


def test_what_is_accepted_is_in_the_journal_before_it_is_said(points: Reviewing) -> None:
    item = to_item(points)
    change = points.step("accept")
    assert change.said == f"accepted {item}" and change.ids == (item,) and change.turned
    last = lines(points)[-1]
    assert (last["what"], last["ids"]) == ("accept", [item]) and last["stream"] in ("queue", "audit")
    low, high = last["seen_um"]
    assert all(a <= p <= b for a, p, b in zip(low, place(points, item), high, strict=True))


def test_what_cannot_be_written_is_not_said_to_be_accepted(points: Reviewing, monkeypatch: pytest.MonkeyPatch) -> None:
    item = to_item(points)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    change = points.step("accept")
    assert change.refused and "No space left" in change.said and not change.ids
    assert points.focus is not None and points.focus.item == item


def test_the_whole_queue_can_be_gone_through_with_two_keys(points: Reviewing) -> None:
    while points.focus is not None:
        points.step("look" if not points.focus.item else "reject")
    progress = points.the_session.progress
    assert progress.open == 0 and progress.turns_done == progress.turns
    assert "All" in points.question and "last image" in points.question
    refused = points.step("accept")
    assert refused.refused and "nothing left to decide" in refused.said


def test_what_is_skipped_comes_again_when_the_rest_is_done(points: Reviewing) -> None:
    skipped = to_item(points)
    points.step("skip")
    while points.focus is not None and points.focus.item != skipped:
        points.step("look" if not points.focus.item else "accept")
    assert points.focus is not None and points.the_session.progress.open == 1


def test_undo_returns_to_what_was_decided(points: Reviewing) -> None:
    item = to_item(points)
    points.step("reject")
    change = points.step("undo")
    assert change.said == f"took back: reject {item}" and change.ids == (item,)
    assert points.focus is not None and points.focus.item == item
    assert points.the_session.items[item].status == "open"


def test_undo_of_a_searched_field_shows_the_field_again(tmp_path: Path) -> None:
    reviewing = begun(write_result(tmp_path, number=60, shape=(400, 400)))
    while reviewing.focus is not None and reviewing.focus.item:
        reviewing.step("accept")
    field = reviewing.focus
    assert field is not None and "Search this frame" in reviewing.question
    assert reviewing.step("accept").refused
    assert reviewing.step("look").said == "checked this field"
    reviewing.step("undo")
    assert reviewing.focus == field
    reviewing.step("look")
    assert reviewing.focus != field


def test_a_digit_labels_what_is_in_front_or_what_will_be_added(points: Reviewing) -> None:
    item = to_item(points)
    assert points.choose(2).said == f"labelled {item} as 12nm"
    assert points.the_session.items[item].kind == "12nm"
    assert points.choose(7).refused
    points.focus = None
    assert "12nm" in points.choose(2).said
    change = points.step("add", (0.01, 0.02))
    added = points.the_session.items[change.ids[0]]
    assert (added.kind, added.origin, added.position_um) == ("12nm", "added", (0.01, 0.02))
    assert added.diameter_um == pytest.approx(10 * PX_UM)


def test_points_are_moved_joined_divided_and_gone_to_by_the_cursor(points: Reviewing) -> None:
    item = to_item(points)
    near = tuple(x + 2 * PX_UM for x in place(points, item))
    assert points.step("move", near).said == f"moved {item}" and place(points, item) == pytest.approx(near)
    other = to_item(points)
    third = next(n for n in points.the_session.items if n not in (item, other))
    assert points.step("merge", place(points, third)).said == f"joined {other} with {third}"
    assert third not in points.the_session.items
    assert points.step("pick", near).said == f"went to {item}"
    assert points.focus is not None and (points.focus.item, points.focus.stream) == (item, "free")
    assert "press D again" in points.step("split", near).said
    change = points.step("split", (near[0] + 8 * PX_UM, near[1]))
    assert change.said.startswith(f"divided {item} into {item} and ") and len(change.ids) == 2
    assert points.the_session.items[change.ids[1]].origin == "split"


def test_what_the_cursor_misses_is_refused_in_one_line(points: Reviewing) -> None:
    to_item(points)
    nowhere = (0.0, 0.0)
    for step in ("pick", "merge"):
        change = points.step(step, nowhere)
        assert change.refused and "at the cursor" in change.said and "\n" not in change.said
    assert points.step("add", (99.0, 0.0)).refused
    assert points.step("redraw", nowhere).refused
    assert lines(points) == []


def test_the_whole_image_is_complete_only_when_it_was_said_twice(points: Reviewing) -> None:
    to_item(points)
    assert "press W again" in points.step("complete").said
    points.step("skip")
    assert "press W again" in points.step("complete").said
    assert points.step("complete").said == "the whole image is complete"
    assert points.the_session.is_complete


def test_outlines_are_joined_divided_and_drawn_anew(outlines: Reviewing) -> None:
    session, item = outlines.the_session, to_item(outlines)
    centre = np.array(place(outlines, item))
    half = np.array([2 * PX_UM, 0])
    outlines.step("split", tuple(centre - half))
    change = outlines.step("split", tuple(centre + half))
    assert len(change.regions) == 2 and session.outline(item).voxels + session.outline(change.ids[1]).voxels == 49
    one = to_item(outlines)
    assert outlines.step("redraw").drawing and outlines.drawing == one
    assert outlines.step("accept").refused and outlines.drawing == one
    start = tuple(int(v) for v in np.round(np.array(place(outlines, one)) / PX_UM) - 1)
    assert (
        outlines.step("redraw", region=Region(start, np.ones((3, 3), bool))).said == f"drew the outline of {one} anew"
    )
    assert session.outline(one).voxels == 9 and outlines.drawing is None
    assert outlines.step("add").drawing and outlines.drawing == 0
    assert outlines.step("undo").said == "left the outline as it was" and outlines.drawing is None
    outlines.step("add")
    new = outlines.step("add", region=Region((0, 0), np.ones((4, 4), bool)))
    assert session.outline(new.ids[0]).voxels == 16


def test_nothing_drawn_is_refused_and_drawing_goes_on(outlines: Reviewing) -> None:
    to_item(outlines)
    outlines.step("redraw")
    change = outlines.step("redraw", region=None)
    assert change.refused and change.drawing and outlines.drawing is not None
    outlines.step("undo")
    outlines.step("add")
    assert outlines.step("add", region=None).refused and outlines.drawing == 0


def test_a_finished_image_leads_to_the_next(tmp_path: Path) -> None:
    write_result(tmp_path, "a", number=2)
    write_result(tmp_path, "b", number=3)
    reviewing = Reviewing(tmp_path / "out", "ada")
    reviewing.open_image(0)
    while reviewing.focus is not None:
        reviewing.step("look" if not reviewing.focus.item else "accept")
    assert "K opens b" in reviewing.question
    change = reviewing.step("skip")
    assert change.opened and change.said == "opened b" and reviewing.position == (2, 2)
    assert len(reviewing.the_session.items) == 3


def test_an_image_that_cannot_be_opened_is_told_and_passed(tmp_path: Path) -> None:
    broken = write_result(tmp_path, "a", number=2)
    (broken / "objects.csv").unlink()
    write_result(tmp_path, "b", number=3)
    reviewing = Reviewing(tmp_path / "out", "ada")
    change = reviewing.open_image(0)
    assert change.refused and "objects.csv" in change.said and "K for the next" in reviewing.question
    assert reviewing.step("accept").refused
    assert reviewing.step("skip").opened and reviewing.session is not None


def test_another_image_is_refused_by_its_hash(tmp_path: Path) -> None:
    folder = write_result(tmp_path)
    write_result(tmp_path / "other", seed=5)
    shutil.copy(tmp_path / "other" / "images" / "a.tif", tmp_path / "images" / "a.tif")
    change = Reviewing(folder, "ada").open_image(0)
    assert change.refused and "not the image" in change.said


def test_a_torn_journal_is_told_and_the_review_goes_on(points: Reviewing) -> None:
    item = to_item(points)
    points.step("accept")
    journal, folder = points.the_session.journal, points.folders[0]
    points.close()
    with journal.open("ab") as file:
        file.write(b'{"n": 2, "what": "acc')
    again = Reviewing(folder, "ada")
    assert "cut off" in again.open_image(0).said
    assert again.the_session.items[item].status == "accepted"


def test_a_review_in_use_is_refused(points: Reviewing) -> None:
    change = Reviewing(points.folders[0], "ada").open_image(0)
    assert change.refused and "in use" in change.said


def test_a_change_says_nothing_unless_told_to() -> None:
    assert Change() == Change(said="", refused=False, ids=(), regions=(), turned=False, opened=False, drawing=False)
