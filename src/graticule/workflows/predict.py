"""Find what a model was made for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.ndimage import distance_transform_edt

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, FormatError
from graticule.image import Image
from graticule.inference import Plan, averaged, make_plan, run, symmetric
from graticule.inference.run import Progress
from graticule.results import Points, Result
from graticule.settings import to_plain
from graticule.task import Forward, Task


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

    Parameters
    ----------
    image
        At any magnification: it is resampled to the model's pixel size, and results are in µm and fit the original.
    mask
        Not 0 where objects may be; same place and shape as `image`. Objects up to `mask_margin_um` outside it are kept.
    tta
        Average over the eight symmetries of a square: eight times slower, a little more accurate.
    """
    models = [models] if isinstance(models, Checkpoint) else list(models)
    task = joint_task(models)
    maps = predict_maps(image, models, tta=tta, device=device, progress=progress)
    found = task.decode(maps)
    if isinstance(found, Points):
        found = within(found, image)
        if mask is not None:
            found = inside_mask(found, mask, image, mask_margin_um)
    return found


def predict_maps(
    image: Image,
    models: Sequence[Checkpoint],
    *,
    tta: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Image:
    """The maps that `predict` decodes: decoding them anew at another threshold needs no network."""
    task = joint_task(models)
    working = to_spacing(image, task.grid.spacing_um)
    prepare = partial(task.prepare, levels=levels(working))
    return run(joint_forward(models, tta, device), prepare, working, make_plan(working, task.grid), progress)


def plan(image: Image, models: Sequence[Checkpoint]) -> Plan:
    """What `predict` would do."""
    task = joint_task(models)
    shape = tuple(
        max(1, round(n * a / b)) for n, a, b in zip(image.shape, image.spacing_um, task.grid.spacing_um, strict=False)
    )
    if len(shape) != len(task.grid.spacing_um) or image.ndim != len(shape):
        return make_plan(image, task.grid)
    stand_in = Image(np.broadcast_to(np.uint8(0), shape), image.axes, task.grid.spacing_um)
    return make_plan(stand_in, task.grid)


def joint_forward(models: Sequence[Checkpoint], tta: bool, device: str) -> Forward:
    """The mean of the models' maps, over turned and mirrored views if asked for."""
    forward = averaged([m.task.forward(m.weights, device) for m in models])
    return symmetric(forward, models[0].task.grid.vector) if tta else forward


def joint_task(models: Sequence[Checkpoint]) -> Task:
    """The task of an ensemble: all models find the same classes on the same grid; thresholds are averaged."""
    first = models[0].task
    for other in models[1:]:
        if other.task.name != first.name or _identity(other.task) != _identity(first) or other.task.grid != first.grid:
            raise CheckpointError(
                "found models of different tasks, classes or pixel sizes; an ensemble needs models trained alike"
            )
    return first if len(models) == 1 else first.averaged([m.task for m in models])


def _identity(task: Task) -> object:
    return to_plain(task).get("classes")


def within(found: Points, image: Image) -> Points:
    """Those whose centre lies on the image: a voxel's area counts, not just its centre."""
    voxels = image.to_voxels(found.position_um)
    on_image = (voxels >= -0.5) & (voxels <= np.array(image.shape) - 0.5)
    return found[np.all(on_image, axis=1)]


def inside_mask(found: Points, mask: Image, image: Image, margin_um: float = 0.0) -> Points:
    """Those on a voxel of `mask` that is not 0, or within `margin_um` of one."""
    if mask.shape != image.shape:
        raise FormatError(f"found a mask of {mask.shape} pixels for an image of {image.shape}; they must be the same")
    outside = np.asarray(mask.data[...]) == 0
    allowed = distance_transform_edt(outside, sampling=image.spacing_um) <= margin_um if outside.any() else ~outside
    voxels = np.clip(np.round(image.to_voxels(found.position_um)).astype(int), 0, np.array(image.shape) - 1)
    return found[allowed[tuple(voxels.T)]]
