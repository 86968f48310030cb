"""Annotated points that sit on no spots: in which unit, at which scale, or moved how far, they would.

Works on the numbers in the tables themselves, so that it also helps where a table cannot be read for lack of a unit, or
where its points lie outside the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graticule.arrays.blobs import Polarity
from graticule.arrays.evidence import POLARITIES, Evidence, evidence
from graticule.arrays.registration import Placement, Registration, registration
from graticule.errors import GraticuleError
from graticule.example import Example
from graticule.image import Array, Image
from graticule.io.table import Table
from graticule.results import Points

ENOUGH = 5
"""Points of an image from which on it can be told whether they sit on spots."""

UNLIKE = 0.5
"""Share on spots below which the points of an image are taken to be misplaced; of random ones it is up to a fifth."""

EXAMINED = 4
"""Images that are searched for a better placement at most: a mistaken unit or scale is alike in all."""

LADDER_PX = (6.0, 10.0, 17.0, 30.0)
"""Diameters that are tried where none is known."""

NAMES = {"px": "pixels", "um": "µm", "nm": "nm", "mm": "mm", "share": "shares of the image's height and width"}

SLIGHT = 0.02
"""Relative difference below which scales found in several images are one."""

NEAR_PX = 4.0
"""Difference below which shifts found in several images are one."""


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The points of one image as its tables have them.

    Attributes
    ----------
    numbers
        ``(N, 2)``, y and x.
    unit
        ``"px"``, ``"um"`` or ``"nm"``; None where the columns do not say.
    said_by_column
        Whether the unit is in the columns' names; else it was given for bare ones.
    """

    name: str
    image: Image
    numbers: Array
    unit: str | None
    said_by_column: bool = True

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """By unit, what turns numbers into pixels, along y and x."""
        y, x = self.image.spacing_um
        height, width = self.image.shape
        return {
            "px": (1.0, 1.0),
            "um": (1 / y, 1 / x),
            "nm": (1e-3 / y, 1e-3 / x),
            "mm": (1e3 / y, 1e3 / x),
            "share": (float(height), float(width)),
        }

    @property
    def positions_px(self) -> Array:
        """``(N, 2)``, as the unit has it; bare numbers as pixels."""
        placed: Array = self.numbers * np.array(self.scales[self.unit or "px"])
        return placed


@dataclass(frozen=True, slots=True, eq=False)
class Better:
    """A reading that puts marks on spots: in `unit`, then times `factor`, then as `placement` has it."""

    marks: Marks
    unit: str
    factor: float
    placement: Placement
    on_spots: int


def marks_of(
    name: str, image: Image, tables: Mapping[str | None, Path], example: Example | None, unit: str | None
) -> Marks | None:
    """The numbers of CSV tables, else (ImageJ's selections) the points that were read; None if there is neither."""
    parts = [_numbers(path) for path in tables.values() if path.suffix.lower() == ".csv"]
    known = [part for part in parts if part is not None]
    if known and len({said for _, said in known}) == 1:
        said = known[0][1]
        return Marks(name, image, np.concatenate([numbers for numbers, _ in known]), said or unit, said is not None)
    if example is not None and isinstance(example.truth, Points):
        return Marks(name, image, image.to_voxels(example.truth.position_um), "px")
    return None


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What is said about points that sit on no spots, and the images where that is most of them."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    images: frozenset[str]


def misplaced(every: Sequence[Marks], diameter_um: float | None, folder: Path) -> Misplaced:
    """Look at all marks; one sentence for all images with the same fault."""
    astray, doubtful = [], []
    for marks in every:
        found = on_spots(marks, diameter_um)
        if len(marks.numbers) >= ENOUGH and (found.share < UNLIKE or marks.unit is None):
            astray.append(marks)
        elif not found.on_spot.all():
            doubtful.append(_off(marks, found))
    examined = sorted(astray, key=lambda marks: -len(marks.numbers))[:EXAMINED]
    tried = [(marks, better(marks, diameter_um)) for marks in examined]
    fits = [fit for _, fit in tried if fit is not None]
    problems = [_said(alike, len(astray), folder) for alike in _grouped(fits)]
    lost = [marks for marks, fit in tried if fit is None]
    # Where others have shown what is wrong, those that are unclear probably have the same fault.
    problems += [_lost(marks, diameter_um) for marks in lost if not fits]
    return Misplaced(tuple(problems), tuple(doubtful), frozenset(marks.name for marks in astray))


