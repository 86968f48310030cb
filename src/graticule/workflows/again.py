"""Deciding again: what a run would have found at other settings, from the maps that it kept, without its network.

The engine, its blocks and what is written are those of `graticule predict`; only the maps come from the disk. The models
themselves need not be there any more, and torch is not loaded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from graticule.box import Box
from graticule.errors import FormatError, SettingsError, StoreError
from graticule.image import Image
from graticule.inference import Plan
from graticule.inference.gate import Gate
from graticule.inference.maps import Graded, KeptMaps
from graticule.inference.run import maps_on
from graticule.io import read
from graticule.results import Labels, Result
from graticule.settings import from_plain
from graticule.task import Task
from graticule.tasks import LABEL_FREE, TASKS
from graticule.workflows.masks import open_mask
from graticule.workflows.predict import Setup, is_outlining, on_voxels_of, outlined, plan_of, searching, within
from graticule.workflows.predict_files import Done, about_settings
from graticule.workflows.provenance import fingerprint, made_on, sha256
from graticule.workflows.report import write_report
from graticule.workflows.results import MAPS, MARK, resumable_folder
from graticule.workflows.review import reading_of, run_of, same_image
from graticule.workflows.write_found import write_outlines, write_points

NM = 1e-3  # µm


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A result with the maps it was decided by.

    Attributes
    ----------
    folder
        ``OUT/NAME``.
    run
        What its run.json says.
    image
        What it was made of; read where it is sliced.
    task
        At the run's settings.
    working
        Where the voxels lie that the maps were computed on; what they showed is not known any more.
    plan
        The run's blocks.
    mask, margin_um
        Where the run looked, and how far outside that; None: everywhere.
    """

    folder: Path
    run: Mapping[str, Any]
    image: Image
    task: Task
    working: Image
    plan: Plan
    mask: Image | None
    margin_um: float

    @classmethod
    def load(cls, folder: Path, *, image_file: Path | None = None) -> Self:
        """The result in `folder`; `image_file` says where the image is now, if it was moved.

        Raises
        ------
        FormatError
            If no maps were kept, or the image (or the mask) is another now.
        """
        run = run_of(folder)
        if "maps" not in run or not (folder / MAPS).is_dir():
            raise FormatError(f"{folder}: found no maps of this result; need them to decide anew; predict anew")
        source = image_file or Path(run["image"]["file"])
        same_image(source, run["image"], folder)
        image = read(source, **reading_of(run))
        task, working = _task(run, folder), _working(run["maps"])
        plan = _plan(task, working, run["plan"])
        if (len(plan.blocks), len(plan.tiles)) != (run["plan"]["blocks"], run["plan"]["tiles"]):
            raise FormatError(f"{folder}: found maps of blocks that this version lays otherwise; predict anew")
        return cls(folder, run, image, task, working, plan, *_mask(run, image, folder))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def maps(self) -> KeptMaps:
        """Those of each block."""
        return KeptMaps(self.folder / MAPS)

    def setup(self, task: Task) -> Setup:
        """For the engine: `task` with the kept maps in place of a network; refused if it does not fit them."""
        _check_fits(self, task)

        def missing(_: Any) -> NoReturn:
            raise StoreError(
                f"{self.folder}: found no maps of a part that is asked for (the run looked inside its mask only); need them "
                "to decide anew; predict anew with this mask"
            )

        return Setup(task, self.image, self.working, missing, missing, {}, self.maps)

    def gate(self, mask: Image | None, margin_um: float) -> Gate | None:
        """Where to look: `mask`, or where the run did."""
        if mask is not None:
            return Gate(mask, self.working, margin_um)
        return None if self.mask is None else Gate(self.mask, self.working, self.margin_um)


def decide(kept: Kept, task: Task, *, mask: Image | None = None, mask_margin_nm: float = 0.0) -> Result:
    """What `graticule predict` finds with the settings of `task`, in memory.

    Points lie within the image. Labels of a plane lie on its own pixels, those of a volume on the voxels the model works on.

    Parameters
    ----------
    task
        `kept.task` with other values of its `adjustable` settings.
    mask
        Not 0 where objects may be, up to `mask_margin_nm` outside it; None: where the run looked. Of what the run did not
        look at there are no maps.

    Raises
    ------
    SettingsError
        If the maps do not hold for these settings.
    StoreError
        If the mask asks for a part that was not computed.
    """
    setup, gate = kept.setup(task), kept.gate(mask, mask_margin_nm * NM)
    if not is_outlining(task):
        return within(searching(setup, kept.plan, gate).points(), kept.image)
    labels = outlined(setup, kept.plan, gate)
    return Labels(on_voxels_of(kept.image, labels) if kept.image.ndim == 2 else labels)


