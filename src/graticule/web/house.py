"""Everything of the dashboard but its pages: users, their desks and looks, the queue, and what there is to choose."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from graticule.errors import SettingsError
from graticule.web.app import checked_name, review_app
from graticule.web.desk import Desk, UnknownNameError
from graticule.web.jobs import Jobs
from graticule.web.look import Look
from graticule.web.offers import Offers
from graticule.web.worker import Worker
from graticule.web.workspace import Workspace, Workspaces, checked_user

COOKIE = "graticule-user"
"""Says whose folder it is."""

WHO = "name.txt"

IDLE_S = 900
"""What nobody asked for during so long is closed; it is opened again when it is asked for."""
MOST_OPEN = 24
"""Results held open at once, of all users."""


def user_of(cookies: Mapping[str, str]) -> str:
    """Who asks; `UnknownUserError` for a cookie that is none of ours."""
    return checked_user(cookies.get(COOKIE, ""))


@dataclass(eq=False)
class Desks:
    """What one user has open."""

    desk: Desk = field(default_factory=lambda: Desk([]))
    looks: dict[tuple[str, int], Look] = field(default_factory=dict)
    used: dict[tuple[str, int], float] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def review(self) -> FastAPI:
        """The page for reviews of what is on this desk."""
        return review_app(self.desk)


@dataclass(eq=False)
class House:
    """One for each server.

    Attributes
    ----------
    looker
        Reads what was uploaded.
    offers
        What users may choose.
    """

    workspaces: Workspaces
    jobs: Jobs
    looker: Worker
    offers: Offers

    def __post_init__(self) -> None:
        self._open: dict[str, Desks] = {}
        self._reviews: dict[str, FastAPI] = {}
        self._lock = threading.Lock()

    # -- users -----------------------------------------------------------------------------------------------------------

    def workspace(self, user: str) -> Workspace:
        """A user's folder."""
        return self.workspaces.of(user)

    def desks(self, user: str) -> Desks:
        """What a user has open."""
        self.workspaces.of(user)  # refuses what is no name of a user
        with self._lock:
            return self._open.setdefault(user, Desks())

    def review(self, user: str) -> FastAPI:
        """The page for a user's reviews."""
        desks = self.desks(user)
        with self._lock:
            return self._reviews.setdefault(user, desks.review)

    def clean(self) -> None:
        """Forget users who did not come back, and close what they had open."""
        for user in self.workspaces.clean():
            with self._lock:
                desks = self._open.pop(user, None)
                self._reviews.pop(user, None)
            if desks is not None:
                self._close_all(desks)

    # -- results ---------------------------------------------------------------------------------------------------------

    def look(self, user: str, job: str, place: int) -> Look:
        """The result of one image, by its place in one of this user's jobs; `UnknownNameError` if there is none."""
        desks, key = self.desks(user), (job, place)
        with desks.lock:
            desks.used[key] = time.monotonic()
            if key not in desks.looks:
                desks.looks[key] = Look(self._folder(user, job, place), desks.desk, self.who(user))
            look = desks.looks[key]
        self._close_some()
        return look

    def _folder(self, user: str, job: str, place: int) -> Path:
        parts = self.jobs.get(user, job).parts
        folder = parts[place].folder if 0 <= place < len(parts) else None
        if folder is None:
            raise UnknownNameError("found no result of that image; need one that is finished; choose another")
        return folder

    def who(self, user: str) -> str:
        """The name that a user gave, for the record of corrections."""
        file = self.workspace(user).folder / WHO
        return file.read_text(encoding="utf-8") if file.is_file() else "me"

    def call(self, user: str, name: str) -> None:
        """Give a user a name; corrections made under another one stay as they are."""
        workspace = self.workspace(user)
        try:
            name = checked_name(name)
        except ValueError as error:
            raise SettingsError(f"found the name {name[:80]!r}; {error}; change it") from error
        workspace.make()
        (workspace.folder / WHO).write_text(name, encoding="utf-8")
        self._close_all(self.desks(user))

    def forget(self, user: str, job: str) -> None:
        """A job and all that came of it."""
        desks = self.desks(user)
        with desks.lock:
            for key in [key for key in desks.looks if key[0] == job]:
                _close(desks, key)
            self.jobs.forget(user, job)

    def _close_some(self) -> None:
        """What is idle and, if there is still too much, what was used longest ago."""
        now = time.monotonic()
        with self._lock:
            everyone = list(self._open.values())
        used = sorted((at, key, desks) for desks in everyone for key, at in list(desks.used.items()))
        for number, (at, key, desks) in enumerate(used):
            if now - at > IDLE_S or number < len(used) - MOST_OPEN:
                with desks.lock:
                    if desks.used.get(key) == at:
                        _close(desks, key)

    def close(self) -> None:
        """Leave everything in order."""
        with self._lock:
            everyone = list(self._open.values())
        for desks in everyone:
            self._close_all(desks)
        self.jobs.close()
        self.looker.close()
        self.workspaces.close()

    def _close_all(self, desks: Desks) -> None:
        with desks.lock:
            for key in list(desks.looks):
                _close(desks, key)


def _close(desks: Desks, key: tuple[str, int]) -> None:
    look = desks.looks.pop(key, None)
    desks.used.pop(key, None)
    if look is not None:
        look.close()
