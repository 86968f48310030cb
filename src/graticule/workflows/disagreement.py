"""How far several models, or one model under turned and mirrored views, disagree on each proposal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError
from graticule.image import Array, Image
from graticule.inference.augment import D4, symmetric
from graticule.inference.store import Store
from graticule.metrics.detection import match
from graticule.results import Points
from graticule.review import Proposals
from graticule.workflows.collect import reach_um
from graticule.workflows.predict import Setup, finding, is_outlining, on_voxels_of, outlining, set_up, within
from graticule.workflows.predict_files import load_model
from graticule.workflows.provenance import sha256
from graticule.workflows.results import MARK
from graticule.workflows.review import Reviewed, journal_of, load_result, open_review

MOST = 0.5
"""An outlined proposal is found by a member that fills at least this share of it."""


def disagreement(
    image: Image,
    proposals: Proposals,
    models: Sequence[Checkpoint],
    *,
    within_um: float,
    views: Sequence[tuple[int, bool]] = D4,
    device: str = "auto",
) -> dict[int, float]:
    """By id, 0 (all members agree) … 1 (half of them find it, half do not): ``4 p (1 - p)``, p the share that does.

    Members are `models`, each under each of `views` (quarter turns, mirrored first or not); each is asked at its own
    operating point, so this costs a prediction per member. A point is found by a member that has one no further than
    `within_um` from it, one to one; an outline by one that fills most of it.
    """
    votes = np.zeros(len(proposals.items))
    members = [(model, view) for model in models for view in views]
    for model, view in members:
        setup = set_up(image, [model], device=device)
        turned = symmetric(setup.forward, model.task.grid.vector, [view])
        votes += _finds(replace(setup, forward=turned), proposals, within_um)
    share = votes / len(members)
    doubt = 4 * share * (1 - share)
    return {item.id: float(value) for item, value in zip(proposals.items, doubt, strict=True)}


def begin_review(
    folder: Path,
    *,
    who: str,
    audit: float = 0.2,
    view_um: float = 0.0,
    seed: int = 0,
    ask: bool = False,
    image_file: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Lay out a review as it is asked for, before a window opens it; one that was begun stays as it is.

    `ask` lets the models say where they disagree; see `doubts`.
    """
    if journal_of(folder, who).is_file():
        return
    reviewed = load_result(folder, image_file=image_file)
    if ask and say is not None:
        say(f"{reviewed.name}: asking the models again, under {len(D4)} views")
    known = doubts(reviewed) if ask else None
    order = reviewed.order(audit=audit, view_um=view_um, seed=seed)
    open_review(reviewed, who=who, order=order, disagreement=known).close()


def doubts(reviewed: Reviewed, *, device: str = "auto") -> dict[int, float]:
    """`disagreement` on a result, among the models that made it, each under all eight views."""
    run = json.loads((reviewed.folder / MARK).read_text(encoding="utf-8"))
    models = [_model(about) for about in run.get("models", ())]
    return disagreement(reviewed.image, reviewed.proposals, models, within_um=reach_um(reviewed), device=device)


def _model(about: Mapping[str, Any]) -> Checkpoint:
    """The model a run names; refused if its file is another one now."""
    file = Path(about.get("file") or about.get("method", ""))
    if "file" in about and (not file.is_file() or sha256(file) != about.get("sha256")):
        found = "another model" if file.is_file() else "nothing"
        raise CheckpointError(
            f"{file}: found {found} there; need the model that made this result, to ask it again; put it back, or review "
            "without --disagreement"
        )
    return load_model(file)


def _finds(setup: Setup, proposals: Proposals, within_um: float) -> Array:
    """``(N,)`` booleans: which proposals this member finds."""
    with TemporaryDirectory(prefix="graticule-") as folder:
        store = Store.begin(Path(folder) / "run", {})
        if not is_outlining(setup.task):
            points, _ = finding(setup, setup.plan(), store, None).go()
            return _near(proposals, within(points, setup.image), within_um)
        job = outlining(setup, setup.plan(stored=True), store, None)
        job.go()
        found = job.labels.image
        drawn = replace(found, data=np.asarray(found.data[...]))
        return _filled(proposals, np.asarray(on_voxels_of(setup.image, drawn).data) != 0)


def _near(proposals: Proposals, found: Points, within_um: float) -> Array:
    hit = np.zeros(len(proposals.items), bool)
    if len(found) and len(hit):
        places = np.array([item.position_um for item in proposals.items])
        hit[match(places, found.position_um, within_um)[0]] = True
    return hit


def _filled(proposals: Proposals, mask: Array) -> Array:
    """Of each outline at least `MOST` of its voxels."""
    assert proposals.labels is not None, "a method that outlines proposes outlines"
    numbers = np.asarray(proposals.labels.image.data[...])
    if numbers.shape != mask.shape:
        raise ValueError(f"outlines {numbers.shape} and what was found anew {mask.shape} lie on different voxels")
    ids = [item.id for item in proposals.items]
    size = max((int(numbers.max(initial=0)), *ids, 0)) + 1
    whole = np.bincount(numbers.ravel(), minlength=size)
    inside = np.bincount(numbers[mask], minlength=size)
    share: Array = inside[ids] >= MOST * np.maximum(1, whole[ids])
    return share
