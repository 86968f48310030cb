"""From reviews to a dataset that `train` learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from graticule.box import Box
from graticule.errors import DatasetError
from graticule.example import Example
from graticule.image import Array
from graticule.io import dataset
from graticule.results import Labels, Result
from graticule.review import Item, Region, Session
from graticule.review.agreement import merged
from graticule.review.item import as_points
from graticule.review.known import known, voxels_in
from graticule.workflows.predict import on_voxels_of
from graticule.workflows.results import check_new_folder
from graticule.workflows.review import Reviewed, load_result, results_in, reviews

REACH_PX = 8
"""Around a point of unknown size, so many pixels go with it."""


@dataclass(frozen=True, slots=True)
class Collected:
    """One image of the new dataset: what is in it, and the share of it that is known."""

    image: str
    reviewers: tuple[str, ...]
    objects: int
    disputed: int
    known: float


def collect(folders: Sequence[Path], out: Path, *, who: str = "", image_file: Path | None = None) -> list[Collected]:
    """Write what was accepted in the results in `folders` as the new dataset `out`; `who`: by this reviewer only.
    `image_file` says where the image of a single result is now, if it was moved.

    Where several reviewed a result the majority counts, and what exactly half of them accepted stays unknown. The
    dataset is complete only where somebody looked (its ``masks/``): nothing else is taught as background.
    """
    check_new_folder(out)
    examples, told, diameters_nm, kinds = [], [], dict[str, float](), list[str]()
    for folder in (inside for given in folders for inside in results_in(given)):
        reviewed = load_result(folder, image_file=image_file)
        sessions = [s for s in reviews(reviewed) if s.last is not None and who in ("", s.who)]
        if not sessions:
            continue
        example, facts = _example(reviewed, sessions)
        examples.append(example)
        told.append(facts)
        diameters_nm |= {name: um * 1000 for name, um in reviewed.diameters_um.items()}
        kinds += [kind for kind in reviewed.proposals.kinds if kind not in kinds]
    if not examples:
        by = f" by {who}" if who else ""
        raise DatasetError(
            f"found no decision{by} in these results; need at least one; review them: graticule review RUN"
        )
    dataset.write(out, examples, classes=kinds, diameters_nm=diameters_nm)
    return told


def reach_um(reviewed: Reviewed) -> float:
    """What belongs to a point of unknown size, and how far apart two reviewers' points of one object may be."""
    return max(reviewed.diameters_um.values(), default=REACH_PX * min(reviewed.image.spacing_um))


def _example(reviewed: Reviewed, sessions: Sequence[Session]) -> tuple[Example, Collected]:
    reach = reach_um(reviewed)
    seen = np.any([known(session, reach) for session in sessions], axis=0)
    if len(sessions) == 1:
        [session] = sessions
        items = [item for item in session.items.values() if item.status == "accepted"]
        regions = [session.outline(item.id) for item in items] if session.outlined else []
        disputed: Sequence[Item] = ()
    else:
        together = merged(sessions, reach)
        items, regions, disputed = list(together.items), list(together.regions), together.disputed
    for item in disputed:
        field = tuple(x - reach for x in item.position_um), tuple(x + reach for x in item.position_um)
        seen[voxels_in(field, reviewed.image).slices()] = False
    image = reviewed.image
    complete = None if seen.all() else replace(image, data=seen.astype(np.uint8), axes=image.axes[-image.ndim :])
    example = Example(reviewed.name, image, _truth(reviewed, items, regions), complete)
    names = tuple(session.who for session in sessions)
    return example, Collected(reviewed.name, names, len(items), len(disputed), float(seen.mean()))


def _truth(reviewed: Reviewed, items: Sequence[Item], regions: Sequence[Region]) -> Result:
    if reviewed.proposals.labels is None:
        return as_points(items, reviewed.proposals.kinds, reviewed.image.ndim)
    place = reviewed.proposals.labels.image
    numbers: Array = np.zeros(place.shape, np.uint16 if len(items) < 2**16 else np.uint32)
    for number, region in enumerate(regions, start=1):
        box: Box = region.box
        numbers[box.slices()][region.mask] = number
    drawn = replace(place, data=numbers)
    return Labels(drawn if place.shape == reviewed.image.shape else on_voxels_of(reviewed.image, drawn))
