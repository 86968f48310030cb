"""What a run did and what a mask spared it, for its report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Blocks that were computed or skipped, and the seconds this took and, at the same pace, spared.

    `removed` is what was found in computed blocks and lay outside the mask: points, or voxels.
    """

    blocks: int
    skipped: int
    seconds: float
    saved_seconds: float
    removed: int


def account(facts: Collection[Mapping[str, Any]]) -> Work:
    """From what the ledger notes of every block: `skipped`, or `seconds` and what was `removed`."""
    computed = [each for each in facts if not each.get("skipped")]
    skipped = len(facts) - len(computed)
    seconds = sum(each["seconds"] for each in computed)
    return Work(
        blocks=len(facts),
        skipped=skipped,
        seconds=round(seconds, 2),
        saved_seconds=round(skipped * seconds / len(computed), 2) if computed else 0.0,
        removed=sum(each["removed"] for each in computed),
    )
