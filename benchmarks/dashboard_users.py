"""Twenty people at the dashboard at once, for two minutes: scripted, each through Gradio's own client, over loopback.

Each uploads images of her own, has beads found, moves thresholds, takes out and adds beads, downloads the table, looks at the
picture's tiles, removes the job, and begins anew. Every answer is compared with what only this person can get: the number of
beads drawn in her image, her own additions. Everybody also asks for everybody else's results. Claimed: no error, no answer
that belongs to somebody else, and the server's memory a minute afterwards within a quarter of what it was after a first user.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RESULT = ROOT / "benchmarks" / "results" / "dashboard" / "users.txt"
USERS, SECONDS, GROWN = 20, 120.0, 1.25
SIDE_PX, UM = 256, 0.0006
WAIT_S = 120.0


@dataclass
class Log:
    """What happened, of all users."""

    rounds: int = 0
    requests: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, what: str, seconds: float) -> None:
        with self.lock:
            self.requests += 1
            self.seconds.setdefault(what, []).append(seconds)


class Person:
    """One user with a browser's cookie, and an image with a number of beads nobody else's has."""

    def __init__(self, number: int, board: Any, folder: Path, log: Log) -> None:
        import httpx
        from gradio_client import Client

        from graticule import io
        from tests.synthetic import scattered

        self.number, self.log, self.beads = number, log, 5 + number
        self.image = folder / f"person-{number}.tif"
        kinds = {"kinds": ("6nm", "12nm"), "diameter_px": (10.0, 20.0), "kind": [n % 2 for n in range(self.beads)]}
        scene = scattered(100 + number, count=self.beads, shape=(SIDE_PX, SIDE_PX), gap_px=28, edge_px=12, **kinds)
        assert len(scene.truth) == self.beads
        io.write(scene.image, self.image)
        base = f"http://127.0.0.1:{board.port}"
        self.http = httpx.Client(base_url=base, timeout=WAIT_S, follow_redirects=True)
        self.http.get(board.address.removeprefix(base)).raise_for_status()
        cookies = dict(self.http.cookies)
        kwargs = {"cookies": cookies, "timeout": WAIT_S}
        self.client = Client(base, httpx_kwargs=kwargs, verbose=False, analytics_enabled=False)
        self.client.predict(api_name="/begin")

    def ask(self, name: str, *values: Any) -> Any:
        began = time.perf_counter()
        answer = self.client.predict(*values, api_name=f"/{name}")
        self.log.took(name, time.perf_counter() - began)
        return answer

    def get(self, what: str, path: str, **query: Any) -> Any:
        began = time.perf_counter()
        answer = self.http.get(path, params=query)
        self.log.took(what, time.perf_counter() - began)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}"
        return answer

    def round(self) -> None:
        """From an upload to an empty desk."""
        from gradio_client import handle_file

        _, chosen, *_ = self.ask("add_images", [handle_file(str(self.image))], [])
        image = chosen["value"][-1]
        assert f"person-{self.number}" in image, f"was given {image}"
        self.ask("find", [image], "", None, "", self.model, "", False)
        result = self.wait()
        job, place = result.split(" ")
        with self.log.lock:
            self.log.jobs[job] = self.image.name
        self.ask("open", result)
        at = f"/view/api/looks/{job}/{place}"
        self.check_items(at, added=0)
        counts = self.ask("move", result, "thresholds.0", 1.0)
        assert counts["6nm"] == 0, counts
        self.ask("move", result, "thresholds.0", 0.36)
        self.get("picture", f"{at}/picture", y=0, x=0, height=256, width=256)
        self.get("map", f"{at}/heat", kind=0, y=0, x=0, height=256, width=256)
        self.decide(at, "add", at_um=[[(2 + self.number) * UM, 3 * UM]], kind="6nm")
        self.check_items(at, added=1)
        table = list(csv.DictReader(self.get("table", f"{at}/file/csv").text.splitlines()))
        mine = [row for row in table if abs(float(row["y_um"]) - (2 + self.number) * UM) < UM / 10]
        assert len(table) == self.beads + 1 and len(mine) >= 1, (
            f"{len(table)} rows for {self.beads} beads and one added"
        )
        self.peep()
        self.ask("forget", job)
        with self.log.lock:
            self.log.jobs.pop(job)
            self.log.rounds += 1

    def wait(self) -> str:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            *_, choice = self.ask("watch")
            if isinstance(choice, dict) and choice.get("value"):
                return str(choice["value"])
            time.sleep(0.5)
        raise TimeoutError("the job takes too long")

    def check_items(self, at: str, added: int) -> None:
        items = self.get("items", f"{at}/items").json()["items"]
        assert len(items) == self.beads + added, f"{len(items)} objects, not {self.beads} and {added} added"

    def decide(self, at: str, what: str, **more: Any) -> None:
        began = time.perf_counter()
        answer = self.http.post(f"{at}/decisions", json={"request": str(uuid4()), "what": what, **more})
        self.log.took("decide", time.perf_counter() - began)
        assert answer.status_code == 200, answer.text[:200]

    def peep(self) -> None:
        """At the results of somebody else."""
        with self.log.lock:
            others = [job for job, name in self.log.jobs.items() if name != self.image.name]
        for job in others[:2]:
            answer = self.http.get(f"/view/api/looks/{job}/0/items")
            assert 400 <= answer.status_code < 500, f"another user's result was given: {answer.status_code}"

    @property
    def model(self) -> str:
        return str(self._models)

    _models = ""


def memory(pid: int) -> float:
    """Of a process and all it started, in MB."""
    import psutil

    process = psutil.Process(pid)
    every = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in every if one.is_running()) / 1e6


def server_memory(pid: int) -> float:
    import psutil

    return psutil.Process(pid).memory_info().rss / 1e6


def stay(person: Person, until: float) -> None:
    for number in itertools.count():
        if time.monotonic() > until:
            return
        try:
            person.round()
        except Exception as error:
            with person.log.lock:
                person.log.errors.append(
                    f"person {person.number}, round {number}: {type(error).__name__}: {error}"[:300]
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    from dashboard_threshold import learnt
    from machine import facts
    from tests.web.serving import Board

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learnt(folder)
        with Board(folder / "work", "--models", str(folder / "models")) as board:
            assert board.process is not None
            log = Log()
            Person._models = str(folder / "models" / "discs.safetensors")
            first = Person(0, board, folder, Log())
            first.round()
            first.round()
            assert not first.log.errors
            before = server_memory(board.process.pid), memory(board.process.pid)
            people = [Person(number + 1, board, folder, log) for number in range(given.users)]
            until = time.monotonic() + given.seconds
            threads = [threading.Thread(target=stay, args=(person, until)) for person in people]
            peak = 0.0
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                peak = max(peak, server_memory(board.process.pid))
                time.sleep(0.5)
            load = os.getloadavg()[0]
            for person in people:
                person.client.close()
                person.http.close()
            time.sleep(60)
            first.round()
            after = server_memory(board.process.pid), memory(board.process.pid)
    holds = not log.errors and after[0] <= GROWN * before[0] and log.rounds >= given.users
    waits = [
        f"{name} {statistics.median(s):.2f} ({sorted(s)[int(0.95 * len(s))]:.2f})"
        for name, s in sorted(log.seconds.items())
    ]
    did = f"{log.rounds} rounds from upload to table, {log.requests} requests, {len(log.errors)} errors"
    server = f"{before[0]:.0f} MB after a first user, {peak:.0f} MB at most, {after[0]:.0f} MB a minute later"
    verdict = "holds" if holds else "does not hold"
    lines = [
        f"{facts()}; load at the end {load:.1f}",
        f"{given.users} users for {given.seconds:.0f} s: {did}",
        f"seconds, median (19 of 20 within): {', '.join(waits)}",
        f"memory of the server: {server}; with its workers {before[1]:.0f} and {after[1]:.0f} MB",
        f"claimed: no error, nobody else's answer, memory back within {GROWN - 1:.0%}: {verdict}",
        *log.errors[:20],
    ]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
