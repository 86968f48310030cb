"""What users may choose: images and masks, models, datasets; shown in words, and meant by a key that is checked when it comes.

A key is never a path that a browser sent: it names something in a list of this server's own.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graticule.tasks import LABEL_FREE
from graticule.web.desk import UnknownNameError
from graticule.web.intake import Looked, recall
from graticule.web.look import CHOSEN, corrected_folder, task_of
from graticule.web.places import Root
from graticule.web.worker import Worker
from graticule.web.workspace import Kind, Workspaces
from graticule.workflows.collect import collect

MINE, OURS, FOLDER, CORRECTED = "mine:", "server:", "folder:", "corrected:"
"""How choices begin: an upload, a file below the root, all images in a folder there, what was corrected of a task."""

MOST_LISTED = 2000
DEEPEST = 3
"""Folders below the root in which datasets are looked for."""

OUR_OWN_BYTES = 10**15
"""What lies on the server may be as large as it is."""


@dataclass(frozen=True, slots=True)
class Offers:
    """To each user, her own and what the server has.

    Attributes
    ----------
    root
        Files of the server that users may point at.
    looker
        Reads what lies there.
    models
        Folder of model files that all users may take; None: none.
    """

    workspaces: Workspaces
    root: Root
    looker: Worker
    models: Path | None = None

    def image_choices(self, user: str, kind: Kind = "images") -> dict[str, str]:
        """What a user may choose, shown and meant: uploads, and images below the root."""
        own = {held.name: f"{MINE}{held.name}" for held in self.workspaces.of(user).listing(kind)}
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
            return self.workspaces.of(user).find(kind, choice.removeprefix(MINE))
        return self.root.resolve(choice.removeprefix(OURS))

    def looked(self, user: str, choice: str) -> Looked:
        """What an image says of itself."""
        if choice.startswith(MINE):
            seen = recall(self.workspaces.of(user), "images", choice.removeprefix(MINE)).image
            assert seen is not None, "an upload among the images is one"
            return seen
        file, limits = self.file(user, choice), self.workspaces.limits
        order = {"file": str(file), "image_bytes": OUR_OWN_BYTES, "memory": limits.look_bytes}
        return Looked.from_plain(self.looker.do("look", order, seconds=limits.look_seconds))

    def model_choices(self, user: str) -> dict[str, str]:
        """What can be predicted with, shown and meant: the user's models, the server's, and methods without training."""
        shared = sorted(self.models.glob("*.safetensors")) if self.models is not None else []
        own = self.workspaces.of(user).listing("models")
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
        workspace, task = self.workspaces.of(user), choice.removeprefix(CORRECTED)
        folders = [folder for kind, folder in self._corrected(user) if kind == task]
        if not folders:
            raise UnknownNameError(
                "found nothing of that task that you corrected; need one of those listed; choose one"
            )
        out = workspace.folder / "datasets" / f"{task}-{secrets.token_hex(4)}"
        collect(folders, out)
        return out

    def _corrected(self, user: str) -> list[tuple[str, Path]]:
        """Results that the user corrected, as they stand, each with its task."""
        files = sorted(self.workspaces.of(user).results.glob(f"*/{CHOSEN}/*/choice.json"))
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
