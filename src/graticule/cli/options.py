"""Options that several commands share, each described once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

EVERYWHERE = Group("Every command", sort_key=100)
INPUT = Group("How to read the images", sort_key=50)


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes.

    Attributes
    ----------
    seed
        For everything that is drawn at random: the same seed on the same machine gives the same result.
    quiet
        Say nothing but errors (and the result, with --json).
    json
        Print the result as one JSON object, the last line of standard output; all else goes to standard error.
    traceback
        Show where in the program an error arose; for reports to us.
    """

    seed: int = 0
    quiet: Annotated[bool, Parameter(negative=())] = False
    json: Annotated[bool, Parameter(negative=())] = False
    traceback: Annotated[bool, Parameter(negative=())] = False


COMMON = Common()

Out = Annotated[Path, Parameter(name=("--out", "-o"))]

SpacingUm = Annotated[
    tuple[float, ...] | None,
    Parameter(
        group=INPUT,
        consume_multiple=True,
        negative=(),
        help="Pixel size in µm, where the files do not say it or are wrong: one number, or one per axis (z, y, x).",
    ),
]

Channel = Annotated[
    str | None,
    Parameter(group=INPUT, help="Which channel or colour to read: a number from 0, a name, or mean."),
]

Axes = Annotated[
    str | None, Parameter(group=INPUT, help="What the file's dimensions are, where it does not say, e.g. zyx.")
]

PointsUnit = Annotated[
    Literal["px", "um", "nm"] | None,
    Parameter(group=INPUT, help="What bare x,y columns of the annotation are in."),
]

Device = Annotated[
    str, Parameter(help="Where to compute: auto, cpu, cuda (an NVIDIA GPU) or mps (Apple). auto takes the fastest.")
]
