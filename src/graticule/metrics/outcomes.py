"""What became of every single object: which to look at first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from graticule.example import Example
from graticule.image import Array, Image
from graticule.metrics.instances import Meetings, known_of, meetings, objects_of, small, voxels_of
from graticule.results import Labels

Fate = Literal["found", "split", "merged", "missed", "false"]

ROUGH = 0.1
"""IoU from which a missed object is told beside the found one that resembles it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object.

    Attributes
    ----------
    verdict
        A true object is *split* if several found ones lie in it, *merged* if it lies in one with others, else *found* if one
        agrees with it above an IoU of 0.5, and *missed* if none does. A found one that plays no part in any of that is
        *false*.
    true, found
        Numbers of the true object and of the found one that agrees best with it; 0 where there is none.
    iou
        Of these two.
    true_voxels, found_voxels
        Of each where the truth is known.
    place_um
        A place in the object, as near to its middle as there is one.
    """

    verdict: Fate
    true: int
    found: int
    iou: float
    true_voxels: int
    found_voxels: int
    place_um: tuple[float, ...]


def outcomes(found: Labels, example: Example) -> tuple[Outcome, ...]:
    """Every true object that is judged and every false one, the worst first: by IoU, then the largest."""
    (our_names, ours), (their_names, theirs) = small(voxels_of(found)), small(objects_of(example))
    seen = meetings(ours, theirs, known_of(example))
    best = _best(seen)
    rows = [*_true_ones(seen, best, _places(theirs, found.image)), *_false_ones(seen, best, _places(ours, found.image))]
    named = [replace(row, true=int(their_names[row.true]), found=int(our_names[row.found])) for row in rows]
    return tuple(sorted(named, key=lambda row: (row.iou, -max(row.true_voxels, row.found_voxels))))


def _best(seen: Meetings) -> Array:
    """``(M,)``: for every true object the place, in `ours`, of the pair that agrees best; -1 where none meets it."""
    best = np.full(len(seen.true), -1)
    order = np.argsort(seen.iou, kind="stable")
    best[seen.theirs[order]] = order
    return best


def _verdicts(seen: Meetings, best: Array) -> list[Fate]:
    """Of every true object."""
    iou = np.append(seen.iou, 0.0)[best]
    inside = 2 * seen.common > seen.area[seen.theirs]
    merged = np.isin(np.arange(len(seen.true)), seen.theirs[inside & seen.merges()[seen.ours]])
    said = np.select([seen.splits(), merged, iou > 0.5], ["split", "merged", "found"], "missed")
    verdicts: list[Fate] = said.tolist()
    return verdicts


def _true_ones(seen: Meetings, best: Array, place_of: Callable[[int], tuple[float, ...]]) -> list[Outcome]:
    verdicts, rows = _verdicts(seen, best), []
    for m in np.flatnonzero(seen.counted):
        number, at = int(seen.true[m]), int(best[m])
        alike = at >= 0 and (verdicts[m] != "missed" or seen.iou[at] > ROUGH)
        n = int(seen.ours[at]) if alike else -1
        iou, partner, size = (float(seen.iou[at]), int(seen.found[n]), int(seen.size[n])) if alike else (0.0, 0, 0)
        rows.append(Outcome(verdicts[m], number, partner, iou, int(seen.area[m]), size, place_of(number)))
    return rows


def _false_ones(seen: Meetings, best: Array, place_of: Callable[[int], tuple[float, ...]]) -> list[Outcome]:
    """Found objects that no true one has anything to do with."""
    likely = best[best >= 0]
    partners = seen.ours[likely[seen.iou[likely] > ROUGH]]
    pieces = seen.ours[(2 * seen.common > seen.size[seen.ours]) & seen.splits()[seen.theirs]]
    told = seen.merges() | np.isin(np.arange(len(seen.found)), np.concatenate([partners, pieces]))
    return [
        Outcome("false", 0, int(seen.found[n]), 0.0, 0, int(seen.size[n]), place_of(int(seen.found[n])))
        for n in np.flatnonzero(seen.judged & ~told)
    ]


def _places(numbers: Array, image: Image) -> Callable[[int], tuple[float, ...]]:
    """Of an object by its number: the place in µm of its voxel that lies nearest to its middle."""
    boxes = ndimage.find_objects(numbers)

    def place_of(number: int) -> tuple[float, ...]:
        box = boxes[number - 1]
        voxels = np.argwhere(numbers[box] == number)
        middle = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        start = [part.start for part in box]
        return tuple(float(um) for um in image.to_um((middle + start)[None])[0])

    return place_of