def write_again(
    kept: Kept,
    task: Task,
    out: Path,
    *,
    mask: Path | None = None,
    mask_margin_nm: float = 0.0,
    pictures: bool = True,
) -> Done:
    """The folder ``OUT/NAME`` that `graticule predict` writes with these settings; see `decide`.

    Its run.json says, under ``again``, whose maps it was decided by. Without `pictures` there is neither overlay.png nor
    report.html, which take most of the time.
    """
    began = time.monotonic()
    folder = out / kept.name
    if folder.resolve() == kept.folder.resolve():
        raise FormatError(
            f"{folder}: found the result whose maps are asked for, which would be lost; choose another place"
        )
    setup = kept.setup(task)
    gate = kept.gate(None if mask is None else open_mask(mask, kept.image), mask_margin_nm * NM)
    masked = kept.run.get("mask") if mask is None else {**fingerprint(mask), "margin_nm": mask_margin_nm}
    identity = {
        **{name: kept.run.get(name) for name in ("image", "read_as", "models", "tta", "measured")},
        "mask": masked,
        **about_settings(task),
    }
    write = write_outlines if is_outlining(task) else write_points
    with resumable_folder(folder, identity, resume=False, worth_keeping=False) as store:
        found = write(setup, kept.plan, store, gate, kept.name, None, picture=pictures)
        facts = {
            "command": "predict",
            **made_on(),
            **identity,
            **{name: kept.run.get(name) for name in ("device", "seed", "plan")},
            "again": {
                "maps_of": str(kept.folder.resolve()),
                "run_sha256": sha256(kept.folder / MARK),
                "time": kept.run.get("time"),
                "versions": kept.run.get("versions"),
            },
            **found.facts,
            "counts": found.counts,
            "said": found.said,
            "seconds": round(time.monotonic() - began, 2),
        }
        (store.folder / MARK).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
        if pictures:
            write_report(store.folder, name=kept.name, image=kept.image)
    return Done(image=kept.name, folder=folder, counts=found.counts, said=found.said, seconds=facts["seconds"])


def heat(kept: Kept) -> Image | None:
    """How likely each class is, ``(K, *cells)`` in whole 255ths, to be laid over the image; put together where it is sliced.

    0 where the run did not look; None if it looked nowhere. The cells may be larger than the image's voxels: spacing and
    origin say where they lie.
    """
    count = _confidences(kept)
    if all(kept.maps.where(block) is None for block in range(len(kept.plan.blocks))):
        return None
    whole = Box((0,) * len(kept.plan.shape), kept.plan.shape)
    return maps_on(Graded(kept.maps, kept.plan, count), whole, kept.plan)


def _confidences(kept: Kept) -> int:
    """How many of the maps, from the first, are confidences, one for each class; others say e.g. where a point lies."""
    if is_outlining(kept.task):
        return int(kept.task.regions.confidences)  # type: ignore[attr-defined]
    return len(getattr(kept.task, "classes", ())) or 1


# -- from run.json -----------------------------------------------------------------------------------------------------


def _task(run: Mapping[str, Any], folder: Path) -> Task:
    kinds = {**TASKS, **LABEL_FREE}
    if run.get("task") not in kinds:
        raise FormatError(
            f"{folder}: found a result of task {run.get('task')!r}; this version knows {', '.join(kinds)}; predict anew"
        )
    task: Task = from_plain(kinds[run["task"]], run["settings"], str(folder / MARK))
    return task


def _working(place: Mapping[str, Any]) -> Image:
    blank = np.broadcast_to(np.uint8(0), tuple(place["shape"]))
    return Image(blank, place["axes"], tuple(place["spacing_um"]), tuple(place["origin_um"]))


def _plan(task: Task, working: Image, told: Mapping[str, Any]) -> Plan:
    return plan_of(task, working, stored=is_outlining(task), size=tuple(told["block"]))


def _mask(run: Mapping[str, Any], image: Image, folder: Path) -> tuple[Image | None, float]:
    told = run.get("mask")
    if not told:
        return None, 0.0
    source = Path(told["file"])
    now = fingerprint(source) if Path(str(source).split(":/")[0]).exists() else {}
    if any(now.get(name) != value for name, value in told.items() if name not in ("file", "margin_nm")):
        raise FormatError(f"{folder}: found that the mask {source} is not there, or is another now; predict anew")
    return open_mask(source, image), told["margin_nm"] * NM


def _check_fits(kept: Kept, task: Task) -> None:
    """The maps hold for `task`: it sees the same, in the same blocks."""
    if type(task) is not type(kept.task):
        raise SettingsError(f"{kept.folder}: found maps of {kept.task.name}, not of {task.name}; predict anew")
    redrawn = getattr(task, "redrawn", ())
    free = [name for name in task.adjustable if name not in redrawn]
    before = {field.name: getattr(kept.task, field.name) for field in fields(kept.task)}  # type: ignore[arg-type]
    fixed = [name for name, value in before.items() if name not in free and getattr(task, name) != value]
    if fixed:
        raise SettingsError(
            f"{kept.folder}: found another {', '.join(fixed)} than the maps were made with; they hold for other "
            f"{', '.join(free)}; predict anew"
        )
    if _plan(task, kept.working, kept.run["plan"]).blocks != kept.plan.blocks:
        reaching = [name for name in free if getattr(task, name) != before[name]]
        raise SettingsError(
            f"{kept.folder}: found a change of {', '.join(reaching)} by which results depend on more, or less, around each "
            "block than was kept; need a run at these settings; predict anew"
        )
