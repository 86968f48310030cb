from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from graticule.web.errands import ERRANDS
from graticule.web.worker import DiedError, EndedError, RefusedError, Ticket, TimedOutError, Worker
from tests.web.damage import picture


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One for all tests here: a process costs seconds, in which it loads torch."""
    shared = Worker()
    yield shared
    shared.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "S1.tif"
    tifffile.imwrite(file, np.pad(picture((300, 300)), ((0, 0), (0, 300)), constant_values=128))
    return file


def looking(file: Path) -> dict[str, object]:
    return {"file": str(file), "image_bytes": 10**9, "memory": 10**9}


def predicting(file: Path, out: Path) -> dict[str, object]:
    """By texture, which takes a second and is made of several steps."""
    return {
        "file": str(file),
        "out": str(out),
        "models": ["tissue-texture"],
        "reading": {"spacing_um": [0.01], "channel": None, "axes": None},
        "thresholds": [],
        "settings": [],
        "mask": None,
        "mask_margin_nm": 0.0,
        "tta": False,
        "seed": 0,
    }


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_running(pid)


def test_the_same_process_does_one_errand_after_the_other(worker: Worker, image: Path) -> None:
    worker.do("look", looking(image))
    first = worker.pid
    assert worker.do("look", looking(image))["shape"] == [300, 600]
    assert worker.pid == first != os.getpid()


def test_a_prediction_is_that_of_the_command_line_and_tells_how_far_it_is(worker: Worker, image, tmp_path) -> None:
    from graticule.workflows.predict_files import Job, Reading, load_models, predict_file

    told: list[dict[str, int]] = []
    done = worker.do("predict", predicting(image, tmp_path / "found"), heard=told.append)
    files = (Path("tissue-texture"),)
    job = Job(models=load_models(files), files=files, out=tmp_path / "cli", reading=Reading(spacing_um=(0.01,)))
    expected = predict_file(image, job)
    assert (done["counts"], done["said"]) == (expected.counts, expected.said)
    assert done["folder"] == str(tmp_path / "found" / "S1")
    assert (tmp_path / "found/S1/mask.tif").read_bytes() == (tmp_path / "cli/S1/mask.tif").read_bytes()
    assert told[-1]["done"] == told[-1]["total"] > 0
    began = time.monotonic()
    worker.do("predict", predicting(image, tmp_path / "again"))
    assert time.monotonic() - began < 20  # nothing is loaded anew; seconds where the machine is busy


def test_what_the_input_is_to_blame_for_is_one_line_and_the_process_stays(worker: Worker, image, tmp_path) -> None:
    worker.do("look", looking(image))
    pid = worker.pid
    with pytest.raises(RefusedError, match=r"nowhere\.tif: found no such file") as refused:
        worker.do("look", looking(tmp_path / "nowhere.tif"))
    assert len(str(refused.value).splitlines()) == 1
    assert worker.pid == pid


def test_what_we_are_to_blame_for_says_so_and_the_log_has_the_rest(worker: Worker, caplog) -> None:
    with pytest.raises(Exception, match=r"this is our fault \(KeyError\); please tell whoever runs this server"):
        worker.do("predict", {})
    assert "Traceback" in caplog.text
    assert worker.pid is None  # the next errand gets a new one


def test_more_memory_than_is_allowed_is_refused_and_the_server_does_not_notice(worker: Worker, tmp_path) -> None:
    np.save(tmp_path / "S1.npy", np.zeros((6000, 6000), np.uint8))  # read at once
    with pytest.raises(RefusedError, match="memory"):
        worker.do("look", {**looking(tmp_path / "S1.npy"), "memory": 10**7})
    assert worker.do("look", looking(tmp_path / "S1.npy"))["shape"] == [6000, 6000]


def test_what_takes_too_long_is_ended_and_the_next_errand_is_done(image: Path) -> None:
    worker = Worker()
    with pytest.raises(TimedOutError, match="takes longer than it may"):
        worker.do("warm", seconds=0.05)
    assert worker.do("look", looking(image))["shape"] == [300, 600]
    worker.close()


def test_a_process_that_is_killed_is_told_of_and_replaced(worker: Worker, image, tmp_path) -> None:
    def kill(told: object) -> None:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(DiedError, match=r"was ended \(SIGKILL, as the system does when memory is short\)"):
        worker.do("predict", predicting(image, tmp_path / "found"), heard=kill)
    assert not (tmp_path / "found" / "S1").exists()
    assert worker.do("look", looking(image))["shape"] == [300, 600]


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_not_missed(worker: Worker, image) -> None:
    worker.do("look", looking(image))
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while worker.pid is not None:  # its threads may outlive it by a moment
        assert time.monotonic() < end
        time.sleep(0.01)
    assert worker.do("look", looking(image))["shape"] == [300, 600]


def test_an_errand_that_is_cancelled_ends_and_leaves_no_result(worker: Worker, image, tmp_path) -> None:
    ticket = Ticket()
    with pytest.raises(EndedError, match="cancelled"):
        worker.do(
            "predict", predicting(image, tmp_path / "found"), ticket=ticket, heard=lambda told: worker.end(ticket)
        )
    assert not (tmp_path / "found" / "S1").exists()


def test_an_errand_that_is_cancelled_before_its_turn_is_never_begun(worker: Worker, image) -> None:
    worker.do("look", looking(image))
    pid, ticket = worker.pid, Ticket()
    worker.end(ticket)
    with pytest.raises(EndedError):
        worker.do("look", looking(image), ticket=ticket)
    assert worker.pid == pid


def test_ending_an_errand_that_is_over_does_not_end_the_next(worker: Worker, image) -> None:
    old = Ticket()
    worker.do("look", looking(image), ticket=old)
    pid = worker.pid
    worker.end(old)
    assert worker.do("look", looking(image))["shape"] == [300, 600]
    assert worker.pid == pid


def test_errands_from_many_threads_take_turns(worker: Worker, tmp_path) -> None:
    files = [tmp_path / f"S{number}.npy" for number in range(1, 9)]
    for number, file in enumerate(files, start=1):
        np.save(file, np.zeros((number, 5), np.uint8))
    shapes: dict[Path, object] = {}

    def look(file: Path) -> None:
        shapes[file] = worker.do("look", looking(file))["shape"]

    threads = [threading.Thread(target=look, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == {file: [number, 5] for number, file in enumerate(files, start=1)}


def test_a_process_that_has_grown_is_replaced(image: Path) -> None:
    worker = Worker(grown_bytes=1)
    worker.do("look", looking(image))
    assert worker.pid is None
    worker.close()


def test_what_is_closed_does_nothing_more(image: Path) -> None:
    worker = Worker()
    worker.do("look", looking(image))
    pid = worker.pid
    worker.close()
    assert pid is not None
    assert gone_within(pid, 5)
    with pytest.raises(EndedError):
        worker.do("look", looking(image))


def test_the_process_ends_with_its_server(image: Path) -> None:
    """Also when that is killed, and in the middle of an errand."""
    code = f"""
