"""Gold beads without a network: a Laplacian of Gaussian for each size, tuned on annotated images.

The baseline that a trained `beads` model is measured against, and a way to count beads where nothing can be trained.
For every size class the image is filtered for discs of that size; the tops of all filtered images compete for each
place, so a 12 nm bead is not also a 6 nm one; what fits a disc larger than any class better is not a bead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, Self

import numpy as np

from graticule.arrays.blobs import Polarity, blob_peaks, blob_responses, reach_px
from graticule.arrays.evidence import contrast_at, measured_diameter, polarity_of
from graticule.arrays.intensity import levels
from graticule.arrays.peaks import suppress
from graticule.arrays.resample import to_spacing
from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import detection
from graticule.results import Points, Result
from graticule.task import Forward, Grid, Levels, Scores, Weights

Yardstick = Literal["grey", "spread", "median"]

NM = 1e-3  # µm
FLOOR = 0.2  # confidence below which a top is not even a candidate: a quarter of the typical bead's contrast


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBeads:
    """Settings for finding beads by a Laplacian of Gaussian.

    Attributes
    ----------
    classes
        Names of the size classes; empty: those the dataset annotates.
    diameters_nm
        Diameter of each class in nm; empty: measured on the annotated beads.
    match_nm
        How far from an annotated centre a found one may lie, for each class; empty: the bead's radius plus 2 nm.
    working_nm
        Pixel size worked at; 0: the images' own.
    thresholds
        Confidence from which a bead counts, for each class; empty: every candidate.
    polarity
        Whether beads are dark or bright.
    size_factors
        The diameter filtered for, as a share of each class's: blur makes small beads look larger. Empty: 1.
    roundness
        How strongly lines and edges are held against a place: 0 is the plain filter, 1 leaves nothing of a line.
    too_large
        What fits a disc this many times the largest class better than any class is not a bead. 0: no limit.
    suppression
        Two centres closer than this share of their mean diameter are one bead: the one that fits better stays.
    yardstick
        What contrast is measured in: grey levels, the image's spread of grey levels, or its median grey level.
    typical
        Contrast of each class's beads, in that measure: what confidence 0.5 means. Empty: 1.
    """

    name: ClassVar[str] = "beads-log"
    objective: ClassVar[str] = "f1"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds",)

    classes: tuple[str, ...] = ()
    diameters_nm: tuple[float, ...] = ()
    match_nm: tuple[float, ...] = ()
    working_nm: float = 0.0
    thresholds: tuple[float, ...] = ()
    polarity: Polarity = "dark"
    size_factors: tuple[float, ...] = ()
    roundness: float = 1.0
    too_large: float = 1.6
    suppression: float = 0.8
    yardstick: Yardstick = "median"
    typical: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in ("diameters_nm", "match_nm", "thresholds", "size_factors", "typical"):
            count = len(getattr(self, field))
            if count not in (0, len(self.classes)):
                raise SettingsError(
                    f"found {count} {field} for {len(self.classes)} classes {self.classes}; give one for each class"
                )

    @property
    def grid(self) -> Grid:
        spacing = self.working_nm * NM
        halo = max(reach_px(d) for d in self.filter_px(spacing)) + 1
        return Grid(spacing_um=(spacing, spacing), tile=(2048, 2048), halo=(halo, halo))

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        contrast: Floats = (pixels.astype(np.float32) - np.float32(levels.centre)) / np.float32(self.unit(levels))
        return contrast[None]

    def forward(self, weights: Weights, device: str) -> Forward:
        """A map for each class, and one for what is too large to be a bead; there are no weights."""
        diameters = self.filter_px(self.working_nm * NM)

        def responses(batch: Floats) -> Floats:
            return np.stack(
                [
                    blob_responses(pixels[0], diameters, polarity=self.polarity, roundness=self.roundness)
                    for pixels in batch
                ]
            )

        return responses

    def decode(self, maps: Image) -> Points:
        candidates, contrast = self._tops(maps)
        diameter_um = self._filter_um()[candidates.kind]
        kept = suppress(candidates.position_um, contrast, self.suppression * diameter_um)
        is_bead = candidates.kind[kept] < len(self.classes)
        beads = candidates[kept[is_bead]]
        return self.keep(replace(beads, kinds=self.classes))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return detection.scores(_points(found), truth, self.match_um)

    def resolve(self, examples: Sequence[Example]) -> Self:
        task = self if self.classes else replace(self, classes=_classes(examples))
        if not task.diameters_nm:
            task = replace(task, diameters_nm=tuple(_measured_nm(examples, name) for name in task.classes))
        if not task.match_nm:
            task = replace(task, match_nm=tuple(d / 2 + 2 for d in task.diameters_nm))
        if not task.working_nm:
            task = replace(task, working_nm=float(np.median([min(e.image.spacing_um) for e in examples])) / NM)
        return task

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Points:
        assert isinstance(candidates, Points)
        floors = np.array(self.thresholds or (FLOOR,) * len(self.classes))
        return candidates[candidates.confidence >= floors[candidates.kind]]

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        best = detection.best_thresholds(_points(found), truth, self.match_um)
        return replace(self, thresholds=tuple(max(FLOOR, best[name]) for name in self.classes))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        thresholds = np.mean([task.thresholds for task in tasks], axis=0)
        return replace(self, thresholds=tuple(float(t) for t in thresholds))

    def unit(self, levels: Levels) -> float:
        """One unit of the yardstick, in grey levels of this image."""
        return {"grey": 1.0, "spread": levels.spread, "median": abs(levels.centre) or 1.0}[self.yardstick]

    def filter_px(self, spacing_um: float) -> list[float]:
        """Diameter each map is filtered for, in pixels."""
        return [float(d) for d in self._filter_um() / spacing_um]

    @property
    def match_um(self) -> Mapping[str, float]:
        """Matching radius of each class."""
        return {name: nm * NM for name, nm in zip(self.classes, self.match_nm, strict=True)}

    def _filter_um(self) -> Array:
        """Diameter each map is filtered for; the last one is that of what is too large."""
        factors = np.array(self.size_factors or (1.0,) * len(self.classes))
        diameters = np.array(self.diameters_nm) * factors * NM
        return np.append(diameters, diameters.max() * self.too_large) if self.too_large else diameters

    def _tops(self, maps: Image) -> tuple[Points, Array]:
        """Tops of all maps, and the contrast of each; the kind one beyond the classes is what is too large."""
        typical = np.array(self.typical or (1.0,) * len(self.classes))
        typical = np.append(typical, typical[-1:])
        places, contrasts, kinds = [], [], []
        for channel, diameter_um in enumerate(self._filter_um()):
            floor = typical[channel] * FLOOR / (1 - FLOOR)
            apart = max(1, round(float(diameter_um) / maps.spacing_um[0] / 4))
            cells, heights = blob_peaks(np.asarray(maps.data[channel]), threshold=floor, min_distance_px=apart)
            places.append(maps.to_um(cells))
            contrasts.append(heights)
            kinds.append(np.full(len(cells), channel))
        contrast: Array = np.concatenate(contrasts).astype(float)
        kind: Array = np.concatenate(kinds)
        confidence = contrast / (contrast + typical[kind])
        return Points(np.concatenate(places), confidence, kind, (*self.classes, "too large")), contrast


ROUNDNESS = (0.0, 0.5, 1.0)
BELIEVABLE = (0.7, 1.5)
"""Measured over stated diameters that blur and coating can explain; beyond, the annotation is at fault."""

YARDSTICKS: tuple[Yardstick, ...] = ("grey", "spread", "median")


def tune(task: LogBeads, examples: Sequence[Example]) -> LogBeads:
    """`task` with every setting that annotated images can teach, thresholds included.

    Polarity, the sizes filtered for and the typical contrast are measured on the annotated beads. Roundness and the
    yardstick are those of a small grid with the highest pooled F1 at their own best thresholds, then the highest
    average precision.
    """
    task = task.resolve(examples)
    views = [_view(task, example) for example in examples]
    task = replace(task, polarity=_polarity(task, views))
    task = replace(task, size_factors=_size_factors(task, views))
    trials = [trial for roundness in ROUNDNESS for trial in _trials(replace(task, roundness=roundness), views)]
    best, _ = max(trials, key=lambda pair: pair[1])
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """An example as tuning sees it: at the working pixel size, and only where it is judged, with some context."""

    example: Example
    image: Image
    levels: Levels

    @property
    def pixels(self) -> Array:
        return np.asarray(self.image.data[...])

    def places_px(self, name: str) -> Array:
        """``(N, 2)``, of the annotated beads of a class."""
        truth = detection.truth_points(self.example)
        places = truth.of_kind(name).position_um if name in truth.kinds else np.zeros((0, 2))
        return self.image.to_voxels(places)


def _view(task: LogBeads, example: Example) -> _View:
    working = to_spacing(example.image, task.grid.spacing_um)
    grey = levels(working)
    if example.complete is None:
        return _View(example, working, grey)
    judged = np.argwhere(np.asarray(example.complete.data[...]))
    if not len(judged):
        judged = np.zeros((1, 2), int)
    corners = working.to_voxels(example.image.to_um(np.stack([judged.min(axis=0), judged.max(axis=0)])))
    context = 2 * task.grid.halo[0]
    start = np.maximum(np.floor(corners[0]).astype(int) - context, 0)
    stop = np.minimum(np.ceil(corners[1]).astype(int) + context + 1, working.shape)
    return _View(example, working.crop(tuple(map(int, start)), tuple(map(int, stop))), grey)


def _trials(task: LogBeads, views: Sequence[_View]) -> Iterator[tuple[LogBeads, tuple[float, float]]]:
    """`task` with each yardstick, calibrated, and how good it then is: F1 and average precision.

    The filters are linear: the maps in one yardstick are those in grey levels over a number.
    """
    trials = [
        replace(task, yardstick=each, typical=_typical(replace(task, yardstick=each), views)) for each in YARDSTICKS
    ]
    found: list[list[Result]] = [[] for _ in trials]
    for view in views:
        grey = replace(task, yardstick="grey")
        maps = grey.forward({}, "cpu")(grey.prepare(view.pixels, view.levels)[None])[0]
        for trial, results in zip(trials, found, strict=True):
            scaled = maps / np.float32(trial.unit(view.levels))
            results.append(trial.permissive().decode(Image(scaled, "cyx", view.image.spacing_um, view.image.origin_um)))
    truth = [view.example for view in views]
    for trial, results in zip(trials, found, strict=True):
        calibrated = trial.calibrate(results, truth)
        f1 = calibrated.score([calibrated.keep(one) for one in results], truth)["f1"]
        yield calibrated, (f1, calibrated.score(results, truth).get("ap", 0.0))


def _polarity(task: LogBeads, views: Sequence[_View]) -> Polarity:
    """Of most annotated beads."""
    votes = {"dark": 0, "bright": 0}
    for view in views:
        for name, diameter_px in zip(task.classes, task.filter_px(view.image.spacing_um[0]), strict=False):
            places = view.places_px(name)
            if len(places):
                votes[polarity_of(view.pixels, places, diameter_px)] += len(places)
    return "dark" if votes["dark"] >= votes["bright"] else "bright"


def _size_factors(task: LogBeads, views: Sequence[_View]) -> tuple[float, ...]:
    """Measured over stated diameter of each class; 1 where it cannot be measured."""
    factors = []
    for name, diameter_nm in zip(task.classes, task.diameters_nm, strict=True):
        measured = [(len(view.places_px(name)), _diameter_um(view, name)) for view in views]
        known = [um for count, um in measured if um is not None for _ in range(count)]
        factors.append(float(np.clip(np.median(known) / (diameter_nm * NM), *BELIEVABLE)) if known else 1.0)
    return tuple(round(factor, 3) for factor in factors)


def _diameter_um(view: _View, name: str) -> float | None:
    px = measured_diameter(view.pixels, view.places_px(name))
    return None if px is None else px * view.image.spacing_um[0]


def _typical(task: LogBeads, views: Sequence[_View]) -> tuple[float, ...]:
    """Median contrast of each class's annotated beads, in the task's yardstick."""
    typical = []
    for kind, name in enumerate(task.classes):
        values = [np.zeros(0)]
        for view in views:
            diameter_px = task.filter_px(view.image.spacing_um[0])[kind]
            grey = contrast_at(view.pixels, view.places_px(name), diameter_px, task.polarity)
            values.append(grey / task.unit(view.levels))
        known = np.concatenate(values)
        known = known[np.isfinite(known) & (known > 0)]
        typical.append(float(np.median(known)) if len(known) else 0.0)
    fallback = max(typical) or 1.0
    return tuple(float(f"{value or fallback:.4g}") for value in typical)


def baseline(task: _Sized, examples: Sequence[Example]) -> LogBeads:
    """The classical method for the classes, sizes and matching radii of `task`, tuned on these examples."""
    like = LogBeads(classes=task.classes, diameters_nm=task.diameters_nm, match_nm=task.match_nm)
    return tune(like, examples)


class _Sized(Protocol):
    """What another bead task has to say about its classes."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def diameters_nm(self) -> tuple[float, ...]: ...
    @property
    def match_nm(self) -> tuple[float, ...]: ...


def _points(results: Sequence[Result]) -> list[Points]:
    points = [result for result in results if isinstance(result, Points)]
    assert len(points) == len(results), "beads are points"
    return points


def _classes(examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes that the annotations' tables name, in order."""
    names = {name: None for example in examples for name in detection.truth_points(example).kinds}
    if not names:
        raise AnnotationError("found no class in the dataset; beads need points/NAME.csv for every image")
    return tuple(names)


def _measured_nm(examples: Sequence[Example], name: str) -> float:
    """Median over images of the diameter measured on the annotated spots of a class."""
    views = [_View(example, example.image, Levels(0.0, 1.0)) for example in examples]
    known = [um for view in views if (um := _diameter_um(view, name)) is not None]
    if not known:
        raise AnnotationError(f"found no spot of class {name!r} to measure; give --diameters-nm")
    return round(float(np.median(known)) / NM, 3)
