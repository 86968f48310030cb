"""What is open in this server: results that may be reviewed, and one session for each reviewer of each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from graticule.errors import FormatError
from graticule.review import Order, Session
from graticule.web.pictures import Pictures
from graticule.workflows.results import JOURNALS
from graticule.workflows.review import Reviewed, journal_of, load_result, open_review, results_in


class UnknownNameError(FormatError):
    """Nothing of that name is on this desk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """How new reviews are laid out: share of the random audit; side of what is shown, 0 for the result's own; seed."""

    audit: float = 0.2
    view_um: float = 0.0
    seed: int = 0


@dataclass(slots=True, eq=False)
class Sitting:
    """One reviewer at one result. Whoever touches `session` holds `lock`.

    Attributes
    ----------
    version
        Grows by one with each decision, so that a window sees when another one decided something.
    """

    reviewed: Reviewed
    session: Session
    version: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class Desk:
    """Results by name, opened when they are first asked for; may be used from several threads.

    Names come from the server's own list, never from a path a browser sent.
    """

    def __init__(
        self, results: Sequence[Path], *, laid: Laid | None = None, images: Mapping[Path, Path] | None = None
    ) -> None:
        """`results` are folders of results, or folders of those; `images` says where images are that were moved."""
        self.folders: dict[str, Path] = _named([folder for given in results for folder in results_in(given)])
        self._laid = laid or Laid()
        self._images = images or {}
        self._lock = threading.Lock()
        self._opening: dict[tuple[str, ...], threading.Lock] = {}
        self._reviewed: dict[str, Reviewed] = {}
        self._pictures: dict[str, Pictures] = {}
        self._sittings: dict[tuple[str, str], Sitting] = {}

    def put(self, name: str, folder: Path) -> None:
        """One more result, under a name of its own."""
        with self._lock:
            self.folders[name] = folder

    def folder(self, name: str) -> Path:
        """Where a result lies; `UnknownNameError` if it is not on the desk."""
        if name not in self.folders:
            raise UnknownNameError(f"found no result {name!r} here; need one of those listed; choose another")
        return self.folders[name]

    def reviewers(self, name: str) -> list[str]:
        """Names of the journals there are."""
        return sorted(path.stem for path in (self.folder(name) / JOURNALS).glob("*.jsonl"))

    def reviewed(self, name: str) -> Reviewed:
        """A result, read once."""
        folder = self.folder(name)
        with self._alone(name):
            if name not in self._reviewed:
                image = self._images.get(folder.resolve())
                self._reviewed[name] = load_result(folder, image_file=image)
            return self._reviewed[name]

    def pictures(self, name: str) -> Pictures:
        """Of a result's image."""
        reviewed = self.reviewed(name)
        with self._lock:
            return self._pictures.setdefault(name, Pictures(reviewed.image))

    def begin(self, name: str, who: str) -> Sitting:
        """Begin a review, or go on with it."""
        reviewed = self.reviewed(name)
        with self._alone(name, who):
            if (name, who) not in self._sittings:
                session = open_review(reviewed, who=who, order=self._order(reviewed))
                self._sittings[name, who] = Sitting(reviewed, session)
            return self._sittings[name, who]

    def sitting(self, name: str, who: str) -> Sitting:
        """A review that was begun, maybe before this server started."""
        known = self._sittings.get((name, who))
        if known is not None:
            return known
        if not journal_of(self.folder(name), who).is_file():
            raise UnknownNameError(f"found no review of {name} by {who!r}; need one that was begun; begin it")
        return self.begin(name, who)

    def leave(self, name: str, who: str) -> None:
        """Close a review, so that another program may go on with it."""
        with self._alone(name, who):
            sitting = self._sittings.pop((name, who), None)
            if sitting is not None:
                with sitting.lock:
                    sitting.session.close()

    def take_away(self, name: str) -> None:
        """Not to be reviewed here any more; what was opened of it is closed."""
        for result, who in list(self._sittings):
            if result == name:
                self.leave(result, who)
        with self._lock:
            for known in (self.folders, self._reviewed, self._pictures):
                known.pop(name, None)

    def close(self) -> None:
        """Leave all."""
        for name, who in list(self._sittings):
            self.leave(name, who)

    def _order(self, reviewed: Reviewed) -> Order:
        return reviewed.order(audit=self._laid.audit, view_um=self._laid.view_um, seed=self._laid.seed)

    @contextmanager
    def _alone(self, *key: str) -> Iterator[None]:
        """One thread at a time for each key: opening takes a while, and others need not wait for it."""
        with self._lock:
            lock = self._opening.setdefault(key, threading.Lock())
        with lock:
            yield


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """By the folders' names; those that are there already get a number."""
    named: dict[str, Path] = {}
    for folder in folders:
        name, count = folder.resolve().name, 1
        while name in named:
            count += 1
            name = f"{folder.resolve().name} ({count})"
        named[name] = folder
    return named
