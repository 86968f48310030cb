from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.box import Box
from graticule.errors import AnnotationError, FormatError, StoreError
from graticule.review import Region, Session
from graticule.review.session import extent_um, field_around
from tests.review.scenes import IMAGE, ORDER, SPACING, opened, outlined_proposals, point_proposals, square_labels

WHOLE = Box((0, 0), IMAGE.shape)


def outlines(session: Session) -> np.ndarray:
    return session.state.outlines(WHOLE)


def picture(session: Session) -> tuple:
    """All that a reviewer could see of it."""
    voxels = outlines(session).tobytes() if session.outlined else b""
    return dict(session.items), session.next(), session.progress, voxels, session.audit


def square(top: int, left: int, side: int = 6) -> Region:
    return Region((top, left), np.ones((side, side), bool))


def act(session: Session, what: str, a: int, b: int) -> None:
    """One of the things a reviewer can do, if it can be done now."""
    ids = sorted(session.items)
    one, two = ids[a % len(ids)], ids[b % len(ids)]
    if what == "accept":
        session.accept(one, stream="queue")
    elif what == "reject":
        session.reject(one, two)
    elif what == "reopen":
        session.reopen(one)
    elif what == "relabel":
        session.relabel(one, session.kinds[b % len(session.kinds)])
    elif what == "look":
        session.look(session.queue.fields_um[a % len(session.queue.fields_um)])
    elif what == "undo":
        session.undo()
    elif what == "merge" and one != two:
        session.merge(one, two)
    elif session.outlined:
        act_on_outline(session, what, one, a, b)
    elif what == "move":
        session.move(one, (a % 30, b % 25))
    elif what == "add":
        session.add((a % 30, b % 25), session.kinds[0], diameter_um=1.0)
    elif what == "split":
        session.split(one, [(1.0, 1.0 + a % 9), (2.0, 1.0 + b % 9)])


def act_on_outline(session: Session, what: str, one: int, a: int, b: int) -> None:
    region = square(a % 70, b % 110)
    if what == "add":
        session.add((0, 0), region=region)
    elif what == "move":
        session.reshape(one, region)
    elif what == "split":
        inside = np.argwhere(outlines(session) == one)
        if len(inside) > 1:
            places = session.state.place.to_um(inside[[0, -1]].astype(float))
            session.split(one, places.tolist())


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "reopen", "relabel", "look", "undo", "merge", "move", "add", "split"]),
        st.integers(0, 500),
        st.integers(0, 500),
    ),
    max_size=25,
)


@pytest.mark.parametrize("proposals", [point_proposals, outlined_proposals])
@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_a_session_opened_again_is_as_it_was_left(tmp_path_factory, proposals, actions) -> None:
    folder = tmp_path_factory.mktemp("again")
    with opened(folder, proposals()) as session:
        for action in actions:
            try_to(session, action)
        left = picture(session)
    with opened(folder, proposals()) as session:
        assert picture(session) == left


@pytest.mark.parametrize("proposals", [point_proposals, outlined_proposals])
@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_every_step_can_be_taken_back(tmp_path_factory, proposals, actions) -> None:
    with opened(tmp_path_factory.mktemp("undo"), proposals()) as session:
        seen = [picture(session)]
        for action in actions:
            if action[0] == "undo":
                continue
            before = session.last
            try_to(session, action)
            if session.last is not before:
                seen.append(picture(session))
        while session.last is not None:
            assert picture(session) == seen.pop()
            session.undo()
        assert [picture(session)] == seen


def try_to(session: Session, action: tuple) -> None:
    """What cannot be done is refused in words and changes nothing."""
    before = picture(session)
    try:
        act(session, *action)
    except AnnotationError:
        assert picture(session) == before


def test_a_decision_that_cannot_be_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(tmp_path)
    session.accept(1)
    before = picture(session)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for attempt in (lambda: session.reject(2), lambda: session.undo(), lambda: session.add((1, 1), "small")):
        with pytest.raises(StoreError, match="No space left"):
            attempt()
        assert picture(session) == before
    monkeypatch.undo()
    session.close()
    assert picture(opened(tmp_path)) == before


