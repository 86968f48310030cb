from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile

from graticule.checkpoint import Checkpoint
from graticule.io.dataset import write as write_dataset
from graticule.web.intake import recall
from graticule.web.job import JobView
from graticule.web.jobs import Jobs
from graticule.web.limits import Limits
from graticule.web.orders import JobError, PredictOrder, ReadAs, TrainOrder
from graticule.web.worker import DiedError, EndedError, Ticket, Worker
from graticule.web.workspace import Workspace, Workspaces, new_user
from tests.web.damage import picture

SOON = 150.0
LONG = 4000  # pixels of a side: the image takes a second or two, so that it can be stopped in the middle

SETTINGS = {
    "classes": ["6nm"],
    "diameters_nm": [6.0],
    "width": 0.25,
    "neck_channels": 16,
    "neck_rounds": 1,
    "head_channels": 16,
    "patch_px": 64,
    "batch": 2,
    "steps": 2,
    "epochs": [4],
    "patience": 500,
}
"""With which an epoch takes a moment, and nothing is learnt."""


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, Worker]]:
    """Shared by all tests here, since each costs seconds to begin."""
    shared = {"predict": Worker(), "train": Worker()}
    yield shared
    for worker in shared.values():
        worker.close()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Jobs]]:
    """Begins a server's queue in the same folder as those before it, which then have to be closed."""
    opened: list[tuple[Jobs, Workspaces]] = []

    def beginning(workers: dict[str, Worker], **limits: int) -> Jobs:
        close()
        workspaces = Workspaces(tmp_path / "users", Limits(**limits))
        opened.append((Jobs(workspaces, workers=workers), workspaces))
        return opened[-1][0]

    def close() -> None:
        for jobs, workspaces in opened:
            jobs.close()
            workspaces.close()
        opened.clear()

    yield beginning
    close()


