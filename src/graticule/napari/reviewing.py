"""What happens when a key is pressed in a review, without any window: calls to the session, and what to show anew.

A step returns after the session wrote the decision down, or says in one line why it is refused. So whoever shows what a step
`said` shows nothing that could be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from graticule.errors import AnnotationError, GraticuleError
from graticule.review import Decision, Field, Item, Region, Session, Turn, extent_um, field_around
from graticule.review.decision import Stream
from graticule.workflows.review import Reviewed, load_result, open_review, results_in

NEAR = 8
"""An object counts as the one at the cursor within its own size, or within this fraction of the frame."""


@dataclass(frozen=True, slots=True)
class Change:
    """What came of a step.

    Attributes
    ----------
    said
        For the reviewer, in one line; empty if there is nothing to say.
    refused
        Nothing was done, and `said` says why.
    ids
        Objects that look different now, or are gone, or new.
    regions
        Voxels that were painted.
    turned
        Something else is in front of the reviewer.
    opened
        So is another image.
    drawing
        The reviewer is to draw an outline now; false ends that.
    """

    said: str = ""
    refused: bool = False
    ids: tuple[int, ...] = ()
    regions: tuple[Region, ...] = ()
    turned: bool = False
    opened: bool = False
    drawing: bool = False


@dataclass(frozen=True, slots=True)
class Focus:
    """What is in front of the reviewer: an item by its id or, where that is 0, a field to be searched.

    Attributes
    ----------
    frame_um
        Drawn on screen; all in it counts as seen with the decision.
    centre_um
        What is put in the middle, in the order of the image's axes.
    """

    item: int
    frame_um: Field
    centre_um: tuple[float, ...]
    stream: Stream


class _Seen(TypedDict):
    """With what every decision on what is in front is signed."""

    seen_um: Field
    stream: Stream


@dataclass(slots=True)
class _Pen:
    """An outline that is being drawn: of the object `item`, or of a new one where that is 0."""

    item: int


class Reviewing:
    """One reviewer at a folder of results: one image after the other.

    Attributes
    ----------
    folders
        One for each image.
    session, reviewed
        Of the image in front; None while it could not be opened.
    focus
        None when all is decided.
    adding
        Class of what is added.
    """

    def __init__(self, path: Path, who: str = "") -> None:
        self.folders = results_in(path)
        self.who = who
        self.session: Session | None = None
        self.reviewed: Reviewed | None = None
        self.focus: Focus | None = None
        self.adding = ""
        self._at = -1
        self._forget()

    def _forget(self) -> None:
        self._skipped: set[Turn] = set()
        self._looked: set[Field] = set()
        self._pen: _Pen | None = None
        self._cut: tuple[float, ...] | None = None
        self._asked_complete = False

    # -- images ----------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> tuple[int, int]:
        """Number of the image in front, from 1, and of all."""
        return self._at + 1, len(self.folders)

    @property
    def has_next_image(self) -> bool:
        return self._at + 1 < len(self.folders)

    def open_image(self, number: int) -> Change:
        """Put another image of the folder in front, counted from 0."""
        self.close()
        self._at = number
        try:
            self.reviewed = load_result(self.folders[number])
            self.session = open_review(self.reviewed, who=self.who)
        except (GraticuleError, OSError) as error:
            self.close()
            return Change(_line(error), refused=True, opened=True, turned=True)
        self.adding = self.session.kinds[0] if self.session.kinds else ""
        self._looked = {d.seen_um for d in self.session.state.decisions if d.what == "look" and d.seen_um}
        self._advance()
        return Change(self.session.recovered or self._opened(), turned=True, opened=True)

    def _opened(self) -> str:
        done = self.the_session.progress.decided
        return f"opened {self.folders[self._at].name}" + (f"; {done} were decided before" if done else "")

    def close(self) -> None:
        """Let go of the image in front, and of its journal."""
        if self.session is not None:
            self.session.close()
        self.session = self.reviewed = self.focus = None
        self._forget()

    @property
    def the_session(self) -> Session:
        """The session; `AnnotationError` while there is none."""
        if self.session is None:
            raise AnnotationError("found no open review; need one to decide anything; open a folder of results")
        return self.session

    # -- steps -----------------------------------------------------------------------------------------------------------

    def step(self, name: str, at_um: Sequence[float] = (), region: Region | None = None) -> Change:
        """Take a step of `keys`: `at_um` is where the cursor points, `region` what was drawn, if anything."""
        steps: dict[str, Callable[[], Change]] = {
            "accept": lambda: self._verdict("accepted", lambda s: s.accept),
            "reject": lambda: self._verdict("rejected", lambda s: s.reject),
            "skip": self._skip,
            "undo": self._undo,
            "add": lambda: self._add(at_um, region),
            "pick": lambda: self._pick(at_um),
            "split": lambda: self._split(at_um),
            "merge": lambda: self._merge(at_um),
            "move": lambda: self._move(at_um),
            "redraw": lambda: self._redraw(region),
            "look": self._look,
            "complete": self._complete,
        }
        return self._guarded(name, steps[name])

    def choose(self, digit: int) -> Change:
        """Give the object in front the class of that number, from 1; where there is none, what is added from now on."""
        return self._guarded("choose", lambda: self._relabel(digit))

    def _guarded(self, name: str, step: Callable[[], Change]) -> Change:
        if name != "complete":
            self._asked_complete = False
        if name != "split":
            self._cut = None
        try:
            if self._pen is not None and name not in ("add", "redraw", "undo"):
                raise AnnotationError(
                    "found an outline that is being drawn; finish it with the same key, or leave it with U"
                )
            return step()
        except (GraticuleError, OSError) as error:
            return Change(_line(error), refused=True, drawing=self._pen is not None)

    def _verdict(self, word: str, method: Callable[[Session], Callable[..., Decision]]) -> Change:
        item = self._item()
        method(self.the_session)(item.id, **self._seen())
        return self._decided(f"{word} {item.id}")

    def _relabel(self, digit: int) -> Change:
        session = self.the_session
        if digit > len(session.kinds):
            raise AnnotationError(f"found key {digit}, but {len(session.kinds)} classes; press one of their numbers")
        kind = session.kinds[digit - 1]
        if self.focus is None or not self.focus.item:
            self.adding = kind
            return Change(f"what you add from now on is {kind}")
        item = self._item()
        session.relabel(item.id, kind, **self._seen())
        return self._decided(f"labelled {item.id} as {kind}")

    def _skip(self) -> Change:
        if self.focus is None:
            return self._next_image()
        turn = self._turn_of(self.focus)
        if turn is not None:
            self._skipped.add(turn)
        said = f"skipped {self.focus.item}" if self.focus.item else "skipped this field"
        self._advance()
        return Change(said, turned=True)

    def _next_image(self) -> Change:
        if not self.has_next_image:
            raise AnnotationError("found no further image in this folder; all is decided; open another folder")
        return self.open_image(self._at + 1)

    def _undo(self) -> Change:
        if self._pen is not None:
            self._pen = None
            return Change("left the outline as it was")
        session = self.the_session
        last = session.undo()
        if last is None:
            raise AnnotationError("found no decision to take back; decide something first")
        ids = (*last.ids, *last.new)
        if last.what == "look" and last.seen_um is not None:
            self._looked.discard(last.seen_um)
        self._skipped = {turn for turn in self._skipped if turn.item not in ids}
        self._return_to(last)
        return Change(f"took back: {_told(last)}", ids=ids, regions=last.regions, turned=True)

    def _return_to(self, taken_back: Decision) -> None:
        there = [number for number in taken_back.ids if number in self.the_session.items]
        if there:
            self.focus = self._on(there[0], taken_back.stream)
        elif taken_back.what == "look" and taken_back.seen_um is not None:
            self.focus = self._field(taken_back.seen_um, taken_back.stream)
        else:
            self._refocus()

    def _add(self, at_um: Sequence[float], region: Region | None) -> Change:
        session = self.the_session
        if session.outlined and (self._pen is None or self._pen.item):
            return self._draw(0, "draw its outline, then press I again; U leaves it")
        diameter = self._sizes.get(self.adding)
        place = session.image.origin_um if session.outlined else at_um
        number = session.add(place, self.adding, diameter_um=diameter, region=region)
        self._pen = None
        self._refocus()
        regions = () if session.last is None else session.last.regions
        return Change(f"added {number} as {self.adding}", ids=(number,), regions=regions)

    def _redraw(self, region: Region | None) -> Change:
        session, item = self.the_session, self._item()
        if not session.outlined:
            raise AnnotationError(
                "found a point to draw an outline for; need an outlined object; move it with H instead"
            )
        if self._pen is None or not self._pen.item:
            return self._draw(item.id, "mend its outline, then press R again; U leaves it")
        if region is None:
            raise AnnotationError(f"found no voxel drawn for object {item.id}; need some; draw it, or reject it with N")
        session.reshape(item.id, region, **self._seen())
        self._pen = None
        return self._decided(f"drew the outline of {item.id} anew")

    def _draw(self, item: int, words: str) -> Change:
        if self._pen is not None:
            raise AnnotationError(
                "found an outline that is being drawn; finish it with the same key, or leave it with U"
            )
        self._pen = _Pen(item)
        return Change(words, drawing=True)

    @property
    def drawing(self) -> int | None:
        """The object whose outline is drawn, 0 for a new one; None while nothing is drawn."""
        return None if self._pen is None else self._pen.item

    def _pick(self, at_um: Sequence[float]) -> Change:
        item = self._at_cursor(at_um)
        self.focus = self._on(item.id, "free")
        return Change(f"went to {item.id}", turned=True)

    def _split(self, at_um: Sequence[float]) -> Change:
        item, place = self._item(), tuple(map(float, at_um))
        if self._cut is None:
            self._cut = place
            return Change(f"point at the other half of {item.id}, and press D again")
        cut, self._cut = self._cut, None
        decision = self.the_session.split(item.id, [cut, place], **self._seen())
        return self._decided(f"divided {item.id} into {item.id} and {decision.new[0]}")

    def _merge(self, at_um: Sequence[float]) -> Change:
        item, other = self._item(), self._at_cursor(at_um)
        if other.id == item.id:
            raise AnnotationError(f"found only object {item.id} at the cursor; point at the other one, and press J")
        self.the_session.merge(item.id, other.id, **self._seen())
        return self._decided(f"joined {item.id} with {other.id}")

    def _move(self, at_um: Sequence[float]) -> Change:
        item = self._item()
        self.the_session.move(item.id, at_um, **self._seen())
        return self._decided(f"moved {item.id}")

    def _look(self) -> Change:
        focus = self.focus
        if focus is None or focus.item:
            raise AnnotationError("found no field to be searched; decide on the object in front with Y or N")
        self.the_session.look(focus.frame_um, stream=focus.stream)
        self._looked.add(focus.frame_um)
        return self._decided("checked this field")

    def _complete(self) -> Change:
        if not self._asked_complete:
            self.the_session  # noqa: B018 - refuses where nothing is open
            self._asked_complete = True
            return Change("press W again if nothing is missing anywhere in the whole image")
        self._asked_complete = False
        self.the_session.complete()
        return Change("the whole image is complete")

    # -- inside ----------------------------------------------------------------------------------------------------------

    @property
    def _sizes(self) -> dict[str, float]:
        return {} if self.reviewed is None else dict(self.reviewed.diameters_um)

    def _item(self) -> Item:
        session = self.the_session
        if self.focus is None:
            raise AnnotationError("found nothing left to decide in this image; take back with U, or go on with K")
        if not self.focus.item:
            raise AnnotationError("found a field in front, no object; add what is missing in it with I, then press C")
        return session.items[self.focus.item]

    def _at_cursor(self, at_um: Sequence[float]) -> Item:
        session = self.the_session
        if session.outlined:
            found = session.at(at_um)
        else:
            found = session.nearest(at_um)
            reach = max(session.order.view_um / NEAR, (found.diameter_um or 0.0) if found else 0.0)
            if found and np.linalg.norm(np.subtract(found.position_um, at_um)) > reach:
                found = None
        if found is None:
            raise AnnotationError("found no object at the cursor; point at one, and press the key again")
        return found

    def _seen(self) -> _Seen:
        assert self.focus is not None
        return {"seen_um": self.focus.frame_um, "stream": self.focus.stream}

    def _decided(self, said: str) -> Change:
        """After a decision: on to what is next."""
        last = self.the_session.last
        assert last is not None
        self._advance()
        return Change(said, ids=(*last.ids, *last.new), regions=last.regions, turned=True)

    def _advance(self) -> None:
        """On to the first turn that is neither done nor skipped; then those that were skipped."""
        turn = self._open_turn()
        if turn is None and self._skipped:
            self._skipped.clear()
            turn = self._open_turn()
        self.focus = None if turn is None else self._of(turn)

    def _open_turn(self) -> Turn | None:
        session = self.the_session
        turns = session.queue.turns
        for place in range(session.progress.turns_done, len(turns)):
            if turns[place] not in self._skipped and not self._is_done(turns[place]):
                return turns[place]
        return None

    def _is_done(self, turn: Turn) -> bool:
        if turn.field_um is not None:
            return turn.field_um in self._looked
        item = self.the_session.items.get(turn.item)
        return item is None or item.status != "open"

    def _refocus(self) -> None:
        """Stay where we are, if that is still there to be decided."""
        if self.focus is None or (self.focus.item and self.focus.item not in self.the_session.items):
            self._advance()

    def _of(self, turn: Turn) -> Focus:
        return self._on(turn.item, turn.stream) if turn.field_um is None else self._field(turn.field_um, turn.stream)

    def _on(self, number: int, stream: Stream) -> Focus:
        session = self.the_session
        place = session.items[number].position_um
        return Focus(number, field_around(place, session.order.view_um, session.image), place, stream)

    def _field(self, field_um: Field, stream: Stream) -> Focus:
        middle = tuple((a + b) / 2 for a, b in zip(*field_um, strict=True))
        return Focus(0, field_um, middle, stream)

    def _turn_of(self, focus: Focus) -> Turn | None:
        turn = self._open_turn()
        return turn if turn is not None and self._of(turn) == focus else None

    # -- words -----------------------------------------------------------------------------------------------------------

    @property
    def question(self) -> str:
        """What is in front of the reviewer, in a line."""
        if self.session is None:
            return "Press K for the next image." if self.has_next_image else "Open a folder of results."
        focus = self.focus
        if focus is None:
            more = f"K opens {self.folders[self._at + 1].name}." if self.has_next_image else "This was the last image."
            return f"All {self.session.progress.turns} turns are done. {more}"
        if not focus.item:
            return f"Search this frame{self._depth(focus)}. Add what is missing with I, then press C."
        item = self.session.items[focus.item]
        why = {"queue": "worth a look", "audit": "drawn at random", "free": "chosen by you"}[focus.stream]
        status = "" if item.status == "open" else f", {item.status}"
        return f"Is {item.id} right? {item.kind}, confidence {item.confidence:.2f} ({why}{status})"

    def _depth(self, focus: Focus) -> str:
        """In a volume, the planes that a frame goes through."""
        if len(focus.centre_um) == 2:
            return ""
        low, high = extent_um(self.the_session.image)
        if (focus.frame_um[0][0], focus.frame_um[1][0]) == (low[0], high[0]):
            return ", through all planes"
        return f", from z = {focus.frame_um[0][0]:.4g} to {focus.frame_um[1][0]:.4g} µm"


def _told(decision: Decision) -> str:
    """A decision in words, as it is taken back."""
    about = " ".join(map(str, decision.ids or decision.new))
    return f"{decision.what} {about}".strip()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
