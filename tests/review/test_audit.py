from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graticule.review import Order
from graticule.review.audit import audit
from graticule.review.item import Item
from graticule.review.queue import lay_out

EXTENT = ((0.0, 0.0), (100.0, 100.0))
RIGHT, MISSED = 0.7, 40


def world(seed: int) -> tuple[dict[int, Item], np.ndarray]:
    """A hundred proposals, of which 70 are right, most of the sure ones; and where 40 were missed."""
    rng = np.random.default_rng(seed)
    right = rng.permutation(100) < 100 * RIGHT
    confidence = np.clip(rng.normal(np.where(right, 0.75, 0.55), 0.15), 0.01, 0.99)
    places = rng.uniform(0, 100, (100, 2))
    items = {n: Item(n, tuple(places[n - 1]), "bead", float(confidence[n - 1])) for n in range(1, 101)}
    truth = {n: replace(items[n], status="accepted" if right[n - 1] else "rejected") for n in items}
    return truth, rng.uniform(0, 100, (MISSED, 2))


def reviewed(seed: int, turns: int) -> tuple:
    """The estimates after so many turns of a reviewer who is always right."""
    truth, missed = world(seed)
    items = {n: replace(item, status="open") for n, item in truth.items()}
    queue = lay_out(list(items.values()), EXTENT, Order(view_um=20.0, audit=0.5, seed=seed))
    looked = []
    for turn in queue.turns[:turns]:
        if turn.item:
            items[turn.item] = truth[turn.item]
            continue
        looked.append(turn.field_um)
        inside = ((missed >= turn.field_um[0]) & (missed < turn.field_um[1])).all(axis=1)
        for place in missed[inside]:
            number = max(items) + 1
            items[number] = Item(number, tuple(place), "bead", 1.0, None, "accepted", "added")
    return audit(items, queue.audited, queue.fields_um, looked), items


def test_estimates_are_unbiased_though_the_queue_shows_the_doubtful_first() -> None:
    seen = [reviewed(seed, 50) for seed in range(300)]
    precision = np.array([found.precision.value for found, _ in seen])
    missed = np.array([found.missed.value for found, _ in seen])
    assert precision.mean() == pytest.approx(RIGHT, abs=3 * precision.std() / np.sqrt(300))
    assert missed.mean() == pytest.approx(MISSED, abs=3 * missed.std() / np.sqrt(300))
    # What the reviewer decided altogether is not: the queue goes for what is wrong.
    naive = [
        np.mean([i.status == "accepted" for i in items.values() if i.id <= 100 and i.status != "open"])
        for _, items in seen
    ]
    assert np.mean(naive) < RIGHT - 0.05


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    seen = [reviewed(seed, 60)[0] for seed in range(300)]
    for name, truth in (("precision", RIGHT), ("missed", MISSED)):
        held = np.mean([getattr(s, name).low - 1e-9 <= truth <= getattr(s, name).high + 1e-9 for s in seen])
        assert held >= 0.92, name


def test_when_everything_was_seen_the_estimates_are_exact() -> None:
    found, _ = reviewed(1, 10_000)
    assert found.precision.value == found.precision.low == found.precision.high == RIGHT
    assert found.precision.seen == 100


def test_nothing_looked_at_says_nothing() -> None:
    items = {1: Item(1, (1.0, 1.0), "bead", 0.5)}
    assert audit(items, (1,), (), ()).precision is None
    assert audit(items, (1,), (), ()).missed is None and audit(items, (1,), (), ()).recall is None


def test_no_miss_in_the_fields_searched_still_leaves_room_for_some() -> None:
    items = {1: Item(1, (1.0, 1.0), "bead", 0.5, status="accepted")}
    every = [((0.0, float(x)), (10.0, float(x + 10))) for x in range(0, 100, 10)]
    found = audit(items, (1,), every, every[:3])
    assert found.missed.value == 0 and found.missed.low == 0 and 5 < found.missed.high < 15
    assert found.recall.value == 1 and found.recall.low < 0.2


def test_fields_are_looked_up_once_each_however_many_were_searched() -> None:
    """The estimates are shown after every decision: their cost must not be fields times fields searched."""
    asked = []

    class Counted(tuple):
        __slots__ = ()

        def __hash__(self) -> int:
            asked.append(self)
            return super().__hash__()

    every = [Counted(((float(n), 0.0), (n + 1.0, 1.0))) for n in range(200)]
    assert audit({}, [], every, every[:100]).missed is not None
    assert len(asked) <= 2 * (len(every) + 100)
