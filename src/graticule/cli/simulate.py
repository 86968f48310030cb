"""``graticule simulate WHAT DIR``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common, Out
from graticule.cli.task_flags import app_of_kinds
from graticule.cli.voice import Voice
from graticule.simulate import SCENES


def simulate_scenes(
    out: Annotated[Out, Parameter(help="The dataset to make: a new or empty folder.")],
    *,
    kind: type[Any],
    settings: Mapping[str, Any],
    count: Annotated[int, Parameter(help="How many images; each is a specimen of its own.")] = 8,
    size: Annotated[int, Parameter(help="Height and width in pixels.")] = 512,
    common: Common = COMMON,
) -> None:
    """Make a dataset of images whose contents are known exactly, to try things on."""
    from graticule.results import Points
    from graticule.workflows.results import check_new_folder
    from graticule.workflows.simulate import simulate

    voice = Voice(common)
    check_new_folder(out)
    made = simulate(kind, out, count=count, size_px=size, seed=common.seed, settings=settings)
    objects = sum(len(example.truth) for example in made.examples if isinstance(example.truth, Points))
    what = f"{objects} objects ({', '.join(made.classes)})"
    voice.show(f"{out}: {len(made.examples)} images of {size} x {size} pixels with {what}")
    voice.finish({"out": str(out), "images": len(made.examples), "objects": objects, "classes": made.classes})


simulate = app_of_kinds(
    "simulate", "Make images whose contents are known exactly.", simulate_scenes, SCENES, without=("shape_px", "count")
)
