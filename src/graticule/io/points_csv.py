"""Points as a table: one row each, and a unit in the name of every column that has one.

Ours holds ``particle_id``, places in pixels and in micrometres, ``class``, ``confidence`` and, where it was measured,
``diameter_nm``. Pixels count from 0 and from their centres: pixel (0, 0) lies at 0 µm, unless the image has an origin.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graticule.errors import AnnotationError
from graticule.image import SPATIAL, Array, Image
from graticule.io.atomic import replacing
from graticule.results import Points

UNITS = ("um", "nm", "px")
"""Units of places, the one that is read first where a table gives several."""

PX_DECIMALS = 4
SLACK_PX = 1.0
"""Tables are rounded (a laboratory's to 0.9 px): points this little outside are moved onto the image's edge."""


# -- writing -------------------------------------------------------------------------------------------------------------


def write(points: Points, path: str | Path, image: Image) -> None:
    """One row per point, in the points' order; `image` is what the pixels are counted on."""
    axes = _xyz(image)
    measured = points.diameter_um is not None
    header = ["particle_id", *(f"{a}_px" for a in axes), *(f"{a}_um" for a in axes), "class", "confidence"]
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*header, "diameter_nm"] if measured else header)
        rows.writerows(_rows(points, image))


def _xyz(image: Image) -> str:
    """Spatial axes in the order people write them: x first."""
    return "".join(sorted(axis for axis in image.axes if axis in SPATIAL))


def _rows(points: Points, image: Image) -> list[list[str]]:
    # A tenth of a thousandth of a pixel: enough that pixels and micrometres turn into one another.
    decimals = max(6, PX_DECIMALS - math.floor(math.log10(min(image.spacing_um))))
    px, um = image.to_voxels(points.position_um)[:, ::-1], points.position_um[:, ::-1]
    rows = []
    for i in range(len(points)):
        row = [str(i + 1), *(_fixed(v, PX_DECIMALS) for v in px[i]), *(_fixed(v, decimals) for v in um[i])]
        row += [points.kinds[int(points.kind[i])], f"{points.confidence[i]:.6g}"]
        if points.diameter_um is not None:
            row.append(f"{points.diameter_um[i] * 1000:.9g}")
        rows.append(row)
    return rows


def _fixed(value: float, decimals: int) -> str:
    """Without a minus before zero, so that the same places always give the same file."""
    return f"{value:.{decimals}f}" if round(float(value), decimals) else f"{0:.{decimals}f}"


# -- reading -------------------------------------------------------------------------------------------------------------


def read(
    path: str | Path,
    image: Image,
    *,
    unit: str | None = None,
    kind: str | None = None,
    kinds: Sequence[str] | None = None,
) -> Points:
    """Points on `image`, in micrometres.

    Parameters
    ----------
    path
        A table with ``x_um,y_um``, ``x_nm,y_nm`` or ``x_px,y_px`` (and ``z_…`` for a stack), and perhaps ``class``,
        ``confidence`` and ``diameter_nm``; other columns are left aside. A header without rows: no objects.
    image
        What the points lie on: pixels become micrometres by it, and nothing may lie outside.
    unit
        ``"um"``, ``"nm"`` or ``"px"``: what bare ``x,y`` are in.
    kind
        The class of rows in a table without a ``class`` column.
    kinds
        The classes there can be; without it, those in the table, as they come.
    """
    path = Path(path)
    table = _Table.read(path)
    places, chosen = _places(table, image, unit)
    _check_agreement(table, places, image)
    _check_spread(table, places, image, unit, chosen)
    position_um = _inside(table, places, image, chosen)
    names, index = _classes(table, kind, kinds)
    return Points(position_um, _confidence(table), index, names, _diameter_um(table))


