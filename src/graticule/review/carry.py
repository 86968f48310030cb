"""Decisions on one result, taken over to another of the same image: the same method at another threshold, mostly.

They are made again in the new review, one by one and in their order, as far as what they are about is there too, and are
journalled like any others; each bears the name of the decision it repeats, so that nothing is carried twice, back and
forth included. What the reviewer decided later on the new result itself stands.

A field that was searched, or on screen, is not carried where it holds an accepted object that the new result lacks: in
the new review it would say that nothing is there.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.metrics.detection import match
from graticule.review.agreement import overlap
from graticule.review.decision import Decision, Field
from graticule.review.item import Item, Proposals
from graticule.review.region import Region
from graticule.review.session import Session
from graticule.review.state import STATUS

SAME_PX = 2.0
"""Points of one class no further apart than so many of the finest pixels are one object's."""

SAME_IOU = 0.5
"""Outlines that overlap by at least so much of their union are one object's; of several, those that overlap most."""

SLAB = 16
"""Planes of labelled volumes that are compared at once."""

PREFIX = "carried:"


@dataclass(frozen=True, slots=True)
class Carried:
    """How many decisions went over, by what they are; one on several objects counts for each of them.

    Attributes
    ----------
    carried
        Made again in the new review just now. What was added in the old one, and found in the new, is accepted there.
    there
        What the new review says already: carried before, or overruled by what the reviewer decided there later.
    lost
        What is about objects that the new result lacks, or cannot be done there.
    """

    carried: Mapping[str, int]
    there: Mapping[str, int]
    lost: Mapping[str, int]

    def __str__(self) -> str:
        """For the reviewer, in one line."""
        parts = [f"{sum(self.carried.values())} decisions carried over"]
        if any(self.there.values()):
            parts.append(f"{sum(self.there.values())} there already")
        if any(self.lost.values()):
            told = ", ".join(f"{count} {what}" for what, count in sorted(self.lost.items()))
            parts.append(f"{sum(self.lost.values())} lost, as what they were about is not in the new result ({told})")
        return "; ".join(parts)


def carry(old: Session, new: Session) -> Carried:
    """Make the decisions that count in `old` again in `new`, as far as they can be.

    `old` is only read. `AnnotationError` if the two are not of one reviewer and one image.
    """
    _check(old, new)
    move = _Move(old, new, counterparts(old.state.proposals, new.state.proposals, new.image))
    for decision, name in zip(old.state.decisions, _names(old), strict=True):
        move.take(decision, name)
    # Without what is 0.
    return Carried(*(dict(+counts) for counts in (move.carried, move.there, move.lost)))


def counterparts(old: Proposals, new: Proposals, image: Image) -> dict[int, int]:
    """For each proposal of one result the one of the other that is the same object: ids, one to one.

    Of the same class; points by place, outlines by overlap. Outlines on other voxels have no counterparts.
    """
    if (old.labels is None) != (new.labels is None):
        return {}
    if old.labels is None or new.labels is None:
        return _by_place(old.items, new.items, SAME_PX * min(image.spacing_um))
    return _by_overlap(old, new, old.labels.image, new.labels.image)


def _by_place(old: Sequence[Item], new: Sequence[Item], within_um: float) -> dict[int, int]:
    pairs: dict[int, int] = {}
    for kind in {item.kind for item in old}:
        ours, theirs = ([item for item in items if item.kind == kind] for items in (old, new))
        if ours and theirs:
            places, others = (np.array([item.position_um for item in items]) for items in (ours, theirs))
            first, second = match(places, others, within_um)
            pairs |= {ours[i].id: theirs[j].id for i, j in zip(first.tolist(), second.tolist(), strict=True)}
    return pairs


def _by_overlap(old: Proposals, new: Proposals, ours: Image, theirs: Image) -> dict[int, int]:
    same_place = (ours.shape, ours.spacing_um, ours.origin_um) == (theirs.shape, theirs.spacing_um, theirs.origin_um)
    if not same_place:
        return {}
    kind_of, other_kind_of = ({item.id: item.kind for item in side.items} for side in (old, new))
    shared, sizes, other_sizes = _census(ours, theirs)
    candidates = sorted(
        (-both / (sizes[a] + other_sizes[b] - both), a, b)
        for (a, b), both in shared.items()
        if a in kind_of and b in other_kind_of and kind_of[a] == other_kind_of[b]
    )
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for share, a, b in candidates:
        if -share >= SAME_IOU and a not in pairs and b not in taken:
            pairs[a] = b
            taken.add(b)
    return pairs


def _census(ours: Image, theirs: Image) -> tuple[Counter[tuple[int, int]], Counter[int], Counter[int]]:
    """Voxels that two numbers share, and that each has, slab by slab."""
    shared: Counter[tuple[int, int]] = Counter()
    for start in range(0, ours.shape[0], SLAB if ours.ndim == 3 else ours.shape[0]):
        slab = slice(start, start + (SLAB if ours.ndim == 3 else ours.shape[0]))
        both = np.stack([np.asarray(one.data[slab]).ravel().astype(np.int64) for one in (ours, theirs)])
        pairs, counts = np.unique(both[:, both.any(axis=0)], axis=1, return_counts=True)
        for (a, b), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            shared[a, b] += count
    sizes, other_sizes = Counter[int](), Counter[int]()
    for (a, b), count in shared.items():
        sizes[a] += count
        other_sizes[b] += count
    return Counter({pair: count for pair, count in shared.items() if all(pair)}), sizes, other_sizes


