"""Points as a table: one row each, and a unit in the name of every column that has one.

Ours holds ``particle_id``, places in pixels and in micrometres, ``class``, ``confidence`` and, where it was measured,
``diameter_nm``. Pixels count from 0 and from their centres: pixel (0, 0) lies at 0 µm, unless the image has an origin.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graticule.errors import AnnotationError
from graticule.image import SPATIAL, Array, Image
from graticule.io.atomic import replacing
from graticule.io.naming import unknown
from graticule.io.placing import UNITS, listed, on_image
from graticule.io.table import Table
from graticule.results import Points

PX_DECIMALS = 4


def write(
    points: Points,
    path: str | Path,
    image: Image,
    *,
    numbers: Sequence[int] | None = None,
    more: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """One row per point, in the points' order; `image` is what the pixels are counted on.

    `numbers` are the particle_ids, else 1, 2 …; `more` are columns at the end, by name, which `read` leaves aside.
    """
    more = dict(more or {})
    numbers = range(1, len(points) + 1) if numbers is None else numbers
    header = ["particle_id", *_header(points, image)]
    own = zip(*more.values(), strict=True) if more else [()] * len(points)
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*header, *more])
        for number, row, cells in zip(numbers, _rows(points, image), own, strict=True):
            rows.writerow([number, *row, *cells])


def cells(points: Points, image: Image) -> list[dict[str, str]]:
    """Each point's cells by the names of their columns, as `write` writes them, without ``particle_id``."""
    header = _header(points, image)
    return [dict(zip(header, row, strict=True)) for row in _rows(points, image)]


def _header(points: Points, image: Image) -> list[str]:
    axes = _xyz(image)
    header = [*(f"{a}_px" for a in axes), *(f"{a}_um" for a in axes), "class", "confidence"]
    return header + ["diameter_nm"] * (points.diameter_um is not None)


def _xyz(image: Image) -> str:
    """Spatial axes in the order people write them: x first."""
    return "".join(sorted(axis for axis in image.axes if axis in SPATIAL))


def _rows(points: Points, image: Image) -> list[list[str]]:
    # A tenth of a thousandth of a pixel: enough that pixels and micrometres turn into one another.
    decimals = max(6, PX_DECIMALS - math.floor(math.log10(min(image.spacing_um))))
    px, um = image.to_voxels(points.position_um)[:, ::-1], points.position_um[:, ::-1]
    rows = []
    for i in range(len(points)):
        row = [*(_fixed(v, PX_DECIMALS) for v in px[i]), *(_fixed(v, decimals) for v in um[i])]
        row += [points.kinds[int(points.kind[i])], f"{points.confidence[i]:.6g}"]
        if points.diameter_um is not None:
            row.append(f"{points.diameter_um[i] * 1000:.9g}")
        rows.append(row)
    return rows


def _fixed(value: float, decimals: int) -> str:
    """Without a minus before zero, so that the same places always give the same file."""
    return f"{value:.{decimals}f}" if round(float(value), decimals) else f"{0:.{decimals}f}"


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
        ``confidence`` and ``diameter_nm`` (which counts where every row has one); other columns are left aside. A header
        without rows: no objects.
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
    table = Table.read(path)
    places, chosen = _places(table, image, unit)
    _check_agreement(table, places, image)
    _check_spread(table, places, image, unit, chosen)
    position_um = on_image(places, image, chosen, path, table.rows)
    names, index = _classes(table, kind, kinds)
    return Points(position_um, _confidence(table), index, names, _diameter_um(table))


def _places(table: Table, image: Image, unit: str | None) -> tuple[Array, str]:
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


def _columns(table: Table, names: Sequence[str]) -> Array:
    return np.stack([table.numbers(name) for name in names], axis=1).reshape(-1, len(names))


def _nearest(axes: Sequence[str], table: Table) -> str:
    wanted = [f"{axis}_{unit}" for axis in axes for unit in UNITS]
    pairs = [(name, difflib.get_close_matches(name, wanted, 1)) for name in table.columns]
    meant = [f"{name} may be meant as {near[0]}" for name, near in pairs if near and near[0] != name]
    return f" ({'; '.join(meant)})" if meant else ""


def _refuse_depth(table: Table, image: Image) -> None:
    deep = [name for name in table.columns if re.fullmatch("z(_(um|nm|px))?", name)]
    if deep and "z" not in image.axes:
        raise AnnotationError(
            f"{table.path}: found column {deep[0]}, but the image has axes {image.axes}; need points of that image; "
            "remove the column, or give the stack"
        )


def _check_agreement(table: Table, places: Array, image: Image) -> None:
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
            f"at {listed(image.spacing_um)} µm per pixel; need them to agree; check --spacing-um, or remove one"
        )


def _check_spread(table: Table, places: Array, image: Image, unit: str | None, chosen: str) -> None:
    """Micrometres taken for pixels crowd in the image's first corner, where no check of bounds finds them."""
    if unit != "px" or chosen != "px" or len(places) < 3 or f"x_{unit}" in table.columns:
        return
    if np.ptp(places, axis=0).max() < 3 and min(image.shape[-2:]) > 30:
        raise AnnotationError(
            f"{table.path}: found all {len(places)} points within 3 pixels of one another; need pixels; they are "
            "probably micrometres: try --points-unit um"
        )


def _classes(table: Table, kind: str | None, kinds: Sequence[str] | None) -> tuple[tuple[str, ...], Array]:
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


def _confidence(table: Table) -> Array:
    if "confidence" not in table.columns:
        return np.ones(len(table.lines))
    return _within(table, "confidence", 0, 1)


def _diameter_um(table: Table) -> Array | None:
    """Nothing, too, where some have none: what a person added was never measured."""
    if "" in table.columns.get("diameter_nm", ("",)):
        return None
    return _within(table, "diameter_nm", 0, math.inf) / 1000


def _within(table: Table, name: str, low: float, high: float) -> Array:
    values = table.numbers(name)
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        raise AnnotationError(
            f"{table.path}, row {table.lines[wrong[0]]}: found {values[wrong[0]]:g} in column {name}; need "
            f"{low:g} … {high:g}; mend that row"
        )
    return values
