"""Why a model calls some places what it calls them: for a few objects in one image, attributions as maps and a page."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from graticule.arrays.regions import STEPS, tidy
from graticule.box import Box, round_up
from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, FormatError, SettingsError
from graticule.image import Array, Floats, Image
from graticule.inference.plan import Block, Plan
from graticule.inference.run import read_prepared, run_block
from graticule.io import image_name, write
from graticule.nets.explainer import Effort, Explainer, Reasons
from graticule.report.page import render
from graticule.report.reasons import Explained, Insides, draw_reasons, reasons_page
from graticule.results import Labels, Points
from graticule.task import Task
from graticule.tasks import LABEL_FREE
from graticule.workflows.predict import Setup, is_outlining, predict, set_up
from graticule.workflows.predict_files import Reading, about_image, about_settings, naming, open_image
from graticule.workflows.provenance import about_model, made_on
from graticule.workflows.results import MARK, result_folder

REASONS, TABLE = "reasons.html", "objects.csv"
SMALLEST = {2: 192, 3: 48}
LARGEST = {2: 320, 3: 64}
"""Sides of the windows in which reasons are looked for, in voxels of the task's grid."""

COARSEST = 16
"""Sides are multiples of it, so that levels of a network halve evenly."""

SPECK = 20
"""Outlined objects of fewer voxels are only explained where there are no others."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to explain.

    Attributes
    ----------
    objects
        How many of those found, the more certain half of them the most certain ones, the others the least.
    at_um
        Places ``(z,) y, x`` in µm instead, one after the other: the object there or, where nothing was found, the voxel itself.
    """

    objects: int = 5
    at_um: tuple[float, ...] = ()
    effort: Effort = field(default_factory=Effort)
    device: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """Something to explain.

    Attributes
    ----------
    position_um
        Where the window's middle goes: in the object, as far from its rim as can be, or where somebody asked.
    confidence
        As the model says in the whole image; None: nothing was found here.
    box, voxels
        Where the object lies on the working grid, and which of these voxels are its own; of a point, one voxel.
    point
        Whether it is a place, and not an outlined region.
    cut
        Whether it goes on beyond what is looked at at once.
    """

    kind: int
    position_um: Array
    confidence: float | None
    box: Box
    voxels: Array
    point: bool = False
    cut: bool = False
    why: str = ""

    @property
    def size(self) -> int:
        """In voxels of the working grid."""
        return int(np.count_nonzero(self.voxels))


def explain_file(
    file: Path, model_file: Path, out: Path, question: Question, reading: Reading | None = None, *, say: Say = print
) -> tuple[Path, list[Explained]]:
    """Explain what the model found in one file: the folder ``OUT/NAME`` with maps, pictures and a page, and what is in it.

    Raises
    ------
    CheckpointError
        If the model is a method without a network.
    FormatError
        If nothing was found, and no place was named.
    SettingsError
        If places are not in the image, or Captum is missing.
    """
    model = _with_network(model_file)
    with naming(file):
        image = open_image(file, reading or Reading())
        folder = out / image_name(file)
        _refuse_other_results(folder)
        with result_folder(folder) as aside:
            about = {"image": about_image(file, image), "models": [about_model(model_file)]}
            told = explain(image, model, aside, question, name=image_name(file), about=about, say=say)
    return folder, told


def explain(
    image: Image,
    model: Checkpoint,
    folder: Path,
    question: Question,
    *,
    name: str = "",
    about: dict[str, Any] | None = None,
    say: Say = print,
) -> list[Explained]:
    """Explain what the model found in `image`, one window at a time, into an empty `folder`; see `explain_file`."""
    began = time.monotonic()
    task = model.task
    assert hasattr(task, "network"), "a task with a network"
    setup = set_up(image, [model], device=question.device)
    subjects = _subjects(image, model, setup, question)
    explainer = Explainer(task.network, model.weights, question.device)
    told = []
    for number, subject in enumerate(subjects, start=1):
        told.append(_one(number, subject, setup, explainer, question.effort))
        _write_maps(told[-1], folder)
        say(f"{number} of {len(subjects)}: {told[-1].said}")
    _, pixels = window_of(setup, subjects[0])
    insides = Insides(explainer.filters(pixels), *explainer.features(pixels))
    _write_table(told, folder / TABLE)
    facts = {
        "command": "explain",
        **made_on(),
        **(about or {}),
        **about_settings(task),
        "effort": asdict(question.effort),
        "seconds": round(time.monotonic() - began, 2),
    }
    (folder / MARK).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    page = reasons_page(name, told, insides, facts)
    (folder / REASONS).write_text(render(page), encoding="utf-8")
    return told


