"""What a task works on: its view of an image, on its grid, and the grey levels there."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference import make_plan
from graticule.task import DRAWN, Levels, Task

MOST = 10
"""Times as fine as an image's voxels, by the mean of its axes, that a task's may be."""


def is_viewing(task: Task) -> bool:
    """Whether it looks at something that it draws itself."""
    return hasattr(task, "view")


def view_of(task: Task, image: Image) -> Image:
    """What the task looks at: the image itself, unless it is `Viewing`."""
    view: Image = task.view(image) if is_viewing(task) else image  # type: ignore[attr-defined]
    return view


def on_grid(task: Task, image: Image) -> Image:
    """The task's view of `image` on the task's grid; images with other axes than the task's are refused."""
    view = view_of(task, image)
    # Too many axes are said as such, before voxel sizes are compared.
    if view.ndim != len(task.grid.spacing_um or view.spacing_um) or len(view.axes) != view.ndim:
        make_plan(view, task.grid)
    _refuse_far_too_coarse(view.spacing_um, task.grid.spacing_um)
    return to_spacing(view, task.grid.spacing_um)


def _refuse_far_too_coarse(found_um: Sequence[float], needed_um: Sequence[float]) -> None:
    """What is made of one voxel shows nothing, and would fill the memory; most often a unit or a size is wrong."""
    if needed_um and prod(found_um) > MOST ** len(needed_um) * prod(needed_um):
        found, needed = (" x ".join(f"{s:.4g}" for s in dict.fromkeys(spacing)) for spacing in (found_um, needed_um))
        raise FormatError(
            f"found voxels of {found} µm; this model works on {needed} µm, more than {MOST} times as fine; need images that "
            "show as much; is the voxel size right (--spacing-um), and the model one for such images?"
        )


def levels_for(task: Task, working: Image) -> Levels:
    """Grey levels of the whole image on the task's grid; what a task draws has none that are unknown."""
    return DRAWN if is_viewing(task) else levels(working)
