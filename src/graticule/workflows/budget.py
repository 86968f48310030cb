"""What a run may take and what it will: memory, time, room on disk."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

from graticule.errors import MemoryLimitError, SettingsError
from graticule.inference import Plan
from graticule.inference.plan import MB
from graticule.inference.run import run_block
from graticule.task import Regions
from graticule.workflows.predict import Setup, is_outlining

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
ASIDE = 250 * MB
"""For what grows beside the blocks: chunks being compressed, pages being read, the regions of all blocks."""

WITH_COARSER = 4 / 3
"""What a result takes with its coarser levels: of planes a quarter more for the first of them, of volumes an eighth."""

AFTERWARDS = 0.3
"""Time for joining regions and coarser levels, as a share of that for the maps."""


def bytes_of(text: str) -> int:
    """A number of bytes as people write it.

    >>> bytes_of("2GB"), bytes_of("500 MB"), bytes_of("1.5g")
    (2000000000, 500000000, 1500000000)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    try:
        if found is None:
            raise ValueError
        number = float(found[1])
    except ValueError as error:
        raise SettingsError(f"found --memory {text}; need a number of bytes such as 2GB or 500MB") from error
    return int(number * UNITS[found[2].upper()])


def budget(memory: int | None) -> int | None:
    """Of `memory` for the whole program, what is left for the blocks: less what it takes already, and what grows aside."""
    if memory is None:
        return None
    taken = resident() + ASIDE
    if memory <= taken:
        raise MemoryLimitError(
            f"found {memory / MB:,.0f} MB for all; the program alone takes {taken / MB:,.0f} MB; give more with --memory"
        )
    return memory - taken


def resident() -> int:
    """Bytes of memory this process takes now."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. `output_bytes` is before compression: the most that it can be."""

    peak_bytes: int
    output_bytes: int
    seconds: float


def _voxel_bytes(regions: Regions) -> int:
    """Of a voxel of the result: its confidences and its label."""
    return regions.confidences + (4 if regions.counted else 1)


def estimate(setup: Setup, plan: Plan) -> Estimate:
    """By computing the block in the middle of the image, and counting."""
    peak = resident() + ASIDE + plan.peak_bytes if plan.peak_bytes else 0  # before what follows takes a part of it
    block = plan.blocks[len(plan.blocks) // 2]
    began = time.monotonic()
    maps = run_block(setup.forward, setup.prepare, setup.working, plan, block)
    setup.task.decode(maps)
    outlines = is_outlining(setup.task)
    share = prod(plan.shape) / max(1, prod(block.write.shape))
    if plan.grid.blended:  # windows that several blocks need are computed once
        share = len(set(plan.tiles)) / len(block.tiles)
    seconds = (time.monotonic() - began) * share / plan.workers * (1 + AFTERWARDS * outlines)
    output = round(prod(plan.shape) * WITH_COARSER * _voxel_bytes(setup.task.regions)) if outlines else 0  # type: ignore[attr-defined]
    return Estimate(peak, output, seconds)
