"""Epithelia with rosettes: five or more cells that meet at one place, or round a small cell that is being extruded.

Cells are laid out by seeds (`epithelium.py`) in a plane that is then stretched and bent: sizes drift over the image, and
borders are curved and rough, while cells that met still meet. What is a rosette is measured on the cells as drawn
(`arrays/cell_vertices.py`): five cells or more within `MEET_DIAMETERS` median cell diameters of one place. Places that
would be one by chance, or nearly, are moved apart first. Beside rosettes lie near misses: four cells that meet, five or
more that meet at two or three places close by, small cells that stay, large ones that divide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from graticule.arrays.cell_vertices import MEET_DIAMETERS, find_rosettes, numbered_rosettes
from graticule.arrays.cells import cell_diameter_px
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Labels
from graticule.simulate.checks import refuse_impossible
from graticule.simulate.epithelium import Group, Seeds, lone, ring, settled
from graticule.simulate.fields import Random, smooth_field

CLEAR = 1.35  # no five cells but a rosette's are within so many times the radius in which they meet …
ROUNDS = 12  # … which as many rounds of moving them apart mostly reach
NUDGE = 0.45  # by this, in cell diameters
TRIES = 40  # places tried for a group before it is left out
EDGES = 0.25  # share of images with an edge of the tissue, or a hole
CELLS_ACROSS = 2  # that an image has at least


@dataclass(frozen=True, slots=True, kw_only=True)
class RosetteScenes:
    """Simulated epithelia with rosettes.

    Attributes
    ----------
    shape_px
        Height and width.
    spacing_um
        Pixel size.
    cell_um
        Typical diameter of a cell.
    rosettes
        Fewest and most rosettes laid out per image of 512 x 512 pixels; in larger ones there are more, in proportion.
    empty
        Share of images without rosettes.
    near_misses
        Fewest and most places that look alike laid out per image of 512 x 512 pixels.
    show
        What the image is: "cells", numbered as a segmentation would, or "membranes", as a microscope would show them.
    segmentation_errors
        Of cells shown by number: 0 shows them as they are; 1 is a poor segmentation, with borders moved, some missing,
        some too many, and cells left out. The truth stays that of the cells as they are.
    """

    shape_px: tuple[int, int] = (512, 512)
    spacing_um: float = 0.3
    cell_um: float = 8.1
    rosettes: tuple[int, int] = (2, 6)
    empty: float = 0.1
    near_misses: tuple[int, int] = (2, 6)
    show: Literal["cells", "membranes"] = "cells"
    segmentation_errors: float = 0.4

    def __post_init__(self) -> None:
        refuse_impossible(self)
        if min(self.shape_px) < 1 or not self.spacing_um > 0 or not self.cell_um >= 8 * self.spacing_um:
            raise SettingsError(
                f"found {self.shape_px} pixels of {self.spacing_um} µm, cells of {self.cell_um} µm; "
                "need all above 0, and cells of 8 pixels or more"
            )
        if min(self.shape_px) < CELLS_ACROSS * self.cell_px:
            raise SettingsError(
                f"found {self.shape_px} pixels, and cells of {self.cell_px:.0f}; need images {CELLS_ACROSS} cells across"
            )
        for name in ("rosettes", "near_misses"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise SettingsError(f"found {name} {low} … {high}; need a least and a largest number, 0 or more")
        if not 0 <= self.empty <= 1 or self.segmentation_errors < 0:
            raise SettingsError(
                f"found empty {self.empty} and segmentation_errors {self.segmentation_errors}; "
                "need a share in 0 … 1, and 0 or more"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        return ("rosette",)

    @property
    def cell_px(self) -> float:
        """Typical diameter of a cell in pixels."""
        return self.cell_um / self.spacing_um

    def draw(self, seed: int | Random, *, name: str = "rosettes") -> Example:
        """An image ``(y, x)`` and its rosettes, numbered from 1, each the union of its cells; the same for the same seed.

        Cells are uint16, membranes uint8. A cell of two rosettes belongs to that whose middle is nearer.
        """
        rng = np.random.default_rng(seed)
        sheet = self._sheet(rng)
        cells = sheet.cells()
        truth = numbered_rosettes(cells, find_rosettes(cells, MEET_DIAMETERS * cell_diameter_px(cells)))
        # Drawn after the truth is known, so that both pictures of a seed show the same tissue.
        shown = _recorded(rng, cells, self.cell_px) if self.show == "membranes" else self._segmented(rng, sheet, cells)
        spacing = (self.spacing_um, self.spacing_um)
        return Example(name, Image(shown, "yx", spacing), Labels(Image(truth, "yx", spacing)))

    def examples(self, count: int, *, seed: int = 0) -> Iterator[Example]:
        """`count` images, each its own specimen; the first ones are the same whatever `count` is."""
        for index in range(count):
            yield self.draw(np.random.default_rng([seed, index]), name=f"rosettes-{seed}-{index:03d}")

    def _sheet(self, rng: Random) -> Sheet:
        places = _bent(rng, self.shape_px, cell_px=self.cell_px)
        low, high = places.min(axis=(0, 1)) - 2, places.max(axis=(0, 1)) + 2
        per_image = np.prod(self.shape_px) / 512**2
        wanted = [] if rng.random() < self.empty else _rosettes(rng, _some(rng, self.rosettes, per_image))
        rosettes = _placed(rng, wanted, places, [])
        others = _placed(rng, _near_misses(rng, _some(rng, self.near_misses, per_image)), places, rosettes)
        seeds = settled(rng, low, high, rosettes + others, rounds=int(rng.integers(5, 15)))
        outside = _outside(rng, self.shape_px) if rng.random() < EDGES else np.zeros(self.shape_px, bool)
        held = np.flatnonzero(~seeds.free)[: sum(len(group.place) for _, group in rosettes)]
        middles = np.array([middle for middle, _ in rosettes]).reshape(-1, 2)
        return _apart(rng, Sheet(places, seeds, outside), middles, held, self.cell_px)

    def _segmented(self, rng: Random, sheet: Sheet, cells: Array) -> Array:
        if self.segmentation_errors:
            cells = _mistaken(rng, sheet, self.segmentation_errors, self.cell_px)
        present = np.unique(cells[cells > 0])
        numbers = np.zeros(int(cells.max()) + 1, np.uint16)
        numbers[present] = rng.permutation(len(present)) + 1
        return np.asarray(numbers[cells])


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A sheet of cells: where in it each pixel lies ``(y, x, 2)``, its seeds, and pixels outside the tissue."""

    places: Array
    seeds: Seeds
    outside: Array

    def cells(self, step: int = 1) -> Array:
        """``int32`` labels: 1 + the number of the seed, 0 where the middle of the cell lies outside."""
        cells: Array = self.seeds.nearest(self.places[::step, ::step]).astype(np.int32) + 1
        outside = self.outside[::step, ::step]
        if not outside.any():
            return cells
        share = np.bincount(cells.ravel(), outside.ravel()) / np.maximum(np.bincount(cells.ravel()), 1)
        return np.where(share[cells] > 0.5, np.int32(0), cells)