def on_spots(marks: Marks, diameter_um: float | None) -> Evidence:
    """How well marks sit on spots as they are, dark or bright, whichever is more."""
    pixels = np.asarray(marks.image.data[...])
    found = [
        evidence(pixels, marks.positions_px, size, polarity)
        for size in _sizes_px(marks, diameter_um)
        for polarity in POLARITIES
    ]
    return min(found, key=lambda one: one.log10_chance)


def better(marks: Marks, diameter_um: float | None) -> Better | None:
    """How the marks would have to be read to sit on spots; None if no way is clear."""
    pixels = np.asarray(marks.image.data[...])
    now = marks.scales[marks.unit or "px"]
    factors = {unit: (scale[0] / now[0], scale[1] / now[1]) for unit, scale in marks.scales.items()}
    for polarity in POLARITIES:
        tried = [_fit(pixels, marks, size, factors, polarity) for size in _sizes_px(marks, diameter_um)]
        fits = [fit for fit in tried if fit is not None]
        if fits:
            return _better(marks, min(fits, key=lambda fit: _ease(fit, factors)), factors)
    return None


def _better(marks: Marks, best: Registration, factors: Mapping[str, tuple[float, float]]) -> Better:
    unit, factor = _read_as(best.placement, factors)
    return Better(marks, unit, factor, best.placement, int(best.then.on_spot.sum()))


def _fit(
    pixels: Array, marks: Marks, size_px: float, factors: Mapping[str, tuple[float, float]], polarity: Polarity
) -> Registration | None:
    return registration(pixels, marks.positions_px, size_px, factors=tuple(factors.values()), polarity=polarity)


def _numbers(path: Path) -> tuple[Array, str | None] | None:
    try:
        table = Table.read(path)
        for unit in ("um", "nm", "px"):
            if {f"x_{unit}", f"y_{unit}"} <= set(table.columns):
                return _columns(table, f"_{unit}"), unit
        return (_columns(table, ""), None) if {"x", "y"} <= set(table.columns) else None
    except GraticuleError:
        return None  # what is wrong with the table itself is said when it is read for good


def _columns(table: Table, suffix: str) -> Array:
    return np.stack([table.numbers(f"{axis}{suffix}") for axis in "yx"], axis=1)


def _sizes_px(marks: Marks, diameter_um: float | None) -> tuple[float, ...]:
    return LADDER_PX if diameter_um is None else (diameter_um / min(marks.image.spacing_um),)


def _ease(fit: Registration, factors: Mapping[str, tuple[float, float]]) -> tuple[int, float]:
    """How much beside the unit is wrong, then how likely it is chance: less is better."""
    placement = fit.placement
    wrong = (
        placement.swapped or placement.upside_down,
        placement.scale not in factors.values(),
        placement.shift_px != (0.0, 0.0),
    )
    return sum(wrong), fit.then.log10_chance


def _read_as(placement: Placement, factors: Mapping[str, tuple[float, float]]) -> tuple[str, float]:
    """The unit that explains a scale, and the factor that is left: 1 if it does so fully."""
    for unit, factor in factors.items():
        if placement.scale == factor:
            return unit, 1.0
    left = {unit: placement.scale[0] / factor[0] for unit, factor in factors.items() if unit != "share"}
    unit = min(left, key=lambda name: abs(np.log(left[name])))
    return unit, left[unit]


# -- in words ----------------------------------------------------------------------------------------------------------


def _grouped(fits: Sequence[Better]) -> list[list[Better]]:
    """Fits that say the same."""
    groups: list[list[Better]] = []
    for fit in fits:
        own = next((group for group in groups if _alike(group[0], fit)), None)
        if own is None:
            groups.append([fit])
        else:
            own.append(fit)
    return groups


