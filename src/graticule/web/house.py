"""Everything of the dashboard but its pages: users, their desks and looks, the queue, and what the server offers to all."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from graticule.errors import SettingsError
from graticule.tasks import LABEL_FREE
from graticule.web.app import checked_name, review_app
from graticule.web.desk import Desk, UnknownNameError
from graticule.web.intake import Looked, recall
from graticule.web.jobs import Jobs
from graticule.web.look import CHOSEN, Look, corrected_folder, task_of
from graticule.web.places import Root
from graticule.web.worker import Worker
from graticule.web.workspace import Kind, Workspace, Workspaces, checked_user
from graticule.workflows.collect import collect

COOKIE = "graticule-user"
"""Says whose folder it is."""

WHO = "name.txt"

MINE, OURS, FOLDER, CORRECTED = "mine:", "server:", "folder:", "corrected:"
"""How choices begin: an upload, a file below the root, all images in a folder there, what was corrected of a task."""

MOST_LISTED = 2000
DEEPEST = 3
"""Folders below the root in which datasets are looked for."""

OUR_OWN_BYTES = 10**15
"""What lies on the server may be as large as it is."""

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
    root
        Files of the server that users may point at.
    looker
        Reads what was uploaded.
    models
        Folder of model files that all users may take; None: none.
    """

    workspaces: Workspaces
    jobs: Jobs
    root: Root
    looker: Worker
    models: Path | None = None

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

    # -- images, masks and models ------------------------------------------------------------------------------------------

    def image_choices(self, user: str, kind: Kind = "images") -> dict[str, str]:
        """What a user may choose, shown and meant: uploads, and images below the root."""
        own = {held.name: f"{MINE}{held.name}" for held in self.workspace(user).listing(kind)}
        ours = self._below_root()
        folders = Counter(path.rpartition("/")[0] for path in ours) if kind == "images" else {}
        return {
            **own,
            **{f"{name or '.'}/ (all {n}, on the server)": f"{FOLDER}{name}" for name, n in folders.items() if n > 1},
            **{f"{path} (on the server)": f"{OURS}{path}" for path in ours},
        }

    def single(self, choices: Sequence[str]) -> list[str]:
        """The same choices with folders opened, each image once."""
        every: dict[str, None] = {}
        for choice in choices:
            if choice.startswith(FOLDER):
                folder = choice.removeprefix(FOLDER)
                inside = (f"{folder}/{entry.name}".lstrip("/") for entry in self.root.listing(folder) if entry.is_image)
                every.update(dict.fromkeys(f"{OURS}{path}" for path in inside))
            else:
                every[choice] = None
        return list(every)

    def _below_root(self) -> list[str]:
        """Paths of images, the first `MOST_LISTED` there are."""
        found: list[str] = []
        todo = [""] if self.root.is_open else []
        while todo and len(found) < MOST_LISTED:
            folder = todo.pop(0)
            for entry in self.root.listing(folder):
                path = f"{folder}/{entry.name}".lstrip("/")
                if entry.is_image:
                    found.append(path)
                elif entry.is_folder:
                    todo.append(path)
        return found[:MOST_LISTED]

    def file(self, user: str, choice: str, kind: Kind = "images") -> Path:
        """The file that a choice means."""
        if choice.startswith(MINE):
            return self.workspace(user).find(kind, choice.removeprefix(MINE))
        return self.root.resolve(choice.removeprefix(OURS))

    def looked(self, user: str, choice: str) -> Looked:
        """What an image says of itself."""
        if choice.startswith(MINE):
            seen = recall(self.workspace(user), "images", choice.removeprefix(MINE)).image
            assert seen is not None, "an upload among the images is one"
            return seen
        file, limits = self.file(user, choice), self.workspaces.limits
        order = {"file": str(file), "image_bytes": OUR_OWN_BYTES, "memory": limits.look_bytes}
        return Looked.from_plain(self.looker.do("look", order, seconds=limits.look_seconds))

    def model_choices(self, user: str) -> dict[str, str]:
        """What can be predicted with, shown and meant: the user's models, the server's, and methods without training."""
        shared = sorted(self.models.glob("*.safetensors")) if self.models is not None else []
        own = self.workspace(user).listing("models")
        return {
            **{f"{held.file.stem} (yours)": str(held.file) for held in own},
            **{path.stem: str(path) for path in shared},
            **{f"{name} (needs no training)": name for name in LABEL_FREE},
        }

    def model(self, user: str, choice: str) -> str:
        """A model or method that this user may take."""
        if choice not in self.model_choices(user).values():
            raise UnknownNameError("found no such model; need one of those listed; choose one, or upload it")
        return choice

    def model_file(self, user: str, choice: str) -> Path:
        """A model's file; a method without training has none."""
        return Path(self.model(user, choice))

    def datasets(self, user: str) -> dict[str, str]:
        """What can be learnt from, shown and meant: what a user corrected, and datasets below the root."""
        corrected = Counter(task for task, _ in self._corrected(user))
        own = {f"what I corrected: {task}, images: {n}": f"{CORRECTED}{task}" for task, n in corrected.items()}
        return {**own, **{folder or ".": f"{OURS}{folder}" for folder in self._datasets_below_root()}}

    def dataset(self, user: str, choice: str) -> Path:
        """The folder a choice means; of what was corrected a dataset is made, complete only where somebody looked."""
        if not choice.startswith(CORRECTED):
            return self.root.resolve(choice.removeprefix(OURS))
        workspace, task = self.workspace(user), choice.removeprefix(CORRECTED)
        out = workspace.folder / "datasets" / f"{task}-{secrets.token_hex(4)}"
        collect([folder for kind, folder in self._corrected(user) if kind == task], out)
        return out

    def _corrected(self, user: str) -> list[tuple[str, Path]]:
        """Results that the user corrected, as they stand, each with its task."""
        files = sorted(self.workspace(user).results.glob(f"*/{CHOSEN}/*/choice.json"))
        return [(task_of(folder), folder) for file in files if (folder := corrected_folder(file)) is not None]

    def _datasets_below_root(self) -> list[str]:
        found: list[str] = []
        todo = [""] if self.root.is_open else []
        while todo and len(found) < MOST_LISTED:
            folder = todo.pop(0)
            entries = [entry for entry in self.root.listing(folder) if entry.is_folder]
            names = {entry.name for entry in entries}
            if "images" in names and names & {"points", "labels"}:
                found.append(folder)
            elif folder.count("/") < DEEPEST:
                todo += [f"{folder}/{entry.name}".lstrip("/") for entry in entries]
        return found

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
