"""One result as somebody looks at it: what is found at the settings of the moment, and what was corrected by hand.

Until something is corrected, settings are moved in memory only. The first correction writes the result as it is then, and a
review of it begins; settings moved afterwards make another result, into which the corrections are carried.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shutil import move, rmtree
from typing import Any

from graticule.errors import AnnotationError
from graticule.image import Array, Image
from graticule.io.atomic import replacing
from graticule.results import Points
from graticule.review import Session
from graticule.review.carry import Carried, carry
from graticule.review.item import Item, as_points
from graticule.review.state import State
from graticule.task import Task
from graticule.web.decisions import Answer, Asked, decide
from graticule.web.desk import Desk, Sitting
from graticule.web.pictures import Pictures
from graticule.workflows.again import Kept, heat, write_again
from graticule.workflows.again import decide as decide_again
from graticule.workflows.controls import CONFIDENCES, Control, controls, with_values
from graticule.workflows.export import KINDS, Kind, Sort, export
from graticule.workflows.masks import open_mask
from graticule.workflows.predict import is_outlining
from graticule.workflows.proposed import proposed, voxels_of
from graticule.workflows.report import REPORT
from graticule.workflows.results import MARK
from graticule.workflows.review import run_of
from graticule.workflows.tally import Tally, tally_points, tally_voxels
from graticule.workflows.write_found import class_diameters_um

CHOSEN = ".chosen"
"""Folder, beside the results of a job's images, of what was made of them at other settings."""


OVERLAY, WITH_PICTURES = "overlay.png", ("overlay", "report", "all")
"""A picture of a result, and the kinds of files that hold it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings somebody moved, and the number of the result that was written at them; 0: none was."""

    values: Mapping[str, float | str] = field(default_factory=dict)
    mask: str = ""
    number: int = 0
    reviewed: bool = False


