"""Everything that is wrong with an annotated dataset, or looks it, at once: before anyone waits for a training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from graticule.errors import DatasetError
from graticule.example import Example
from graticule.io.atomic import replacing
from graticule.io.dataset import Survey, Truth, survey
from graticule.report.greys import draw_greys
from graticule.results import Points
from graticule.workflows.dataset_facts import (
    NM,
    ClassFacts,
    ImageFacts,
    class_facts,
    class_line,
    image_facts,
    image_line,
)
from graticule.workflows.label_facts import label_problem, label_warnings, nothing_outlined
from graticule.workflows.misplaced import Misplaced, marks_of, misplaced

ONE_SPOT = 0.5
"""Marks nearer to one another than this share of their diameter are on one spot."""

CLIPPED = 0.05
"""Share of pixels at either end of what the file can hold from which on grey levels are taken to be cut off."""

PICTURES = (".png", ".svg", ".pdf")
FEW_LEVELS = 32
FEW_MARKS = 10
UNLIKE_STATED = 1.5
"""Ratio of measured to stated diameters that blur cannot explain."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What keeps a dataset from being used, what is worth a look, and what is in it.

    Attributes
    ----------
    problems
        Each has to be mended; one sentence each.
    warnings
        Each may be right as it is.
    """

    folder: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    images: tuple[ImageFacts, ...]
    classes: tuple[ClassFacts, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        lines = [*map(image_line, self.images), *map(class_line, self.classes)]
        for head, sentences in (("problem", self.problems), ("warning", self.warnings)):
            lines += [f"{head}: {sentence}" for sentence in sentences]
        count = len(self.problems)
        verdict = "nothing wrong" if self.ok else f"{count} problem{'s' if count > 1 else ''} to mend"
        return "\n".join([*lines, f"{self.folder}: {len(self.images)} images, {verdict}"])


def check(
    folder: str | Path,
    *,
    spacing_um: Sequence[float] | None = None,
    points_unit: str | None = None,
    channel: str | int | None = None,
    truth: Truth | None = None,
) -> CheckReport:
    """Look at every image and every mark in `folder`; the options are those of `io.dataset.load`."""
    folder = Path(folder)
    seen = survey(folder, spacing_um=spacing_um, points_unit=points_unit, channel=channel, truth=truth)
    examples = seen.dataset.examples if seen.dataset is not None else ()
    names = seen.dataset.classes if seen.dataset is not None else ()
    by_name = {example.name: example for example in examples}
    images = tuple(image_facts(name, image, by_name.get(name), names) for name, image in seen.images.items())
    # Of outlined classes, the images' shares say it all.
    marked = any(isinstance(example.truth, Points) for example in examples)
    classes = tuple(class_facts(name, examples, seen) for name in names) if marked or not examples else ()
    places = _places(seen, by_name, classes, points_unit, folder)
    # What is said of marks that are not where they should be would only distract from that.
    sound = [example for example in examples if example.name not in places.images]
    problems = [*map(str, seen.faults), *places.problems, *_flat(images)]
    problems += [sentence for example in examples if (sentence := label_problem(example, names))]
    nothing = nothing_outlined(examples, names)
    problems += [nothing] if nothing else []
    warnings = [*places.warnings, *_grey_warnings(images)]
    warnings += _mask_warnings([one for one in images if one.name not in places.images])
    diameters_nm = {one.name: one.stated_nm or one.measured_nm for one in classes}
    warnings += [sentence for example in sound if (sentence := _twice(example, diameters_nm))]
    warnings += [] if nothing else label_warnings(examples, names)
    if not problems:
        warnings += _class_warnings(classes)
    return CheckReport(str(folder), tuple(problems), tuple(warnings), images, classes)


def write_check(report: CheckReport, path: Path) -> None:
    """All of it as JSON; or, if the file's name ends in .png, .svg or .pdf, the grey levels of what is outlined."""
    if path.suffix.lower() not in PICTURES:
        with replacing(path) as aside:
            aside.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
        return
    told = {one.name: one.outlined for one in report.images if one.outlined is not None}
    if not told:
        raise DatasetError(
            f"{report.folder}: found no readable outlines to draw grey levels of; need labels/; name a .json file instead"
        )
    draw_greys({name: (one.levels, one.inside_shares, one.outside_shares) for name, one in told.items()}, path)


