"""``graticule simulate WHAT DIR``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common, Out
from graticule.cli.task_flags import app_of_kinds
from graticule.cli.voice import Voice
from graticule.simulate import SCENES

if TYPE_CHECKING:
    from graticule.io.dataset import Dataset


def simulate_scenes(
    out: Annotated[Out, Parameter(help="The dataset to make: a new or empty folder.")],
    *,
    kind: type[Any],
    settings: Mapping[str, Any],
    count: Annotated[int, Parameter(help="How many images; each is a specimen of its own.")] = 8,
    size: Annotated[int, Parameter(help="Pixels along each axis; 0: as usual for WHAT, e.g. 512 in a plane.")] = 0,
    common: Common = COMMON,
) -> None:
    """Make a dataset of images whose contents are known exactly, to try things on."""
    from graticule.workflows.results import check_new_folder
    from graticule.workflows.simulate import simulate

    voice = Voice(common)
    check_new_folder(out)
    made = simulate(kind, out, count=count, size_px=size, seed=common.seed, settings=settings)
    shape = " x ".join(map(str, made.examples[0].image.shape))
    what, facts = contents(made)
    voice.show(f"{out}: {len(made.examples)} images of {shape} pixels with {what}")
    voice.finish({"out": str(out), "images": len(made.examples), **facts, "classes": made.classes})


def contents(made: Dataset) -> tuple[str, dict[str, float]]:
    """How much there is to find in all images: in words, and for --json."""
    import numpy as np

    from graticule.results import Points

    marked = [example.truth for example in made.examples]
    points = [truth for truth in marked if isinstance(truth, Points)]
    if points:
        objects = sum(map(len, points))
        return f"{objects} objects ({', '.join(made.classes)})", {"objects": objects}
    outlined = [np.asarray(truth.image.data[...]) != 0 for truth in marked if not isinstance(truth, Points)]
    share = float(np.mean([voxels.mean() for voxels in outlined]))
    return f"{share:.0%} outlined ({', '.join(made.classes)})", {"outlined_share": round(share, 4)}


simulate = app_of_kinds(
    "simulate", "Make images whose contents are known exactly.", simulate_scenes, SCENES, without=("shape_px", "count")
)
