"""The review's server in a process of its own, as `graticule review` starts it, to be killed and started anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PASSWORD = "for tests only"
"""With it the key is the same after each start."""


class Server:
    """Use as a context, or `start` and `kill` it; it comes back on the port it had."""

    def __init__(self, run: Path, *words: str) -> None:
        self.run, self.words = run, words
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.told: dict[str, Any] = {}

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """With the key."""
        return str(self.told["address"])

    def command(self) -> list[str]:
        """What is started, and on what."""
        return ["review", str(self.run), "--who", "ada"]

    def start(self) -> None:
        """Returns once it can be asked."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "GRATICULE_PASSWORD": PASSWORD,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "graticule", *self.command(), "--no-browser", "--json"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *self.words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline() or "{}")
        self.port = int(self.address.split(":")[2].split("/")[0])

    def signal(self) -> None:
        """Kill it as the system would; nothing in it has time to do anything."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)

    def kill(self) -> None:
        """And wait until it is gone."""
        if self.process is not None:
            self.signal()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


class Board(Server):
    """The dashboard's; `run` is where it keeps what its users have."""

    def command(self) -> list[str]:
        return ["web", "--work", str(self.run)]