def _places(
    seen: Survey, by_name: Mapping[str, Example], classes: Sequence[ClassFacts], unit: str | None, folder: Path
) -> Misplaced:
    """About points that sit on no spots; of flat images only, where a spot is a disc."""
    every, flat = [], {name: image for name, image in seen.images.items() if image.axes == "yx"}
    for name, image in flat.items():
        marks = (
            marks_of(name, image, seen.tables.get(name, {}), by_name.get(name), unit) if image.axes == "yx" else None
        )
        if marks is not None and len(marks.numbers):
            every.append(marks)
    sizes = [nm * NM for one in classes if (nm := one.stated_nm) is not None]
    sizes = sizes or [nm * NM for one in classes if (nm := one.measured_nm) is not None]
    return misplaced(every, min(sizes, default=None), folder)


def _flat(images: Sequence[ImageFacts]) -> list[str]:
    return [
        f"{one.name}: found the same grey level, {one.grey[0]:g}, in all pixels; need a picture; export it again"
        for one in images
        if one.grey[0] == one.grey[2]
    ]


def _twice(example: Example, diameters_nm: Mapping[str, float | None]) -> str:
    """About marks so near to one another that they must be on one spot; empty if there are none."""
    truth = example.truth
    if not isinstance(truth, Points) or len(truth) < 2:
        return ""
    known = np.array([diameters_nm.get(name) or 0.0 for name in truth.kinds]) * NM * ONE_SPOT
    reach_um = known[truth.kind]
    near = sorted(KDTree(truth.position_um).query_pairs(max(float(reach_um.max()), 1e-9)))
    apart = {(i, j): float(np.linalg.norm(truth.position_um[i] - truth.position_um[j])) for i, j in near}
    pairs = [(i, j) for (i, j), um in apart.items() if um <= min(reach_um[i], reach_um[j])]
    if not pairs:
        return ""
    listed = "; ".join(_pair(example, truth, i, j) for i, j in pairs[:5])
    more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
    return f"{example.name}: {len(pairs)} times two marks on one spot ({listed}{more}); remove one each"


def _pair(example: Example, truth: Points, i: int, j: int) -> str:
    x, y = example.image.to_voxels(truth.position_um[[i]])[0][:-3:-1]
    kinds = " and ".join(dict.fromkeys(truth.kinds[int(truth.kind[k])] for k in (i, j)))
    return f"{kinds} at x {x:.0f}, y {y:.0f} px"


def _grey_warnings(images: Sequence[ImageFacts]) -> list[str]:
    said = []
    for one in (one for one in images if one.cells is None):  # numbers of cells are no grey levels
        for share, end in zip(one.clipped, ("black", "white"), strict=True):
            if share > CLIPPED:
                said.append(f"{one.name}: {share:.0%} of the pixels are fully {end}; were grey levels cut off?")
        low, _, high = one.grey
        if one.dtype not in ("bool",) and "float" not in one.dtype and 0 < high - low < FEW_LEVELS:
            said.append(f"{one.name}: only grey levels {low:g} to {high:g} occur; was it saved with too little range?")
    kinds = sorted({one.dtype for one in images})
    return [*said, f"images are of different types: {', '.join(kinds)}"] if len(kinds) > 1 else said


def _mask_warnings(images: Sequence[ImageFacts]) -> list[str]:
    return [
        f"{one.name}: {one.outside_mask} of {sum(one.objects.values())} marks lie outside the mask; they are learnt "
        "from, but not judged"
        for one in images
        if one.outside_mask
    ]


def _class_warnings(classes: Sequence[ClassFacts]) -> list[str]:
    said = [
        f"class {one.name}: only {one.count} marked in {one.images} images; more would make figures trustworthy"
        for one in classes
        if one.count < FEW_MARKS
    ]
    ratios = {
        one.name: one.measured_nm / one.stated_nm
        for one in classes
        if one.measured_nm is not None and one.stated_nm is not None
    }
    unlike = {name: ratio for name, ratio in ratios.items() if not 1 / UNLIKE_STATED < ratio < UNLIKE_STATED}
    for one in classes:
        if one.name in unlike:
            said.append(
                f"class {one.name}: marked spots measure {one.measured_nm:.3g} nm, not {one.stated_nm:.3g} nm; is the "
                "pixel size right, or the class?"
            )
    return said
