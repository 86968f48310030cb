"""A process that does what may be slow or fatal, one errand at a time; see `errands`.

The server itself reads no upload and computes nothing. Whatever becomes of the process (killed, out of memory, a crash in
somebody's decoder), the server gets one line about it, and the next errand a new process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graticule.errors import GraticuleError

Heard = Callable[[dict[str, Any]], None]
"""What an errand tells of its progress."""

CANCELLED, TIMED_OUT = "cancelled", "timed out"

SECRETS = ("GRATICULE_PASSWORD",)
"""Not handed on."""

log = logging.getLogger(__name__)


class RefusedError(GraticuleError):
    """The input is at fault; the line says how."""


class FaultError(GraticuleError):
    """We are; the traceback is in the server's log."""


class DiedError(GraticuleError):
    """The process ended in the middle of the errand."""


class EndedError(GraticuleError):
    """The errand was ended on purpose."""


class TimedOutError(EndedError):
    """… because it took too long."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One errand, so that whoever ends it does not end the next."""

    ended: str = ""


class Worker:
    """One process, begun when it is first needed; may be used from several threads, which then wait for their turn."""

    def __init__(self, *, grown_bytes: int = 0) -> None:
        """`grown_bytes`: a process that holds more memory after an errand is replaced; 0: never."""
        self._grown_bytes = grown_bytes
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ticket: Ticket | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def do(
        self,
        errand: str,
        order: Mapping[str, Any] | None = None,
        *,
        ticket: Ticket | None = None,
        heard: Heard | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """The errand's answer, in plain values as its order.

        Parameters
        ----------
        ticket
            To `end` the errand with, also before its turn.
        heard
            Called with what the errand tells on its way, from this thread.
        seconds
            From its turn on; then the process is ended.

        Raises
        ------
        RefusedError, FaultError, DiedError, EndedError, TimedOutError
            Each with one line to show.
        """
        ticket = ticket or Ticket()
        with self._turn:
            process = self._begin(ticket)
            alarm = threading.Timer(seconds, self.end, (ticket, TIMED_OUT)) if seconds else None
            if alarm is not None:
                alarm.daemon = True
                alarm.start()
            try:
                return self._asked(process, {"errand": errand, "order": order or {}}, ticket, heard)
            finally:
                if alarm is not None:
                    alarm.cancel()
                with self._lock:
                    self._ticket = None

    def end(self, ticket: Ticket, why: str = CANCELLED) -> None:
        """End an errand, and the process if it is at it."""
        with self._lock:
            ticket.ended = ticket.ended or why
            if self._ticket is ticket and self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process, and begin no other."""
        with self._lock:
            self._closed = True
            if self._ticket is not None:
                self._ticket.ended = self._ticket.ended or CANCELLED
            if self._process is not None:
                self._process.kill()
        with self._turn:
            self._drop()

    def _begin(self, ticket: Ticket) -> subprocess.Popen[bytes]:
        if self.pid is None:
            self._drop()
        with self._lock:
            if self._closed and not ticket.ended:
                ticket.ended = CANCELLED
            if ticket.ended:
                raise _ended(ticket)
            self._process = self._process or _started()
            self._ticket = ticket
            return self._process

    def _asked(
        self, process: subprocess.Popen[bytes], order: Mapping[str, Any], ticket: Ticket, heard: Heard | None
    ) -> dict[str, Any]:
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # it may be gone already; then there is no answer, either
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            said = json.loads(line) if line.endswith(b"\n") else {}
            if "told" in said:
                if heard is not None:
                    heard(said["told"])
            elif said:
                return self._answered(said)
        self._drop()
        with self._lock:
            if ticket.ended:
                raise _ended(ticket)
        raise DiedError(
            f"found that the program doing this was ended ({_how(process.returncode)}); need a smaller image, or less at "
            "once; try again"
        )

    def _answered(self, said: dict[str, Any]) -> dict[str, Any]:
        if said.get("worn") or (self._grown_bytes and said["resident"] > self._grown_bytes):
            self._drop()
        if "refused" in said:
            raise RefusedError(said["refused"])
        if "fault" in said:
            log.error("an errand failed:\n%s", said["traceback"])
            raise FaultError(f"this is our fault ({said['fault']}); please tell whoever runs this server")
        answer: dict[str, Any] = said["answer"]
        return answer

    def _drop(self) -> None:
        """The next errand gets a new process."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe and pipe.close()
        process.wait()


def _started() -> subprocess.Popen[bytes]:
    """A fresh interpreter: it inherits no socket and no lock, and Ctrl-C in the server's terminal is not for it."""
    import graticule

    source = str(Path(graticule.__file__).parents[1])
    known = {name: value for name, value in os.environ.items() if name not in SECRETS}
    path = os.pathsep.join(filter(None, (source, known.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "graticule.web.errands"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(sys.executable).anchor,  # a folder in which no user's file could be taken for a module or a model
        env={"OMP_WAIT_POLICY": "PASSIVE", **known, "PYTHONPATH": path},
        start_new_session=True,
    )


def _ended(ticket: Ticket) -> EndedError:
    if ticket.ended == TIMED_OUT:
        return TimedOutError("found that this takes longer than it may; need a smaller or simpler file; try another")
    return EndedError("cancelled")


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"{name}, as the system does when memory is short" if name == "SIGKILL" else name
    return f"signal {-code}"
