"""What users asked for, done one after the other: a queue that survives restarts.

A job is a folder in its user's workspace. There are two lanes, so that hours of training keep nobody from predicting; in
each, users take turns, image by image.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from graticule.errors import GraticuleError
from graticule.io import image_name
from graticule.io.atomic import replacing
from graticule.web.intake import MODEL, keep_model, safe_name
from graticule.web.worker import DiedError, EndedError, FaultError, RefusedError, Ticket, Worker
from graticule.web.workspace import Workspace, Workspaces
from graticule.workflows.results import unfinished

Lane = Literal["predict", "train"]
State = Literal["waiting", "running", "finished", "failed", "cancelled", "stopped"]

LANES: tuple[Lane, ...] = ("predict", "train")
OPEN: tuple[State, ...] = ("waiting", "running")

FORMAT = 1
FILE = "job.json"
ID = re.compile(r"[0-9a-f]{16}", re.ASCII)

ATTEMPTS = 2
"""A job whose worker died is tried so often: it may have been another program that took the memory."""

log = logging.getLogger(__name__)


class JobError(GraticuleError):
    """A job that is not known, cannot be taken, or cannot be treated so."""


# -- orders --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAs:
    """How an image is to be read, in place of what it says; see `graticule.io.read`."""

    spacing_um: tuple[float, ...] | None = None
    channel: str | None = None
    axes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOrder:
    """Find what a model was made for, in some images.

    Attributes
    ----------
    images
        Absolute paths.
    reading
        For each image, or one for all.
    models
        Model files, averaged if several; or one method that needs no training, by its name.
    thresholds, settings, mask, mask_margin_nm, tta, seed
        As for ``graticule predict``; settings are ``name=value``.
    """

    images: tuple[Path, ...]
    models: tuple[str, ...]
    reading: tuple[ReadAs, ...] = (ReadAs(),)
    thresholds: tuple[float, ...] = ()
    settings: tuple[str, ...] = ()
    mask: Path | None = None
    mask_margin_nm: float = 0.0
    tta: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.images or not self.models:
            raise JobError("found no image or no model in the order; need one of each at least; choose them")
        if len(self.reading) not in (1, len(self.images)):
            raise JobError(
                f"found {len(self.reading)} pixel sizes for {len(self.images)} images; need one, or one for each; say them"
            )

    def reading_of(self, place: int) -> ReadAs:
        """Of the image at that place."""
        return self.reading[0] if len(self.reading) == 1 else self.reading[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOrder:
    """Learn from a dataset.

    Attributes
    ----------
    task, preset, settings
        As for ``graticule train``; settings by name.
    dataset
        The folder.
    start
        A model file to begin with.
    name
        What the model shall be called, without its suffix.
    """

    task: str
    dataset: Path
    name: str
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    start: Path | None = None
    spacing_um: tuple[float, ...] | None = None
    channel: str | None = None


Order = PredictOrder | TrainOrder


def lane_of(order: Order) -> Lane:
    """Where an order is dealt with."""
    return "predict" if isinstance(order, PredictOrder) else "train"


def to_plain(order: Order) -> dict[str, Any]:
    """For a file."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(order), default=str))
    return plain


