"""Decisions go where their objects are: nothing twice, nothing in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.box import Box
from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.results import Labels
from graticule.review import Proposals, Region, Session
from graticule.review.carry import Carried, carry, counterparts
from tests.review.scenes import IMAGE, ORDER, SPACING, outlined_proposals, point_proposals, square_labels

Rng = np.random.Generator
POINT_ACTS = ("accept", "reject", "reopen", "relabel", "move", "add", "merge", "split", "look", "undo")
OUTLINE_ACTS = ("accept", "reject", "reopen", "add", "merge", "split", "reshape", "look", "undo")


def opened(folder: Path, proposals: Proposals, *, result: str = "", day: int = 1, who: str = "ada") -> Session:
    """A review of a result; those of a later `day` are later."""
    ticks = count()
    return Session.open(
        folder / f"{result or 'one'}.jsonl",
        IMAGE,
        proposals,
        order=ORDER,
        who=who,
        about={"image": {"sha256": "abc"}, "result": result},
        clock=lambda: f"2026-01-{day:02d}T00:{next(ticks):06d}",
    )


def above(proposals: Proposals, threshold: float) -> Proposals:
    """The same method's at a higher threshold: fewer, numbered anew."""
    kept = [item for item in proposals.items if item.confidence >= threshold]
    return replace(proposals, items=tuple(replace(item, id=n) for n, item in enumerate(kept, start=1)))


def act(session: Session, rng: Rng, acts: tuple[str, ...]) -> None:
    """Something that a reviewer might do."""
    what = str(rng.choice(acts))
    ids = sorted(session.items)
    low = rng.uniform(0, 15, 2)
    seen = (tuple(map(float, low)), tuple(map(float, low + 10)))
    field = seen if rng.random() < 0.5 else None
    some = [int(n) for n in rng.choice(ids, min(len(ids), int(rng.integers(2, 4))), replace=False)]
    here = [tuple(map(float, place)) for place in rng.uniform(1, 25, (2, 2))]
    match what:
        case "accept" | "reject":
            getattr(session, what)(*some, seen_um=field, stream="queue")
        case "reopen":
            session.reopen(some[0])
        case "relabel":
            session.relabel(some[0], str(rng.choice(session.kinds)), seen_um=field)
        case "move":
            session.move(some[0], here[0])
        case "add":
            corner = tuple(int(n) for n in rng.integers(25, 70, 2))
            region = Region(corner, np.ones((4, 6), bool)) if session.outlined else None
            session.add(here[0], str(rng.choice(session.kinds)), region=region, diameter_um=0.01, seen_um=field)
        case "merge":
            session.merge(*some, seen_um=field)
        case "split" if session.outlined:
            rows, columns = np.nonzero(session.outline(some[0]).mask)
            ends = np.array([[rows[0], columns[0]], [rows[-1], columns[-1]]]) + session.outline(some[0]).start
            session.split(some[0], session.state.place.to_um(ends).tolist())
        case "split":
            session.split(some[0], here)
        case "reshape":
            box = session.outline(some[0]).box
            session.reshape(some[0], Region(box.start, np.ones(box.shape, bool)))
        case "look":
            session.look(seen)
        case "undo":
            session.undo()


def reviewed(session: Session, seed: int, acts: tuple[str, ...], steps: int = 12) -> Session:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        try:
            act(session, rng, acts)
        except (AnnotationError, ValueError):  # not every random act can be done
            continue
    return session


def told(session: Session) -> tuple[object, ...]:
    """All that a review says, whatever its objects are called."""

    def outline(number: int) -> object:
        if not session.outlined:
            return None
        drawn = session.state.outlines(Box((0, 0), IMAGE.shape), statuses=("open", "accepted", "rejected")) == number
        return drawn.tobytes()

    items = sorted(
        (i.position_um, i.kind, i.status, i.origin, i.confidence, i.diameter_um or 0.0, outline(n) or b"")
        for n, i in session.items.items()
    )
    return items, sorted(session.seen()), session.is_complete, session.progress


def decisions(session: Session) -> int:
    per_object = ("accept", "reject", "reopen")
    return sum(len(d.ids) if d.what in per_object else 1 for d in session.state.decisions)


def total(found: Carried) -> int:
    return sum(sum(part.values()) for part in (found.carried, found.there, found.lost))


SCENES: list[tuple[Callable[[], Proposals], tuple[str, ...]]] = [
    (point_proposals, POINT_ACTS),
    (outlined_proposals, OUTLINE_ACTS),
]


