"""What users asked for, done one after the other: a queue that survives restarts.

A job is a folder in its user's workspace. There are two lanes, so that hours of training keep nobody from predicting; in
each, users take turns, image by image.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from graticule.errors import GraticuleError
from graticule.io import image_name
from graticule.web.intake import MODEL, keep_model
from graticule.web.job import Job, JobView, Part, State, begin
from graticule.web.orders import LANES, JobError, Lane, Order, PredictOrder, TrainOrder, to_plain
from graticule.web.worker import DiedError, EndedError, FaultError, RefusedError, Ticket, Worker
from graticule.web.workspace import Workspaces
from graticule.workflows.results import unfinished

ID = re.compile(r"[0-9a-f]{16}", re.ASCII)

ATTEMPTS = 2
"""A job whose worker died is tried so often: it may have been another program that took the memory."""

log = logging.getLogger(__name__)


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
        self._jobs: dict[str, dict[str, Job]] = {}
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
            job = begin(workspace, order)
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
                    job = Job.load(workspace, folder)
                except (OSError, ValueError, KeyError, TypeError, GraticuleError):
                    log.exception("%s: found a job that cannot be read; it is left aside", folder)
                    continue
                self._jobs.setdefault(job.user, {})[job.id] = job
                if job.is_open:
                    self._workspaces.hold(job.user)

    def _find(self, user: str, id: str) -> Job:
        job = self._jobs.get(user, {}).get(id)
        if job is None:
            raise JobError("found no such job of yours; need one of those listed; load the page again")
        return job

    def _view(self, job: Job) -> JobView:
        view = job.view()
        return replace(view, ahead=self._ahead(job)) if view.is_open and job.ticket is None else view

    def _ahead(self, job: Job) -> int:
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

    def _all_waiting(self, lane: Lane) -> dict[str, list[Job]]:
        """By user, of those who have any."""
        return {user: jobs for user in self._jobs if (jobs := self._waiting(user, lane))}

    def _waiting(self, user: str, lane: Lane) -> list[Job]:
        """In the order in which they were asked for."""
        jobs = (job for job in self._jobs[user].values() if job.lane == lane and job.view().is_open and job.left)
        return sorted(jobs, key=lambda job: job.made)

    def _rank(self, lane: Lane, jobs: Sequence[Job]) -> tuple[int, float]:
        """Whose turn is next: who was served longest ago; of those who never were, who asked first."""
        return self._served.get((lane, jobs[0].user), 0), jobs[0].made

    def _next(self, lane: Lane) -> tuple[Job, Part] | None:
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

    def _give_up(self, job: Job) -> None:
        """What waits is not done any more; what is under way ends in its lane."""
        for part in job.parts:
            if part.state == "waiting":
                part.state = "cancelled"
                _remove_unfinished(job, part)
        self._over(job)

    def _save(self, job: Job) -> None:
        """On the disk, and for whoever waits. What cannot be written is still done: it is said in the log."""
        job.shown = None
        try:
            job.save()
        except GraticuleError:
            log.exception("%s: where this job stands could not be written", job.folder)
        self._changed.notify_all()

    def _over(self, job: Job) -> None:
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

    def _do(self, job: Job, part: Part, ticket: Ticket) -> None:
        """One part, whatever becomes of it."""
        state, line, answer = self._done(job, part, ticket)
        if job.lane == "train" and state != "waiting":
            state, line = self._trained(job, part, answer, state, line)
        if state not in ("waiting", "finished"):
            _remove_unfinished(job, part)
        with self._changed:
            self._settle(job, part, state, line, answer)

    def _done(self, job: Job, part: Part, ticket: Ticket) -> tuple[State, str, dict[str, Any]]:
        """What became of it, why, and the errand's answer. Waiting: it is to be done again."""
        if job.is_asked():  # before the last server was stopped
            return "cancelled", "", {}
        errand, order = _errand(job, part)
        try:
            job.results.mkdir(parents=True, exist_ok=True)
            hear = partial(self._heard, job, part)
            return "finished", "", self._workers[job.lane].do(errand, order, ticket=ticket, heard=hear)
        except EndedError:
            return ("waiting" if self._closing and not job.is_asked() else "cancelled"), "", {}
        except DiedError as error:
            part.attempts += 1
            again: State = "waiting" if part.attempts < ATTEMPTS else "failed"
            return ("cancelled" if job.is_asked() else again), str(error), {}
        except (RefusedError, FaultError) as error:
            return "failed", _without_paths(str(error), job), {}
        except Exception as error:  # the queue goes on
            log.exception("a job failed in the server itself")
            return "failed", f"this is our fault ({type(error).__name__}); please tell whoever runs this server", {}

    def _settle(self, job: Job, part: Part, state: State, line: str, answer: Mapping[str, Any]) -> None:
        job.ticket = None
        if self._closing and state == "waiting":
            return  # on the disk it is still under way, and will be again
        part.state, part.line = state, "" if state == "waiting" else line
        if state == "finished" and job.lane == "predict":
            part.folder = str(Path(answer["folder"]).relative_to(job.results))
            part.counts, part.said, part.seconds = answer["counts"], answer["said"], answer["seconds"]
        self._over(job)
        self._save(job)

    def _heard(self, job: Job, part: Part, told: Mapping[str, Any]) -> None:
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

    def _trained(self, job: Job, part: Part, answer: Mapping[str, Any], state: State, line: str) -> tuple[State, str]:
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


def _errand(job: Job, part: Part) -> tuple[str, dict[str, Any]]:
    order, plain = job.order, to_plain(job.order)
    if isinstance(order, TrainOrder):
        return "train", {**plain, "out": str(_model_file(job, part))}
    place = job.parts.index(part)
    del plain["images"]
    file, reading = str(order.images[place]), asdict(order.reading_of(place))
    return "predict", {**plain, "file": file, "reading": reading, "out": str(job.results)}


def _model_file(job: Job, part: Part) -> Path:
    return job.results / f"{part.name}{MODEL}"


def _remove_unfinished(job: Job, part: Part) -> None:
    """What a worker left that was ended: half a result, or the state of a training and the file it was writing."""
    if job.lane == "train":
        shutil.rmtree(job.results, ignore_errors=True)
    else:
        shutil.rmtree(unfinished(job.results / part.name), ignore_errors=True)


def _without_paths(line: str, job: Job) -> str:
    """Where things lie on the server is nothing that a user could use."""
    if isinstance(job.order, PredictOrder):
        for image in job.order.images:
            line = line.replace(str(image), image.name)
    else:
        line = line.replace(str(job.order.dataset), job.order.dataset.name)
    return re.sub(rf"{re.escape(str(job.workspace.folder))}/(?:\w+/)?", "", line)