def _some(rng: Random, span: tuple[int, int], times: float) -> int:
    return round(float(rng.integers(span[0], span[1] + 1)) * times)


def _rosettes(rng: Random, count: int) -> list[Group]:
    """Half of them round a small cell; the more cells the rarer."""
    sizes = rng.choice([5, 6, 7, 8, 9], count, p=[0.34, 0.28, 0.2, 0.11, 0.07])
    inner = np.where(rng.random(count) < 0.5, rng.uniform(0.05, 0.095, count), 0.0)
    return [ring(rng, int(size), inner=float(radius)) for size, radius in zip(sizes, inner, strict=True)]


def _near_misses(rng: Random, count: int) -> list[Group]:
    kinds = rng.choice(["four", "torn", "small", "dividing"], count, p=[0.3, 0.35, 0.2, 0.15])
    return [_near_miss(rng, str(kind)) for kind in kinds]


def _near_miss(rng: Random, kind: str) -> Group:
    if kind == "four":
        return ring(rng, 4)
    if kind == "torn":
        return ring(rng, int(rng.integers(5, 8)), uneven=rng.uniform(0.25, 0.4))
    if kind == "small":
        return ring(rng, int(rng.integers(5, 8)), inner=rng.uniform(0.3, 0.38))
    return lone(rng, rng.uniform(0.75, 0.95))


