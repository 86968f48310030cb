"""Where cells of a label image meet: places that three or more of them come close to.

Cells meet at a place if each of them reaches into the disc of some radius round it. So nothing depends on whether cells
touch or lines lie between them, and cells that meet at two or three corners with short edges between, as drawing and
cutting to pixels leave them, count together. A cell no larger than the disc is what others meet round, such as one that
is being extruded: it does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_values
from skimage.morphology import local_maxima

from graticule.arrays.cells import without_gaps
from graticule.errors import SettingsError
from graticule.image import Array

MEET_DIAMETERS = 0.15
"""Radius of the disc, in median cell diameters, where nothing else is known: a vertex that drawing has torn is whole
again (it is torn by about a tenth), while in tissue without rosettes hardly any place has five cells."""

ROSETTE_CELLS = 5
SHARED = 3  # places with so many cells in common are one rosette, torn: neighbours over an edge share two

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Vertices:
    """Places where cells meet.

    Attributes
    ----------
    position_px
        ``(N, 2)``, y and x.
    cells
        For each, the numbers of the cells that meet there, in rising order.
    inner
        For each, the numbers of small cells that they meet round: mostly none.
    spread_px
        ``(N,)``: how far away the furthest of `cells` stays; 0 … 1.5 where all share a corner.
    """

    position_px: Array
    cells: tuple[tuple[int, ...], ...]
    inner: tuple[tuple[int, ...], ...]
    spread_px: Array

    def __len__(self) -> int:
        return len(self.cells)


def find_vertices(cells: Array, radius_px: float, *, at_least: int = 3, small_px: float = 0.0) -> Vertices:
    """Places that `at_least` cells come within `radius_px` of, each where most of them do.

    `cells` are labels ``(y, x)``, 0 where there is no cell; lines of 0 between cells count as theirs. At the frame and at
    the edge of the tissue only those count that are there. Two places may share cells: no place nearby, one step after the
    other without fewer cells, has more of them. In raster order. Cells no larger than a disc of radius `small_px` (0:
    `radius_px`) do not count.
    """
    numbers = np.unique(np.append(cells, 0))
    closed = without_gaps(cells)
    reached, small = _reach(closed, radius_px, small_px or radius_px)
    crowded = np.where(reached >= at_least, reached, 0)
    tops = label_values(local_maxima(crowded, connectivity=2) & (crowded > 0), connectivity=2)
    places = sorted(_middle(tops, number, where) for number, where in _objects(tops))
    found = [_around(closed, place, radius_px) for place in places]
    return Vertices(
        position_px=np.array(places, float).reshape(-1, 2),
        cells=tuple(tuple(int(numbers[c]) for c in near if not small[c]) for near in found),
        inner=tuple(tuple(int(numbers[c]) for c in near if small[c]) for near in found),
        spread_px=np.array([max(d for c, d in near.items() if not small[c]) for near in found], float),
    )


def find_rosettes(cells: Array, radius_px: float, *, at_least: int = ROSETTE_CELLS, small_px: float = 0.0) -> Vertices:
    """Like `find_vertices`, but places that share three cells or more are one: that with the most cells, and all of theirs."""
    single = find_vertices(cells, radius_px, at_least=at_least, small_px=small_px)
    order = sorted(range(len(single)), key=lambda i: (-len(single.cells[i]), single.spread_px[i], i))
    chosen: dict[int, set[int]] = {}
    for index in order:
        here = set(single.cells[index])
        host = next((first for first, cells_of in chosen.items() if len(cells_of & here) >= SHARED), index)
        chosen.setdefault(host, set()).update(here)
    first = sorted(chosen)
    return Vertices(
        single.position_px[first],
        tuple(tuple(sorted(chosen[index])) for index in first),
        tuple(single.inner[index] for index in first),
        single.spread_px[first],
    )


def numbered_rosettes(cells: Array, rosettes: Vertices) -> Array:
    """``uint16 (y, x)``: the number, from 1, of the rosette that each pixel's cell is part of.

    A cell of two rosettes is part of that whose middle is nearer. Lines of 0 between cells stay 0.
    """
    owner = np.zeros(int(cells.max()) + 1, np.uint16)
    nearest = np.full(len(owner), np.inf)
    parts = [sorted({*here, *inner}) for here, inner in zip(rosettes.cells, rosettes.inner, strict=True)]
    involved = sorted({cell for part in parts for cell in part})
    middles = dict(zip(involved, ndimage.center_of_mass(cells > 0, cells, involved), strict=True))
    for number, (part, middle) in enumerate(zip(parts, rosettes.position_px, strict=True), start=1):
        for cell in part:
            away = float(np.hypot(*(np.asarray(middles[cell]) - middle)))
            if away < nearest[cell]:
                owner[cell], nearest[cell] = number, away
    return np.asarray(owner[cells])


def meeting(cells: Array, radius_px: float) -> Array:
    """``int16 (y, x)``: how many cells come within `radius_px` of each pixel, but for those no larger than that disc."""
    return _reach(without_gaps(cells), radius_px, radius_px)[0]


def _reach(closed: Array, radius_px: float, small_px: float) -> tuple[Array, Array]:
    """How many large cells come near each pixel; and of each number, whether its cell is small."""
    if not radius_px > 0:
        raise SettingsError(f"found a radius of {radius_px} pixels within which cells meet; need more than 0")
    small = np.bincount(closed.ravel()) <= np.pi * small_px**2
    reached = np.zeros(closed.shape, np.int16)
    for number, where in _objects(closed):
        if not small[number]:
            window = _wider(where, int(np.ceil(radius_px)))
            away = ndimage.distance_transform_edt(closed[window] != number)
            reached[window] += away <= radius_px
    return reached, small


def _objects(labels: Array) -> Iterator[tuple[int, Window]]:
    """Each number that occurs, and the rectangle that holds it."""
    for index, where in enumerate(ndimage.find_objects(labels)):
        if where is not None:
            yield index + 1, where


def _wider(where: Window, by: int) -> Window:
    rows, columns = (slice(max(0, side.start - by), side.stop + by) for side in where)
    return rows, columns


def _middle(tops: Array, number: int, where: Window) -> tuple[int, int]:
    """The pixel of a top that is nearest to its centre."""
    places = np.argwhere(tops[where] == number)
    middle = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    return int(middle[0]) + where[0].start, int(middle[1]) + where[1].start


def _around(closed: Array, place: tuple[int, int], radius_px: float) -> dict[int, float]:
    """The cells within the radius of a place, in rising order, and how far away each is."""
    window = _wider((slice(place[0], place[0] + 1), slice(place[1], place[1] + 1)), int(np.ceil(radius_px)))
    here = closed[window]
    rows, columns = np.ogrid[: here.shape[0], : here.shape[1]]
    away = np.hypot(rows + window[0].start - place[0], columns + window[1].start - place[1])
    nearest = {int(c): float(away[here == c].min()) for c in np.unique(here) if c}
    return {c: d for c, d in nearest.items() if d <= radius_px}
