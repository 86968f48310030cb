"""From image files to folders of results, one for each image."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, FormatError, GraticuleError, SettingsError, StoreError
from graticule.image import Image
from graticule.inference import Plan
from graticule.inference.gate import Gate
from graticule.inference.maps import KeptMaps
from graticule.inference.run import Progress
from graticule.inference.store import identity_of
from graticule.io import READERS, image_name, is_image, read
from graticule.settings import to_plain
from graticule.task import Task
from graticule.tasks import LABEL_FREE
from graticule.workflows.budget import Estimate, budget, estimate
from graticule.workflows.choose_settings import adjusted
from graticule.workflows.masks import is_inside, is_single_mask, mask_of, open_mask
from graticule.workflows.predict import is_outlining, joint_task, set_up
from graticule.workflows.provenance import about_model, fingerprint, made_on
from graticule.workflows.report import write_report
from graticule.workflows.results import MAPS, MARK, check_result_folder, is_begun, resumable_folder, unfinished
from graticule.workflows.write_found import write_outlines, write_points

NM = 1e-3  # µm


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How image files are to be read, in place of what they say; see `graticule.io.read`."""

    spacing_um: tuple[float, ...] | None = None
    channel: str | None = None
    axes: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """What to do with every image.

    Attributes
    ----------
    models, files
        One model or an ensemble, and the files they came from.
    out
        Each image's results go to a folder of its name in here.
    mask
        A file, or a folder with a file of each image's name: where objects may be.
    mask_margin_nm
        How far outside the mask objects are kept.
    memory
        Bytes that the whole program may take at its peak; None: what the model's own tiles take.
    resume
        Go on with what an earlier run of the same job left unfinished, and leave what it finished as it is.
    keep_maps
        Leave the maps of every block in the result, under ``maps/``: see `workflows.again`. Nothing else changes.
    """

    models: tuple[Checkpoint, ...]
    files: tuple[Path, ...]
    out: Path
    reading: Reading = field(default_factory=Reading)
    mask: Path | None = None
    mask_margin_nm: float = 0.0
    tta: bool = False
    device: str = "auto"
    seed: int = 0
    memory: int | None = None
    resume: bool = False
    keep_maps: bool = False

    @cached_property
    def task(self) -> Task:
        return joint_task(self.models)

    @cached_property
    def about_models(self) -> list[dict[str, Any]]:
        """For run.json."""
        return [
            {
                **about_model(file),
                "made": model.made_by.get("time"),
                "score": model.made_by.get("score"),
                "learnt_from": list(model.made_by.get("learnt_from", ())),
                "chosen_on": list(model.made_by.get("chosen_on", ())),
            }
            for file, model in zip(self.files, self.models, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was found in one image, and where it is written.

    Attributes
    ----------
    counts
        Points of each class; of what was outlined, voxels of each class or the number of objects.
    said
        The same in a sentence, and what a mask spared.
    """

    image: str
    folder: Path
    counts: Mapping[str, int]
    said: str
    seconds: float


def load_models(
    files: Sequence[Path], thresholds: Sequence[float] = (), settings: Sequence[str] = ()
) -> tuple[Checkpoint, ...]:
    """The models in `files`, at other thresholds than their own if any are given: one for all classes, or one each.

    A method that needs no training goes by its name. `settings` are changed, as ``name=value``, where they can be.
    """
    pictures = [str(file) for file in files if file.suffix.lower() in READERS]
    if pictures:
        raise CheckpointError(
            f"found the image {pictures[0]} where a model is needed; name images before --model: "
            "graticule predict IMAGE… --model MODEL -o DIR"
        )
    return tuple(replace(one, task=_changed(one, thresholds, settings)) for one in map(load_model, files))


def _changed(model: Checkpoint, thresholds: Sequence[float], settings: Sequence[str]) -> Task:
    """Settings of a method come first, for there may be as many thresholds as classes; of a model last: what they say stays."""
    if model.weights:
        learnt: Task = adjusted(_at(model.task, thresholds), settings, every=False)
        return learnt
    return _at(adjusted(model.task, settings, every=True), thresholds)


def load_model(file: Path) -> Checkpoint:
    """The model in a file, or a label-free method by its name."""
    if str(file) in LABEL_FREE and not file.exists():
        return Checkpoint(LABEL_FREE[str(file)]())
    return Checkpoint.load(file)


def _at(task: Any, thresholds: Sequence[float]) -> Task:
    if not thresholds:
        return task  # type: ignore[no-any-return]
    names = {f.name for f in fields(task)}
    if "threshold" in names and len(thresholds) == 1:
        if not 0 < thresholds[0] <= 1:
            raise SettingsError(f"found --threshold {thresholds[0]:g}; need a number above 0, up to 1")
        return replace(task, threshold=thresholds[0])  # type: ignore[no-any-return]
    if "thresholds" not in names:
        raise SettingsError(f"found --threshold, but task {task.name} has none; leave it out")
    if not all(0 <= t <= 1 for t in thresholds):
        raise SettingsError(f"found --threshold {' '.join(f'{t:g}' for t in thresholds)}; need numbers from 0 to 1")
    count = len(task.classes)
    if len(thresholds) not in (1, count):
        raise SettingsError(
            f"found {len(thresholds)} numbers for --threshold; need 1, or {count}, "
            f"one for each of {', '.join(task.classes)}"
        )
    each = tuple(thresholds) * count if len(thresholds) == 1 else tuple(thresholds)
    return task.at_thresholds(each) if hasattr(task, "at_thresholds") else replace(task, thresholds=each)  # type: ignore[no-any-return]


def image_files(given: Sequence[Path]) -> list[Path]:
    """The files, with folders opened: all images in them. Two of the same name would get the same result folder."""
    files: list[Path] = []
    for path in given:
        inside = (
            sorted(p for p in path.iterdir() if is_image(p) and p.name[0] != ".")
            if path.is_dir() and not is_image(path)
            else [path]
        )
        if not inside:
            raise FormatError(f"{path}: found no image in this folder; need at least one ({', '.join(READERS)})")
        files += inside
    names = [image_name(file) for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(
            f"found two images called {twice}, whose results would get the same folder; do them in two runs, "
            "with another --out"
        )
    return files


def check_job(job: Job, files: Sequence[Path]) -> None:
    """Refuse what is wrong with the whole job before the first image is read."""
    from graticule.nets.forward import choose_device  # brings torch, which looking at results does without

    choose_device(job.device)
    if job.mask is not None and not job.mask.exists() and not is_inside(job.mask):
        raise FormatError(f"{job.mask}: found no such file or folder; give a mask, or a folder of masks")
    if job.mask is not None and is_single_mask(job.mask) and len(files) > 1:
        raise FormatError(f"{job.mask}: found one mask for {len(files)} images; give a folder with a mask of each name")
    assert job.task is not None
    folders = [job.out / image_name(file) for file in files]
    for folder in folders:
        check_result_folder(folder)
    if job.resume and not any(is_begun(folder) or (folder / MARK).is_file() for folder in folders):
        raise StoreError(f"{job.out}: found no unfinished run to resume; leave out --resume to begin one")


def predict_file(file: Path, job: Job, progress: Progress | None = None) -> Done:
    """Find what the models were made for in one file, and write it to ``OUT/NAME``; see `predict_image`."""
    with naming(file):
        image = open_image(file, job.reading)
        mask_file = mask_of(job.mask, file)
        mask = None if mask_file is None else open_mask(mask_file, image)
        about = {
            "image": about_image(file, image),
            "mask": None if mask_file is None else fingerprint(mask_file),
            "read_as": {name: value for name, value in asdict(job.reading).items() if value is not None},
        }
        return predict_image(image, job, image_name(file), mask=mask, about=about, progress=progress)


def predict_image(
    image: Image,
    job: Job,
    name: str,
    *,
    mask: Image | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Done:
    """Find what the models were made for in `image`, of any size, and write it to ``OUT/NAME``.

    The folder appears whole or not at all; what a run that was stopped has finished lies beside it, to be resumed. A job
    that is resumed leaves alone what is finished, and begins what it had not come to.
    `about` says where image and mask come from, for run.json and to know the same job again.
    """
    from graticule.nets.forward import choose_device

    began = time.monotonic()
    setup = set_up(image, job.models, tta=job.tta, device=job.device)
    folder = job.out / name
    size = _begun_size(folder) if job.resume else ()
    laid_out = setup.plan(stored=is_outlining(job.task), memory=budget(job.memory), size=size)
    gate = None if mask is None else Gate(mask, setup.working, job.mask_margin_nm * NM)
    identity = _identity(about or {"image": _about_voxels(image)}, job, laid_out, setup.measured)
    if job.keep_maps:
        identity["maps"] = {"folder": MAPS, **_place(setup.working)}
    resume = job.resume and is_begun(folder)
    if job.resume and not resume and (finished := _finished(folder, identity)):
        return finished
    write = write_outlines if is_outlining(job.task) else write_points
    many = len(laid_out.blocks) > 1
    with resumable_folder(folder, identity, resume=resume, worth_keeping=many) as store:
        kept = KeptMaps(store.folder / MAPS) if job.keep_maps else None
        found = write(replace(setup, maps=kept), laid_out, store, gate, name, progress)
        facts = {
            "command": "predict",
            **made_on(),
            **identity,
            "device": choose_device(job.device),
            "seed": job.seed,
            "plan": {"summary": str(laid_out), **identity["plan"]},
            **found.facts,
            "counts": found.counts,
            "said": found.said,
            "seconds": round(time.monotonic() - began, 2),
        }
        (store.folder / MARK).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
        write_report(store.folder, name=name, image=image)
    return Done(image=name, folder=folder, counts=found.counts, said=found.said, seconds=facts["seconds"])


def _begun_size(folder: Path) -> tuple[int, ...]:
    """Of the blocks of a run that is resumed: what memory is left differs a little from run to run, blocks must not."""
    plan = (identity_of(unfinished(folder)) if is_begun(folder) else _facts_of(folder)).get("plan", {})
    return tuple(plan.get("block", ()))


def _finished(folder: Path, identity: Mapping[str, Any]) -> Done | None:
    """The result in `folder`, if it is that of the same job."""
    facts, wanted = _facts_of(folder), json.loads(json.dumps(identity))
    if "said" not in facts or any(facts.get(key) != wanted[key] for key in wanted.keys() - {"plan"}):
        return None
    if any(facts["plan"].get(key) != value for key, value in wanted["plan"].items()):
        return None
    said = f"{facts['said']}, finished before"
    return Done(image=folder.name, folder=folder, counts=facts["counts"], said=said, seconds=facts["seconds"])


def _facts_of(folder: Path) -> dict[str, Any]:
    """What run.json of a result says; nothing if there is none."""
    try:
        facts: dict[str, Any] = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return facts
    except (OSError, ValueError):
        return {}


def plan_file(file: Path, job: Job) -> tuple[Image, Plan, Estimate]:
    """What `predict_file` would do, and what that would take: one block is computed to see."""
    with naming(file):
        image = open_image(file, job.reading)
        setup = set_up(image, job.models, tta=job.tta, device=job.device)
        laid_out = setup.plan(stored=is_outlining(job.task), memory=budget(job.memory))
        return image, laid_out, estimate(setup, laid_out)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Errors about an image's pixels or axes arise where its file is not known: here it is added."""
    try:
        yield
    except GraticuleError as error:
        if str(file) in str(error) or file.name in str(error):
            raise
        raise type(error)(f"{file}: {error}") from error


def open_image(file: Path, reading: Reading) -> Image:
    """The image in `file`."""
    return read(file, spacing_um=reading.spacing_um, channel=reading.channel, axes=reading.axes)


def _identity(about: Mapping[str, Any], job: Job, laid_out: Plan, measured: Mapping[str, Any]) -> dict[str, Any]:
    """All that the result depends on; also the better part of run.json, which says where a number came from."""
    mask = about.get("mask")
    return {
        **about,
        "mask": mask and {**mask, "margin_nm": job.mask_margin_nm},
        "models": job.about_models,
        **about_settings(job.task),
        "tta": job.tta,
        "plan": {
            "tiles": len(laid_out.tiles),
            "blocks": len(laid_out.blocks),
            "block": list(laid_out.size),
            "shape": list(laid_out.shape),
            "spacing_um": list(laid_out.spacing_um),
        },
        "measured": {name: _as_json(np.asarray(value).tolist()) for name, value in measured.items()},
    }


def about_settings(task: Task) -> dict[str, Any]:
    """For run.json: what was looked for, and how it was decided."""
    settings = to_plain(task)
    thresholds = dict(zip(settings.get("classes", ()), settings.get("thresholds", ()), strict=False))
    return {"task": task.name, "settings": settings, "thresholds": thresholds}


def _as_json(value: Any) -> Any:
    """JSON has no infinity, and no word for what is not a number."""
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def about_image(file: Path, image: Image) -> dict[str, Any]:
    """For run.json: which pixels these were."""
    return {**fingerprint(file), **_about_voxels(image)}


def _place(working: Image) -> dict[str, Any]:
    """Of the voxels that the maps were computed on: all but what they show."""
    return {
        "axes": working.axes,
        "shape": list(working.data.shape),
        "spacing_um": list(working.spacing_um),
        "origin_um": list(working.origin_um),
    }


def _about_voxels(image: Image) -> dict[str, Any]:
    return {
        "axes": image.axes,
        "shape": list(image.data.shape),
        "dtype": str(image.data.dtype),
        "spacing_um": list(image.spacing_um),
    }