def test_the_journal_says_who_decided_what_when_on_which_image_by_which_model(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        session.accept(3, seen_um=((0.0, 0.0), (8.0, 8.0)), stream="audit")
    header, line = (__import__("json").loads(text) for text in session.journal.read_text().splitlines())
    assert header["image"] == {"sha256": "abc"} and header["models"] == ["m1"]
    assert line == {
        "n": 1,
        "what": "accept",
        "ids": [3],
        "seen_um": [[0.0, 0.0], [8.0, 8.0]],
        "stream": "audit",
        "who": "ada",
        "when": "2026-01-01T00:00:00",
    }


def test_a_request_that_was_answered_is_known_after_its_session_was_opened_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        with session.asked("r-1"):
            session.accept(3)
        with session.asked("r-2"):
            session.undo()
        session.accept(4)
        with session.asked("r-3"), pytest.raises(AnnotationError):
            session.accept(99)
    with opened(tmp_path) as session:
        assert [session.has_answered(f"r-{n}") for n in (1, 2, 3)] == [True, True, False]
        assert session.items[3].status == "open" and session.items[4].status == "accepted"


def test_what_comes_up_is_what_is_not_done(tmp_path: Path) -> None:
    session = opened(tmp_path)
    turns = list(session.upcoming())
    assert turns[0] == session.next() and len(turns) == session.progress.turns
    item = next(turn.item for turn in turns[2:] if turn.item)
    session.reject(item)
    assert list(session.upcoming()) == [turn for turn in turns if turn.item != item]


def test_another_image_s_journal_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(FormatError, match="another image"):
        Session.open(
            tmp_path / "ada.jsonl",
            IMAGE,
            point_proposals(),
            order=ORDER,
            who="ada",
            about={"image": {"sha256": "other"}},
        )


def test_a_review_goes_on_in_the_order_it_was_begun_in(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        turns = session.queue.turns
    from dataclasses import replace

    with opened(tmp_path, order=replace(ORDER, seed=99)) as session:
        assert session.queue.turns == turns


def test_turns_end_when_every_proposal_is_decided_and_every_field_of_the_audit_searched(tmp_path: Path) -> None:
    session = opened(tmp_path)
    shown = []
    while (turn := session.next()) is not None:
        shown.append(turn)
        if turn.field_um is not None:
            session.look(turn.field_um)
        else:
            session.accept(turn.item, stream=turn.stream)
    assert sorted(turn.item for turn in shown if turn.item) == sorted(session.items)
    assert session.progress.open == 0 and session.progress.turns_done == session.progress.turns
    session.undo()
    assert session.next() == shown[-1]


# -- outlines ----------------------------------------------------------------------------------------------------------


def test_merged_outlines_are_one_and_rejected_ones_are_gone(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    session.merge(1, 2)
    session.reject(3)
    merged = np.where(square_labels() == 2, 1, square_labels())
    np.testing.assert_array_equal(outlines(session), np.where(merged == 3, 0, merged))
    assert session.items[1].position_um == pytest.approx((14.5 * SPACING[0], 19.5 * SPACING[1]))


def test_a_dumb_bell_is_cut_at_its_neck(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    session.split(3, [(22.5, 13.6), (22.5, 17.1)])
    parts = outlines(session)
    assert set(np.unique(parts)) == {0, 1, 2, 3, 4}
    assert (parts[40:50, 50:60] == 3).all() and (parts[40:50, 64:74] == 4).all()
    assert ((parts == 3) | (parts == 4)).sum() == (square_labels() == 3).sum()
    assert session.items[4].origin == "split" and session.items[4].status == "accepted"


def test_parts_far_from_one_another_are_one_outline_once_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graticule.review.state.FIRST_REACH", 4)
    session = opened(tmp_path, outlined_proposals())
    session.merge(1, 3)
    assert session.outline(1).voxels == ((square_labels() == 1) | (square_labels() == 3)).sum()
    session.add((0, 0), region=square(60, 100))
    session.merge(4, 1)
    assert session.outline(4).voxels == 36 + ((square_labels() == 1) | (square_labels() == 3)).sum()
    session.reshape(4, square(0, 0, 3))
    assert session.outline(4).voxels == 9


def test_a_drawn_outline_takes_nothing_from_others(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    number = session.add((0, 0), region=square(5, 5, 10))
    drawn = np.zeros(IMAGE.shape, bool)
    drawn[5:15, 5:15] = True
    np.testing.assert_array_equal(outlines(session) == number, drawn & (square_labels() == 0))
    assert (outlines(session) == 1).sum() == 100


def test_a_new_outline_replaces_the_old_one_wholly(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    session.reshape(1, square(12, 12, 4))
    assert (outlines(session) == 1).sum() == 16
    session.merge(2, 1)
    assert (outlines(session) == 2).sum() == 116
    session.undo()
    session.undo()
    np.testing.assert_array_equal(outlines(session), square_labels())


def test_any_window_shows_what_the_whole_shows(tmp_path: Path) -> None:
    session = opened(tmp_path, outlined_proposals())
    session.merge(1, 2)
    session.split(3, [(22.5, 13.6), (22.5, 17.1)])
    session.add((0, 0), region=square(16, 26))
    whole = outlines(session)
    for box in (Box((12, 12), (30, 40)), Box((0, 0), (1, 1)), Box((41, 55), (49, 70))):
        np.testing.assert_array_equal(session.state.outlines(box), whole[box.slices()])


def test_the_outline_of_an_object_is_found_however_large_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graticule.review.state.FIRST_REACH", 2)
    session = opened(tmp_path, outlined_proposals())
    region = session.outline(3)
    assert region.voxels == (square_labels() == 3).sum() and region.start == (40, 50)
    assert session.at((22.5, 13.6)) is session.items[3] and session.at((0.0, 0.0)) is None


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda s: s.accept(99), "no object 99"),
        (lambda s: s.merge(1, 1), "at least two different"),
        (lambda s: s.add((1e6, 0), "small"), "outside the image"),
        (lambda s: s.add((float("nan"), 0), "small"), "numbers in µm"),
        (lambda s: s.add((1, 1), "huge"), "class 'huge'"),
        (lambda s: s.relabel(1, "huge"), "class 'huge'"),
        (lambda s: s.split(1, [(1, 1)]), "two or more"),
        (lambda s: s.reshape(1, square(1, 1)), "move it instead"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, attempt, words: str) -> None:
    session = opened(tmp_path)
    before = session.journal.read_bytes()
    with pytest.raises(AnnotationError, match=words) as refused:
        attempt(session)
    assert "\n" not in str(refused.value)
    assert session.journal.read_bytes() == before


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda s: s.move(1, (1, 1)), "draw its outline anew"),
        (lambda s: s.add((1, 1)), "no outline"),
        (lambda s: s.add((1, 1), region=square(500, 500)), "outside the image"),
        (lambda s: s.add((1, 1), region=square(11, 11, 4)), "at least one voxel"),
        (lambda s: s.split(1, [(6, 3), (30, 20)]), "outside object 1"),
    ],
)
def test_what_cannot_be_done_to_outlines_is_refused(tmp_path: Path, attempt, words: str) -> None:
    session = opened(tmp_path, outlined_proposals())
    with pytest.raises(AnnotationError, match=words):
        attempt(session)


def test_a_field_around_a_place_ends_where_the_image_does() -> None:
    low, high = extent_um(IMAGE)
    assert low == (-0.25, -0.125) and high == (39.75, 29.875)
    assert field_around((0.0, 29.0), 8.0, IMAGE) == ((-0.25, 25.0), (4.0, 29.875))


@given(seed=st.integers(0, 50))
def test_a_region_survives_being_written(seed: int) -> None:
    mask = np.random.default_rng(seed).random((5, 9)) < 0.3
    mask[2, 3] = True
    region = Region.of(mask, (7, 11))
    back = Region.from_plain(region.to_plain())
    assert back.start == region.start and np.array_equal(back.mask, region.mask)
    full = np.zeros((20, 30), bool)
    full[back.box.slices()] = back.mask
    assert np.array_equal(full[7:12, 11:20], mask)
