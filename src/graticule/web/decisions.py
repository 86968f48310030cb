"""What a browser may ask of a review, and what it is answered: typed, checked at the door."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from math import prod
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from graticule.errors import AnnotationError
from graticule.review import Decision, Region, Session
from graticule.review.item import Item
from graticule.review.queue import Turn
from graticule.web.desk import Sitting
from graticule.web.rings import MOST_PIXELS, region_of

UPCOMING = 12
"""Turns told with every answer, so that a page can fetch their pictures ahead."""

Place = Annotated[tuple[FiniteFloat, ...], Field(min_length=2, max_length=3)]
Corners = tuple[Place, Place]
What = Literal[
    "accept", "reject", "reopen", "move", "relabel", "add", "split", "merge", "reshape", "look", "complete", "undo"
]


class Voxels(BaseModel):
    """A mask in a box: packed bits (`numpy.packbits`), compressed by zlib, in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: tuple[int, ...]
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2, max_length=3)]
    bits: str

    def region(self) -> Region:
        """Refused if it is not what it says, before much is unpacked."""
        size, packed = prod(self.shape), b""
        with suppress(zlib.error, binascii.Error):
            packed = zlib.decompressobj().decompress(base64.b64decode(self.bits, validate=True), -(-size // 8) + 1)
        if size > MOST_PIXELS or len(packed) != -(-size // 8) or len(self.start) != len(self.shape):
            raise AnnotationError(
                f"found {len(packed)} bytes for a mask of {' × '.join(map(str, self.shape))} voxels; need a bit for each, at "
                f"most {MOST_PIXELS:,}; pack it anew"
            )
        return Region.from_plain(self.model_dump())


class Asked(BaseModel):
    """One thing a reviewer did. Which of the fields are needed depends on `what`, as in `Session`.

    Attributes
    ----------
    request
        Made by the browser; the same is never applied twice.
    at_um
        Places ``(z,) y, x``: of ``move`` and ``add`` one, of ``split`` one for each part.
    outline_um, mask
        Of ``add`` and ``reshape``, for what has outlines: a line drawn on one plane, or voxels.
    seen_um
        The part of the image that was on screen, or, of ``look``, was searched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: UUID
    what: What
    ids: Annotated[tuple[int, ...], Field(max_length=10_000)] = ()
    at_um: Annotated[tuple[Place, ...], Field(max_length=1000)] = ()
    kind: str = ""
    diameter_um: Annotated[FiniteFloat, Field(gt=0)] | None = None
    outline_um: Annotated[tuple[Place, ...], Field(max_length=20_000)] = ()
    mask: Voxels | None = None
    seen_um: Corners | None = None
    stream: Literal["queue", "audit", "free"] = "free"


class Shown(BaseModel):
    """An item as a page draws it."""

    id: int
    position_um: tuple[float, ...]
    kind: str
    confidence: float
    diameter_um: float | None
    status: Literal["open", "accepted", "rejected"]
    origin: Literal["found", "added", "split"]

    @classmethod
    def of(cls, item: Item) -> Shown:
        """From the session's."""
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class ToShow(BaseModel):
    """A turn: an item by its id or, where that is 0, a field to be searched."""

    stream: Literal["queue", "audit", "free"]
    item: int
    field_um: Corners | None

    @classmethod
    def of(cls, turn: Turn) -> ToShow:
        """From the queue's."""
        return cls(stream=turn.stream, item=turn.item, field_um=turn.field_um)


class Standing(BaseModel):
    """Where a review stands.

    Attributes
    ----------
    version
        Of what the page shows: it is up to date if its own was one less.
    upcoming
        Turns that are not done, in order.
    """

    version: int
    accepted: int
    rejected: int
    open: int
    turns_done: int
    turns: int
    complete: bool
    can_undo: bool
    upcoming: list[ToShow]


class Answer(BaseModel):
    """To a decision, once it is on the disk.

    Attributes
    ----------
    repeated
        It was on the disk already; what it changed is not told again.
    items, gone
        What looks different now, and what is there no more.
    outlines
        Outlines may have changed.
    """

    request: UUID
    said: str
    repeated: bool
    items: list[Shown]
    gone: list[int]
    outlines: bool
    standing: Standing


def decide(sitting: Sitting, asked: Asked) -> Answer:
    """Apply a request, unless it was applied before; returns when it is on the disk."""
    with sitting.lock:
        session, request = sitting.session, str(asked.request)
        if session.has_answered(request):
            return _answer(sitting, asked, "saved before", repeated=True)
        with session.asked(request):
            decision = HOW[asked.what](session, asked)
        sitting.version += 1
        said = _said(asked, decision)
        return _answer(sitting, asked, said, touched=(*decision.ids, *decision.new), reshaped=decision.what)


def standing(sitting: Sitting, count: int = UPCOMING) -> Standing:
    """As it is now; the caller holds the lock."""
    session = sitting.session
    progress = session.progress
    return Standing(
        version=sitting.version,
        accepted=progress.accepted,
        rejected=progress.rejected,
        open=progress.open,
        turns_done=progress.turns_done,
        turns=progress.turns,
        complete=session.is_complete,
        can_undo=session.last is not None,
        upcoming=[ToShow.of(turn) for turn in islice(session.upcoming(), count)],
    )


def _answer(
    sitting: Sitting,
    asked: Asked,
    said: str,
    *,
    repeated: bool = False,
    touched: tuple[int, ...] = (),
    reshaped: str = "",
) -> Answer:
    session = sitting.session
    return Answer(
        request=asked.request,
        said=said,
        repeated=repeated,
        items=[Shown.of(session.items[number]) for number in touched if number in session.items],
        gone=[number for number in touched if number not in session.items],
        outlines=session.outlined and (repeated or reshaped in ("add", "split", "merge", "reshape")),
        standing=standing(sitting),
    )


# -- one function for each thing a reviewer can do ---------------------------------------------------------------------


def _with(asked: Asked) -> dict[str, Any]:
    return {"seen_um": asked.seen_um, "stream": asked.stream}


def _one(asked: Asked) -> int:
    if len(asked.ids) != 1:
        raise AnnotationError(f"found {len(asked.ids)} objects to {asked.what}; need exactly one; choose it")
    return asked.ids[0]


def _some(asked: Asked) -> tuple[int, ...]:
    if not asked.ids:
        raise AnnotationError(f"found no object to {asked.what}; need one or more; choose them")
    return asked.ids


def _single_place(asked: Asked) -> tuple[float, ...]:
    if len(asked.at_um) != 1:
        raise AnnotationError(f"found {len(asked.at_um)} places to {asked.what} at; need one; point at it")
    return asked.at_um[0]


def _region(session: Session, asked: Asked) -> Region | None:
    if not session.outlined:
        return None
    if asked.mask is not None:
        return asked.mask.region()
    return region_of(asked.outline_um, session.state.place) if asked.outline_um else None


def _add(session: Session, asked: Asked) -> Decision:
    region = _region(session, asked)
    place = asked.at_um[0] if region is not None and asked.at_um else ()
    session.add(
        place or (() if region is not None else _single_place(asked)),
        asked.kind,
        diameter_um=asked.diameter_um,
        region=region,
        **_with(asked),
    )
    return _last(session)


def _reshape(session: Session, asked: Asked) -> Decision:
    region = _region(session, asked)
    if region is None and session.outlined:
        raise AnnotationError("found no outline; need the new one; draw it")
    if region is None:
        raise AnnotationError("found a point to draw an outline for; need an outlined object; move it instead")
    return session.reshape(_one(asked), region, **_with(asked))


def _look(session: Session, asked: Asked) -> Decision:
    if asked.seen_um is None:
        raise AnnotationError("found no field that was searched; need its corners in µm; give seen_um")
    return session.look(asked.seen_um, stream=asked.stream)


def _undo(session: Session, _: Asked) -> Decision:
    taken_back = session.undo()
    if taken_back is None:
        raise AnnotationError("found no decision to take back; decide something first")
    return taken_back


def _last(session: Session) -> Decision:
    assert session.last is not None
    return session.last


HOW: Mapping[str, Callable[[Session, Asked], Decision]] = {
    "accept": lambda session, asked: session.accept(*_some(asked), **_with(asked)),
    "reject": lambda session, asked: session.reject(*_some(asked), **_with(asked)),
    "reopen": lambda session, asked: session.reopen(*_some(asked)),
    "move": lambda session, asked: session.move(_one(asked), _single_place(asked), **_with(asked)),
    "relabel": lambda session, asked: session.relabel(_one(asked), asked.kind, **_with(asked)),
    "add": _add,
    "split": lambda session, asked: session.split(_one(asked), asked.at_um, **_with(asked)),
    "merge": lambda session, asked: session.merge(*_some(asked), **_with(asked)),
    "reshape": _reshape,
    "look": _look,
    "complete": lambda session, _: session.complete(),
    "undo": _undo,
}

DONE = {
    "accept": "accepted",
    "reject": "rejected",
    "reopen": "opened again",
    "move": "moved",
    "relabel": "labelled",
    "add": "added",
    "split": "divided",
    "merge": "joined",
    "reshape": "drew anew",
    "look": "checked the frame",
    "complete": "the whole image is complete",
    "undo": "took back",
}


def _said(asked: Asked, decision: Decision) -> str:
    """In a line, for the reviewer."""
    about = " and ".join(map(str, decision.ids or decision.new))
    if asked.what == "undo":
        return f"took back: {DONE[decision.what]} {about}".strip()
    as_kind = f" as {decision.kind}" if decision.kind else ""
    return f"{DONE[decision.what]} {about}{as_kind}".strip()