@dataclass(eq=False)
class Look:
    """Use as long as somebody looks; may be asked from several threads.

    Attributes
    ----------
    folder
        ``JOB/IMAGE``, as predicted.
    desk
        This user's: the page for reviews has the same session.
    who
        The user's name in the record.
    version
        Grows with each change.
    """

    folder: Path
    desk: Desk
    who: str
    version: int = 1
    said: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.kept = Kept.load(self.folder)
        self._choice = _read(self._file)
        self.task: Task = with_values(self.kept.task, self._choice.values) if self._choice.values else self.kept.task
        self._state: State | None = None
        self._sitting: Sitting | None = None
        self._loose: tuple[Task, str, Points] | None = None
        if self._choice.reviewed:
            self._sit(self._choice.number)

    # -- what there is ---------------------------------------------------------------------------------------------------

    @property
    def image(self) -> Image:
        return self.kept.image

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(self.image)

    @cached_property
    def heat(self) -> Image | None:
        """Confidences, ``(K, *cells)`` in 255ths; None if there are none."""
        return heat(self.kept)

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps in `heat`."""
        return () if self.heat is None else self.kinds[: self.heat.data.shape[0]]

    @property
    def state(self) -> State:
        """What was found at the settings of the moment, with what was made of it."""
        with self.lock:
            if self._sitting is not None:
                return self._sitting.session.state
            if self._state is None:
                self._state = State(proposed(self.kept, self.task, mask=self._mask))
            return self._state

    @property
    def items(self) -> Mapping[int, Item]:
        return self.state.items

    @property
    def standing(self) -> Points:
        """The objects that count: found and not taken out, or added."""
        items = [item for item in self.items.values() if item.status != "rejected"]
        return as_points(items, self.kinds, self.image.ndim)

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.state.proposals.kinds

    @property
    def outlined(self) -> bool:
        return self.state.proposals.labels is not None

    @property
    def correctable(self) -> bool:
        """Whether there are single objects."""
        return not is_outlining(self.task) or bool(self.task.regions.counted)  # type: ignore[attr-defined]

    @property
    def diameters_um(self) -> Mapping[str, float]:
        return class_diameters_um(self.kept.task)

    @property
    def can_undo(self) -> bool:
        return self._sitting is not None and self._sitting.session.last is not None

    @property
    def thresholds(self) -> dict[str, float]:
        """Confidences from which each class counts."""
        controls = [control for control in self.controls if control.setting in CONFIDENCES]
        return {kind: float(control.value) for kind, control in zip(self.kinds, controls, strict=False)}

    @property
    def confidences(self) -> dict[str, Array]:
        """By class: of points all candidates', whether they count or not; of outlined objects those that count."""
        found = self.standing if self.outlined else self._candidates
        return {kind: found.of_kind(kind).confidence for kind in found.kinds}

    @property
    def _candidates(self) -> Points:
        """Found anew only where something else than a threshold was moved."""
        with self.lock:
            loose = self.task.permissive()
            if self._loose is None or self._loose[:2] != (loose, self._choice.mask):
                found = decide_again(self.kept, loose, mask=self._mask)
                assert isinstance(found, Points), "points have no outlines"
                self._loose = (loose, self._choice.mask, found)
            return self._loose[2]

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Counts and densities of what stands."""
        if self.correctable:
            return tally_points(self.standing, self.image)
        labels = self.state.proposals.labels
        assert labels is not None, "a mask has voxels"
        return tally_voxels(voxels_of(labels, self.kinds), labels.image)

    def gives(self, kind: str) -> bool:
        """Whether `export` makes sense of it."""
        sort: Sort = "points" if not self.outlined else "outlines" if self.correctable else "mask"
        return kind in KINDS[sort]

    @property
    def fingerprint(self) -> str:
        """Another one for another image."""
        return str(self.kept.run["image"].get("sha256", self.folder.name))[:16]

    @property
    def reviewed_as(self) -> str:
        """Name on the desk of the result that is being corrected; empty before the first correction."""
        return self._name(self._choice.number) if self._sitting is not None else ""

    @property
    def corrections(self) -> dict[str, int]:
        """How many objects were taken out, added and otherwise changed by hand."""
        if self._sitting is None:
            return {}
        items = self._sitting.session.items.values()
        return {
            "removed": sum(item.status == "rejected" for item in items),
            "added": sum(item.origin == "added" and item.status != "rejected" for item in items),
        }

    # -- settings --------------------------------------------------------------------------------------------------------

    @property
    def controls(self) -> tuple[Control, ...]:
        return controls(self.task)

    @property
    def mask(self) -> Path | None:
        return Path(self._choice.mask) if self._choice.mask else None

    @property
    def is_as_predicted(self) -> bool:
        """Whether this is what the job wrote."""
        return self._sitting is None and self.task == self.kept.task and not self._choice.mask

    def move(self, values: Mapping[str, float | str]) -> None:
        """To other settings; corrections made before are carried along as far as their objects are still there."""
        self._go(with_values(self.task, values), self._choice.mask)

    def mask_by(self, mask: Path | None) -> None:
        """Let count what lies within `mask`; None: what the run looked at."""
        self._go(self.task, "" if mask is None else str(mask))

    def _go(self, task: Task, chosen_mask: str) -> None:
        with self.lock:
            if task == self.task and chosen_mask == self._choice.mask:
                return
            before, old = (self.task, self._choice), self._sitting
            self.task = task
            self._choice = Choice(_values(task), chosen_mask, self._choice.number, self._choice.reviewed)
            try:
                self.said = "" if old is None else self._carried(old.session)
                self._state = None
                assert self.state is not None
            except BaseException:
                self.task, self._choice = before
                raise
            self._changed()

    def _carried(self, old: Session) -> str:
        former = self._choice.number
        self._begin()
        assert self._sitting is not None
        told = carry(old, self._sitting.session)
        self.desk.leave(self._name(former), self.who)
        return _in_words(told)

    # -- corrections -----------------------------------------------------------------------------------------------------

    def decide(self, asked: Asked) -> Answer:
        """Apply a correction; the first one begins the review."""
        with self.lock:
            if self._sitting is None:
                self._begin()
            assert self._sitting is not None
            answer = decide(self._sitting, asked)
            self._changed()
            return answer

    def begin_review(self) -> str:
        """Begin correcting what was found at the settings of the moment; the result's name on the desk."""
        with self.lock:
            if self._sitting is None:
                self._begin()
                self._changed()
            return self.reviewed_as

    def _begin(self) -> None:
        if not self.correctable:
            raise AnnotationError(
                "found a mask, which has no single objects to correct; move its threshold, or take its labels elsewhere"
            )
        number = self._written()
        self._sit(number)
        self._choice = Choice(self._choice.values, self._choice.mask, number, True)
        _write(self._choice, self._file)

    def _sit(self, number: int) -> None:
        self.desk.put(self._name(number), self._place(number))
        self._sitting = self.desk.begin(self._name(number), self.who)

    # -- files -----------------------------------------------------------------------------------------------------------

    def export(self, kind: Kind) -> Path:
        """A file in a folder of its own, to be removed by who asked."""
        with self.lock:
            folder = self.folder if self.is_as_predicted else self._place(self._current())
            if kind in WITH_PICTURES:
                self._complete(folder)
            aside = Path(tempfile.mkdtemp(prefix="graticule-"))
            return export(folder, kind, aside, who=self.who if self._sitting is not None else "")

    def _complete(self, folder: Path) -> None:
        """Draw the pictures that were left out when `folder` was written, as somebody waited for a correction."""
        if (folder / OVERLAY).is_file():
            return
        with tempfile.TemporaryDirectory(prefix="graticule-") as aside:
            made = write_again(self.kept, self.task, Path(aside), mask=self.mask)
            for name in (OVERLAY, REPORT):
                move(made.folder / name, folder / name)

    def _current(self) -> int:
        """Number of a result on disk at the settings of the moment."""
        if self._sitting is not None:
            return self._choice.number
        number = self._written()
        self._choice = Choice(self._choice.values, self._choice.mask, number)
        return number

    def _written(self) -> int:
        """Write what was found at the settings of the moment; what nobody reviewed before goes."""
        home = self._home
        former = sorted(int(path.name) for path in home.glob("[0-9]*") if path.name.isdecimal())
        number = former[-1] + 1 if former else 1
        write_again(self.kept, self.task, self._place(number).parent, mask=self.mask, pictures=False)
        for old in former:
            if not any((self._place(old) / "review").glob("*.jsonl")):
                rmtree(home / str(old), ignore_errors=True)
        return number

    def close(self) -> None:
        """Others may review from now on."""
        with self.lock:
            if self._sitting is not None:
                self.desk.leave(self._name(self._choice.number), self.who)
                self._sitting = None

    @property
    def _home(self) -> Path:
        return self.folder.parent / CHOSEN / self.folder.name

    @property
    def _file(self) -> Path:
        return self._home / "choice.json"

    def _place(self, number: int) -> Path:
        return self._home / str(number) / self.folder.name

    def _name(self, number: int) -> str:
        return f"{self.folder.parent.name} {self.folder.name} {number}"

    @property
    def _mask(self) -> Image | None:
        return None if self.mask is None else open_mask(self.mask, self.image)

    def _changed(self) -> None:
        self.version += 1
        _write(self._choice, self._file)


def corrected_folder(file: Path) -> Path | None:
    """The result on disk that a remembered choice is about, if it was corrected."""
    choice = _read(file)
    folder = file.parent / str(choice.number) / file.parent.name
    return folder if choice.reviewed and (folder / MARK).is_file() else None


def task_of(folder: Path) -> str:
    """What a result is of."""
    return str(run_of(folder).get("task", ""))


def _values(task: Task) -> dict[str, float | str]:
    return {control.key: control.value for control in controls(task)}


def _in_words(told: Carried) -> str:
    return str(told)


def _read(path: Path) -> Choice:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Choice(**told)
    except (OSError, ValueError, TypeError):
        return Choice()


def _write(choice: Choice, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"values": dict(choice.values), "mask": choice.mask, "number": choice.number, "reviewed": choice.reviewed}
    with replacing(path) as aside:
        aside.write_text(json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf-8")
