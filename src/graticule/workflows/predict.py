"""Find what a model was made for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from graticule.arrays.resample import planned_shape, with_shape
from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError
from graticule.image import SPATIAL, Image
from graticule.inference import Plan, averaged, in_steps, make_plan, run, symmetric
from graticule.inference.find import Finding, Search
from graticule.inference.gate import Gate
from graticule.inference.maps import KeptMaps
from graticule.inference.outline import Outlining
from graticule.inference.plan import stored_chunk
from graticule.inference.run import Prepare, Progress
from graticule.inference.store import Store
from graticule.io.omezarr_write import CHUNK_2D, CHUNK_3D
from graticule.results import Labels, Points, Result
from graticule.settings import to_plain
from graticule.task import Forward, Task
from graticule.workflows.working import is_viewing, levels_for, on_grid

CHUNKS = {2: CHUNK_2D, 3: CHUNK_3D}


def predict(
    image: Image,
    models: Checkpoint | Sequence[Checkpoint],
    *,
    mask: Image | None = None,
    mask_margin_um: float = 0.0,
    tta: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Result:
    """What the model, or the mean of several models of one task, finds in `image`.

    Labels come back in memory, on the image's own voxels; `predict_file` writes those of larger images block by block.

    Parameters
    ----------
    image
        At any magnification: it is resampled to the model's pixel size, and results are in µm and fit the original.
    mask
        Not 0 where objects may be; shows the same as `image`, in as many voxels or in fewer. Nothing is computed where
        it is 0, but for what lies up to `mask_margin_um` outside it.
    tta
        Average over the eight symmetries of a square: eight times slower, a little more accurate.
    """
    models = as_list(models)
    setup = set_up(image, models, tta=tta, device=device)
    gate = None if mask is None else Gate(mask, setup.working, mask_margin_um)
    if is_outlining(setup.task):
        labels = outlined(setup, setup.plan(stored=True), gate, progress)
        return Labels(on_voxels_of(image, labels))
    with TemporaryDirectory(prefix="graticule-") as folder:
        store = Store.begin(Path(folder) / "run", {})
        found, _ = finding(setup, setup.plan(), store, gate).go(progress)
    return within(found, image)


def outlined(setup: Setup, plan: Plan, gate: Gate | None, progress: Progress | None = None) -> Image:
    """The labels of a task that outlines, on the voxels it works on, in memory."""
    with TemporaryDirectory(prefix="graticule-") as folder:
        job = outlining(setup, plan, Store.begin(Path(folder) / "run", {}), gate)
        job.go(progress)
        return Image(np.asarray(job.labels.image.data[...]), *_place(setup.working))


def predict_maps(
    image: Image,
    models: Sequence[Checkpoint],
    *,
    tta: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Image:
    """The maps that `predict` decodes: decoding them anew at another threshold needs no network."""
    setup = set_up(image, models, tta=tta, device=device)
    return run(setup.forward, setup.prepare, setup.working, setup.plan(), progress)


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A task made ready for one image.

    Attributes
    ----------
    working
        What the task sees of the image, on its grid.
    measured
        What a label-free task measured on it.
    maps
        Where the maps of each block are kept; None: nowhere.
    """

    task: Task
    image: Image
    working: Image
    forward: Forward
    prepare: Prepare
    measured: dict[str, Any]
    maps: KeptMaps | None = None

    def plan(self, *, stored: bool = False, memory: int | None = None, size: tuple[int, ...] = ()) -> Plan:
        """What there is to do; `stored`: in blocks of whole chunks; see `make_plan`."""
        return plan_of(self.task, self.working, stored=stored, memory=memory, size=size)


def set_up(image: Image, models: Sequence[Checkpoint], *, tta: bool = False, device: str = "auto") -> Setup:
    """All that has to be known of the whole image, measured once, and a function from pixels to maps."""
    task = joint_task(models)
    working = on_grid(task, image)
    measure = getattr(task, "measure", None)
    measured = {} if measure is None else dict(measure(working))
    known = [replace(model, weights={**measured, **model.weights}) for model in models]
    forward = joint_forward(known, tta, device)
    return Setup(task, image, working, forward, partial(task.prepare, levels=levels_for(task, working)), measured)