import sys, threading, time
from graticule.web.worker import Worker
worker = Worker()
worker.do("look", {looking(image)!r})
threading.Thread(target=worker.do, args=("warm",), daemon=True).start()
print(worker.pid, flush=True)
time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=with_source())
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert is_running(pid)
    server.kill()
    server.wait()
    server.stdout.close()
    assert gone_within(pid, 10)


def test_the_process_inherits_no_open_file_and_no_password(worker: Worker, image, monkeypatch) -> None:
    monkeypatch.setenv("GRATICULE_PASSWORD", "mellon")
    own = Worker()
    with image.open("rb") as held:
        os.set_inheritable(held.fileno(), True)
        own.do("look", looking(image))
        opened = [os.readlink(link) for link in Path(f"/proc/{own.pid}/fd").iterdir()]
        environment = Path(f"/proc/{own.pid}/environ").read_bytes()
    assert str(image) not in opened
    assert b"mellon" not in environment
    own.close()


def test_the_server_itself_loads_no_torch() -> None:
    code = "import sys, graticule.web.jobs, graticule.web.intake, graticule.web.places; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_source())
    assert done.stdout.strip() == "False"


def test_every_errand_has_a_sentence() -> None:
    assert all(errand.__doc__ for errand in ERRANDS.values())


def with_source() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
