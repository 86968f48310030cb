"""From image files to folders of results, one for each image."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, FormatError, GraticuleError, SettingsError
from graticule.image import Image
from graticule.inference import Plan
from graticule.inference.run import Progress
from graticule.io import READERS, image_name, read, write
from graticule.nets.forward import choose_device
from graticule.report.overlay import draw_overlay
from graticule.results import Points, Result
from graticule.settings import to_plain
from graticule.task import Task
from graticule.workflows.predict import joint_task, plan, predict
from graticule.workflows.provenance import made_on, sha256
from graticule.workflows.results import MARK, check_result_folder, result_folder

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

    @cached_property
    def task(self) -> Task:
        return joint_task(self.models)

    @cached_property
    def about_models(self) -> list[dict[str, Any]]:
        """For run.json."""
        return [
            {
                "file": str(file.resolve()),
                "sha256": sha256(file),
                "made": model.made_by.get("time"),
                "score": model.made_by.get("score"),
            }
            for file, model in zip(self.files, self.models, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was found in one image, and where it is written."""

    image: str
    folder: Path
    counts: Mapping[str, int]
    seconds: float


def load_models(files: Sequence[Path], thresholds: Sequence[float] = ()) -> tuple[Checkpoint, ...]:
    """The models in `files`, at other thresholds than their own if any are given: one for all classes, or one each."""
    pictures = [str(file) for file in files if file.suffix.lower() in READERS]
    if pictures:
        raise CheckpointError(
            f"found the image {pictures[0]} where a model is needed; name images before --model: "
            "graticule predict IMAGE… --model MODEL -o DIR"
        )
    models = [Checkpoint.load(file) for file in files]
    return tuple(replace(model, task=_at(model.task, thresholds)) for model in models)


def _at(task: Any, thresholds: Sequence[float]) -> Task:
    if not thresholds:
        return task  # type: ignore[no-any-return]
    if "thresholds" not in {f.name for f in fields(task)}:
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
    return replace(task, thresholds=each)  # type: ignore[no-any-return]


def image_files(given: Sequence[Path]) -> list[Path]:
    """The files, with folders opened: all images in them. Two of the same name would get the same result folder."""
    files: list[Path] = []
    for path in given:
        inside = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in READERS and p.name[0] != ".")
            if path.is_dir()
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
    choose_device(job.device)
    if job.mask is not None and not job.mask.exists():
        raise FormatError(f"{job.mask}: found no such file or folder; give a mask, or a folder of masks")
    if job.mask is not None and job.mask.is_file() and len(files) > 1:
        raise FormatError(f"{job.mask}: found one mask for {len(files)} images; give a folder with a mask of each name")
    assert job.task is not None
    for file in files:
        check_result_folder(job.out / image_name(file))


def predict_file(file: Path, job: Job, progress: Progress | None = None) -> Done:
    """Find what the models were made for in one file, and write it all, or nothing, to ``OUT/NAME``."""
    began = time.monotonic()
    with naming(file):
        image = open_image(file, job.reading)
        mask_file = _mask_file(job.mask, file)
        mask = None if mask_file is None else _open_mask(mask_file, image)
        margin_um = job.mask_margin_nm * NM
        found = predict(
            image, job.models, mask=mask, mask_margin_um=margin_um, tta=job.tta, device=job.device, progress=progress
        )
    folder = job.out / image_name(file)
    seconds = time.monotonic() - began
    with result_folder(folder) as aside:
        write_objects(found, image, aside, class_diameters_um(job.task), title=file.name)
        facts = _facts(file, image, mask_file, found, job, seconds)
        (aside / MARK).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    return Done(image=image_name(file), folder=folder, counts=counts(found), seconds=seconds)


def plan_file(file: Path, job: Job) -> tuple[Image, Plan]:
    """What `predict_file` would do."""
    with naming(file):
        image = open_image(file, job.reading)
        return image, plan(image, job.models)


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


def write_objects(
    found: Result, image: Image, folder: Path, diameters_um: Mapping[str, float], *, title: str = ""
) -> None:
    """The table, ImageJ's selections (none if nothing was found), and a picture to look at."""
    assert isinstance(found, Points), "labels come with the first task that makes some"
    write(found, folder / "objects.csv", on=image)
    if len(found):
        write(found, folder / "objects.zip", on=image)
    draw_overlay(found, image, folder / "overlay.png", diameters_um=diameters_um, title=title)


def class_diameters_um(task: Task) -> dict[str, float]:
    """Of each class, as far as the task has classes with sizes: for rings around what was found."""
    settings = to_plain(task)
    pairs = zip(settings.get("classes", ()), settings.get("diameters_nm", ()), strict=False)
    return {name: diameter_nm * NM for name, diameter_nm in pairs}


def counts(found: Result) -> dict[str, int]:
    """Objects of each class."""
    assert isinstance(found, Points)
    return {name: int((found.kind == kind).sum()) for kind, name in enumerate(found.kinds)}


def _mask_file(mask: Path | None, file: Path) -> Path | None:
    """The mask of this image: itself, or that of the image's name in a folder."""
    if mask is None or mask.is_file():
        return mask
    name = image_name(file)
    own = [path for path in sorted(mask.iterdir()) if image_name(path) == name and path.suffix.lower() in READERS]
    if not own:
        raise FormatError(f"{file}: found no mask of the name {name} in {mask}; add one, or leave --mask out")
    return own[0]


def _open_mask(file: Path, image: Image) -> Image:
    mask = read(file, spacing_um=image.spacing_um)
    if mask.shape != image.shape:
        found, needed = (" x ".join(map(str, shape)) for shape in (mask.shape, image.shape))
        raise FormatError(f"{file}: found a mask of {found} pixels; need {needed}, as the image has; redraw it on it")
    return mask


def _facts(file: Path, image: Image, mask: Path | None, found: Result, job: Job, seconds: float) -> dict[str, Any]:
    """run.json: all that is needed to say where a number came from, and to get it again."""
    settings = to_plain(job.task)
    about_mask = None
    if mask is not None:
        about_mask = {"file": str(mask.resolve()), "sha256": sha256(mask), "margin_nm": job.mask_margin_nm}
    laid_out = plan(image, job.models)
    return {
        "command": "predict",
        **made_on(),
        "image": about_image(file, image),
        "models": job.about_models,
        "task": job.task.name,
        "settings": settings,
        "thresholds": dict(zip(settings.get("classes", ()), settings.get("thresholds", ()), strict=False)),
        "mask": about_mask,
        "tta": job.tta,
        "device": choose_device(job.device),
        "seed": job.seed,
        "plan": {"summary": str(laid_out), "tiles": len(laid_out.tiles), "spacing_um": laid_out.spacing_um},
        "read_as": {name: value for name, value in asdict(job.reading).items() if value is not None},
        "counts": counts(found),
        "seconds": round(seconds, 2),
    }


def about_image(file: Path, image: Image) -> dict[str, Any]:
    """For run.json: which pixels these were."""
    return {
        "file": str(file.resolve()),
        "sha256": sha256(file),
        "axes": image.axes,
        "shape": list(image.data.shape),
        "dtype": str(image.data.dtype),
        "spacing_um": list(image.spacing_um),
    }