def _placed(
    rng: Random, groups: list[Group], places: Array, taken: list[tuple[Array, Group]]
) -> list[tuple[Array, Group]]:
    """Groups at places in the image, all of them apart from each other and from `taken`; what finds no room is left out."""
    placed: list[tuple[Array, Group]] = []
    for group in groups:
        for _ in range(TRIES):
            middle = places[rng.integers(places.shape[0]), rng.integers(places.shape[1])]
            others = [*taken, *placed]
            if all(np.hypot(*(middle - at)) > group.reach + other.reach + 0.5 for at, other in others):
                placed.append((middle, group))
                break
    return placed


def _bent(rng: Random, shape: tuple[int, int], *, cell_px: float) -> Array:
    """Where each pixel lies in the plane of round cells of diameter 1, ``(y, x, 2)``."""
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij"), axis=-1) / cell_px
    drift_px = max(max(shape) / 2, 4 * cell_px)
    for amount, correlation_px in (
        (rng.uniform(0, 0.05) * drift_px / cell_px, drift_px),  # sizes of cells drift
        (rng.uniform(0.02, 0.07), 0.5 * cell_px),  # borders are curved
        (rng.uniform(0.005, 0.02), 3.0),  # and rough
    ):
        for axis in range(2):
            grid[..., axis] += amount * smooth_field(rng, shape, correlation_px=correlation_px)
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.25)
    along = np.array([np.sin(turn), np.cos(turn)])
    across = np.array([np.cos(turn), -np.sin(turn)])
    return np.asarray(
        (grid @ along)[..., None] * along / stretch**0.5 + (grid @ across)[..., None] * across * stretch**0.5
    )


def _outside(rng: Random, shape: tuple[int, int]) -> Array:
    """Where the tissue ends, or has holes."""
    coast = smooth_field(rng, shape, correlation_px=min(shape) / rng.choice([2.0, 5.0]))
    outside: Array = coast > np.quantile(coast, 1 - rng.uniform(0.03, 0.25))
    return outside


def _apart(rng: Random, sheet: Sheet, rosettes: Array, held: Array, cell_px: float) -> Sheet:
    """The sheet with places moved apart where five cells meet, or nearly, that were not meant to.

    Judged on every other pixel. One of the cells, none of a rosette's (`held`), is moved over the place, so that others
    no longer reach it.
    """
    radius = CLEAR * MEET_DIAMETERS * cell_px / 2 + 0.5  # half a pixel, as there are fewer of them
    for _ in range(ROUNDS):
        found = find_rosettes(sheet.cells(2), radius)
        at = (2 * found.position_px).astype(int)
        middles = sheet.places[at[:, 0], at[:, 1]]
        place = sheet.seeds.place.copy()
        for middle, cells in zip(middles, found.cells, strict=True):
            movers = np.setdiff1d(np.array(cells) - 1, held)
            if len(movers) and not (len(rosettes) and np.hypot(*(rosettes - middle).T).min() < 0.5):
                mover = rng.choice(movers)
                way = middle - place[mover]
                place[mover] += NUDGE * way / max(float(np.hypot(*way)), 0.1)
        if np.array_equal(place, sheet.seeds.place):
            break
        sheet = replace(sheet, seeds=replace(sheet.seeds, place=place))
    return sheet


def _mistaken(rng: Random, sheet: Sheet, errors: float, cell_px: float) -> Array:
    """The cells as a segmentation with errors finds them."""
    seeds = sheet.seeds
    place = seeds.place + 0.035 * errors * rng.standard_normal(seeds.place.shape)
    cut = np.flatnonzero(rng.random(len(seeds)) < 0.015 * errors)
    half = 0.25 * _directions(rng, len(cut))
    place[cut] -= half
    seeds = replace(seeds, place=place).with_more(place[cut] + 2 * half, seeds.weight[cut])
    rough = [smooth_field(rng, sheet.outside.shape, correlation_px=4.0) for _ in range(2)]
    places = sheet.places + 0.02 * errors * np.stack(rough, axis=-1)
    cells = Sheet(places, seeds, sheet.outside).cells()
    cells = _joined(rng, cells, 0.006 * errors)
    missing = rng.random(len(seeds) + 1) < 0.006 * errors
    missing[0] = True
    return np.where(missing[cells] | _lines(cells, rng.random() < 0.5), 0, cells)