@dataclass(frozen=True, slots=True)
class _Table:
    """Cells by column, and for each row the number that a spreadsheet shows for it."""

    path: Path
    columns: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]
    decimal_comma: bool

    @classmethod
    def read(cls, path: Path) -> _Table:
        text = _text(path)
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            numbered = [(rows.line_num, [cell.strip() for cell in row]) for row in rows]
        except csv.Error as error:
            raise AnnotationError(
                f"{path}: found no table ({error}); need comma-separated values; save it again"
            ) from error
        numbered = [(line, row) for line, row in numbered if any(row)]
        if not numbered:
            raise AnnotationError(f"{path}: found no column names; need e.g. x_um,y_um,class in the first row")
        header = [_canonical(name) for name in numbered[0][1]]
        _check_header(path, header)
        for line, row in numbered[1:]:
            # Trailing separators, which spreadsheets leave behind, are no cells.
            if len(row) < len(header) or any(row[len(header) :]):
                raise AnnotationError(
                    f"{path}, row {line}: found {len(row)} cells; need {len(header)}, one per column; mend that row"
                )
        columns = {name: tuple(row[i] for _, row in numbered[1:]) for i, name in enumerate(header) if name}
        return cls(path, columns, tuple(line for line, _ in numbered[1:]), delimiter != ",")

    def numbers(self, name: str) -> Array:
        return np.array([self._number(name, i) for i in range(len(self.lines))], float)

    def _number(self, name: str, i: int) -> float:
        cell = self.columns[name][i]
        try:
            number = float(cell.replace(",", ".") if self.decimal_comma else cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            found = f"{cell!r}" if cell else "an empty cell"
            raise AnnotationError(
                f"{self.path}, row {self.lines[i]}: found {found} in column {name}; need a number; mend that row"
            )
        return number


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: could not be read ({error.strerror}); need a table of points") from error
    if not raw.strip():
        raise AnnotationError(
            f"{path}: found an empty file; need at least column names; for an image without objects write the line "
            "x_um,y_um,class"
        )
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        # What is neither is a spreadsheet's Western code page; its only likely letter is µ.
        text = raw.decode("latin-1")
    if "\0" in text:
        raise AnnotationError(f"{path}: found no text but binary data; need comma-separated values; save it as CSV")
    return text


def _canonical(name: str) -> str:
    """Column names in lower case; ``X (µm)``, ``x_µm`` and ``x[um]`` are ``x_um``."""
    lower = name.strip().lower().replace("µ", "u").replace("μ", "u")
    place = re.fullmatch(r"([xyz])[ _]*[(\[]?(um|microns?|nm|px|pixels?)[)\]]?", lower)
    if not place:
        return lower
    unit = {"m": "um", "p": "px"}.get(place[2][0], place[2])
    return f"{place[1]}_{unit}"


def _check_header(path: Path, header: Sequence[str]) -> None:
    if all(re.fullmatch(r"[-+\d.,e ]*", name) for name in header):
        raise AnnotationError(f"{path}: found numbers in the first row; need column names there, e.g. x_um,y_um,class")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise AnnotationError(f"{path}: found two columns {', '.join(twice)}; need one of each; remove or rename one")


def _places(table: _Table, image: Image, unit: str | None) -> tuple[Array, str]:
    """``(N, ndim)`` in `table`'s unit and the image's order of axes, and that unit."""
    if unit is not None and unit not in UNITS:
        raise AnnotationError(f"{table.path}: found unit {unit!r}; need px, um or nm; change --points-unit")
    axes = [axis for axis in image.axes if axis in SPATIAL]
    for candidate in UNITS:
        names = [f"{axis}_{candidate}" for axis in axes]
        if all(name in table.columns for name in names):
            _refuse_depth(table, image)
            return _columns(table, names), candidate
    if all(axis in table.columns for axis in axes):
        if unit is None:
            raise AnnotationError(
                f"{table.path}: found columns {', '.join(sorted(axes))} without a unit; need to know whether they are "
                "pixels or micrometres; pass --points-unit px|um|nm, or name them x_px or x_um"
            )
        _refuse_depth(table, image)
        return _columns(table, axes), unit
    raise AnnotationError(
        f"{table.path}: found columns {', '.join(table.columns)}; need {','.join(f'{a}_um' for a in sorted(axes))} (or "
        f"_px, _nm){_nearest(axes, table)}; rename them"
    )


def _columns(table: _Table, names: Sequence[str]) -> Array:
    return np.stack([table.numbers(name) for name in names], axis=1).reshape(-1, len(names))


def _nearest(axes: Sequence[str], table: _Table) -> str:
    wanted = [f"{axis}_{unit}" for axis in axes for unit in UNITS]
    pairs = [(name, difflib.get_close_matches(name, wanted, 1)) for name in table.columns]
    meant = [f"{name} may be meant as {near[0]}" for name, near in pairs if near and near[0] != name]
    return f" ({'; '.join(meant)})" if meant else ""


def _refuse_depth(table: _Table, image: Image) -> None:
    deep = [name for name in table.columns if re.fullmatch("z(_(um|nm|px))?", name)]
    if deep and "z" not in image.axes:
        raise AnnotationError(
            f"{table.path}: found column {deep[0]}, but the image has axes {image.axes}; need points of that image; "
            "remove the column, or give the stack"
        )


def _to_um(places: Array, image: Image, unit: str) -> Array:
    return image.to_um(places) if unit == "px" else places / (1000 if unit == "nm" else 1)


def _from_um(um: Array, image: Image, unit: str) -> Array:
    return image.to_voxels(um) if unit == "px" else um * (1000 if unit == "nm" else 1)


def _check_agreement(table: _Table, places: Array, image: Image) -> None:
    """Micrometres and pixels of one row have to fit the image's pixel size: they catch a wrong one."""
    axes = [axis for axis in image.axes if axis in SPATIAL]
    if not len(places) or not all(f"{axis}_{unit}" in table.columns for axis in axes for unit in ("px", "um")):
        return
    px = _columns(table, [f"{axis}_px" for axis in axes])
    off = np.abs(px - image.to_voxels(places)).max(axis=1)
    # Other programs count from 1 or from the corner: up to 1.5 px say nothing about the pixel size.
    wrong = off > 1.5 + 0.01 * np.abs(px).max(axis=1)
    if wrong.any():
        worst = int(off.argmax())
        raise AnnotationError(
            f"{table.path}, row {table.lines[worst]}: found pixels and micrometres that differ by {off[worst]:.1f} px "
            f"at {_listed(image.spacing_um)} µm per pixel; need them to agree; check --spacing-um, or remove one of them"
        )


def _check_spread(table: _Table, places: Array, image: Image, unit: str | None, chosen: str) -> None:
    """Micrometres taken for pixels crowd in the image's first corner, where no check of bounds finds them."""
    if unit != "px" or chosen != "px" or len(places) < 3 or f"x_{unit}" in table.columns:
        return
    if np.ptp(places, axis=0).max() < 3 and min(image.shape[-2:]) > 30:
        raise AnnotationError(
            f"{table.path}: found all {len(places)} points within 3 pixels of one another; need pixels; they are "
            "probably micrometres: try --points-unit um"
        )


def _inside(table: _Table, places: Array, image: Image, unit: str) -> Array:
    """``(N, ndim)`` micrometres, all on the image."""
    um = _to_um(places, image, unit)
    voxels = image.to_voxels(um)
    last = np.array(image.shape) - 0.5
    beyond = np.maximum(-0.5 - voxels, voxels - last)
    outside = (beyond > SLACK_PX).any(axis=1)
    if outside.any():
        raise AnnotationError(_outside(table, places, image, unit, beyond, int(outside.sum())))
    edge = 1e-3  # so that rounding to whole voxels stays on the image
    on_image = np.clip(voxels, edge - 0.5, last - edge)
    return np.where(on_image == voxels, um, image.to_um(on_image))


def _outside(table: _Table, places: Array, image: Image, unit: str, beyond: Array, count: int) -> str:
    worst = int(beyond.max(axis=1).argmax())
    corners = _from_um(image.to_um(np.array([[-0.5] * image.ndim, [n - 0.5 for n in image.shape]])), image, unit)
    axes = [axis for axis in image.axes if axis in SPATIAL]
    extent = ", ".join(f"{axes[i]} {corners[0, i]:.4g} to {corners[1, i]:.4g}" for i in reversed(range(len(axes))))
    where = ", ".join(f"{axes[i]} {places[worst, i]:.6g}" for i in reversed(range(len(axes))))
    return (
        f"{table.path}: found {count} of {len(places)} points outside the image, the furthest in row "
        f"{table.lines[worst]} at {where} {unit}; need {extent} {unit}; is the unit or the pixel size "
        f"({_listed(image.spacing_um)} µm) wrong? check --points-unit and --spacing-um"
    )


def _listed(numbers: Sequence[float]) -> str:
    return " × ".join(f"{number:.6g}" for number in dict.fromkeys(numbers))


def _classes(table: _Table, kind: str | None, kinds: Sequence[str] | None) -> tuple[tuple[str, ...], Array]:
    """The table of classes, and each row's place in it."""
    cells = table.columns.get("class")
    if cells is None:
        cells = (kind if kind is not None else "object",) * len(table.lines)
    if "" in cells:
        line = table.lines[cells.index("")]
        raise AnnotationError(f"{table.path}, row {line}: found no class; need one in every row; fill in the cell")
    names = tuple(kinds) if kinds is not None else tuple(dict.fromkeys(cells)) or (kind or "object",)
    for line, cell in zip(table.lines, cells, strict=True):
        if cell not in names:
            raise AnnotationError(f"{table.path}, row {line}: {unknown('class', cell, names)}")
    return names, np.array([names.index(cell) for cell in cells], int)


def unknown(what: str, found: str, known: Sequence[str]) -> str:
    """A refusal of a name that is not among the `known` ones, with the nearest of them."""
    near = difflib.get_close_matches(found, known, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "correct it, or add it to the list"
    return f"found {what} {found!r}; need one of {', '.join(known) or 'none at all'}; {hint}"


def _confidence(table: _Table) -> Array:
    if "confidence" not in table.columns:
        return np.ones(len(table.lines))
    return _within(table, "confidence", 0, 1)


def _diameter_um(table: _Table) -> Array | None:
    if "diameter_nm" not in table.columns:
        return None
    return _within(table, "diameter_nm", 0, math.inf) / 1000


def _within(table: _Table, name: str, low: float, high: float) -> Array:
    values = table.numbers(name)
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        raise AnnotationError(
            f"{table.path}, row {table.lines[wrong[0]]}: found {values[wrong[0]]:g} in column {name}; need "
            f"{low:g} … {high:g}; mend that row"
        )
    return values