def save(folder: Path, *names: str, side: int = 200) -> tuple[Path, ...]:
    """Images, half of them textured."""
    files = tuple(folder / name for name in names)
    for seed, file in enumerate(files):
        half = picture((side, side // 2), seed)
        tifffile.imwrite(file, np.hstack([half, np.full_like(half, 128)]))
    return files


def texture(*images: Path) -> PredictOrder:
    return PredictOrder(images=images, models=("tissue-texture",), reading=(ReadAs(spacing_um=(0.01,)),))


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


# -- the queue by itself -------------------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """In place of a worker: does what it is told to, when it is told to, and notes what it did."""

    done: list[str] = field(default_factory=list)
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    dies: int = 0
    current: Ticket | None = None

    def do(self, errand: str, order=None, *, ticket=None, heard=None, seconds=None):
        if errand == "warm":
            return {}
        self.current = ticket
        while not self.go.acquire(timeout=0.005):
            if ticket.ended:
                raise EndedError("cancelled")
        if self.dies:
            self.dies -= 1
            raise DiedError("found that the program doing this was ended (SIGKILL)")
        self.done.append(order["file"])
        folder = Path(order["out"]) / Path(order["file"]).stem
        folder.mkdir(parents=True)
        return {"folder": str(folder), "counts": {"tissue": 1}, "said": "some", "seconds": 0.1}

    def end(self, ticket: Ticket, why: str = "cancelled") -> None:
        ticket.ended = why


@pytest.fixture
def scripted(begin) -> tuple[Jobs, Scripted]:
    worker = Scripted()
    return begin({"predict": worker, "train": worker}, waiting_jobs=5, batch_images=50), worker


def named(user: str, count: int, job: int = 0) -> PredictOrder:
    return texture(*(Path(f"/{user}/{job}-{number}.tif") for number in range(count)))


def test_a_batch_of_two_hundred_does_not_keep_anybody_elses_single_image(scripted) -> None:
    jobs, worker = scripted
    anna, ben = new_user(), new_user()
    jobs.submit(anna, named("anna", 50))
    until(lambda: worker.current)
    first = jobs.submit(ben, named("ben", 1))
    assert jobs.get(ben, first).ahead == 1
    worker.go.release(2)
    assert jobs.wait(ben, first, SOON).state == "finished"
    assert worker.done == ["/anna/0-0.tif", "/ben/0-0.tif"]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_ahead_is_done_before_and_nothing_else(scripted, seed: int) -> None:
    jobs, worker = scripted
    rng = random.Random(seed)
    users = [new_user() for _ in range(4)]
    submitted: dict[str, tuple[str, str]] = {}
    for number in range(12):
        user = rng.choice(users)
        if sum(owner == user for owner, _ in submitted.values()) < 5:
            submitted[f"/{number}/0-0.tif"] = (user, jobs.submit(user, named(str(number), rng.randint(1, 4))))
        if rng.random() < 0.4:
            worker.go.release()
    until(lambda: worker.current and worker.go._value == 0)
    time.sleep(0.05)
    before = len(worker.done)
    ahead = {
        first: view.ahead
        for first, (user, id) in submitted.items()
        if (view := jobs.get(user, id)).state == "waiting" and first not in worker.done
    }
    worker.go.release(100)
    until(lambda: not any(view.is_open for user in users for view in jobs.of(user)))
    assert ahead
    assert {first: worker.done.index(first) - before for first in ahead} == ahead


def test_no_user_sees_or_touches_jobs_of_others(scripted) -> None:
    jobs, worker = scripted
    anna, eve = new_user(), new_user()
    id = jobs.submit(anna, named("anna", 2))
    assert jobs.of(eve) == []
    for ask in (jobs.get, jobs.cancel, jobs.stop, jobs.forget, jobs.results):
        with pytest.raises(JobError, match="found no such job of yours"):
            ask(eve, id)
    assert jobs.get(anna, id).is_open
    worker.go.release(2)
    assert jobs.wait(anna, id, SOON).state == "finished"


def test_a_worker_that_dies_once_is_given_another_chance_and_then_no_more(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    worker.dies = 3
    worker.go.release(10)
    id = jobs.submit(user, named("a", 2))
    parts = jobs.wait(user, id, SOON).parts
    assert [part.state for part in parts] == ["failed", "finished"]  # two deaths, and one
    assert parts[0].line == "found that the program doing this was ended (SIGKILL)"
    assert parts[1].line == ""


def test_of_a_batch_that_is_cancelled_what_is_finished_stays(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    id = jobs.submit(user, named("a", 4))
    worker.go.release()
    until(lambda: jobs.get(user, id).parts[1].state == "running")
    jobs.cancel(user, id)
    view = jobs.wait(user, id, SOON)
    assert view.state == "cancelled"
    assert [part.state for part in view.parts] == ["finished", "cancelled", "cancelled", "cancelled"]
    assert [folder.name for folder in jobs.results(user, id)] == ["0-0"]
    jobs.cancel(user, id)  # is over: nothing happens
    assert jobs.get(user, id) == view


def test_a_job_that_is_cancelled_before_its_turn_is_never_begun(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    first, second = jobs.submit(user, named("a", 1)), jobs.submit(user, named("a", 1, 1))
    until(lambda: jobs.get(user, first).state == "running")
    jobs.cancel(user, second)
    assert jobs.get(user, second).state == "cancelled"
    worker.go.release(5)
    jobs.wait(user, first, SOON)
    assert worker.done == ["/a/0-0.tif"]


def test_a_job_that_is_over_can_be_forgotten_with_its_results(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    id = jobs.submit(user, named("a", 1))
    with pytest.raises(JobError, match="found the job waiting or under way"):
        jobs.forget(user, id)
    worker.go.release()
    jobs.wait(user, id, SOON)
    (folder,) = jobs.results(user, id)
    jobs.forget(user, id)
    assert jobs.of(user) == []
    assert not folder.exists()


def test_too_much_at_once_is_refused(scripted) -> None:
    jobs, _ = scripted
    user = new_user()
    with pytest.raises(JobError, match="found 51 images in one job; need at most 50"):
        jobs.submit(user, named("a", 51))
    with pytest.raises(JobError, match="found two images called S1 in one job"):
        jobs.submit(user, texture(Path("/a/S1.tif"), Path("/b/S1.png")))
    for _ in range(5):
        jobs.submit(user, named("a", 1))
    with pytest.raises(JobError, match="found 5 jobs of yours that wait or run; need fewer than 5"):
        jobs.submit(user, named("a", 1))
    jobs.submit(new_user(), named("b", 1))


def test_a_prediction_can_be_cancelled_but_not_stopped(scripted) -> None:
    jobs, _ = scripted
    user = new_user()
    id = jobs.submit(user, named("a", 1))
    with pytest.raises(JobError, match="only a training can be stopped"):
        jobs.stop(user, id)


def test_who_has_a_job_that_waits_is_never_removed(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    id = jobs.submit(user, named("a", 1))
    later = time.time() + 1e9
    assert jobs.clean(later) == []
    worker.go.release()
    jobs.wait(user, id, SOON)
    assert jobs.clean(later) == [user]
    assert jobs.of(user) == []


def test_looking_at_jobs_costs_nothing_while_nothing_changes(scripted) -> None:
    jobs, worker = scripted
    user = new_user()
    worker.go.release(100)
    ids = [jobs.submit(user, named("a", 20, job)) for job in range(4)]
    for id in ids:
        jobs.wait(user, id, SOON)
    assert all(one is other for one, other in zip(jobs.of(user), jobs.of(user), strict=True))


def test_a_queue_survives_its_server(begin) -> None:
    worker = Scripted()
    user = new_user()
    jobs = begin({"predict": worker, "train": worker})
    first, second = jobs.submit(user, named("a", 3)), jobs.submit(user, named("a", 1, 1))
    worker.go.release()
    until(lambda: jobs.get(user, first).parts[1].state == "running")
    before = jobs.get(user, first)
    jobs = begin({"predict": worker, "train": worker})
    assert [view.id for view in jobs.of(user)] == [second, first]
    assert jobs.get(user, first).parts[0] == before.parts[0]
    assert jobs.get(user, first).order == before.order
    worker.go.release(10)
    assert jobs.wait(user, first, SOON).state == "finished"
    assert jobs.wait(user, second, SOON).state == "finished"
    assert worker.done == ["/a/0-0.tif", "/a/0-1.tif", "/a/0-2.tif", "/a/1-0.tif"]


def test_a_job_whose_file_is_damaged_is_left_aside_and_the_others_are_done(begin, caplog, tmp_path) -> None:
    worker = Scripted()
    user = new_user()
    jobs = begin({"predict": worker, "train": worker})
    bad, good = jobs.submit(user, named("a", 1)), jobs.submit(user, named("a", 1, 1))
    jobs.close()
    file = tmp_path / "users" / user / "jobs" / bad / "job.json"
    file.write_text(file.read_text()[:100])
    worker.go.release(5)
    jobs = begin({"predict": worker, "train": worker})
    assert jobs.wait(user, good, SOON).state == "finished"
    assert [view.id for view in jobs.of(user)] == [good]
    assert "cannot be read; it is left aside" in caplog.text


# -- with real workers ---------------------------------------------------------------------------------------------------


def test_every_image_of_a_batch_is_done_and_a_bad_one_keeps_no_other(begin, workers, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    one, two = save(tmp_path, "S1.tif", "S2.tif")
    bad = tmp_path / "bad.tif"
    bad.write_text("no TIFF")
    view = jobs.wait(user, jobs.submit(user, texture(one, bad, two)), SOON)
    assert [part.state for part in view.parts] == ["finished", "failed", "finished"]
    assert view.state == "finished"
    assert view.parts[1].line.startswith("bad.tif: found no TIFF inside")
    assert str(tmp_path) not in view.parts[1].line
    assert all("tissue" in part.counts and part.said and part.done == part.total for part in view.parts[::2])
    assert [folder.name for folder in jobs.results(user, view.id)] == ["S1", "S2"]


def test_what_is_asked_for_in_vain_says_so_in_a_line(begin, workers, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    (image,) = save(tmp_path, "S1.tif")
    view = jobs.wait(user, jobs.submit(user, PredictOrder(images=(image,), models=("tissue-texture",))), SOON)
    assert view.state == "failed"
    assert view.parts[0].line.startswith("S1.tif: the file records no pixel size")
    train = TrainOrder(task="beads", dataset=tmp_path / "nothing", name="m")
    assert "nothing" in jobs.wait(user, jobs.submit(user, train), SOON).parts[0].line


def test_a_prediction_is_cancelled_in_the_middle_and_leaves_nothing(begin, workers, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    (image,) = save(tmp_path, "S1.tif", side=LONG)
    id = jobs.submit(user, texture(image))
    until(lambda: 0 < jobs.get(user, id).parts[0].done < jobs.get(user, id).parts[0].total)
    jobs.cancel(user, id)
    assert jobs.wait(user, id, SOON).state == "cancelled"
    assert list((tmp_path / "users" / user / "results" / id).iterdir()) == []
    (small,) = save(tmp_path, "S2.tif")
    assert jobs.wait(user, jobs.submit(user, texture(small)), SOON).state == "finished"


def test_a_worker_killed_in_the_middle_and_a_server_stopped_change_nothing(begin, workers, tmp_path) -> None:
    """What was finished of the image is not done again, and the result is that of one run."""
    jobs, user = begin(workers), new_user()
    (image,) = save(tmp_path, "S1.tif", side=LONG)
    whole = jobs.submit(user, texture(image))
    id = jobs.submit(user, texture(image))

    def at(done: int) -> Callable[[], bool]:
        return lambda: done <= jobs.get(user, id).parts[0].done

    until(at(2))
    os.kill(workers["predict"].pid, signal.SIGKILL)
    until(lambda: jobs.get(user, id).parts[0].done == 0)
    until(at(4))
    left = tmp_path / "users" / user / "results" / id / ".S1.unfinished" / "ledger.jsonl"
    jobs.close()
    assert len(left.read_text().splitlines()) >= 4
    jobs = begin(workers)
    told: list[int] = []

    def over() -> bool:  # it may be over before anybody looks
        told.append(jobs.get(user, id).parts[0].done)
        return not jobs.get(user, id).is_open

    until(over)
    view = jobs.get(user, id)
    assert view.state == "finished", view
    assert all(done == 0 or done >= 4 for done in told)
    (expected,), (found,) = jobs.results(user, whole), jobs.results(user, id)
    for name in ("mask.tif", "confidence.tif", "overlay.png"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    assert view.parts[0].counts == jobs.get(user, whole).parts[0].counts


# -- training ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    from tests.synthetic import scattered

    folder = tmp_path_factory.mktemp("data") / "discs"
    write_dataset(folder, [scattered(seed, shape=(128, 128), count=8) for seed in range(3)], classes=("6nm",))
    return folder


def training(discs: Path, **settings: object) -> TrainOrder:
    return TrainOrder(task="beads", dataset=discs, name="my beads", settings={**SETTINGS, **settings})


def learnt(jobs: Jobs, user: str, id: str) -> int:
    """Epochs so far, of a training that is still under way."""
    view = jobs.get(user, id)
    assert view.is_open, view.parts
    return len(view.epochs)


def weights(jobs: Jobs, view: JobView, tmp_path: Path, user: str) -> dict[str, np.ndarray]:
    return Checkpoint.load(tmp_path / "users" / user / "models" / view.model).weights


def test_a_training_shows_its_curves_and_its_model_is_the_users(begin, workers, discs, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    view = jobs.wait(user, jobs.submit(user, training(discs)), SOON)
    assert (view.state, view.figure, view.model) == ("finished", "F1", "my beads.safetensors")
    assert [epoch["epoch"] for epoch in view.epochs] == [1, 2, 3, 4]
    assert (view.parts[0].done, view.parts[0].total) == (4, 4)
    workspace = Workspace(tmp_path / "users" / user, Limits())
    assert recall(workspace, "models", view.model).model["task"] == "beads"
    (image,) = save(tmp_path, "S1.tif")
    model = str(tmp_path / "users" / user / "models" / view.model)
    order = PredictOrder(images=(image,), models=(model,), reading=(ReadAs(spacing_um=(0.0006,)),))
    assert jobs.wait(user, jobs.submit(user, order), SOON).state == "finished"


def test_a_training_that_is_stopped_leaves_the_best_so_far(begin, workers, discs, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    id = jobs.submit(user, training(discs, epochs=[500]))
    until(lambda: learnt(jobs, user, id) >= 3)
    jobs.stop(user, id)
    view = jobs.wait(user, id, SOON)
    assert (view.state, view.model) == ("stopped", "my beads.safetensors")
    assert weights(jobs, view, tmp_path, user)
    assert "F1" in view.parts[0].said


def test_a_training_that_is_cancelled_leaves_nothing(begin, workers, discs, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    id = jobs.submit(user, training(discs, epochs=[500]))
    until(lambda: learnt(jobs, user, id))
    jobs.cancel(user, id)
    view = jobs.wait(user, id, SOON)
    assert (view.state, view.model) == ("cancelled", "")
    assert not (tmp_path / "users" / user / "results" / id).exists()


def test_a_training_goes_on_where_the_last_server_was_stopped(begin, workers, discs, tmp_path) -> None:
    jobs, user = begin(workers), new_user()
    whole = jobs.wait(user, jobs.submit(user, training(discs, epochs=[12])), SOON)
    id = jobs.submit(user, training(discs, epochs=[12]))
    until(lambda: learnt(jobs, user, id) >= 2)
    jobs.close()
    kept = json.loads((tmp_path / "users" / user / "jobs" / id / "job.json").read_text())
    assert 2 <= len(kept["epochs"]) < 12
    jobs = begin(workers)
    view = jobs.wait(user, id, SOON)
    assert view.state == "finished"
    assert [epoch["loss"] for epoch in view.epochs] == [epoch["loss"] for epoch in whole.epochs]
    expected, found = weights(jobs, whole, tmp_path, user), weights(jobs, view, tmp_path, user)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
