"""What each user has on the server: a folder named by a random number, with uploads, models, jobs and results.

Whoever knows the number has the folder; nothing else leads there. Only one server works in it at a time.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graticule.errors import FormatError, GraticuleError, StoreError
from graticule.web.limits import Limits, in_words

Kind = Literal["images", "models", "masks"]
"""What users put in their folder themselves."""

KINDS: tuple[Kind, ...] = ("images", "models", "masks")
FOLDERS = (*KINDS, "jobs", "results")

USER = re.compile(r"[A-Za-z0-9_-]{22,64}", re.ASCII)
"""At least 128 random bits, in letters that are no part of a path."""

UPLOADING, ABOUT, SEEN, LOCK, GOING = ".uploading-", ".about", ".seen", ".lock", ".going-"

SEEN_EVERY_S = 60.0
"""How exactly it is known when a user was last here."""

DAY_S, HOUR_S = 86400.0, 3600.0


class UnknownUserError(FormatError):
    """What came as a user's number is none."""


class FullError(GraticuleError):
    """A user has no room left."""


def new_user() -> str:
    """A number that nobody can guess."""
    return secrets.token_urlsafe(24)


def checked_user(user: str) -> str:
    """`user`, if it could be one of ours."""
    if not USER.fullmatch(user):
        raise UnknownUserError("found no user of this server; need the cookie that it sets; load the page again")
    return user


@dataclass(frozen=True, slots=True)
class Held:
    """A file that a user keeps."""

    name: str
    file: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """One user's folder. It, and those in it, are made when something is put there."""

    folder: Path
    limits: Limits

    @property
    def user(self) -> str:
        return self.folder.name

    @property
    def who(self) -> str:
        """What the user is called where others may read it: the number itself is a key."""
        return f"user-{hashlib.sha256(self.user.encode()).hexdigest()[:8]}"

    @property
    def jobs(self) -> Path:
        """Folder of folders, by the job's id."""
        return self.folder / "jobs"

    @property
    def results(self) -> Path:
        """Folder of folders, by the job's id."""
        return self.folder / "results"

    def place(self, kind: Kind) -> Path:
        """Folder of what the user put here of that kind."""
        return self.folder / kind

    def images(self) -> list[Path]:
        """The user's images, by name."""
        return [held.file for held in self.listing("images")]

    def models(self) -> list[Path]:
        """The user's model files, by name."""
        return [held.file for held in self.listing("models")]

    def masks(self) -> list[Path]:
        """The user's masks, by name."""
        return [held.file for held in self.listing("masks")]

    def make(self) -> None:
        """All folders, only their owner's to read."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for name in FOLDERS:
            (self.folder / name).mkdir(exist_ok=True)
        self.touch()

    def touch(self) -> None:
        """The user is here. Nothing happens where there is no folder yet."""
        seen = self.folder / SEEN
        with suppress(OSError):
            if not seen.exists() or time.time() - seen.stat().st_mtime > SEEN_EVERY_S:
                seen.touch()

    def last_seen(self) -> float:
        """Seconds since 1970."""
        for path in (self.folder / SEEN, self.folder):
            with suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def listing(self, kind: Kind) -> list[Held]:
        """What the user keeps of a kind, in the order of names."""
        folder = self.place(kind)
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return [Held(p.name, p, p.stat().st_size) for p in paths if p.name[0] != "." and p.is_file()]

    def find(self, kind: Kind, name: str) -> Path:
        """The file of that name; names come from the folder's own list, never from a path that a browser sent."""
        for held in self.listing(kind):
            if held.name == name:
                return held.file
        raise FormatError(f"found no {name[:80]!r} among your {kind}; need one of those listed; choose another")

    def remove(self, kind: Kind, name: str) -> None:
        """A file, and what is known of it."""
        file = self.find(kind, name)
        file.unlink(missing_ok=True)
        about_file(file).unlink(missing_ok=True)

    def used_bytes(self) -> int:
        """Of all files that the user has, results included."""
        return sum(_sizes(self.folder))

    def check_room(self, more: int = 1) -> None:
        """Refuse what would be too much for this user, or for the disk."""
        used, may = self.used_bytes(), self.limits.user_bytes
        if used + more > may:
            raise FullError(
                f"found {in_words(used)} of yours on this server, and {in_words(more)} more is asked for; need at most "
                f"{in_words(may)}; remove images or results that you have downloaded"
            )
        if more > shutil.disk_usage(next(p for p in (self.folder, self.folder.parent) if p.exists())).free:
            raise FullError("found the server's disk full; need room; ask whoever runs it")


