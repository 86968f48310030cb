"""Of an evaluation of single objects: a table of what became of each, the worst first, and pictures of the worst."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi, prod
from pathlib import Path

from graticule.example import Example
from graticule.metrics.outcomes import Outcome, outcomes
from graticule.report.gallery import crops
from graticule.results import Labels
from graticule.workflows.results import ERRORS, WORST

SHOWN = 14
"""Pictures of each sort of error."""

ACROSS = 3.0
"""A picture shows so many of its object's diameters, were it round."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An object with the image it is in."""

    outcome: Outcome
    found: Labels
    example: Example

    @property
    def voxel(self) -> float:
        """In µm², or µm³ of a volume."""
        return float(prod(self.example.image.spacing_um))

    @property
    def diameter_um(self) -> float:
        """Of a disc or a ball as large as the larger of the found and the true object."""
        size = max(self.outcome.true_voxels, self.outcome.found_voxels) * self.voxel
        return float(2 * (size / pi) ** 0.5 if self.example.image.ndim == 2 else (6 * size / pi) ** (1 / 3))


def write_worst_objects(found: Sequence[Labels], truth: Sequence[Example], folder: Path) -> None:
    """`WORST`, a row for every true and every false object of all images; and in `ERRORS` the first of each sort of error."""
    told = sorted(_every(found, truth), key=lambda one: (one.outcome.iou, -one.diameter_um))
    _write_table(told, folder / WORST)
    (folder / ERRORS).mkdir()
    for verdict in ("false", "missed", "merged", "split"):
        those = [one for one in told if one.outcome.verdict == verdict]
        for number, one in enumerate(those[:SHOWN], start=1):
            name = f"{verdict}-{number:02d} {one.example.name} {one.outcome.true or one.outcome.found}"
            said = f" IoU {one.outcome.iou:.2f}" if one.outcome.iou else ""
            (folder / ERRORS / f"{name}{said}.png").write_bytes(_picture(one))


def _every(found: Sequence[Labels], truth: Sequence[Example]) -> Iterator[Told]:
    for labels, example in zip(found, truth, strict=True):
        yield from (Told(outcome, labels, example) for outcome in outcomes(labels, example))


def _write_table(told: Sequence[Told], path: Path) -> None:
    ndim = max((one.example.image.ndim for one in told), default=3)
    size = "um2" if ndim == 2 else "um3"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        places = [f"{axis}_um" for axis in "xyz"[:ndim]]
        table.writerow(["image", "verdict", "object", "found", "iou", f"true_{size}", f"found_{size}", *places])
        for one in told:
            what = one.outcome
            sizes = [f"{n * one.voxel:.6g}" if n else "" for n in (what.true_voxels, what.found_voxels)]
            where = [f"{um:.6g}" for um in reversed(what.place_um)]
            numbers = [what.true or "", what.found or "", f"{what.iou:.4f}"]
            table.writerow([one.example.name, what.verdict, *numbers, *sizes, *where])


def _picture(one: Told) -> bytes:
    """The plane through the middle of the object, with the outlines of what was found and of what is true."""
    assert isinstance(one.example.truth, Labels)
    outlines = (one.found.image, one.example.truth.image)
    place = [one.outcome.place_um]
    [picture] = crops(one.example.image, place, [""], view_um=ACROSS * one.diameter_um, outlines=outlines)
    return picture.data