def _one(number: int, subject: Subject, setup: Setup, explainer: Explainer, effort: Effort) -> Explained:
    """One subject with its reasons, from its own window alone."""
    window, pixels = window_of(setup, subject)
    cells = cells_of(explainer.logits(pixels), window, subject, setup.task)
    reasons = explainer.why(pixels, subject.kind, cells, effort)
    return _explained(number, subject, window, pixels, reasons, _alone(setup, pixels, subject, cells), setup)


def _refuse_other_results(folder: Path) -> None:
    """Reasons take the place of earlier reasons, never of what was found."""
    mark = folder / MARK
    if mark.is_file() and _command_of(mark) != "explain":
        raise FormatError(f"{folder}: found another command's results; they are not replaced; choose another --out")


def _command_of(mark: Path) -> str:
    """Empty if the account cannot be read: then nobody knows whose results they are."""
    try:
        return str(json.loads(mark.read_text(encoding="utf-8"))["command"])
    except (ValueError, TypeError, KeyError):
        return ""


def _with_network(file: Path) -> Checkpoint:
    if str(file) in LABEL_FREE and not file.exists():
        raise CheckpointError(
            f"found {file}, a method without a network: there is nothing to ask; need a trained model"
        )
    model = Checkpoint.load(file)
    if not hasattr(model.task, "network"):
        raise CheckpointError(f"{file}: found a model without a network: there is nothing to ask; need a trained one")
    return model


# -- which objects -----------------------------------------------------------------------------------------------------


def _subjects(image: Image, model: Checkpoint, setup: Setup, question: Question) -> list[Subject]:
    if question.at_um:
        return [_at(place, image, model, setup, question.device) for place in _places(question.at_um, image)]
    if question.objects < 1:
        raise SettingsError(f"found --objects {question.objects}; need one or more, or a place with --at")
    outlining = is_outlining(setup.task)
    found = _outlined(setup, question.objects) if outlining else _marked(image, model, setup, question.device)
    chosen = _ends(found, question.objects)
    if not chosen:
        raise FormatError(
            "found nothing in this image, so there is nothing to explain; name a place with --at (in µm) to ask why nothing "
            "was found there, or lower the model's threshold"
        )
    return chosen


TIERS: tuple[Callable[[Subject], bool], ...] = (
    lambda one: one.point or (one.size >= SPECK and not one.cut),
    lambda one: one.point or one.size >= SPECK,
    lambda one: True,
)
"""Which objects are worth explaining, the best first: whole ones, those that are no specks, any."""


