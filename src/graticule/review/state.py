"""What decisions make of proposals; each can be taken back, and costs the same however many came before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from graticule.box import Box
from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.review.decision import Decision
from graticule.review.item import Item, Proposals, Status
from graticule.review.region import Region

FIRST_REACH = 64
"""Voxels around a place where a proposal's outline is looked for first."""

STATUS: Mapping[str, Status] = {"accept": "accepted", "reject": "rejected", "reopen": "open"}


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A decision that counts, and what it replaced."""

    decision: Decision
    items: Mapping[int, Item | None]
    becomes: Mapping[int, int | None]
    painted: int


@dataclass(eq=False)
class State:
    """Items as they are now.

    Outlines are the proposals' own voxels, with regions painted over them in the order they came; what number a voxel
    holds then stands for the item `becomes` says, itself if nothing.

    Attributes
    ----------
    proposals
        What there was before the first decision.
    items
        By id; what was merged into another is gone.
    """

    proposals: Proposals
    items: dict[int, Item] = field(default_factory=dict)
    _steps: list[_Step] = field(default_factory=list)
    _painted: list[tuple[Box, Array, int]] = field(default_factory=list)
    _becomes: dict[int, int] = field(default_factory=dict)
    _boxes: dict[int, Box | None] = field(default_factory=dict)
    _highest: int = 0

    def __post_init__(self) -> None:
        self.items = {item.id: item for item in self.proposals.items}
        self._highest = max(self.items, default=0)

    @property
    def decisions(self) -> Iterator[Decision]:
        """Those that count, the first first."""
        return (step.decision for step in self._steps)

    @property
    def last(self) -> Decision | None:
        return self._steps[-1].decision if self._steps else None

    def fresh_ids(self, count: int) -> tuple[int, ...]:
        """Ids that were never used."""
        return tuple(range(self._highest + 1, self._highest + 1 + count))

    def apply(self, decision: Decision) -> None:
        """Let a decision count; `AnnotationError` if it cannot be."""
        if decision.what == "undo":
            self._undo()
            return
        for number in decision.ids:
            self._item(number)
        items = self._changed(decision)
        becomes = self._renumbered(decision)
        self._steps.append(
            _Step(
                decision,
                {number: self.items.get(number) for number in items},
                {number: self._becomes.get(number) for number in becomes},
                self._paint(decision),
            )
        )
        _put(self.items, items)
        _put(self._becomes, becomes)
        self._highest = max((self._highest, *decision.new))

    def _undo(self) -> None:
        if not self._steps:
            raise AnnotationError("found no decision to take back; decide something first")
        step = self._steps.pop()
        _put(self.items, step.items)
        _put(self._becomes, step.becomes)
        del self._painted[len(self._painted) - step.painted :]

    def _item(self, number: int) -> Item:
        if number not in self.items:
            raise AnnotationError(
                f"found no object {number}; need one of those shown; it may have been merged or taken back"
            )
        return self.items[number]

    def _changed(self, decision: Decision) -> dict[int, Item | None]:
        """The items a decision touches, as they are after it; None: gone."""
        now = {number: self.items[number] for number in decision.ids}
        places = decision.positions_um
        match decision.what:
            case "accept" | "reject" | "reopen":
                return {number: replace(item, status=STATUS[decision.what]) for number, item in now.items()}
            case "relabel":
                self._check_kind(decision.kind)
                return {number: replace(item, kind=decision.kind, status="accepted") for number, item in now.items()}
            case "move" | "reshape":
                [number] = decision.ids
                return {number: replace(now[number], position_um=places[0], status="accepted")}
            case "add":
                self._check_kind(decision.kind)
                item = Item(decision.new[0], places[0], decision.kind, 1.0, decision.diameter_um, "accepted", "added")
                return {item.id: item}
            case "merge":
                first, *others = decision.ids
                kept = replace(now[first], position_um=places[0], status="accepted")
                return {first: kept, **dict.fromkeys(others)}
            case "split":
                [number] = decision.ids
                kept = replace(now[number], position_um=places[0], status="accepted", origin="split")
                parts = zip(decision.new, places[1:], strict=True)
                return {number: kept, **{n: replace(kept, id=n, position_um=place) for n, place in parts}}
            case _:
                return {}

    def _check_kind(self, kind: str) -> None:
        if kind not in self.proposals.kinds:
            raise AnnotationError(
                f"found class {kind!r}; need one of {', '.join(self.proposals.kinds)}; choose one of them"
            )

    def _renumbered(self, decision: Decision) -> dict[int, int | None]:
        """Which numbers of voxels stand for something else from now on."""
        match decision.what:
            case "merge":
                first, *others = decision.ids
                return {raw: first for other in others for raw in self._raw(other)}
            case "reshape":
                old, new = decision.ids[0], decision.new[0]
                return {**dict.fromkeys(self._raw(old), 0), new: old}
            case _:
                return {}

    def _raw(self, number: int) -> list[int]:
        """The numbers of voxels that stand for an item."""
        own = [number] if self._becomes.get(number, number) == number else []
        return own + [raw for raw, means in self._becomes.items() if means == number and raw != number]

    def _paint(self, decision: Decision) -> int:
        regions = decision.regions
        numbers = decision.new if decision.what != "split" else (decision.ids[0], *decision.new)
        if not regions:
            return 0
        for region, number in zip(regions, numbers, strict=True):
            self._painted.append((region.box, region.mask, number))
        return len(regions)

    # -- outlines --------------------------------------------------------------------------------------------------------

    def outlines(self, box: Box, *, statuses: Iterable[Status] = ("open", "accepted")) -> Array:
        """Item numbers in a part of the image, ``(*box.shape)``, 0 where there is none of these `statuses`."""
        labels = self.proposals.labels
        assert labels is not None, "only outlined proposals have outlines"
        numbers = np.asarray(labels.image.data[box.slices()]).astype(np.int64)
        for at, mask, number in self._painted:
            both = _overlap(at, box)
            if both is not None:
                inside = mask[both.relative_to(at.start).slices()]
                numbers[both.relative_to(box.start).slices()][inside] = number
        return self._meant(numbers, set(statuses))

    def _meant(self, numbers: Array, statuses: set[Status]) -> Array:
        present, inverse = np.unique(numbers, return_inverse=True)
        meant = [self._becomes.get(int(n), int(n)) for n in present]
        shown = [n if n in self.items and self.items[n].status in statuses else 0 for n in meant]
        result: Array = np.array(shown, np.int64)[inverse].reshape(numbers.shape)
        return result

    def hull(self, number: int) -> Box:
        """The smallest box around all that an item's numbers ever stood for; its voxels now are among these."""
        raw = set(self._raw(number))
        boxes = [box for box, _, painted in self._painted if painted in raw]
        boxes += [box for box in (self._own_box(each) for each in sorted(raw)) if box is not None]
        if not boxes:
            raise AnnotationError(f"found no voxel of object {number}; need an outline; draw one")
        start = tuple(min(box.start[axis] for box in boxes) for axis in range(len(boxes[0].start)))
        return Box(start, tuple(max(box.stop[axis] for box in boxes) for axis in range(len(start))))

    def _own_box(self, number: int) -> Box | None:
        """Around the proposal's own voxels, looked for once; None for what was not proposed, or has no voxel."""
        if number not in self._boxes:
            self._boxes[number] = self._found_box(number)
        return self._boxes[number]

    def _found_box(self, number: int) -> Box | None:
        """A window around its place that doubles until no voxel of it lies at the window's sides."""
        item = next((item for item in self.proposals.items if item.id == number), None)
        if item is None:
            return None
        middle = np.round(self.place.to_voxels(np.array([item.position_um]))[0]).astype(int)
        reach = FIRST_REACH
        while True:
            low = tuple(int(np.clip(m - reach, 0, n - 1)) for m, n in zip(middle, self.place.shape, strict=True))
            high = tuple(int(np.clip(m + reach, 1, n)) for m, n in zip(middle, self.place.shape, strict=True))
            window = Box(low, high)
            mask = np.asarray(self.place.data[window.slices()]) == number
            whole = all(a == 0 for a in low) and high == self.place.shape
            if whole or (mask.any() and not _touches(mask, window, self.place.shape)):
                return Region.of(mask, low).box if mask.any() else None
            reach *= 2

    @property
    def place(self) -> Image:
        """The voxels that outlines lie on."""
        assert self.proposals.labels is not None
        return self.proposals.labels.image


def _touches(mask: Array, window: Box, shape: tuple[int, ...]) -> bool:
    """Whether an object reaches a side of the window that is not a side of the image."""
    for axis in range(mask.ndim):
        first, last = np.moveaxis(mask, axis, 0)[[0, -1]]
        if (first.any() and window.start[axis] > 0) or (last.any() and window.stop[axis] < shape[axis]):
            return True
    return False


def _put(known: dict, changed: Mapping) -> None:  # type: ignore[type-arg]
    for key, value in changed.items():
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value


def _overlap(a: Box, b: Box) -> Box | None:
    start = tuple(max(x, y) for x, y in zip(a.start, b.start, strict=True))
    stop = tuple(min(x, y) for x, y in zip(a.stop, b.stop, strict=True))
    return Box(start, stop) if all(x < y for x, y in zip(start, stop, strict=True)) else None