def from_plain(lane: Lane, plain: Mapping[str, Any]) -> Order:
    """The inverse of `to_plain`."""
    values = _with_tuples(plain)
    for name in ("mask", "start", "dataset"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    if lane == "train":
        return TrainOrder(**values)
    values["images"] = tuple(Path(path) for path in values["images"])
    values["reading"] = tuple(ReadAs(**_with_tuples(one)) for one in values["reading"])
    return PredictOrder(**values)


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


# -- what is shown -------------------------------------------------------------------------------------------------------


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
class _Part:
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
class _Job:
    id: str
    workspace: Workspace
    order: Order
    parts: list[_Part]
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
    def load(cls, workspace: Workspace, folder: Path) -> _Job:
        """As an earlier server left it; what was under way then waits again."""
        plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
        order = from_plain(plain["lane"], plain["order"])
        parts = [_Part(**part) for part in plain["parts"]]
        for part in parts:
            if part.state == "running":
                part.state = "waiting"
        return cls(folder.name, workspace, order, parts, **{name: plain[name] for name in KEPT})


KEPT = ("made", "begun", "ended", "epochs", "figure", "model", "asked")
"""Fields of a job that are kept as they are."""


def _begun_job(workspace: Workspace, order: Order) -> _Job:
    return _Job(secrets.token_hex(8), workspace, order, _parts(order), time.time())


def _parts(order: Order) -> list[_Part]:
    if isinstance(order, TrainOrder):
        return [_Part(safe_name(order.name, MODEL).removesuffix(MODEL))]
    return [_Part(image_name(image)) for image in order.images]


# -- the queue -----------------------------------------------------------------------------------------------------------


class Jobs:
    """All users' jobs, and the threads that see to them; may be used from several threads.

    Another user's job is an unknown one.
    """

    def __init__(self, workspaces: Workspaces, *, workers: Mapping[Lane, Worker] | None = None) -> None:
        """Jobs that an earlier server left wait, and begin, anew. `workers`: one for each lane, if not of its own."""
        self._workspaces = workspaces
        self._limits = workspaces.limits
        self._own = workers is None
        self._workers = workers or {lane: Worker(grown_bytes=self._limits.grown_bytes) for lane in LANES}
        self._changed = threading.Condition()
        self._jobs: dict[str, dict[str, _Job]] = {}
        self._served: dict[tuple[Lane, str], int] = {}
        self._turns = 0
        self._closing = False
        self._recall()
        self._threads = [threading.Thread(target=self._work, args=(lane,), daemon=True) for lane in LANES]
        for thread in self._threads:
            thread.start()

    def submit(self, user: str, order: Order) -> str:
        """Take an order; the id of its job. `JobError` where the user has too many that wait."""
        workspace = self._workspaces.of(user)
        _check_images(order, self._limits.batch_images)
        workspace.check_room()
        with self._changed:
            mine = self._jobs.setdefault(user, {})
            open_jobs = sum(job.is_open for job in mine.values())
            if open_jobs >= self._limits.waiting_jobs:
                raise JobError(
                    f"found {open_jobs} jobs of yours that wait or run; need fewer than {self._limits.waiting_jobs}; wait "
                    "for one to end, or cancel one"
                )
            job = _begun_job(workspace, order)
            self._workspaces.hold(user)
            try:
                job.save()
            except GraticuleError:
                self._workspaces.let_go(user)
                raise
            mine[job.id] = job
            self._changed.notify_all()
        return job.id

    def of(self, user: str) -> list[JobView]:
        """A user's jobs, the newest first."""
        with self._changed:
            jobs = list(self._jobs.get(user, {}).values())
            return [self._view(job) for job in sorted(jobs, key=lambda job: job.made, reverse=True)]

    def get(self, user: str, id: str) -> JobView:
        """One of a user's jobs."""
        with self._changed:
            return self._view(self._find(user, id))

    def results(self, user: str, id: str) -> list[Path]:
        """The folders of a job's results, those that are there; each has another name."""
        return [part.folder for part in self.get(user, id).parts if part.folder is not None and part.folder.is_dir()]

    def cancel(self, user: str, id: str) -> None:
        """End a job that waits or runs; images that are finished stay, of a training nothing does."""
        self._ask(user, id, "cancel")

    def stop(self, user: str, id: str) -> None:
        """End a training with the best it has learnt so far: that goes to the user's models."""
        with self._changed:
            job = self._find(user, id)
            if job.lane != "train":
                raise JobError("found a prediction; only a training can be stopped with what it has; cancel it")
        self._ask(user, id, "stop")

    def forget(self, user: str, id: str) -> None:
        """Remove a job that is over, and its results; a model that it made stays among the user's models."""
        with self._changed:
            job = self._find(user, id)
            if job.is_open:
                raise JobError("found the job waiting or under way; need it to be over; cancel it first")
            del self._jobs[user][id]
        shutil.rmtree(job.folder, ignore_errors=True)
        shutil.rmtree(job.results, ignore_errors=True)

    def clean(self, now: float | None = None) -> list[str]:
        """Forget users who did not come back; see `Workspaces.clean`."""
        gone = self._workspaces.clean(now)
        with self._changed:
            for user in gone:
                self._jobs.pop(user, None)
        return gone

    def wait(self, user: str, id: str, seconds: float) -> JobView:
        """The job when it is over, or as it stands after so many seconds."""
        until = time.monotonic() + seconds
        with self._changed:
            job = self._find(user, id)
            while job.is_open and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._view(job)

    def close(self) -> None:
        """Stop working; what is under way goes on when the next server begins."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            for job in (job for jobs in self._jobs.values() for job in jobs.values() if job.ticket is not None):
                assert job.ticket is not None
                self._workers[job.lane].end(job.ticket)
        for worker in self._workers.values() if self._own else ():
            worker.close()
        for thread in self._threads:
            thread.join()

    # -- inside; the lock is held where nothing else is said

    def _recall(self) -> None:
        for workspace in self._workspaces.all():
            for folder in sorted(workspace.jobs.glob("*")) if workspace.jobs.is_dir() else ():
                if not ID.fullmatch(folder.name):
                    continue
                try:
                    job = _Job.load(workspace, folder)
                except (OSError, ValueError, KeyError, TypeError, GraticuleError):
                    log.exception("%s: found a job that cannot be read; it is left aside", folder)
                    continue
                self._jobs.setdefault(job.user, {})[job.id] = job
                if job.is_open:
                    self._workspaces.hold(job.user)

    def _find(self, user: str, id: str) -> _Job:
        job = self._jobs.get(user, {}).get(id)
        if job is None:
            raise JobError("found no such job of yours; need one of those listed; load the page again")
        return job

    def _view(self, job: _Job) -> JobView:
        view = job.view()
        return replace(view, ahead=self._ahead(job)) if view.is_open and job.ticket is None else view

    def _ahead(self, job: _Job) -> int:
        """Parts that will be done before its next: users take turns, each with its own in order."""
        waiting = self._all_waiting(job.lane)
        mine = waiting[job.user]
        before, rank = sum(one.left for one in mine[: mine.index(job)]), self._rank(job.lane, mine)
        ahead = before
        for user, jobs in waiting.items():
            if user != job.user:
                rounds = before + (self._rank(job.lane, jobs) < rank)
                ahead += min(rounds, sum(one.left for one in jobs))
        return ahead + any(
            one.ticket is not None and one.lane == job.lane for jobs in self._jobs.values() for one in jobs.values()
        )

    def _all_waiting(self, lane: Lane) -> dict[str, list[_Job]]:
        """By user, of those who have any."""
        return {user: jobs for user in self._jobs if (jobs := self._waiting(user, lane))}

    def _waiting(self, user: str, lane: Lane) -> list[_Job]:
        """In the order in which they were asked for."""
        jobs = (job for job in self._jobs[user].values() if job.lane == lane and job.view().is_open and job.left)
        return sorted(jobs, key=lambda job: job.made)

    def _rank(self, lane: Lane, jobs: Sequence[_Job]) -> tuple[int, float]:
        """Whose turn is next: who was served longest ago; of those who never were, who asked first."""
        return self._served.get((lane, jobs[0].user), 0), jobs[0].made

    def _next(self, lane: Lane) -> tuple[_Job, _Part] | None:
        waiting = self._all_waiting(lane)
        if not waiting:
            return None
        jobs = min(waiting.values(), key=lambda jobs: self._rank(lane, jobs))
        self._turns += 1
        self._served[lane, jobs[0].user] = self._turns
        return jobs[0], next(part for part in jobs[0].parts if part.state == "waiting")

    def _ask(self, user: str, id: str, what: Literal["cancel", "stop"]) -> None:
        with self._changed:
            job = self._find(user, id)
            if not job.is_open:
                return
            job.asked = what
            if job.ticket is not None:
                self._workers[job.lane].end(job.ticket)
            if what == "cancel" or not job.begun:
                self._give_up(job)
            self._save(job)

    def _give_up(self, job: _Job) -> None:
        """What waits is not done any more; what is under way ends in its lane."""
        for part in job.parts:
            if part.state == "waiting":
                part.state = "cancelled"
                _remove_unfinished(job, part)
        self._over(job)

    def _save(self, job: _Job) -> None:
        """On the disk, and for whoever waits. What cannot be written is still done: it is said in the log."""
        job.shown = None
        try:
            job.save()
        except GraticuleError:
            log.exception("%s: where this job stands could not be written", job.folder)
        self._changed.notify_all()

    def _over(self, job: _Job) -> None:
        if not job.is_open:
            job.ended = job.ended or time.time()
            self._workspaces.let_go(job.user)

    # -- the lanes

    def _work(self, lane: Lane) -> None:
        if lane == "predict":  # training is rarer, and its process takes memory
            with suppress(GraticuleError):  # closed meanwhile
                self._workers[lane].do("warm")
        while True:
            with self._changed:
                while not self._closing and (found := self._next(lane)) is None:
                    self._changed.wait()
                if self._closing:
                    return
                job, part = found  # type: ignore[misc]
                part.state, part.done, part.total = "running", 0, 0
                job.begun = job.begun or time.time()
                job.ticket = ticket = Ticket()
                self._save(job)
            self._do(job, part, ticket)

    def _do(self, job: _Job, part: _Part, ticket: Ticket) -> None:
        """One part, whatever becomes of it."""
        state, line, answer = self._done(job, part, ticket)
        if job.lane == "train" and state != "waiting":
            state, line = self._trained(job, part, answer, state, line)
        with self._changed:
            self._settle(job, part, state, line, answer)

    def _done(self, job: _Job, part: _Part, ticket: Ticket) -> tuple[State, str, dict[str, Any]]:
        """What became of it, why, and the errand's answer. Waiting: it is to be done again."""
        if job.asked:  # before the last server was stopped
            return "cancelled", "", {}
        errand, order = _errand(job, part)
        try:
            job.results.mkdir(parents=True, exist_ok=True)
            hear = partial(self._heard, job, part)
            return "finished", "", self._workers[job.lane].do(errand, order, ticket=ticket, heard=hear)
        except EndedError:
            return ("waiting" if self._closing and not job.asked else "cancelled"), "", {}
        except DiedError as error:
            part.attempts += 1
            again: State = "waiting" if part.attempts < ATTEMPTS else "failed"
            return ("cancelled" if job.asked else again), str(error), {}
        except (RefusedError, FaultError) as error:
            return "failed", _without_paths(str(error), job), {}
        except Exception as error:  # the queue goes on
            log.exception("a job failed in the server itself")
            return "failed", f"this is our fault ({type(error).__name__}); please tell whoever runs this server", {}

    def _settle(self, job: _Job, part: _Part, state: State, line: str, answer: Mapping[str, Any]) -> None:
        job.ticket = None
        if self._closing and state == "waiting":
            return  # on the disk it is still under way, and will be again
        part.state, part.line = state, "" if state == "waiting" else line
        if state == "finished" and job.lane == "predict":
            part.folder = str(Path(answer["folder"]).relative_to(job.results))
            part.counts, part.said, part.seconds = answer["counts"], answer["said"], answer["seconds"]
        if state not in ("waiting", "finished"):
            _remove_unfinished(job, part)
        self._over(job)
        self._save(job)

    def _heard(self, job: _Job, part: _Part, told: Mapping[str, Any]) -> None:
        with self._changed:
            job.shown = None
            if "epoch" in told:
                line = told["epoch"]
                place = (line["phase"], line["epoch"])
                # A training that is resumed does the epoch again in which it was stopped.
                job.epochs = [*(one for one in job.epochs if (one["phase"], one["epoch"]) < place), line]
                job.seconds_left, part.done = told["seconds_left"], len(job.epochs)
                self._save(job)
            elif "epochs" in told:
                part.total, part.done, job.figure = told["epochs"], len(job.epochs), told["figure"]
            else:
                part.done, part.total = told["done"], told["total"]

    def _trained(self, job: _Job, part: _Part, answer: Mapping[str, Any], state: State, line: str) -> tuple[State, str]:
        """What was learnt goes to the user's models: all of it, or the best before the training was stopped, or failed."""
        best = _model_file(job, part)
        if state == "cancelled" and job.asked != "stop":
            return state, line
        if not best.is_file():
            return (
                ("failed", line) if state == "failed" else ("stopped", "stopped before there was a model; none is kept")
            )
        try:
            facts = answer.get("model") or self._workers["train"].do("look at model", {"file": str(best)})
            kept = keep_model(best, facts, job.workspace)
        except (GraticuleError, OSError) as error:
            return "failed", f"the model could not be kept: {error}"
        with self._changed:
            job.model, job.seconds_left = kept.name, None
            job.epochs = list(answer.get("history", job.epochs))
            part.done, part.seconds = len(job.epochs), job.epochs[-1]["seconds"] if job.epochs else 0.0
            part.said = f"{job.figure} {facts['score']:.3f} on the images held out"
        return ("stopped" if state == "cancelled" else state), line


def _check_images(order: Order, most: int) -> None:
    if not isinstance(order, PredictOrder):
        return
    if len(order.images) > most:
        raise JobError(f"found {len(order.images)} images in one job; need at most {most}; make several jobs of them")
    names = Counter(image_name(image) for image in order.images)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise JobError(f"found two images called {twice} in one job; need other names for their results; make two jobs")


def _errand(job: _Job, part: _Part) -> tuple[str, dict[str, Any]]:
    order, plain = job.order, to_plain(job.order)
    if isinstance(order, TrainOrder):
        return "train", {**plain, "out": str(_model_file(job, part))}
    place = job.parts.index(part)
    del plain["images"]
    file, reading = str(order.images[place]), asdict(order.reading_of(place))
    return "predict", {**plain, "file": file, "reading": reading, "out": str(job.results)}


def _model_file(job: _Job, part: _Part) -> Path:
    return job.results / f"{part.name}{MODEL}"


def _remove_unfinished(job: _Job, part: _Part) -> None:
    """What a worker left that was ended: half a result, or the state of a training and the file it was writing."""
    if job.lane == "train":
        shutil.rmtree(job.results, ignore_errors=True)
    else:
        shutil.rmtree(unfinished(job.results / part.name), ignore_errors=True)


def _without_paths(line: str, job: _Job) -> str:
    """Where things lie on the server is nothing that a user could use."""
    if isinstance(job.order, PredictOrder):
        for image in job.order.images:
            line = line.replace(str(image), image.name)
    else:
        line = line.replace(str(job.order.dataset), job.order.dataset.name)
    return re.sub(rf"{re.escape(str(job.workspace.folder))}/(?:\w+/)?", "", line)
