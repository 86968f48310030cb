"""From a folder of results to a review of it, and back to something a model learns from."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference.outline import CONFIDENCE
from graticule.io import read, read_points
from graticule.io.table import Table
from graticule.results import Labels, Points
from graticule.review import Order, Proposals, Session
from graticule.workflows.provenance import fingerprint, sha256
from graticule.workflows.results import JOURNALS, MARK

TABLE = "objects.csv"
OUTLINES = ("objects.tif", f"{CONFIDENCE}:/labels/objects")
NM = 1e-3  # µm
VIEW_DIAMETERS = 12
"""A field shows so many of the largest class's diameters, or, where none is known, `VIEW_PX` pixels."""
VIEW_PX = 192


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed:
    """A result made ready for review.

    Attributes
    ----------
    folder
        ``OUT/NAME``.
    image
        What the result was made of.
    proposals
        What was found in it.
    diameters_um
        By class, as far as the model has sizes: to draw rings.
    threshold
        Confidence at which the model is undecided.
    about
        Hashes of image, result and models, for the journal.
    """

    folder: Path
    image: Image
    proposals: Proposals
    diameters_um: Mapping[str, float]
    threshold: float
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def view_um(self) -> float:
        """Side of what is put on screen."""
        finest = min(self.image.spacing_um)
        wished = VIEW_DIAMETERS * max(self.diameters_um.values(), default=0.0) or VIEW_PX * finest
        return float(max(wished, 16 * finest))

    def order(self, *, audit: float = 0.2, view_um: float = 0.0, seed: int = 0) -> Order:
        """How turns are laid out, unless a review was begun already."""
        return Order(audit=audit, view_um=view_um or self.view_um, threshold=self.threshold, seed=seed)


def results_in(path: Path) -> list[Path]:
    """The folders of single images' results: `path` itself, or those in it."""
    if (path / MARK).is_file():
        return [path]
    inside = sorted(file.parent for file in path.glob(f"*/{MARK}")) if path.is_dir() else []
    if not inside:
        raise FormatError(f"{path}: found no result here (a folder with {MARK}); give what graticule predict wrote")
    return inside


def load_result(folder: Path, *, image_file: Path | None = None) -> Reviewed:
    """What was found in one image, and the image; refused if the image is not the one it was found in.

    `image_file` says where the image is now, if it was moved.
    """
    run = run_of(folder)
    source = image_file or Path(run["image"]["file"])
    about = same_image(source, run["image"], folder)
    return result_of(folder, run, read(source, **reading_of(run)), about)


def result_of(folder: Path, run: Mapping[str, Any], image: Image, about: Mapping[str, Any]) -> Reviewed:
    """The same where the image is at hand; `about` is what tells it from others."""
    settings = run.get("settings", {})
    files = [name for name in (TABLE, *OUTLINES) if (folder / name.split(":")[0]).exists()]
    if TABLE not in files:
        raise FormatError(
            f"{folder}: found no {TABLE} in this result of {run.get('task', 'an unknown task')}; need single objects to "
            "review; a mask has none"
        )
    proposals = _proposals(folder, image, files, tuple(settings.get("classes", ())))
    sizes = zip(settings.get("classes", ()), settings.get("diameters_nm", ()), strict=False)
    return Reviewed(
        folder,
        image,
        proposals,
        {name: nm * NM for name, nm in sizes},
        _threshold(run, settings),
        {
            "task": run.get("task", ""),
            "image": about,
            "result": {name: _hash(folder, name) for name in files},
            "models": [model.get("sha256", model.get("method", "")) for model in run.get("models", ())],
        },
    )


def open_review(
    reviewed: Reviewed, *, who: str = "", order: Order | None = None, disagreement: Mapping[int, float] | None = None
) -> Session:
    """Begin the review of a result, or go on with it; the journal is ``OUT/NAME/review/WHO.jsonl``."""
    name = reviewer(who)
    return Session.open(
        journal_of(reviewed.folder, name),
        reviewed.image,
        reviewed.proposals,
        order=order or reviewed.order(),
        who=name,
        about=reviewed.about,
        disagreement=disagreement,
    )


def reviews(reviewed: Reviewed) -> list[Session]:
    """All reviews of a result as they stand, by reviewers' names, to look at."""
    journals = sorted((reviewed.folder / JOURNALS).glob("*.jsonl"))
    return [Session.read(path, reviewed.image, reviewed.proposals, reviewed.about) for path in journals]


def reviewer(who: str = "") -> str:
    """A reviewer's name: the one given, else the user's on this machine."""
    if who.strip():
        return who.strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "reviewer"


def journal_of(folder: Path, who: str) -> Path:
    """Where a reviewer's decisions are kept."""
    plain = re.sub(r"[^\w.-]+", "_", who).strip(".")
    return folder / JOURNALS / f"{plain or 'reviewer'}.jsonl"


def run_of(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says of a prediction."""
    path = folder / MARK
    if not path.is_file():
        raise FormatError(f"{folder}: found no {MARK}; need a result of graticule predict; give its folder, OUT/NAME")
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        run["image"]["file"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: found no account of a prediction in it; predict anew") from error
    return dict(run)


def reading_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """How the image was read when the result was made."""
    how = dict(run.get("read_as") or {})
    return {name: how[name] for name in ("spacing_um", "channel", "axes") if name in how}


def same_image(source: Path, told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What tells the image from others; `FormatError` if it is another now."""
    if not Path(str(source).split(":/")[0]).exists() and "://" not in str(source):
        raise FormatError(
            f"{folder}: found that it was made of {source}, which is not there; need that image; say where it is with --image"
        )
    now = {name: value for name, value in fingerprint(source).items() if name != "file"}
    then = {name: told[name] for name in now if name in told}
    if now != then:
        raise FormatError(
            f"{folder}: found that {source} is not the image this result was made of (its content differs); need that one; "
            "give it with --image, or predict anew"
        )
    return now


def _proposals(folder: Path, image: Image, files: Sequence[str], classes: tuple[str, ...]) -> Proposals:
    outlines = next((name for name in OUTLINES if name in files), None)
    found = read_points(folder / TABLE, image, kinds=classes or None)
    if outlines is None:
        return Proposals.of(found)
    ids = np.asarray(Table.read(folder / TABLE).numbers("particle_id"), int) if len(found) else np.zeros(0, int)
    labels = read(f"{folder}/{outlines}", spacing_um=None)
    return Proposals.of(_named(found), Labels(labels), ids)


def _named(found: Points) -> Points:
    return found if found.kinds else Points.none(found.position_um.shape[1])


def _threshold(run: Mapping[str, Any], settings: Mapping[str, Any]) -> float:
    told = list((run.get("thresholds") or {}).values()) or list(settings.get("thresholds") or ())
    single = settings.get("threshold")
    values = told or ([single] if isinstance(single, int | float) else [0.5])
    return float(np.clip(np.mean(values), 0.01, 0.99))


def _hash(folder: Path, name: str) -> str:
    """Of a result's file; of a Zarr, of what describes it."""
    path = folder / name.split(":")[0]
    told = fingerprint(path) if path.is_dir() else {"sha256": sha256(path)}
    return str(told.get("metadata_sha256", told.get("sha256", "")))