def about_file(file: Path) -> Path:
    """Where it is kept what was seen when `file` was taken in."""
    return file.parent / ABOUT / f"{file.name}.json"


class Workspaces:
    """The folders of all users; may be used from several threads, and by one server at a time."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        """`folder` is made if it is missing; half-uploaded files that an earlier server left there are removed."""
        self.limits = limits or Limits()
        self.folder = _made(folder)
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._file = _locked(self.folder)
        for workspace in self.all():
            _remove_uploads(workspace, before=float("inf"))
        for left in self.folder.glob(f"{GOING}*"):
            shutil.rmtree(left, ignore_errors=True)

    def of(self, user: str) -> Workspace:
        """The folder of `user`, who thereby is here; `UnknownUserError` if that is no number of ours."""
        workspace = Workspace(self.folder / checked_user(user), self.limits)
        workspace.touch()
        return workspace

    def all(self) -> list[Workspace]:
        """Of everybody who ever put something here."""
        names = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        return [Workspace(self.folder / name, self.limits) for name in names if USER.fullmatch(name)]

    def hold(self, user: str) -> None:
        """Keep a user's folder, come what may, until it is `let_go` as often."""
        with self._lock:
            Workspace(self.folder / checked_user(user), self.limits).make()
            self._held[user] += 1

    def let_go(self, user: str) -> None:
        """The opposite of `hold`."""
        with self._lock:
            self._held[user] -= 1
            if self._held[user] <= 0:
                del self._held[user]

    def clean(self, now: float | None = None) -> list[str]:
        """Remove uploads that were given up, and users who did not come back; the users that are gone.

        Who has a job that waits or runs is not removed. `now` is in seconds since 1970.
        """
        now = time.time() if now is None else now
        gone = []
        for workspace in self.all():
            _remove_uploads(workspace, before=now - self.limits.upload_hours * HOUR_S)
            if self._set_aside(workspace, before=now - self.limits.keep_days * DAY_S):
                gone.append(workspace.user)
        for left in self.folder.glob(f"{GOING}*"):
            shutil.rmtree(left, ignore_errors=True)
        return gone

    def _set_aside(self, workspace: Workspace, *, before: float) -> bool:
        """Out of the user's reach at once; removing takes longer, and is for nobody to wait for."""
        with self._lock:
            if workspace.user in self._held or workspace.last_seen() >= before:
                return False
            os.replace(workspace.folder, self.folder / f"{GOING}{workspace.user}")
            return True

    def close(self) -> None:
        """Let another server in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made ({error.strerror}); need a folder for uploads and results; choose another"
        ) from error
    return folder.resolve()


def _locked(folder: Path) -> int:
    """Goes with the process, however that ends; where the system has no such locks there is none."""
    try:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written to ({error.strerror}); need a folder that can; choose another"
        ) from error
    try:
        import fcntl
    except ImportError:  # not on Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise StoreError(
            f"{folder}: found another server at work in this folder; need one at a time; stop it, or choose another folder"
        ) from error
    except OSError:
        return file
    return file


def _remove_uploads(workspace: Workspace, *, before: float) -> None:
    for kind in KINDS:
        for path in workspace.place(kind).glob(f"{UPLOADING}*"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _sizes(folder: Path) -> Iterator[int]:
    """Links are counted as links; what vanishes meanwhile is not counted."""
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(here, name)).st_size