def _directions(rng: Random, count: int) -> Array:
    turn = rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.sin(turn), np.cos(turn)], axis=1)


def _lines(cells: Array, drawn: bool) -> Array:
    """Pixels of lines between cells, as some programs leave them."""
    lines = np.zeros(cells.shape, bool)
    if drawn:
        lines[:-1] |= cells[:-1] != cells[1:]
        lines[:, :-1] |= cells[:, :-1] != cells[:, 1:]
    return lines


def _neighbours(cells: Array) -> Array:
    """``(m, 2)`` numbers of cells that touch, each pair once."""
    pairs = np.concatenate(
        [np.stack([a[a != b], b[a != b]], axis=1) for a, b in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1]))]
    )
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[pairs[:, 0] > 0]


def _joined(rng: Random, cells: Array, share: float) -> Array:
    """Cells with a share of the borders between two of them missed."""
    numbers = np.arange(int(cells.max()) + 1, dtype=np.int32)
    pairs = _neighbours(cells)
    for one, other in pairs[rng.random(len(pairs)) < share]:
        numbers[numbers == numbers[other]] = numbers[one]
    return numbers[cells]


def _recorded(rng: Random, cells: Array, cell_px: float) -> Array:
    """8-bit grey levels of a microscope that sees the cells' borders."""
    shape = cells.shape
    stained = _stained(rng, cells)
    width = rng.uniform(0.8, 1.3) * max(1.0, cell_px / 27)
    light = ndimage.gaussian_filter(stained, width) * width * np.sqrt(2 * np.pi)
    inside = rng.uniform(0.0, 0.12) * rng.lognormal(0, 0.4, int(cells.max()) + 1)
    inside[0] = 0.0
    light = light + ndimage.gaussian_filter(inside[cells], 1.5) * (
        1 + 0.3 * smooth_field(rng, shape, correlation_px=5.0)
    )
    light = np.maximum(light, 0) * np.exp(0.3 * smooth_field(rng, shape, correlation_px=min(shape) / 3))
    light = light + rng.uniform(0.02, 0.12) * np.exp(0.3 * smooth_field(rng, shape, correlation_px=min(shape) / 2))
    photons = np.exp(rng.uniform(np.log(12), np.log(120)))
    counts = rng.poisson(photons * light) / photons + rng.uniform(0.005, 0.03) * rng.standard_normal(shape)
    gain = rng.uniform(60, 230) / max(float(np.quantile(counts, 0.997)), 0.1)  # a few pixels saturate at most
    grey: Array = np.clip(rng.uniform(4, 20) + gain * counts, 0, 255).astype(np.uint8)
    return grey


def _stained(rng: Random, cells: Array) -> Floats:
    """Stain of borders one pixel wide: each border its own, patchy, with more where three cells or more meet."""
    shape = cells.shape
    own = rng.lognormal(0, 0.3, 4096)
    stain = np.zeros(shape, np.float32)
    for a, b, part in (
        (cells[:-1], cells[1:], stain[:-1]),
        (cells[:, :-1], cells[:, 1:], stain[:, :-1]),
    ):
        differ = a != b
        low, high = np.minimum(a, b)[differ].astype(np.int64), np.maximum(a, b)[differ].astype(np.int64)
        part[differ] = own[(low * 7919 + high * 104729) % len(own)]
    stain *= np.exp(0.25 * smooth_field(rng, shape, correlation_px=3.0))
    corner = np.zeros(shape, np.float32)
    here = np.sort(np.stack([cells[:-1, :-1], cells[1:, :-1], cells[:-1, 1:], cells[1:, 1:]]), axis=0)
    corner[:-1, :-1] = ((here[1:] != here[:-1]).sum(axis=0) >= 2) * rng.uniform(0, 2)
    return stain + corner