def _ends(found: Sequence[Subject], count: int) -> list[Subject]:
    """The most certain and the least, half of `count` each, of the first tier that has as many."""
    some = list(found)
    for tier in TIERS:
        some = [subject for subject in found if tier(subject)]
        if len(some) >= count:
            break
    ranked = sorted(some, key=lambda one: -(one.confidence or 0.0))
    half = -(-count // 2)
    least = ranked[half:][::-1][: count - half]
    return [replace(one, why="most certain") for one in ranked[:half]] + [
        replace(one, why="least certain") for one in least
    ]


def _promising(found: Sequence[Subject], count: int) -> list[Subject]:
    """Those that `_ends` may yet choose, whatever is found elsewhere: few, however large the image."""
    kept: dict[int, Subject] = {}
    for tier in TIERS:
        ranked = sorted((one for one in found if tier(one)), key=lambda one: -(one.confidence or 0.0))
        kept |= {id(one): one for one in (*ranked[:count], *ranked[-count:])}
    return list(kept.values())


def _marked(image: Image, model: Checkpoint, setup: Setup, device: str) -> list[Subject]:
    """Every point that is found."""
    found = predict(image, model, device=device)
    assert isinstance(found, Points)
    each = zip(found.position_um, found.confidence, found.kind, strict=True)
    return [_spot(position, int(kind), float(confidence), setup) for position, confidence, kind in each]


def _spot(position_um: Array, kind: int, confidence: float | None, setup: Setup) -> Subject:
    voxel = np.round(setup.working.to_voxels(np.asarray(position_um, float)[None])[0]).astype(int)
    voxel = np.clip(voxel, 0, np.array(setup.working.shape) - 1)
    box = Box(tuple(map(int, voxel)), tuple(int(v) + 1 for v in voxel))
    one = np.ones((1,) * len(voxel), bool)
    return Subject(
        kind=kind, position_um=np.asarray(position_um, float), confidence=confidence, box=box, voxels=one, point=True
    )


def _outlined(setup: Setup, count: int) -> list[Subject]:
    """Objects that are outlined, one window after the other: of those that go on in the next, the part in this one."""
    plan = setup.plan()
    kept: list[Subject] = []
    for block in plan.blocks:
        kept = _promising([*kept, *_in_block(setup, plan, block)], count)
    return kept


def _in_block(setup: Setup, plan: Plan, block: Block) -> Iterator[Subject]:
    numbers, confidence = _numbered(setup, plan, block)
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        if place is None:
            continue
        own = numbers[place] == number
        box = Box(tuple(s.start for s in place), tuple(s.stop for s in place))
        each = [float(channel[place][own].mean()) for channel in confidence]
        kind = int(np.argmax(each))
        start = tuple(a + b for a, b in zip(box.start, block.write.start, strict=True))
        here = Box(start, tuple(a + n for a, n in zip(start, own.shape, strict=True)))
        cut = any(
            (a == c and c > 0) or (b == d and d < n)
            for a, b, c, d, n in zip(
                here.start, here.stop, block.write.start, block.write.stop, plan.shape, strict=True
            )
        )
        middle = np.array(here.start) + deepest(own)
        yield Subject(
            kind=kind,
            position_um=setup.working.to_um(middle[None])[0],
            confidence=each[kind],
            box=here,
            voxels=own,
            cut=cut,
        )


def _numbered(setup: Setup, plan: Plan, block: Block) -> tuple[Array, Floats]:
    """Objects of one block, numbered from 1, and the confidences ``(kinds, *space)`` there, as the engine decides but for
    what the block cuts: of an object that goes on beyond it only what lies inside counts.
    """
    regions = setup.task.regions  # type: ignore[attr-defined]
    context = regions.objects
    maps = run_block(setup.forward, setup.prepare, setup.working, plan, block, context)
    (first, *_) = block.tiles
    inner = block.write.relative_to(first.read.start if context else block.write.start)
    found = setup.task.decode(maps)
    assert isinstance(found, Labels)
    confidence = np.asarray(maps.data)[(slice(0, regions.confidences), *inner.slices())]
    graded = np.round(confidence[0] * STEPS).astype(np.uint8)
    labels = tidy(np.asarray(found.image.data)[inner.slices()], regions, setup.working.spacing_um, graded)
    if regions.counted:
        return labels.astype(np.int32), confidence
    numbers, count = np.zeros(labels.shape, np.int32), 0
    for kind in range(1, int(labels.max(initial=0)) + 1):
        pieces, more = ndimage.label(labels == kind)
        numbers += np.where(pieces, pieces + count, 0).astype(np.int32)
        count += more
    return numbers, confidence


def deepest(own: Array) -> Array:
    """The voxel ``(ndim,)`` of an object that lies furthest from its rim."""
    depth = ndimage.distance_transform_edt(np.pad(own, 1))
    return np.array(np.unravel_index(int(depth.argmax()), depth.shape)) - 1


def _places(numbers: Sequence[float], image: Image) -> list[tuple[float, ...]]:
    ndim = image.ndim
    if len(numbers) % ndim:
        raise SettingsError(
            f"found {len(numbers)} numbers for --at; need {ndim} for each place in this image: "
            f"{'z y x' if ndim == 3 else 'y x'} in µm"
        )
    if not np.isfinite(numbers).all():
        raise SettingsError(f"found --at {' '.join(f'{n:g}' for n in numbers)}; need finite numbers, in µm")
    return [tuple(numbers[n : n + ndim]) for n in range(0, len(numbers), ndim)]


def _at(place: Sequence[float], image: Image, model: Checkpoint, setup: Setup, device: str) -> Subject:
    """The object at a place or, where nothing was found, the voxel there."""
    position = np.asarray(place, float)
    voxel = image.to_voxels(position[None])[0]
    if np.any(voxel < -0.5) or np.any(voxel > np.array(image.shape) - 0.5):
        ends = image.to_um(np.stack([np.zeros(image.ndim), np.array(image.shape) - 1]))
        reach = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in ends.T)
        said = " ".join(f"{p:g}" for p in place)
        raise SettingsError(
            f"found --at {said}; need a place in the image, which goes from {reach} µm; is it in µm, as (z,) y, x?"
        )
    spot = _spot(position, 0, None, setup)
    if not is_outlining(setup.task):
        return _nearest(_marked(image, model, setup, device), spot, setup)
    plan = setup.plan()
    block = next(b for b in plan.blocks if _holds(b.write, spot.box.start))
    for subject in _in_block(setup, plan, block):
        if (
            _holds(subject.box, spot.box.start)
            and subject.voxels[spot.box.relative_to(subject.box.start).slices()].all()
        ):
            return replace(subject, position_um=position, why="asked for")
    return replace(spot, why="asked for; nothing was found here")


