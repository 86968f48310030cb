"""Several reviewers of one result: how far they agree, and what they hold true together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from graticule.box import Box
from graticule.image import Array
from graticule.metrics.detection import match
from graticule.review.item import Item
from graticule.review.known import is_known
from graticule.review.region import Region
from graticule.review.session import Session

SAME = 0.5
"""Outlines that overlap by so much of their union (IoU) are one object's."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two reviewers.

    Attributes
    ----------
    reviewers
        Their names.
    judged
        Proposals that both decided on.
    kappa
        Cohen's kappa (1960) over these, the categories being the classes, and "rejected": 1 full agreement, 0 what
        chance gives; NaN where both always said one and the same, or nothing was judged by both.
    f1
        Of one's accepted objects against the other's, matched one to one, added ones included, where both looked; NaN
        where neither accepted any.
    """

    reviewers: tuple[str, str]
    judged: int
    kappa: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """What reviewers hold true together.

    Attributes
    ----------
    items
        What more than half of those who saw the place accepted; places are means, classes the most frequent.
    regions
        Of outlined items, in their order: the voxels that at least half of those who accepted it gave it.
    disputed
        What exactly half accepted: neither true nor false.
    """

    items: tuple[Item, ...]
    regions: tuple[Region, ...]
    disputed: tuple[Item, ...]


@dataclass(eq=False)
class _Object:
    """Something one or several reviewers accepted."""

    members: list[Item]
    regions: list[Region]
    by: list[int] = field(default_factory=list)

    @property
    def place(self) -> Array:
        mean: Array = np.mean([member.position_um for member in self.members], axis=0)
        return mean


def agreements(sessions: Sequence[Session], within_um: float) -> list[Agreement]:
    """Of every two reviewers of the same result; points no further apart than `within_um` are the same."""
    return [_agreement(a, b, within_um) for a, b in combinations(sessions, 2)]


def kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa of two raters' categories for the same things.

    >>> kappa(["a", "a", "b", "b"], ["a", "a", "b", "a"])
    0.5
    """
    if not first:
        return float("nan")
    names = sorted({*first, *second})
    table = np.zeros((len(names), len(names)))
    for a, b in zip(first, second, strict=True):
        table[names.index(a), names.index(b)] += 1
    table /= table.sum()
    chance = float((table.sum(axis=0) * table.sum(axis=1)).sum())
    return float("nan") if chance == 1 else float((np.trace(table) - chance) / (1 - chance))


def _agreement(a: Session, b: Session, within_um: float) -> Agreement:
    common = [
        proposal.id
        for proposal in a.state.proposals.items
        if (_verdict(a, proposal.id) is not None and _verdict(b, proposal.id) is not None)
    ]
    first, second = ([str(_verdict(s, number)) for number in common] for s in (a, b))
    ours, theirs = (_seen_by_both(s, other, within_um) for s, other in ((a, b), (b, a)))
    pairs = len(_same(ours, theirs, within_um)[0])
    total = len(ours) + len(theirs)
    return Agreement((a.who, b.who), len(common), kappa(first, second), 2 * pairs / total if total else float("nan"))


def _verdict(session: Session, number: int) -> str | None:
    """A class, "rejected", or None where nothing was decided. What was merged into another was held for no object."""
    item = session.items.get(number)
    if item is None:
        return "rejected"
    return {"accepted": item.kind, "rejected": "rejected", "open": None}[item.status]


def _seen_by_both(session: Session, other: Session, within_um: float) -> list[_Object]:
    return [one for one in _objects(session) if is_known(other, one.members[0].position_um, within_um)]


def _objects(session: Session, number: int = 0) -> list[_Object]:
    accepted = [item for item in session.items.values() if item.status == "accepted"]
    return [_Object([i], [session.outline(i.id)] if session.outlined else [], [number]) for i in accepted]


def _same(ours: Sequence[_Object], theirs: Sequence[_Object], within_um: float) -> tuple[Array, Array]:
    """One-to-one pairs: of points by distance, of outlines by overlap."""
    if not ours or not theirs:
        return np.zeros(0, int), np.zeros(0, int)
    if not ours[0].regions:
        return match(np.array([o.place for o in ours]), np.array([t.place for t in theirs]), within_um)
    pairs = [
        (i, j)
        for i, one in enumerate(ours)
        for j, two in enumerate(theirs)
        # At more than half of the union no two can overlap the same one.
        if overlap(one.regions[0], two.regions[0]) > SAME
    ]
    return np.array([i for i, _ in pairs], int), np.array([j for _, j in pairs], int)


def overlap(a: Region, b: Region) -> float:
    """Intersection over union."""
    start = tuple(max(x, y) for x, y in zip(a.box.start, b.box.start, strict=True))
    stop = tuple(min(x, y) for x, y in zip(a.box.stop, b.box.stop, strict=True))
    if any(x >= y for x, y in zip(start, stop, strict=True)):
        return 0.0
    both = Box(start, stop)
    parts = [region.mask[both.relative_to(region.start).slices()] for region in (a, b)]
    shared = int(np.count_nonzero(parts[0] & parts[1]))
    return shared / (a.voxels + b.voxels - shared)


def merged(sessions: Sequence[Session], within_um: float) -> Merged:
    """By majority of those who saw each place."""
    objects: list[_Object] = []
    for number, session in enumerate(sessions):
        theirs = _objects(session, number)
        ours, found = _same(objects, theirs, within_um)
        for i, j in zip(ours, found, strict=True):
            _join(objects[i], theirs[j])
        paired = set(found.tolist())
        objects += [one for j, one in enumerate(theirs) if j not in paired]
    kept, disputed = [], []
    for one in objects:
        voters = sum(is_known(session, one.place.tolist(), within_um) for session in sessions)
        if 2 * len(one.by) > voters:
            kept.append(one)
        elif 2 * len(one.by) == voters:
            disputed.append(one)
    return Merged(
        tuple(_common(one) for one in kept),
        tuple(_majority(one.regions) for one in kept if one.regions),
        tuple(_common(one) for one in disputed),
    )


def _join(one: _Object, other: _Object) -> None:
    one.members += other.members
    one.regions += other.regions
    one.by += other.by


def _common(one: _Object) -> Item:
    kinds = [member.kind for member in one.members]
    place = tuple(float(x) for x in one.place)
    return replace(one.members[0], position_um=place, kind=max(kinds, key=lambda kind: (kinds.count(kind), kind)))


def _majority(regions: Sequence[Region]) -> Region:
    start = tuple(min(r.box.start[axis] for r in regions) for axis in range(len(regions[0].start)))
    stop = tuple(max(r.box.stop[axis] for r in regions) for axis in range(len(start)))
    votes = np.zeros(Box(start, stop).shape, int)
    for region in regions:
        votes[region.box.relative_to(start).slices()] += region.mask
    return Region.of(2 * votes >= len(regions), start)
