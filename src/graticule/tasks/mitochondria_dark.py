"""The plain way to outline organelles: what is darker, or brighter, than a threshold once the image is smoothed.

What `mitochondria` is measured against. Smoothing, side and threshold are those that fit annotated examples best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from scipy.ndimage import gaussian_filter

from graticule.arrays.intensity import between_ends
from graticule.arrays.intensity import levels as levels_of
from graticule.arrays.regions import tidy
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import instances, overlap
from graticule.results import Labels, Result
from graticule.task import Forward, Grid, Levels, Regions, Scores, Weights
from graticule.tasks.mitochondria import Mitochondria, voxels_of

STEPS = 255
TILE = (64, 512, 512)
TRUNCATE = 4.0  # standard deviations after which a Gaussian is cut off
BYTES_PER_VOXEL = 24
RIMS = (1 / 12, 1 / 6, 1 / 3)  # of the least object's diameter: Gaussians that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class MitochondriaDark:
    """Settings for outlining what is dark, or bright.

    Attributes
    ----------
    classes
        The name of what is outlined.
    dark
        Whether it is darker than the rest.
    smooth_um
        Standard deviation of the Gaussian before the threshold.
    reach_px
        Voxels that it reaches, along each axis.
    min_voxels
        Objects of fewer voxels are dropped.
    thresholds
        Confidence, 0 at the image's brightest percent and 1 at its darkest, or the other way round, from which a voxel
        counts; empty: none is chosen.
    """

    name: ClassVar[str] = "mitochondria-dark"
    objective: ClassVar[str] = "dice"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds", "min_voxels")

    classes: tuple[str, ...] = ("mitochondrion",)
    dark: bool = True
    smooth_um: float = 0.02
    reach_px: tuple[int, ...] = (16, 16, 16)
    min_voxels: int = 0
    thresholds: tuple[float, ...] = ()

    @property
    def grid(self) -> Grid:
        return Grid(spacing_um=(), tile=TILE, halo=self.reach_px, side_by_side=True, bytes_per_voxel=BYTES_PER_VOXEL)

    @property
    def regions(self) -> Regions:
        return Regions(numbered=True, min_voxels=self.min_voxels, max_hole_voxels=None, kinds=self.classes)

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """``(2, *space)``: 1 where the image is darkest (or brightest), 0 where it is the opposite; and ones."""
        share = 0.5 + (-0.5 if self.dark else 0.5) * between_ends(pixels, levels)
        return np.stack([share, np.ones_like(share)])

    def forward(self, weights: Weights, device: str) -> Forward:
        """One map: the smoothed share, in whole 255ths; what lies beyond the image does not count."""

        def smooth(batch: Floats) -> Floats:
            sigma = [0.0, 0.0, *(reach / TRUNCATE for reach in self.reach_px[5 - batch.ndim :])]
            sums = gaussian_filter(batch, sigma, mode="constant", truncate=TRUNCATE)
            share = np.clip(sums[:, :1] / np.maximum(sums[:, 1:], 1e-3), 0, 1)
            graded: Floats = (np.rint(share * STEPS) / STEPS).astype(np.float32)
            return graded

        return smooth

    def decode(self, maps: Image) -> Labels:
        """1 in what is dark ``(*space)``; of a `permissive` task the confidence ``(1, *space)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[:1]) * STEPS).astype(np.uint8)
        if not self.thresholds:
            return Labels(replace(maps, data=graded))
        return Labels(replace(maps, data=self._reached(graded), axes=maps.axes[1:]))

    def keep(self, candidates: Result) -> Labels:
        """What hangs together, numbered; without a threshold all as it is."""
        assert isinstance(candidates, Labels)
        if not self.thresholds:
            return candidates
        image = candidates.image
        numbers = tidy(self._reached(np.asarray(image.data)), self.regions, image.spacing_um)
        return Labels(replace(image, data=numbers, axes=image.axes[1:]))

    def masked(self, candidates: Labels) -> Labels:
        """What reaches the threshold, not numbered."""
        image = candidates.image
        return Labels(replace(image, data=self._reached(np.asarray(image.data)), axes=image.axes[1:]))

    def _reached(self, graded: Array) -> Array:
        reached: Array = (graded[0] >= max(1, round(self.thresholds[0] * STEPS))).astype(np.uint8)
        return reached

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return instances.scores(found, truth, self.classes)

    def resolve(self, examples: Sequence[Example]) -> Self:
        return self

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold of the highest Dice."""
        return replace(self, thresholds=overlap.best_thresholds(found, truth, 1))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=tuple(np.mean([t.thresholds for t in tasks], axis=0).round(4).tolist()))


def baseline(task: Mitochondria, examples: Sequence[Example]) -> MitochondriaDark:
    """The side, Gaussian and threshold of the highest Dice on the examples."""
    spacing_um = np.median([example.image.spacing_um for example in examples], axis=0)
    tried = []
    for dark in (True, False):
        for share in RIMS:
            smooth_um = share * (task.min_object_um or 10 * float(spacing_um.min()))
            reach = tuple(int(n) for n in np.ceil(TRUNCATE * smooth_um / spacing_um))
            one = MitochondriaDark(
                classes=task.regions.kinds,
                dark=dark,
                smooth_um=smooth_um,
                reach_px=(0,) * (3 - len(reach)) + reach,
                min_voxels=voxels_of(task.min_object_um, spacing_um.tolist()),
            )
            found = [_everywhere(one, example) for example in examples]
            chosen = one.calibrate(found, examples)
            counted = [chosen.masked(each) for each in found]
            tried.append((overlap.scores(counted, examples, one.classes)["dice"], chosen))
    return max(tried, key=lambda scored: scored[0])[1]


def _everywhere(task: MitochondriaDark, example: Example) -> Labels:
    """Its confidences on a whole example."""
    image = example.image
    prepared = task.prepare(np.asarray(image.data[...]), levels_of(image))
    maps = task.forward({}, "cpu")(prepared[None])[0]
    return task.permissive().decode(replace(image, data=maps, axes="c" + image.axes))