NEAR_PX = 12
"""A point this near a place that is asked for, in voxels of the task's grid, is meant."""


def _nearest(found: Sequence[Subject], spot: Subject, setup: Setup) -> Subject:
    reach = NEAR_PX * max(setup.working.spacing_um)
    near = [(float(np.linalg.norm(one.position_um - spot.position_um)), n) for n, one in enumerate(found)]
    distance, number = min(near, default=(np.inf, 0))
    if distance > reach:
        return replace(spot, why="asked for; nothing was found here")
    return replace(found[number], why="asked for")


def _holds(box: Box, voxel: Sequence[int]) -> bool:
    return all(a <= v < b for a, v, b in zip(box.start, voxel, box.stop, strict=True))


# -- the window --------------------------------------------------------------------------------------------------------


def window_of(setup: Setup, subject: Subject) -> tuple[Box, Floats]:
    """Where to look for reasons, on the working grid, and the pixels ``(C, *space)`` there as the network is given them.

    Around the object's middle, as large as it with as much again on every side, within bounds; 0 beyond the image.
    """
    ndim, grid = setup.working.ndim, setup.task.grid
    coarsest = getattr(setup.task, "reduction", ())  # where axes are halved as their voxels are long
    unit = lcm(COARSEST, grid.multiple, grid.stride, *coarsest)
    low, high = round_up(SMALLEST[ndim], unit), round_up(LARGEST[ndim], unit)
    middle = np.round(setup.working.to_voxels(subject.position_um[None])[0]).astype(int)
    sides = [int(np.clip(round_up(2 * n, unit), low, high)) for n in subject.box.shape]
    starts = [int(m - n // 2) // grid.stride * grid.stride for m, n in zip(middle, sides, strict=True)]
    starts = [_inside(a, n, size, grid.stride) for a, n, size in zip(starts, sides, setup.working.shape, strict=True)]
    window = Box(tuple(starts), tuple(a + n for a, n in zip(starts, sides, strict=True)))
    return window, read_prepared(setup.working, window, setup.prepare)


def _inside(start: int, side: int, length: int, stride: int) -> int:
    """Moved into the image as far as it fits."""
    last = max(0, length - side)
    return min(max(0, start), -(-last // stride) * stride)


def cells_of(logits: Floats, window: Box, subject: Subject, task: Task) -> Array:
    """``(*cells)`` booleans: for which cells of the window the network's mean answer is explained.

    Of an outlined object those whose middle lies in it; of a point the highest of the cells around it.
    """
    cells, stride = logits.shape[1:], task.grid.stride
    # A network without padding answers for the inner part of a window; its first cell then lies further in.
    first = [(n - (m - 1) * stride - 1) / 2 for n, m in zip(window.shape, cells, strict=True)]
    if subject.point:
        return _peak(logits[subject.kind], window, subject, first, stride)
    centres = np.meshgrid(*[f + stride * np.arange(m) for f, m in zip(first, cells, strict=True)], indexing="ij")
    places = [np.round(c + a - s).astype(int) for c, a, s in zip(centres, window.start, subject.box.start, strict=True)]
    within = np.all([(p >= 0) & (p < n) for p, n in zip(places, subject.voxels.shape, strict=True)], axis=0)
    held = tuple(np.clip(p, 0, n - 1) for p, n in zip(places, subject.voxels.shape, strict=True))
    chosen: Array = within & subject.voxels[held]
    return chosen if chosen.any() else _peak(logits[subject.kind], window, subject, first, stride)


def _peak(logit: Floats, window: Box, subject: Subject, first: Sequence[float], stride: int) -> Array:
    """The highest cell of those around the middle of a subject; where nothing was found, the cell there."""
    middle = [(a + b - 1) / 2 for a, b in zip(subject.box.start, subject.box.stop, strict=True)]
    nearest = [round((m - a - f) / stride) for m, a, f in zip(middle, window.start, first, strict=True)]
    reach = 0 if subject.confidence is None else 1
    around = tuple(
        slice(int(np.clip(c - reach, 0, n - 1)), int(np.clip(c + reach, 0, n - 1)) + 1)
        for c, n in zip(nearest, logit.shape, strict=True)
    )
    part = logit[around]
    best = np.unravel_index(int(part.argmax()), part.shape)
    chosen = np.zeros(logit.shape, bool)
    chosen[tuple(s.start + int(b) for s, b in zip(around, best, strict=True))] = True
    return chosen


# -- what is written ---------------------------------------------------------------------------------------------------


def _alone(setup: Setup, pixels: Floats, subject: Subject, cells: Array) -> float | None:
    """The confidence that the window gives without what lies around it; None where its maps have other cells."""
    maps = setup.forward(pixels[None])[0]
    return float(maps[subject.kind][cells].mean()) if maps.shape[1:] == cells.shape else None


def _explained(
    number: int,
    subject: Subject,
    window: Box,
    pixels: Floats,
    reasons: Reasons,
    alone: float | None,
    setup: Setup,
) -> Explained:
    outline = np.zeros(window.shape, bool)
    here = subject.box.relative_to(window.start)
    start = tuple(max(0, a) for a in here.start)
    stop = tuple(min(n, b) for n, b in zip(window.shape, here.stop, strict=True))
    if all(a < b for a, b in zip(start, stop, strict=True)):
        part = tuple(slice(a - h, b - h) for a, b, h in zip(start, stop, here.start, strict=True))
        outline[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = subject.voxels[part]
    working = setup.working
    origin = working.to_um(np.array(window.start, float)[None])[0]
    middle = np.round(working.to_voxels(subject.position_um[None])[0]).astype(int) - window.start
    names = getattr(setup.task, "classes", ())
    return Explained(
        number=number,
        kind=names[subject.kind] if subject.kind < len(names) else setup.task.name,
        why=subject.why,
        position_um=tuple(float(p) for p in subject.position_um),
        confidence=subject.confidence,
        alone=alone,
        cut=subject.cut,
        shown=pixels.mean(axis=0),
        outline=outline,
        plane=int(np.clip(middle[0], 0, window.shape[0] - 1)) if len(window.shape) == 3 else None,
        spacing_um=working.spacing_um,
        origin_um=tuple(map(float, origin)),
        reasons=reasons,
    )


def _write_maps(told: Explained, folder: Path) -> None:
    stem = f"object-{told.number}"
    (folder / f"{stem}.png").write_bytes(draw_reasons(told))
    maps = {
        "integrated-gradients": told.reasons.gradients,
        "occlusion": told.reasons.occluded,
        "grad-cam": told.reasons.cam,
        "window": told.shown,
    }
    axes = "zyx"[-len(told.spacing_um) :]
    for what, values in maps.items():
        write(Image(values, axes, told.spacing_um, told.origin_um), folder / f"{stem}-{what}.tif")


def _write_table(told: Sequence[Explained], path: Path) -> None:
    names = "zyx"[-len(told[0].position_um) :]
    figures = [one.figures for one in told]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["object", *(f"{a}_um" for a in names), "class", "why", "confidence", *figures[0]])
        for one, values in zip(told, figures, strict=True):
            confidence = "" if one.confidence is None else f"{one.confidence:.4f}"
            place = [f"{p:.6g}" for p in one.position_um]
            table.writerow([one.number, *place, one.kind, one.why, confidence, *(f"{v:.6g}" for v in values.values())])
