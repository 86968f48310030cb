"""What masks that need no training have in common: settings of the mask, and all that follows from its confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from graticule.arrays.intensity import levels as levels_of
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import overlap
from graticule.results import Labels, Result
from graticule.task import Forward, Grid, Levels, Regions, Scores, Shown

STEPS = 255  # confidences are whole 255ths: what is decoded at once and what is stored for later are the same
TILE = (64, 1024, 1024)
BYTES_PER_VOXEL = 20  # of a tile, at the peak: 12 measured, and room for pixels of up to 8 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """Settings that masks without training share; a task adds how confidence is found, plane by plane.

    Attributes
    ----------
    min_region_size
        Regions of fewer voxels are dropped.
    max_hole_size
        Background of up to so many voxels is filled where tissue surrounds it: vacuoles, vessels and pale parts of a
        cell. Gaps of resin between cells are larger, or reach further. By default what one block of 64 x 64 pixels holds.
    threshold
        Confidence from which a voxel is tissue.
    """

    adjustable: ClassVar[tuple[str, ...]] = ("min_region_size", "max_hole_size", "threshold")

    min_region_size: int = 250
    max_hole_size: int = 64 * 64
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"found threshold {self.threshold}; need a confidence in 0 … 1")
        if self.min_region_size < 0 or self.max_hole_size < 0:
            raise SettingsError(
                f"found min_region_size {self.min_region_size} and max_hole_size {self.max_hole_size}; "
                "need numbers of voxels, 0 or more"
            )

    @property
    def regions(self) -> Regions:
        return Regions(
            min_voxels=self.min_region_size, max_hole_voxels=self.max_hole_size, kinds=("tissue",), confidences=1
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        return {
            "min_region_size": Shown("smallest region", 0, 100_000, 1, "voxels"),
            "max_hole_size": Shown("largest hole that is filled", 0, 100_000, 1, "voxels"),
        }

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """Grey levels in units of their spread, and ones: 0 where a tile reaches beyond the image."""
        prepared = np.ones((2, *pixels.shape), np.float32)
        np.subtract(pixels, np.float32(levels.centre), out=prepared[0])
        prepared[0] *= np.float32(1 / levels.spread)
        return prepared

    def decode(self, maps: Image) -> Labels:
        """1 in tissue ``(*space)``; of a `permissive` task the confidence ``(1, *space)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[:1]) * STEPS).astype(np.uint8)
        return self.keep(Labels(replace(maps, data=graded)))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return overlap.scores(found, truth, self.regions.kinds)

    def resolve(self, examples: Sequence[Example]) -> Self:
        return self

    def permissive(self) -> Self:
        return replace(self, threshold=0.0)

    def keep(self, candidates: Result) -> Labels:
        """Voxels whose confidence reaches the threshold; with a threshold of 0 all is kept as it is."""
        assert isinstance(candidates, Labels)
        if not self.threshold:
            return candidates
        graded = np.asarray(candidates.image.data)[0]
        tissue = (graded >= round(self.threshold * STEPS)).astype(np.uint8)
        return Labels(replace(candidates.image, data=tissue, axes=candidates.image.axes[1:]))

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold of the highest Dice."""
        return replace(self, threshold=overlap.best_thresholds(found, truth, 1)[0])

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, threshold=round(float(np.mean([task.threshold for task in tasks])), 4))


def grid(reach_px: int, multiple: int) -> Grid:
    """The image's own voxels, planes seen one by one."""
    return Grid(
        spacing_um=(),
        tile=TILE,
        halo=(0, reach_px, reach_px),
        multiple=multiple,
        side_by_side=True,
        bytes_per_voxel=BYTES_PER_VOXEL,
    )


def by_plane(confidence: Callable[[Floats], Floats]) -> Forward:
    """``(B, 2, (z,) y, x)`` as `Masking.prepare` makes it to ``(B, 1, (z,) y, x)``, 0 beyond the image.

    `confidence` is given the real part of one plane ``(h, w)`` at a time: an image ends where it ends, however far its
    tiles reach.
    """

    def forward(batch: Floats) -> Floats:
        maps = np.zeros((len(batch), 1, *batch.shape[2:]), np.float32)
        for index in np.ndindex(len(batch), *batch.shape[2:-2]):
            pixels, real = batch[index[0], :, *index[1:]]
            where = _extent(real)
            if pixels[where].size:
                maps[index[0], 0, *index[1:]][where] = confidence(pixels[where])
        return maps

    return forward


def _extent(real: Array) -> tuple[slice, slice]:
    """The rectangle outside of which a plane is 0."""
    if all(line.all() for line in (real[0], real[-1], real[:, 0], real[:, -1])):
        return slice(None), slice(None)  # as in nearly every tile, and soon known
    return _span(np.asarray(real.any(axis=1))), _span(np.asarray(real.any(axis=0)))


def _span(real: Array) -> slice:
    places = np.flatnonzero(real)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def prepared_planes(task: Masking, image: Image, planes: Iterator[Array]) -> Iterator[Floats]:
    """Sampled planes of an image, as `forward` will see them."""
    levels = levels_of(image)
    return (task.prepare(plane, levels)[0] for plane in planes)
