"""Rosettes without training: places where five cells or more meet, and all the cells that do.

The plain geometric way, and what trained `rosettes` are measured against. It takes cells as they are given: a border that
was missed or invented, or drawn a little off where many cells meet, makes or breaks a rosette.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

import numpy as np
from scipy import ndimage

from graticule.arrays.cell_vertices import MEET_DIAMETERS, ROSETTE_CELLS, find_rosettes, numbered_rosettes
from graticule.arrays.cells import cell_diameter_px, without_gaps
from graticule.arrays.regions import tidy
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import events
from graticule.results import Labels, Result
from graticule.task import Description, Forward, Grid, Levels, Regions, Scores, Weights
from graticule.tasks.rosettes import Rosettes, Source, cells_in

STEPS = 255  # confidences are whole 255ths: what is decoded at once and what is stored for later are the same
RADII = 8  # to twice the radius; the largest has confidence 0 and is left out
TILE = (1024, 1024)
BYTES_PER_VOXEL = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RosettesVertices:
    """Settings for finding rosettes as places where many cells meet.

    Attributes
    ----------
    cells
        What images show: "labels", one number per cell; "membranes", which are cut into cells; "auto" asks each image.
    least
        How many cells have to meet.
    radius
        In median cell diameters: cells meet at a place if they come as near to it. What they meet round, such as a cell
        that is being extruded, may be a disc of that radius and does not count.
    radius_um
        The same in micrometres, in place of `radius`; 0: `radius` holds.
    threshold
        Confidence from which a place is a rosette: 0.5 where cells come just within the radius, 0.88 within a
        quarter of it, 0.13 within nearly twice as much.
    """

    name: ClassVar[str] = "rosettes-vertices"
    objective: ClassVar[str] = "event_f1"
    methods: ClassVar[str] = (
        "the geometry of cells alone: places that several cells come within a given distance of; cells of membrane images "
        "were outlined by a watershed (Beucher and Meyer 1993)"
    )
    adjustable: ClassVar[tuple[str, ...]] = ("threshold",)
    redrawn: ClassVar[tuple[str, ...]] = ()

    cells: Source = "auto"
    least: int = ROSETTE_CELLS
    radius: float = MEET_DIAMETERS
    radius_um: float = 0.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.least < 3:
            raise SettingsError(f"found least {self.least}; anywhere in a tissue two cells meet; need 3 or more")
        if not self.radius > 0 or self.radius_um < 0:
            raise SettingsError(
                f"found radius {self.radius} and radius_um {self.radius_um}; need more than 0 cell diameters, and 0 µm or more"
            )
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"found threshold {self.threshold}; need a confidence in 0 … 1")

    @property
    def grid(self) -> Grid:
        return Grid(spacing_um=(), tile=TILE, halo=(0, 0), bytes_per_voxel=BYTES_PER_VOXEL)

    @property
    def regions(self) -> Regions:
        return Regions(numbered=True, kinds=("rosette",), confidences=1)

    def view(self, image: Image) -> Image:
        """The confidence ``(y, x)`` of each cell of a rosette, 0 elsewhere: which cells meet takes the whole image to see."""
        cells = cells_in(image, self.cells)
        numbers = np.asarray(cells.data)
        radius_px = self.radius_um / float(np.mean(image.spacing_um)) or self.radius * cell_diameter_px(numbers)
        return replace(cells, data=confidence(numbers, radius_px, least=self.least))

    def measure(self, image: Image) -> Weights:
        return {}

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """The view itself, ``(1, y, x)``."""
        return np.asarray(pixels, np.float32).reshape(1, *pixels.shape[-2:])

    def forward(self, weights: Weights, device: str) -> Forward:
        """The view itself, ``(B, 1, y, x)``."""
        return np.asarray

    def decode(self, maps: Image) -> Labels:
        """1 in rosettes, ``(y, x)``; of a `permissive` task the confidence ``(1, y, x)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[:1]) * STEPS).astype(np.uint8)
        if not self.threshold:
            return Labels(replace(maps, data=graded))
        return Labels(replace(maps, data=self._reached(graded), axes=maps.axes[1:]))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        named: Scores = events.scores(found, truth, self.regions.kinds)
        return named

    def resolve(self, examples: Sequence[Example]) -> Self:
        return self

    def permissive(self) -> Self:
        return replace(self, threshold=0.0)

    def keep(self, candidates: Result) -> Labels:
        """The rosettes, numbered: regions where the confidence reaches the threshold; with a threshold of 0 all as it is."""
        assert isinstance(candidates, Labels)
        if not self.threshold:
            return candidates
        image = candidates.image
        numbers = tidy(self._reached(np.asarray(image.data)), self.regions, image.spacing_um)
        return Labels(replace(image, data=numbers, axes=image.axes[1:]))

    def at(self, candidates: Result, threshold: float) -> Labels:
        """The rosettes that there would be at another threshold."""
        return replace(self, threshold=threshold).keep(candidates)

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold at which what is found and what is there, matched one to one, agree best."""
        return replace(self, threshold=events.best_threshold([partial(self.at, one) for one in found], truth))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, threshold=round(float(np.mean([task.threshold for task in tasks])), 4))

    def describe(self, image: Image, objects: Labels) -> Description:
        """As for trained `rosettes`: how many cells each involves and which, and cells.tif."""
        return Rosettes(cells=self.cells).describe(image, objects)

    def _reached(self, graded: Array) -> Array:
        reached: Array = (graded[0] >= max(1, round(self.threshold * STEPS))).astype(np.uint8)
        return reached


def confidence(cells: Array, radius_px: float, *, least: int = ROSETTE_CELLS) -> Floats:
    """For the cells ``(y, x)`` of each rosette 1 less half the distance, in radii, within which they meet; 0 elsewhere.

    Distances are taken in quarters of the radius. Between rosettes that touch a line of 0 is left, or they would be one.
    """
    cells = np.unique(np.append(cells, 0))[without_gaps(cells)]  # lines of 0 would take a rosette apart
    graded = np.zeros(cells.shape, np.float32)
    for step in range(RADII - 1, 0, -1):  # the nearer overwrites the farther
        rosettes = find_rosettes(cells, 2 * radius_px * step / RADII, at_least=least, small_px=radius_px)
        numbers = numbered_rosettes(cells, rosettes)
        graded[numbers > 0] = round((1 - step / RADII) * STEPS) / STEPS
        graded[_between(numbers)] = 0
    return graded


def _between(numbers: Array) -> Array:
    """Pixels of a rosette that touch another one."""
    highest = ndimage.maximum_filter(numbers, 3)
    lowest = ndimage.minimum_filter(np.where(numbers == 0, np.iinfo(numbers.dtype).max, numbers), 3)
    between: Array = (numbers > 0) & (lowest < highest)
    return between
