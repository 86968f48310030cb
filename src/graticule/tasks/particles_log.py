"""Particles without learning: a Laplacian of Gaussian, its size and threshold tuned on the same clicks.

The baseline beside every figure of `particles`, for planes and volumes. It is told as much: the clicks, and about how many
particles there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np

from graticule.arrays.blobs import Polarity, blob_peaks, blob_response, reach_px
from graticule.arrays.intensity import levels as levels_of
from graticule.arrays.peaks import suppress
from graticule.arrays.resample import to_spacing
from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import detection
from graticule.results import Points, Result
from graticule.task import Forward, Grid, Levels, Scores, Weights
from graticule.tasks.particles import Particles

NM = 1e-3  # µm
ACROSS = 8  # voxels across the blob that is looked for, but none finer than the image's
FACTORS = (0.25, 0.35, 0.5, 0.7, 1.0)  # of the diameter: blobs that are tried
GAP = 0.35  # diameters of a particle that two keep from one another
TYPICAL = 10.0  # answer, in spreads of the image's noise, that makes a confidence of 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LogParticles:
    """Settings for finding particles by a Laplacian of Gaussian.

    Attributes
    ----------
    classes
        The name of what is found.
    dimensions
        2 or 3.
    diameters_nm, match_nm
        Of a particle, and how far from an annotated centre a found one may lie.
    polarity
        Whether particles are bright or dark.
    blob_nm
        Diameter of the blob that is looked for.
    working_nm
        Voxel size worked at, alike along all axes.
    thresholds
        Confidence from which a particle counts; empty: every candidate.
    """

    name: ClassVar[str] = "particles-log"
    objective: ClassVar[str] = "f1"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds",)

    classes: tuple[str, ...] = ()
    dimensions: int = 3
    diameters_nm: tuple[float, ...] = ()
    match_nm: tuple[float, ...] = ()
    polarity: Literal["bright", "dark"] = "bright"
    blob_nm: float = 0.0
    working_nm: float = 0.0
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.blob_nm, self.working_nm) <= 0 or len(self.diameters_nm) != 1 or len(self.match_nm) != 1:
            raise SettingsError(
                "a Laplacian of Gaussian for particles needs one diameter, one match_nm, a blob_nm and a working_nm"
            )

    @property
    def grid(self) -> Grid:
        spacing = self.working_nm * NM
        reach = reach_px(self._blob_px, self.dimensions) + int(2 * self._gap_px) + 2
        return Grid(
            spacing_um=(spacing,) * self.dimensions,
            tile=(192,) * 3 if self.dimensions == 3 else (2048,) * 2,
            halo=(reach,) * self.dimensions,
        )

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        contrast: Floats = (pixels.astype(np.float32) - np.float32(levels.centre)) / np.float32(levels.spread)
        return contrast[None]

    def forward(self, weights: Weights, device: str) -> Forward:
        """How much like a blob each place is; there are no weights."""
        polarity: Polarity = self.polarity

        def responses(batch: Floats) -> Floats:
            return np.stack([blob_response(pixels[0], self._blob_px, polarity=polarity)[None] for pixels in batch])

        return responses

    def decode(self, maps: Image) -> Points:
        answer = np.asarray(maps.data[0])
        places, heights = blob_peaks(answer, threshold=0.0)
        kept = suppress(places, heights, np.full(len(places), self._gap_px))
        confidence = heights[kept].astype(float) / (heights[kept] + TYPICAL)
        return self.keep(Points(maps.to_um(places[kept]), confidence, np.zeros(len(kept), int), self.classes))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        points = [one for one in found if isinstance(one, Points)]
        return detection.scores(points, truth, self.match_um)

    def resolve(self, examples: Sequence[Example]) -> Self:
        return self

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Points:
        assert isinstance(candidates, Points)
        return candidates[candidates.confidence >= (self.thresholds[0] if self.thresholds else 0.0)]

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold of the best F1, where annotation is complete."""
        points = [one for one in found if isinstance(one, Points)]
        best = detection.best_thresholds(points, truth, self.match_um)[self.classes[0]]
        return replace(self, thresholds=(round(float(best), 6),))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=(float(np.mean([t.thresholds[0] for t in tasks])),))

    @property
    def match_um(self) -> dict[str, float]:
        """Matching radius of the class."""
        return {self.classes[0]: self.match_nm[0] * NM}

    @property
    def _blob_px(self) -> float:
        return self.blob_nm / self.working_nm

    @property
    def _gap_px(self) -> float:
        return GAP * self.diameters_nm[0] / self.working_nm


def baseline(task: Particles, examples: Sequence[Example]) -> LogParticles:
    """The blob whose answers rank the clicks highest, and the threshold at which as many are found as there are.

    Where masks say that annotation is complete, the best F1 decides on both.
    """
    polarity: Literal["bright", "dark"] = "dark" if task.polarity == "dark" else "bright"
    complete = all(example.complete is not None for example in examples)
    finest_nm = min(min(example.image.spacing_um) for example in examples) / NM
    best: tuple[float, LogParticles] | None = None
    for factor in FACTORS:
        method = LogParticles(
            classes=task.classes,
            dimensions=task.dimensions,
            diameters_nm=task.diameters_nm,
            match_nm=task.match_nm,
            polarity=polarity,
            blob_nm=factor * task.diameters_nm[0],
            working_nm=max(factor * task.diameters_nm[0] / ACROSS, finest_nm),
        )
        found = [everything(method, example) for example in examples]
        tuned = method.calibrate(found, examples) if complete else _counted(method, found, task.count)
        kept = [tuned.keep(one) for one in found]
        scores = tuned.score(kept, examples)
        value = scores["f1"] if complete else scores["recall"]
        if best is None or value > best[0]:
            best = value, tuned
    assert best is not None
    return best[1]


def everything(method: LogParticles, example: Example) -> Points:
    """All candidates of one image."""
    image = to_spacing(example.image, method.grid.spacing_um)
    prepared = method.prepare(np.asarray(image.data[...]), levels_of(image))
    answer = method.forward({}, "cpu")(prepared[None])[0]
    return method.decode(replace(image, data=answer, axes="c" + image.axes))


def _counted(method: LogParticles, found: Sequence[Points], count: float) -> LogParticles:
    """At the threshold at which `count` are found in an image on average."""
    falling = np.sort(np.concatenate([one.confidence for one in found]))[::-1]
    if not len(falling):
        return replace(method, thresholds=(0.5,))
    last = min(max(1, round(count * len(found))), len(falling)) - 1
    return replace(method, thresholds=(round(float(falling[last]), 6),))
