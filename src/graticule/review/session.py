"""A review of one image: proposals, what one reviewer decided, and what comes next.

Every change goes through here, is refused or is on the disk when the call returns; opening the same journal again gives the
same session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from graticule.box import Box
from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.results import Points
from graticule.review.audit import Audit, audit
from graticule.review.decision import Decision, Field, Stream
from graticule.review.item import Item, Proposals, as_points
from graticule.review.journal import Journal
from graticule.review.queue import Order, Turn, lay_out
from graticule.review.region import Region
from graticule.review.state import State


@dataclass(frozen=True, slots=True)
class Progress:
    """How many items were decided, and of the turns laid out how many are done."""

    accepted: int
    rejected: int
    open: int
    turns_done: int
    turns: int

    @property
    def decided(self) -> int:
        return self.accepted + self.rejected


class Session:
    """Use `Session.open`, and `close` it, or use it as a context.

    Every method that decides something takes `seen_um`, the field on screen (what is in it was seen, and is complete), and
    `stream`, why it was shown; both are left out where they are not known.

    Attributes
    ----------
    image
        What is reviewed: its place, size and pixels.
    items
        By id, as they are now; not to be changed.
    order, queue
        How turns are laid out, as it was when the review was begun, and all of them.
    recovered
        What was wrong with the journal when it was opened, to be shown to the reviewer; empty if nothing.
    """

    def __init__(self, image: Image, proposals: Proposals, journal: Journal, clock: Callable[[], str]) -> None:
        known = journal.header["disagreement"]
        disagreement = None if known is None else {int(n): float(d) for n, d in known}
        self.image = image
        self.order = Order(**journal.header["order"])
        self.queue = lay_out(proposals.items, extent_um(image), self.order, disagreement)
        self._journal = journal
        self._state = State(proposals)
        self._clock = clock
        self._done_fields: list[Field] = []
        self._counts = {"open": 0, "accepted": 0, "rejected": 0}
        self._turn = 0
        self._request = ""
        self._answered = {str(line["request"]) for line in journal.lines if line.get("request")}
        for item in self._state.items.values():
            self._counts[item.status] += 1
        for line in journal.lines:
            self._apply(Decision.from_plain(line))

    @classmethod
    def open(
        cls,
        journal: Path,
        image: Image,
        proposals: Proposals,
        *,
        order: Order,
        who: str,
        about: Mapping[str, Any] | None = None,
        disagreement: Mapping[int, float] | None = None,
        clock: Callable[[], str] | None = None,
    ) -> Session:
        """Begin a review, or go on with the one in `journal`; what is in it must be about the same things.

        Parameters
        ----------
        journal
            The file; its folder is made.
        order
            How turns are laid out. A review that was begun goes on in the order it was begun in.
        about
            Which image, result and models these are: hashes. `FormatError` if the journal is about others.
        disagreement
            By id, 0 … 1; see `expected_error`.
        """
        known = None if disagreement is None else [[int(n), float(d)] for n, d in disagreement.items()]
        begin = {"order": asdict(order), "disagreement": known}
        opened = Journal.open(journal, {**(about or {}), "who": who}, begin)
        try:
            return cls(image, proposals, opened, clock or _now)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def read(cls, journal: Path, image: Image, proposals: Proposals, about: Mapping[str, Any] | None = None) -> Session:
        """A review as it stands, to look at only, also while somebody is at it."""
        return cls(image, proposals, Journal.read(journal, about or {}), _now)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._journal.close()

    # -- what there is ---------------------------------------------------------------------------------------------------

    @property
    def items(self) -> Mapping[int, Item]:
        return self._state.items

    @property
    def kinds(self) -> tuple[str, ...]:
        return self._state.proposals.kinds

    @property
    def who(self) -> str:
        return str(self._journal.header.get("who", ""))

    @property
    def about(self) -> Mapping[str, Any]:
        """What the journal says of the image, the result and the models: hashes."""
        return self._journal.header

    @property
    def journal(self) -> Path:
        return self._journal.path

    @property
    def recovered(self) -> str:
        return self._journal.recovered

    @property
    def outlined(self) -> bool:
        """Whether items have outlines."""
        return self._state.proposals.labels is not None

    @property
    def state(self) -> State:
        """For reading only."""
        return self._state

    @property
    def last(self) -> Decision | None:
        """The last decision that counts: what `undo` would take back."""
        return self._state.last

    @property
    def progress(self) -> Progress:
        self._advance()
        counts = self._counts
        return Progress(counts["accepted"], counts["rejected"], counts["open"], self._turn, len(self.queue.turns))

    @property
    def audit(self) -> Audit:
        """What the random part says so far."""
        return audit(self.items, self.queue.audited, self.queue.fields_um, self._done_fields)

    @property
    def is_complete(self) -> bool:
        """Whether the reviewer said that nothing is missing anywhere."""
        return any(decision.what == "complete" for decision in self._state.decisions)

    def next(self) -> Turn | None:
        """What to show now: the first turn that is not done; None when all are."""
        self._advance()
        return self.queue.turns[self._turn] if self._turn < len(self.queue.turns) else None

    def upcoming(self) -> Iterator[Turn]:
        """All turns that are not done, `next` first: for a window that lets its reviewer skip some."""
        self._advance()
        return (turn for turn in self.queue.turns[self._turn :] if not self._is_done(turn))

    def nearest(self, position_um: Sequence[float], within_um: float = np.inf) -> Item | None:
        """The item shown (not a rejected one) whose centre is nearest."""
        shown = [item for item in self.items.values() if item.status != "rejected"]
        if not shown:
            return None
        away = np.linalg.norm(np.array([item.position_um for item in shown]) - np.asarray(position_um, float), axis=1)
        best = int(away.argmin())
        return shown[best] if away[best] <= within_um else None

    def at(self, position_um: Sequence[float]) -> Item | None:
        """Of outlined items the one whose voxels hold this place."""
        voxel = self._voxel(position_um)
        if voxel is None:
            return None
        number = int(self._state.outlines(Box(voxel, tuple(v + 1 for v in voxel))).ravel()[0])
        return self.items.get(number)

    def outline(self, number: int) -> Region:
        """The voxels of an outlined item, however many parts it has; `AnnotationError` if it has none."""
        if number not in self.items:
            raise AnnotationError(f"found no object {number}; need one of those shown; it may have been merged already")
        hull = self._state.hull(number)
        mask = self._state.outlines(hull, statuses=("open", "accepted", "rejected")) == number
        return Region.of(mask, hull.start)

    # -- requests ------------------------------------------------------------------------------------------------------

    @contextmanager
    def asked(self, request: str) -> Iterator[None]:
        """What is decided inside is written down with the id of a window's request.

        A window whose answer got lost cannot know whether its decision counts. It asks `has_answered` first, also of a
        session that was opened anew, and does nothing twice.
        """
        self._request = request
        try:
            yield
        finally:
            self._request = ""

    def has_answered(self, request: str) -> bool:
        """Whether a decision of this request is on the disk, even if it was taken back since."""
        return request in self._answered

    # -- decisions -------------------------------------------------------------------------------------------------------

    def accept(self, *ids: int, seen_um: Field | None = None, stream: Stream = "free") -> Decision:
        """These are right."""
        return self._decide(Decision("accept", ids, seen_um=seen_um, stream=stream))

    def reject(self, *ids: int, seen_um: Field | None = None, stream: Stream = "free") -> Decision:
        """There is nothing of the kind here."""
        return self._decide(Decision("reject", ids, seen_um=seen_um, stream=stream))

    def reopen(self, *ids: int) -> Decision:
        """Not decided after all."""
        return self._decide(Decision("reopen", ids))

    def relabel(self, number: int, kind: str, *, seen_um: Field | None = None, stream: Stream = "free") -> Decision:
        """Right, but of another class."""
        return self._decide(Decision("relabel", (number,), kind=kind, seen_um=seen_um, stream=stream))

    def move(
        self, number: int, position_um: Sequence[float], *, seen_um: Field | None = None, stream: Stream = "free"
    ) -> Decision:
        """Right, but its centre lies elsewhere. An outline is not moved: `reshape` it."""
        if self.outlined:
            raise AnnotationError("found an outlined object to move; need a point; draw its outline anew instead")
        return self._decide(
            Decision("move", (number,), positions_um=(self._place(position_um),), seen_um=seen_um, stream=stream)
        )

    def add(
        self,
        position_um: Sequence[float],
        kind: str = "",
        *,
        diameter_um: float | None = None,
        region: Region | None = None,
        seen_um: Field | None = None,
        stream: Stream = "free",
    ) -> int:
        """A missed object; its id. An outlined one needs its `region`: what of it lies on others is left to them."""
        regions = self._free(region)
        place = self._centre(regions[0]) if regions else self._place(position_um)
        new = self._state.fresh_ids(1)
        self._decide(
            Decision(
                "add",
                new=new,
                positions_um=(place,),
                kind=kind or self.kinds[0],
                diameter_um=diameter_um,
                regions=regions,
                seen_um=seen_um,
                stream=stream,
            )
        )
        return new[0]

    def merge(self, *ids: int, seen_um: Field | None = None, stream: Stream = "free") -> Decision:
        """These are one: the first stays, at the centre of all."""
        if len(set(ids)) < 2 or len(set(ids)) < len(ids):
            raise AnnotationError(
                f"found objects {', '.join(map(str, ids))} to merge; need at least two different ones"
            )
        missing = [number for number in ids if number not in self.items]
        if missing:
            raise AnnotationError(f"found no object {missing[0]}; need those shown; it may have been merged already")
        if self.outlined:
            outlines = [self.outline(number) for number in ids]
            weights = np.array([outline.voxels for outline in outlines], float)
            voxel = np.average([outline.centre for outline in outlines], axis=0, weights=weights)
            place = tuple(float(x) for x in self._state.place.to_um(voxel[None])[0])
        else:
            place = tuple(float(x) for x in np.mean([self.items[number].position_um for number in ids], axis=0))
        return self._decide(Decision("merge", ids, positions_um=(place,), seen_um=seen_um, stream=stream))

    def split(
        self,
        number: int,
        at_um: Sequence[Sequence[float]],
        *,
        seen_um: Field | None = None,
        stream: Stream = "free",
    ) -> Decision:
        """There are several, one at each of these places; an outline is cut between them, along its necks."""
        places = tuple(self._place(position) for position in at_um)
        if len(set(places)) < 2:
            raise AnnotationError(f"found {len(set(places))} places to split object {number} at; need two or more")
        if number not in self.items:
            raise AnnotationError(f"found no object {number}; need one of those shown; it may have been merged already")
        regions = self._parts(number, places) if self.outlined else ()
        centres = tuple(self._centre(region) for region in regions) or places
        new = self._state.fresh_ids(len(places) - 1)
        return self._decide(Decision("split", (number,), new, centres, regions=regions, seen_um=seen_um, stream=stream))

    def reshape(
        self, number: int, region: Region, *, seen_um: Field | None = None, stream: Stream = "free"
    ) -> Decision:
        """Right, but its outline is this; what of it lies on others is left to them."""
        if not self.outlined:
            raise AnnotationError("found a point to draw an outline for; need an outlined object; move it instead")
        regions = self._free(region, but=number)
        new = self._state.fresh_ids(1)
        centre = (self._centre(regions[0]),)
        return self._decide(
            Decision("reshape", (number,), new, centre, regions=regions, seen_um=seen_um, stream=stream)
        )

    def look(self, field_um: Field, *, stream: Stream = "audit") -> Decision:
        """All that is in this field and was not proposed has been added."""
        return self._decide(Decision("look", seen_um=field_um, stream=stream))

    def complete(self) -> Decision:
        """All that is anywhere in the image and was not proposed has been added."""
        return self._decide(Decision("complete"))

    def repeat(self, decision: Decision) -> Decision:
        """What was decided elsewhere, in this session's ids: for those who have checked that it can be; see `carry`."""
        return self._decide(decision)

    def undo(self) -> Decision | None:
        """Take back the last decision that counts, and return it; None if there is none."""
        last = self._state.last
        if last is not None:
            self._decide(Decision("undo"))
        return last

    # -- what came of it -------------------------------------------------------------------------------------------------

    def accepted(self) -> Points:
        """What is there, as far as it was decided: points or, of outlines, their centres."""
        return as_points([i for i in self.items.values() if i.status == "accepted"], self.kinds, self.image.ndim)

    def seen(self) -> list[Field]:
        """Fields whose content was seen."""
        return [decision.seen_um for decision in self._state.decisions if decision.seen_um is not None]

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _decide(self, decision: Decision) -> Decision:
        """Let it count, then write it down; if it cannot be written, it does not count."""
        signed = replace(decision, who=self.who, when=self._clock(), request=self._request)
        taken_back = self._state.last if decision.what == "undo" else None
        self._apply(signed)
        try:
            self._journal.append(signed.to_plain())
        except BaseException:
            self._apply(taken_back if taken_back is not None else Decision("undo"))
            raise
        if signed.request:
            self._answered.add(signed.request)
        return signed

    def _apply(self, decision: Decision) -> None:
        """In memory only."""
        undone = self._state.last if decision.what == "undo" else None
        about = decision if undone is None else undone
        touched = {*about.ids, *about.new}
        before = [self._state.items[n].status for n in touched if n in self._state.items]
        self._state.apply(decision)
        for status in before:
            self._counts[status] -= 1
        for number in touched:
            if number in self._state.items:
                self._counts[self._state.items[number].status] += 1
        if undone is not None:
            self._turn = self._first_turn_of(undone) if len(undone.ids) < 2 else 0
            if undone.what == "look" and undone.seen_um in self._done_fields:
                self._done_fields.remove(undone.seen_um)
        elif decision.what == "look" and decision.seen_um is not None:
            self._done_fields.append(decision.seen_um)
        elif decision.what == "reopen":
            self._turn = 0

    def _first_turn_of(self, decision: Decision) -> int:
        """Where to go on looking for open turns once a decision is taken back."""
        for place in range(min(self._turn, len(self.queue.turns)) - 1, -1, -1):
            turn = self.queue.turns[place]
            if turn.item in decision.ids or (turn.field_um is not None and turn.field_um == decision.seen_um):
                return place
        return self._turn

    def _advance(self) -> None:
        while self._turn < len(self.queue.turns) and self._is_done(self.queue.turns[self._turn]):
            self._turn += 1

    def _is_done(self, turn: Turn) -> bool:
        if turn.field_um is not None:
            return turn.field_um in self._done_fields
        item = self.items.get(turn.item)
        return item is None or item.status != "open"

    def _place(self, position_um: Sequence[float]) -> tuple[float, ...]:
        place = np.asarray(position_um, float)
        low, high = extent_um(self.image)
        if place.shape != (self.image.ndim,) or not np.isfinite(place).all():
            raise AnnotationError(f"found the place {list(position_um)}; need {self.image.ndim} numbers in µm")
        if (place < low).any() or (place > high).any():
            raise AnnotationError(f"found {place.round(4).tolist()} µm, outside the image; need a place on it")
        return tuple(float(x) for x in place)

    def _voxel(self, position_um: Sequence[float]) -> tuple[int, ...] | None:
        place = self._state.place
        voxel = np.round(place.to_voxels(np.array([position_um], float))[0]).astype(int)
        inside = (voxel >= 0).all() and (voxel < np.array(place.shape)).all()
        return tuple(int(v) for v in voxel) if inside else None

    def _centre(self, region: Region) -> tuple[float, ...]:
        return tuple(float(x) for x in self._state.place.to_um(region.centre[None])[0])

    def _free(self, region: Region | None, but: int = 0) -> tuple[Region, ...]:
        """The part of a drawn region that is on the image and on no other object; none for points."""
        if not self.outlined:
            return ()
        if region is None:
            raise AnnotationError("found no outline for a missed object; need one here; draw it")
        shape = self._state.place.shape
        box = region.box
        low = tuple(int(np.clip(a, 0, n)) for a, n in zip(box.start, shape, strict=True))
        high = tuple(int(np.clip(b, 0, n)) for b, n in zip(box.stop, shape, strict=True))
        if any(a >= b for a, b in zip(low, high, strict=True)):
            raise AnnotationError("found an outline outside the image; need one on it; draw it anew")
        on_image = Box(low, high)
        there = self._state.outlines(on_image)
        drawn = region.mask[on_image.relative_to(box.start).slices()]
        return (Region.of(drawn & ((there == 0) | (there == but)), low),)

    def _parts(self, number: int, places: Sequence[tuple[float, ...]]) -> tuple[Region, ...]:
        """The outline cut by a watershed of the distance to its rim, from a marker at each place."""
        outline = self.outline(number)
        spacing = self._state.place.spacing_um
        markers = np.zeros(outline.mask.shape, np.int32)
        for part, place in enumerate(places, start=1):
            voxel = self._voxel(place)
            inside = None if voxel is None else tuple(v - s for v, s in zip(voxel, outline.start, strict=True))
            fits = inside is not None and all(0 <= v < n for v, n in zip(inside, outline.mask.shape, strict=True))
            if not fits or inside is None or not outline.mask[inside]:
                raise AnnotationError(f"found place {part} outside object {number}; need one inside it for each part")
            markers[inside] = part
        depth = ndimage.distance_transform_edt(np.pad(outline.mask, 1), sampling=spacing)
        inner = depth[(slice(1, -1),) * outline.mask.ndim]
        cut = watershed(-inner, markers, mask=outline.mask)
        if len(np.unique(markers)) <= len(places):
            raise AnnotationError(f"found two places in one voxel of object {number}; need one voxel for each part")
        return tuple(Region.of(cut == part, outline.start) for part in range(1, len(places) + 1))


def extent_um(image: Image) -> Field:
    """The corners of an image, half a voxel outside the centres of its first and last voxels."""
    half = np.array(image.spacing_um) / 2
    low = np.array(image.origin_um) - half
    high = image.to_um(np.array([image.shape], float) - 1)[0] + half
    return tuple(float(x) for x in low), tuple(float(x) for x in high)


def field_around(position_um: Sequence[float], view_um: float, image: Image) -> Field:
    """The field of `view_um` around a place, as far as it lies on the image: what to put on screen."""
    low, high = extent_um(image)
    start = [max(a, p - view_um / 2) for p, a in zip(position_um, low, strict=True)]
    stop = [min(b, p + view_um / 2) for p, b in zip(position_um, high, strict=True)]
    return tuple(map(float, start)), tuple(map(float, stop))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