def _alike(one: Better, other: Better) -> bool:
    far = np.abs(np.subtract(one.placement.shift_px, other.placement.shift_px)).max()
    scaled = abs(one.factor / other.factor - 1)
    return _ways(one) == _ways(other) and scaled < SLIGHT and bool(far < NEAR_PX)


def _ways(fit: Better) -> tuple[object, ...]:
    return (fit.unit, fit.placement.swapped, fit.placement.upside_down, fit.marks.unit, fit.marks.said_by_column)


def _said(alike: Sequence[Better], astray: int, folder: Path) -> str:
    """One sentence: found, needed, and what to do."""
    one = alike[0]
    total = sum(len(fit.marks.numbers) for fit in alike)
    hits = sum(fit.on_spots for fit in alike)
    images = ", ".join(fit.marks.name for fit in alike)
    images += " and others" if astray > EXAMINED else ""
    wrong, do = _reasons(alike)
    fit = f"{hits} of {total} would then be on spots" if hits < total else f"all {total} would then be on spots"
    if one.marks.unit is None:
        return f"{folder / 'points'}: the points of {images} fit if {wrong} ({fit}); {do}"
    return f"{folder / 'points'}: found the points of {images} on no spots; they fit if {wrong} ({fit}); {do}"


def _reasons(alike: Sequence[Better]) -> tuple[str, str]:
    """What would have to be true, and what to do about it."""
    one, parts, todo = alike[0], [], []
    marks, placement = one.marks, one.placement
    factor = float(np.median([fit.factor for fit in alike]))
    if marks.unit is None:
        parts.append(f"their unit is {NAMES[one.unit]}")
    elif one.unit != marks.unit:
        parts.append(f"the numbers are {NAMES[one.unit]}, not {NAMES[marks.unit]}")
    if parts:
        todo.append(_unit_remedy(one.unit, marks.said_by_column))
    if placement.swapped:
        parts.append("x and y are exchanged")
        todo.append("exchange the names of the columns")
    if placement.upside_down:
        parts.append("y counts upward from the lower edge")
        todo.append(f"replace y (in pixels) by {marks.image.shape[0] - 1} - y")
    if factor != 1:
        parts.append(f"multiplied by {factor:.3f}{_other_pixel_size(one, factor)}")
        todo.append("correct the pixel size (--spacing-um) or the table, whichever is wrong")
    if placement.shift_px != (0.0, 0.0):
        down, right = np.median([fit.placement.shift_px for fit in alike], axis=0)
        parts.append(f"moved by {right:+.0f} px in x and {down:+.0f} px in y")
        todo.append("add this to the table; was the image cropped after it was annotated?")
    return " and ".join(parts) or "they are read as they are", "; ".join(todo) or "look at them on the image"


def _unit_remedy(unit: str, said_by_column: bool) -> str:
    if unit == "mm":
        return "multiply them by 1000 and name the columns x_um,y_um"
    if unit == "share":
        return "multiply x by the image's width and y by its height in pixels, and name the columns x_px,y_px"
    return f"name the columns x_{unit},y_{unit}" if said_by_column else f"pass --points-unit {unit}"


def _other_pixel_size(one: Better, factor: float) -> str:
    """In words, of which pixel size a factor speaks."""
    spacing = one.marks.image.spacing_um[0]
    if one.unit == "px":
        return f", as if marked on a copy of {100 / factor:.0f} % of this size"
    return f", as if a pixel were {spacing / factor:.4g} µm and not {spacing:.4g} µm"


def _lost(marks: Marks, diameter_um: float | None) -> str:
    off = int((~on_spots(marks, diameter_um).on_spot).sum())
    return (
        f"{marks.name}: found {off} of {len(marks.numbers)} points on no spot, and no unit, scale or shift that puts "
        "them on some; do they belong to this image? look at them on it"
    )


def _off(marks: Marks, found: Evidence) -> str:
    places = [f"x {x:.0f}, y {y:.0f}" for y, x in marks.positions_px[~found.on_spot][:5]]
    count = int((~found.on_spot).sum())
    more = f" and {count - 5} more" if count > 5 else ""
    where = "; ".join(places) + more
    return f"{marks.name}: {count} of {len(marks.numbers)} points on no spot (in pixels: {where}); look at them"