def plan(image: Image, models: Sequence[Checkpoint], *, memory: int | None = None) -> Plan:
    """What `predict` would do."""
    task = joint_task(models)
    if is_viewing(task):
        return plan_of(task, on_grid(task, image), stored=is_outlining(task), memory=memory)
    _check_fits(image, task)
    spacing = task.grid.spacing_um or image.spacing_um
    shape = planned_shape(image, spacing)
    stand_in = Image(np.broadcast_to(np.uint8(0), shape), image.axes, spacing)
    return plan_of(task, stand_in, stored=is_outlining(task), memory=memory)


def plan_of(task: Task, working: Image, *, stored: bool, memory: int | None = None, size: tuple[int, ...] = ()) -> Plan:
    """Blocks over an image that lies on the task's grid."""
    chunk = chunk_of(task, working.ndim) if stored else ()
    return make_plan(working, task.grid, chunk=chunk, memory=memory, workers=cores(), size=size)


def _check_fits(image: Image, task: Task) -> None:
    """Too many axes are said as such, before voxel sizes are compared."""
    if image.ndim != len(task.grid.spacing_um or image.spacing_um) or len(image.axes) != image.ndim:
        make_plan(image, task.grid)


def outlining(setup: Setup, plan: Plan, store: Store, gate: Gate | None) -> Outlining:
    """The run of a task whose results are labels."""
    return Outlining(
        task=setup.task,
        regions=setup.task.regions,  # type: ignore[attr-defined]
        forward=setup.forward,
        prepare=setup.prepare,
        image=setup.working,
        plan=plan,
        store=store,
        chunk=chunk_of(setup.task, setup.working.ndim),
        gate=gate,
        maps=setup.maps,
    )


def finding(setup: Setup, plan: Plan, store: Store, gate: Gate | None) -> Finding:
    """The run of a task whose results are points."""
    return Finding(
        task=setup.task,
        forward=setup.forward,
        prepare=setup.prepare,
        image=setup.working,
        plan=plan,
        store=store,
        gate=gate,
        maps=setup.maps,
    )


def searching(setup: Setup, plan: Plan, gate: Gate | None) -> Search:
    """The same in memory, with nothing noted on disk."""
    return Search(
        task=setup.task,
        forward=setup.forward,
        prepare=setup.prepare,
        image=setup.working,
        plan=plan,
        gate=gate,
        maps=setup.maps,
    )


def chunk_of(task: Task, ndim: int) -> tuple[int, ...]:
    """Chunks that results are stored in."""
    return stored_chunk(task.grid, ndim, CHUNKS[ndim])


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_outlining(task: Task) -> bool:
    """Whether its results are labels."""
    return hasattr(task, "regions")


def on_voxels_of(image: Image, labels: Image) -> Image:
    """`labels`, found on another grid, on the image's own voxels."""
    return replace(with_shape(labels, image.shape, order=0), spacing_um=image.spacing_um, origin_um=image.origin_um)


def _place(image: Image) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    return SPATIAL[-image.ndim :], image.spacing_um, image.origin_um


def as_list(models: Checkpoint | Sequence[Checkpoint]) -> list[Checkpoint]:
    """One model or several, as several."""
    return [models] if isinstance(models, Checkpoint) else list(models)


def joint_task(models: Sequence[Checkpoint]) -> Task:
    """The task of an ensemble: all models find the same classes on the same grid; thresholds are averaged."""
    first = models[0].task
    for other in models[1:]:
        if other.task.name != first.name or _identity(other.task) != _identity(first) or other.task.grid != first.grid:
            raise CheckpointError(
                "found models of different tasks, classes or pixel sizes; an ensemble needs models trained alike"
            )
    return first if len(models) == 1 else first.averaged([m.task for m in models])


def joint_forward(models: Sequence[Checkpoint], tta: bool, device: str) -> Forward:
    """The mean of the models' maps, over turned and mirrored views if asked for."""
    forward, grid = averaged([m.task.forward(m.weights, device) for m in models]), models[0].task.grid
    if tta:
        forward = symmetric(forward, grid.vector)
    return in_steps(forward) if grid.blended and (tta or len(models) > 1) else forward


def _identity(task: Task) -> object:
    return to_plain(task).get("classes")


def within(found: Points, image: Image) -> Points:
    """Those whose centre lies on the image: a voxel's area counts, not just its centre."""
    voxels = image.to_voxels(found.position_um)
    on_image = (voxels >= -0.5) & (voxels <= np.array(image.shape) - 0.5)
    return found[np.all(on_image, axis=1)]
