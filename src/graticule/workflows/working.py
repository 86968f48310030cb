"""What a task works on: its view of an image, on its grid, and the grey levels there."""

from __future__ import annotations

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.image import Image
from graticule.inference import make_plan
from graticule.task import DRAWN, Levels, Task


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
    return to_spacing(view, task.grid.spacing_um)


def levels_for(task: Task, working: Image) -> Levels:
    """Grey levels of the whole image on the task's grid; what a task draws has none that are unknown."""
    return DRAWN if is_viewing(task) else levels(working)