def _check(old: Session, new: Session) -> None:
    if old.who != new.who:
        raise AnnotationError(
            f"found decisions of {old.who} for a review by {new.who}; need one reviewer; open their own"
        )
    if old.image.shape != new.image.shape or old.about.get("image") != new.about.get("image"):
        raise AnnotationError("found a review of another image; need two results of the same one; choose another")


def _names(session: Session) -> list[str]:
    """Of all decisions that count: what a carried one was called where it was made, else what it says, and of what."""
    seen: Counter[str] = Counter()
    names = []
    for decision in session.state.decisions:
        if decision.request.startswith(PREFIX):
            names.append(decision.request)
            continue
        plain = {name: value for name, value in decision.to_plain().items() if name != "request"}
        text = json.dumps([session.about.get("result"), plain], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        seen[digest] += 1
        names.append(f"{PREFIX}{digest}-{seen[digest]}")
    return names


@dataclass(eq=False)
class _Move:
    """Carrying under way.

    Attributes
    ----------
    ids
        What objects of the old review are called in the new one.
    """

    old: Session
    new: Session
    ids: dict[int, int]
    carried: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._absent = _absent(self.old, self.ids)
        self._done = dict(zip(_names(self.new), self.new.state.decisions, strict=True))
        self._looked = {d.seen_um for d in self.new.state.decisions if d.what == "look"}
        self._own: dict[int, str] = {}
        for decision in self.new.state.decisions:
            if not decision.request.startswith(PREFIX):
                self._own |= dict.fromkeys((*decision.ids, *decision.new), decision.when)

    def take(self, decision: Decision, name: str) -> None:
        """Make one decision again, or count why not."""
        ways: Mapping[str, Callable[[Decision], bool | None]] = {
            "relabel": self._relabel,
            "move": self._shift,
            "add": self._add,
            "split": self._split,
            "merge": self._merge,
            "reshape": self._reshape,
            "look": self._look,
            "complete": self._complete,
        }
        done = name in self._done or self.new.has_answered(name)
        if decision.what in STATUS:
            with self.new.asked(name):
                self._status(decision, done)
            return
        if done:
            self._recall(decision, self._done.get(name))
            self.there[decision.what] += 1
            return
        with self.new.asked(name):
            try:
                made = ways[decision.what](decision)
            except AnnotationError:  # no room for an outline, a place outside, a class that is not there …
                made = None
        kept = self.lost if made is None else self.carried if made else self.there
        kept[decision.what] += 1

    def _recall(self, decision: Decision, theirs: Decision | None) -> None:
        """What came into being when this was carried before."""
        if theirs is not None and decision.what in ("add", "split"):
            self.ids |= dict(zip(decision.new, theirs.new or theirs.ids, strict=True))

    def _status(self, decision: Decision, done: bool) -> None:
        """Accept, reject or reopen, as far as the objects are there."""
        # What was decided when it was carried before may be part of another object by now.
        find = self.ids.get if done else self._here
        here = [number for number in map(find, decision.ids) if number is not None]
        self.lost[decision.what] += len(decision.ids) - len(here)
        due = [] if done else [number for number in here if not self._later(number, decision)]
        self.there[decision.what] += len(here) - len(due)
        self.carried[decision.what] += len(due)
        if due:
            self._again(decision, *due)

    # Each of these: True if it was carried, False if it is there already, None if it is lost.

    def _relabel(self, decision: Decision) -> bool | None:
        number = self._here(decision.ids[0])
        if number is None or decision.kind not in self.new.kinds:
            return None
        return False if self._later(number, decision) else self._again(decision, number)

    def _shift(self, decision: Decision) -> bool | None:
        number = self._here(decision.ids[0])
        if number is None:
            return None
        return False if self._later(number, decision) else self._again(decision, number)

    def _add(self, decision: Decision) -> bool | None:
        """What the new result has found by itself is accepted there in place of being added."""
        seen = self._seen_um(decision)
        found = self._found(decision)
        if found is not None:
            self.ids[decision.new[0]] = found
            if self._later(found, decision):
                return False
            self.new.accept(found, seen_um=seen, stream=decision.stream)
        else:
            region = decision.regions[0] if decision.regions else None
            self.ids[decision.new[0]] = self.new.add(
                decision.positions_um[0],
                decision.kind,
                diameter_um=decision.diameter_um,
                region=region,
                seen_um=seen,
                stream=decision.stream,
            )
        return True

    def _split(self, decision: Decision) -> bool | None:
        number = self._here(decision.ids[0])
        if number is None:
            return None
        if self._later(number, decision):
            return False
        new, places, regions = self.new.state.fresh_ids(len(decision.new)), decision.positions_um, decision.regions
        if regions:
            own = self.new.outline(number)
            regions = tuple(_common(region, own) for region in regions)
            place = self.new.state.place
            places = tuple(tuple(map(float, place.to_um(region.centre[None])[0])) for region in regions)
        self._again(replace(decision, new=new, positions_um=places, regions=regions), number)
        self.ids |= dict(zip(decision.new, new, strict=True))
        return True

    def _merge(self, decision: Decision) -> bool | None:
        numbers = [self.ids[number] for number in decision.ids if number in self.ids]
        if len(numbers) < len(decision.ids) or numbers[0] not in self.new.items:
            return None
        gone = [number for number in numbers[1:] if number not in self.new.items]
        if len(gone) == len(numbers) - 1 or any(self._later(number, decision) for number in numbers):
            return False
        if gone:
            return None
        self.new.merge(*numbers, seen_um=self._seen_um(decision), stream=decision.stream)
        return True

    def _reshape(self, decision: Decision) -> bool | None:
        number = self._here(decision.ids[0])
        if number is None:
            return None
        if self._later(number, decision):
            return False
        seen = self._seen_um(decision)
        self.new.reshape(number, decision.regions[0], seen_um=seen, stream=decision.stream)
        return True

    def _look(self, decision: Decision) -> bool | None:
        looked = decision.seen_um
        if looked is None or self._seen_um(decision) is None:
            return None
        if looked in self._looked:
            return False
        self.new.look(looked, stream=decision.stream)
        self._looked.add(looked)
        return True

    def _complete(self, decision: Decision) -> bool | None:
        if self._absent:
            return None
        if self.new.is_complete:
            return False
        return self._again(decision)

    # -- where things are ------------------------------------------------------------------------------------------------

    def _again(self, decision: Decision, *ids: int) -> bool:
        self.new.repeat(replace(decision, ids=ids, seen_um=self._seen_um(decision)))
        return True

    def _here(self, number: int) -> int | None:
        """An old object's id in the new review, if it is there."""
        found = self.ids.get(number)
        return found if found in self.new.items else None

    def _later(self, number: int, decision: Decision) -> bool:
        """Whether the reviewer decided on this object, in the new review itself, after the decision to be carried."""
        return self._own.get(number, "") > decision.when

    def _seen_um(self, decision: Decision) -> Field | None:
        seen = decision.seen_um
        if seen is None or any(_holds(seen, place) for place in self._absent):
            return None
        return seen

    def _found(self, decision: Decision) -> int | None:
        """An object of the new review, nobody's counterpart yet, that is what was added to the old one."""
        claimed = set(self.ids.values())
        free = [i for i in self.new.items.values() if i.id not in claimed and i.kind == decision.kind]
        if not free:
            return None
        if decision.regions:
            shares = [(overlap(decision.regions[0], self.new.outline(i.id)), i.id) for i in self._near(free, decision)]
            share, number = max(shares, default=(0.0, 0))
            return number if share >= SAME_IOU else None
        away = np.linalg.norm(np.array([i.position_um for i in free]) - decision.positions_um[0], axis=1)
        best = int(away.argmin())
        # A click is no nearer to a centre than the object is large.
        size = decision.diameter_um or free[best].diameter_um or 0.0
        within = max(SAME_PX * min(self.new.image.spacing_um), size / 2)
        return free[best].id if away[best] <= within else None

    def _near(self, items: Sequence[Item], decision: Decision) -> Iterator[Item]:
        """Those whose voxels lie under a region."""
        region = decision.regions[0]
        under = self.new.state.outlines(region.box, statuses=("open", "accepted", "rejected"))
        numbers = set(np.unique(under[region.mask]).tolist())
        return (item for item in items if item.id in numbers)


def _absent(old: Session, ids: Mapping[int, int]) -> list[tuple[float, ...]]:
    """Places of what the reviewer held true, was found, and is not in the new result."""
    root: dict[int, int] = {}
    for decision in old.state.decisions:
        if decision.what == "split":
            root |= dict.fromkeys(decision.new, root.get(decision.ids[0], decision.ids[0]))
    found = {item.id for item in old.state.proposals.items}
    accepted = [item for item in old.items.values() if item.status == "accepted"]
    return [
        item.position_um
        for item in accepted
        if root.get(item.id, item.id) in found and root.get(item.id, item.id) not in ids
    ]


def _common(region: Region, other: Region) -> Region:
    """The voxels of both; `AnnotationError` if there are none."""
    inside: Array = np.argwhere(region.mask) + region.start - other.start
    fits = ((inside >= 0) & (inside < other.mask.shape)).all(axis=1)
    mask = np.zeros_like(other.mask)
    mask[tuple(inside[fits].T)] = True
    return Region.of(mask & other.mask, other.start)


def _holds(seen: Field, place: Sequence[float]) -> bool:
    return all(a <= x < b for a, x, b in zip(seen[0], place, seen[1], strict=True))