@pytest.mark.parametrize(("proposals", "acts"), SCENES, ids=["points", "outlines"])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_an_identical_result_gets_the_same_review_and_a_second_time_nothing(
    proposals: Callable[[], Proposals], acts: tuple[str, ...], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("carry")
    with (
        opened(folder, proposals(), result="old") as old,
        opened(folder, proposals(), result="new", day=2) as new,
    ):
        reviewed(old, seed, acts)
        first = carry(old, new)
        assert told(new) == told(old)
        assert not first.lost and total(first) == decisions(old)
        lines = new.journal.read_bytes()
        again = carry(old, new)
        assert not any(again.carried.values()) and total(again) == decisions(old)
        back = carry(new, old)
        assert not any(back.carried.values()) and not any(back.lost.values())
        assert new.journal.read_bytes() == lines
    assert told(Session.read(new.journal, IMAGE, proposals())) == told(old)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), threshold=st.floats(0.2, 1.0))
def test_at_another_threshold_what_is_there_is_as_decided_and_counts_add_up(
    seed: int, threshold: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, proposals = tmp_path_factory.mktemp("carry"), point_proposals()
    simple = ("accept", "reject", "reopen", "relabel", "move", "add", "look")
    with (
        opened(folder, proposals, result="low") as low,
        opened(folder, above(proposals, threshold), result="high", day=2) as high,
    ):
        pairs = counterparts(low.state.proposals, high.state.proposals, IMAGE)
        assert len(pairs) == len(high.items)
        reviewed(low, seed, simple)
        found = carry(low, high)
        assert total(found) == decisions(low)
        for ours, theirs in pairs.items():
            assert replace(high.items[theirs], id=ours) == low.items[ours]
        added = [[i.position_um for i in s.items.values() if i.origin == "added"] for s in (low, high)]
        assert sorted(added[0]) == sorted(added[1])
        before = high.journal.read_bytes()
        assert not any(carry(low, high).carried.values())
        assert high.journal.read_bytes() == before


def test_carried_decisions_are_the_reviewer_s_own_and_journalled(tmp_path: Path) -> None:
    with opened(tmp_path, point_proposals(), result="a") as old, opened(tmp_path, point_proposals(), result="b") as new:
        old.accept(1, 2, seen_um=((0.0, 0.0), (5.0, 5.0)), stream="audit")
        found = carry(old, new)
        assert found.carried == {"accept": 2} and str(found) == "2 decisions carried over"
        [decision] = new.state.decisions
    assert (decision.who, decision.stream, decision.ids) == ("ada", "audit", (1, 2))
    assert decision.request.startswith("carried:") and decision.seen_um == ((0.0, 0.0), (5.0, 5.0))


def test_what_is_lost_is_counted_and_no_field_says_that_it_is_not_there(tmp_path: Path) -> None:
    proposals = point_proposals()
    weakest = min(proposals.items, key=lambda item: item.confidence)
    around = tuple(x - 1 for x in weakest.position_um), tuple(x + 1 for x in weakest.position_um)
    away = ((-9.0, -9.0), (-8.0, -8.0))
    fewer = above(proposals, np.nextafter(weakest.confidence, 1))
    with opened(tmp_path, proposals, result="low") as old, opened(tmp_path, fewer, result="high", day=2) as new:
        old.accept(weakest.id)
        old.look(around)
        old.look(away)
        old.complete()
        found = carry(old, new)
        assert found.lost == {"accept": 1, "look": 1, "complete": 1} and found.carried == {"look": 1}
        assert "3 lost" in str(found) and "1 accept, 1 complete, 1 look" in str(found)
        assert new.seen() == [away] and not new.is_complete


def test_a_rejected_object_that_is_gone_costs_no_field(tmp_path: Path) -> None:
    proposals = point_proposals()
    weakest = min(proposals.items, key=lambda item: item.confidence)
    fewer = above(proposals, np.nextafter(weakest.confidence, 1))
    with opened(tmp_path, proposals, result="low") as old, opened(tmp_path, fewer, result="high", day=2) as new:
        old.reject(weakest.id)
        old.complete()
        assert carry(old, new).lost == {"reject": 1} and new.is_complete


def test_what_was_added_and_is_found_now_is_accepted_in_place_of_being_added_again(tmp_path: Path) -> None:
    proposals = point_proposals()
    weakest = min(proposals.items, key=lambda item: item.confidence)
    fewer = above(proposals, np.nextafter(weakest.confidence, 1))
    with opened(tmp_path, fewer, result="high") as old, opened(tmp_path, proposals, result="low", day=2) as new:
        near = (weakest.position_um[0] + 0.2, weakest.position_um[1])
        added = old.add(near, weakest.kind, diameter_um=1.0)
        old.relabel(added, next(kind for kind in old.kinds if kind != weakest.kind))
        found = carry(old, new)
        assert found.carried == {"add": 1, "relabel": 1} and len(new.items) == len(proposals.items)
        assert new.items[weakest.id].kind != weakest.kind and new.items[weakest.id].origin == "found"
        assert carry(old, new).there == {"add": 1, "relabel": 1}


def test_what_was_decided_later_on_the_new_result_stands(tmp_path: Path) -> None:
    with (
        opened(tmp_path, point_proposals(), result="a") as old,
        opened(tmp_path, point_proposals(), result="b", day=2) as new,
    ):
        old.accept(1, 2)
        new.reject(1)
        assert carry(old, new).there == {"accept": 1}
        assert (new.items[1].status, new.items[2].status) == ("rejected", "accepted")
        new.reject(2)
        carry(old, new)
        assert new.items[2].status == "rejected"
        found = carry(new, old)
        assert found.carried == {"reject": 2} and old.items[1].status == old.items[2].status == "rejected"


def test_points_of_another_class_or_place_are_others(tmp_path: Path) -> None:
    proposals = point_proposals()
    shifted = replace(
        proposals,
        items=tuple(replace(i, position_um=(i.position_um[0] + 0.6, i.position_um[1])) for i in proposals.items),
    )
    swapped = replace(
        proposals, items=tuple(replace(i, kind={"small": "large"}.get(i.kind, "small")) for i in proposals.items)
    )
    for others in (shifted, swapped):
        pairs = counterparts(proposals, others, IMAGE)
        assert not any(a == b for a, b in pairs.items())


def relabelled(labels: np.ndarray) -> Proposals:
    """Outlines, numbered as in `labels`."""
    known = outlined_proposals()
    numbers = [int(n) for n in np.unique(labels) if n]
    items = tuple(replace(known.items[0], id=n) for n in numbers)
    return Proposals(items, known.kinds, Labels(Image(labels, "yx", SPACING)))


def test_outlines_are_the_same_from_half_of_their_union_on() -> None:
    ours, theirs = np.zeros((2, *IMAGE.shape), np.uint16)
    ours[10:20, 10:20], ours[40:50, 10:20] = 1, 2
    theirs[10:20, 10:15], theirs[40:50, 10:15], theirs[40, 14] = 7, 8, 0
    theirs[10:20, 15:17] = 9
    assert counterparts(relabelled(ours), relabelled(theirs), IMAGE) == {1: 7}
    found = relabelled(theirs)
    others = replace(found, items=tuple(replace(item, kind="cell") for item in found.items))
    assert counterparts(relabelled(ours), others, IMAGE) == {}


def test_a_cut_goes_over_to_an_outline_that_grew_and_takes_nothing_from_its_neighbours(tmp_path: Path) -> None:
    """At a lower threshold the dumb-bell is a row wider, and the touching square reaches over what was its place."""
    grown = square_labels()
    grown[50:51, 50:60] = 3
    grown[40:42, 50:60] = 2
    with (
        opened(tmp_path, outlined_proposals(), result="a") as old,
        opened(tmp_path, relabelled(grown), result="b", day=2) as new,
    ):
        before = new.outline(2).voxels
        old.split(3, IMAGE.to_um(np.array([[45, 55], [45, 69]])).tolist())
        assert carry(old, new).carried == {"split": 1}
        assert new.outline(2).voxels == before and len(new.items) == 4
        parts = [new.outline(n).voxels for n in new.items if n >= 3]
        assert sum(parts) == int((grown == 3).sum())


def test_merges_need_all_and_kinds_need_to_be_known(tmp_path: Path) -> None:
    proposals = point_proposals()
    weakest = min(proposals.items, key=lambda item: item.confidence)
    fewer = above(proposals, np.nextafter(weakest.confidence, 1))
    with opened(tmp_path, proposals, result="low") as old, opened(tmp_path, fewer, result="high", day=2) as new:
        others = [n for n in old.items if n != weakest.id]
        old.merge(others[0], weakest.id)
        old.merge(others[1], others[2])
        found = carry(old, new)
        assert found.lost == {"merge": 1} and found.carried == {"merge": 1}
        assert len(new.items) == len(fewer.items) - 1


def test_other_reviewers_and_other_images_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path, point_proposals(), result="a") as old:
        with (
            opened(tmp_path, point_proposals(), result="b", who="bo") as new,
            pytest.raises(AnnotationError, match="decisions of ada for a review by bo"),
        ):
            carry(old, new)
        other = Session.open(
            tmp_path / "c.jsonl", IMAGE, point_proposals(), order=ORDER, who="ada", about={"image": {"sha256": "xyz"}}
        )
        with other, pytest.raises(AnnotationError, match="review of another image"):
            carry(old, other)
