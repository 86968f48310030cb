"""One job: as it is shown, as it goes on, and as it lies on the disk."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from graticule.io import image_name
from graticule.io.atomic import replacing
from graticule.web.intake import MODEL, safe_name
from graticule.web.orders import Lane, Order, TrainOrder, from_plain, lane_of, to_plain
from graticule.web.worker import Ticket
from graticule.web.workspace import Workspace

State = Literal["waiting", "running", "finished", "failed", "cancelled", "stopped"]

OPEN: tuple[State, ...] = ("waiting", "running")

FORMAT = 1
FILE = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """One image of a prediction, or a training as a whole.

    Attributes
    ----------
    name
        The image's name, as its results go by; of a training the model's.
    done, total
        Tiles, or epochs; 0 of 0 before it is known.
    folder
        Of the results, once it is finished.
    counts, said, seconds
        What was found; see `graticule.workflows.predict_files.Done`.
    line
        Why it failed.
    """

    name: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    folder: Path | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    said: str = ""
    seconds: float = 0.0
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it stands.

    Attributes
    ----------
    state
        ``finished`` also where some images failed; ``failed`` where all did; ``stopped``: a training that was ended with
        what it had learnt.
    parts
        One for each image; a training has one.
    ahead
        How many parts of others and of one's own will be done before its next; None unless it waits.
    epochs
        Of a training, so far: see `graticule.training.fit.Epoch`. `figure` is what its score is called.
    seconds_left
        Of a training, probably.
    model
        Of a training that is over: the name among the user's models.
    made, begun, ended
        Seconds since 1970; None before that.
    """

    id: str
    lane: Lane
    order: Order
    state: State
    parts: tuple[PartView, ...]
    ahead: int | None = None
    epochs: tuple[Mapping[str, Any], ...] = ()
    figure: str = ""
    seconds_left: float | None = None
    model: str = ""
    made: float = 0.0
    begun: float | None = None
    ended: float | None = None

    @property
    def is_open(self) -> bool:
        """It waits or runs."""
        return self.state in OPEN


# -- what is kept --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Part:
    """Changes as the job goes on; whoever touches it holds the queue's lock."""

    name: str
    state: State = "waiting"
    attempts: int = 0
    done: int = 0
    total: int = 0
    folder: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    said: str = ""
    seconds: float = 0.0
    line: str = ""

    def view(self, results: Path) -> PartView:
        """As it stands."""
        return PartView(
            name=self.name,
            state=self.state,
            done=self.done,
            total=self.total,
            folder=results / self.folder if self.folder else None,
            counts=dict(self.counts),
            said=self.said,
            seconds=self.seconds,
            line=self.line,
        )


@dataclass(slots=True, eq=False)
class Job:
    """Changes as it goes on; whoever touches it holds the queue's lock.

    Attributes
    ----------
    asked
        What its user wants it to come to, in the middle.
    ticket
        While a worker is at it.
    left
        Parts that wait, as of the last `view`.
    """

    id: str
    workspace: Workspace
    order: Order
    parts: list[Part]
    made: float
    begun: float | None = None
    ended: float | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    figure: str = ""
    seconds_left: float | None = None
    model: str = ""
    asked: Literal["", "cancel", "stop"] = ""
    ticket: Ticket | None = None
    shown: JobView | None = None
    left: int = 0

    @property
    def user(self) -> str:
        return self.workspace.user

    @property
    def lane(self) -> Lane:
        return lane_of(self.order)

    @property
    def folder(self) -> Path:
        return self.workspace.jobs / self.id

    @property
    def results(self) -> Path:
        return self.workspace.results / self.id

    @property
    def state(self) -> State:
        states = {part.state for part in self.parts}
        if "running" in states or ("waiting" in states and self.begun):
            return "running"
        for one in ("waiting", "stopped", "cancelled"):
            if one in states:
                return one
        return "failed" if states == {"failed"} else "finished"

    @property
    def is_open(self) -> bool:
        return any(part.state in OPEN for part in self.parts)

    def view(self) -> JobView:
        """Made anew only after something changed, as is `left`, the number of parts that wait."""
        if self.shown is None:
            self.left = sum(part.state == "waiting" for part in self.parts)
            self.shown = JobView(
                id=self.id,
                lane=self.lane,
                order=self.order,
                state=self.state,
                parts=tuple(part.view(self.results) for part in self.parts),
                epochs=tuple(self.epochs),
                figure=self.figure,
                seconds_left=self.seconds_left,
                model=self.model,
                made=self.made,
                begun=self.begun,
                ended=self.ended,
            )
        return self.shown

    def is_asked(self) -> bool:
        """Its user wants it to end."""
        return bool(self.asked)

    def save(self) -> None:
        """Where it stands, whole or as before."""
        plain = {
            "format": FORMAT,
            "lane": self.lane,
            "order": to_plain(self.order),
            "parts": [asdict(part) for part in self.parts],
            **{name: getattr(self, name) for name in KEPT},
        }
        with replacing(self.folder / FILE) as aside:
            aside.write_text(json.dumps(plain, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, workspace: Workspace, folder: Path) -> Job:
        """As an earlier server left it; what was under way then waits again."""
        plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
        order = from_plain(plain["lane"], plain["order"])
        parts = [Part(**part) for part in plain["parts"]]
        for part in parts:
            if part.state == "running":
                part.state = "waiting"
        return cls(folder.name, workspace, order, parts, **{name: plain[name] for name in KEPT})


KEPT = ("made", "begun", "ended", "epochs", "figure", "model", "asked")
"""Fields of a job that are kept as they are."""


def begin(workspace: Workspace, order: Order) -> Job:
    """A new job, that waits."""
    return Job(secrets.token_hex(8), workspace, order, _parts(order), time.time())


def _parts(order: Order) -> list[Part]:
    if isinstance(order, TrainOrder):
        return [Part(safe_name(order.name, MODEL).removesuffix(MODEL))]
    return [Part(image_name(image)) for image in order.images]
