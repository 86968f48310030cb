"""Gold beads: small discs of a few known sizes in 2D electron micrographs. Works for any spots of known size.

A CenterNet (Zhou et al. 2019): for every size class a map of how likely a cell is to hold a bead's centre, and for every
cell where within it the centre lies. torch is imported inside the methods that need it, so that the settings below can be
read (for flags, forms and help) without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from graticule.arrays.evidence import measured_diameter
from graticule.arrays.peaks import find_peaks, suppress
from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import detection
from graticule.results import Points, Result
from graticule.task import Augment, Choice, Forward, Grid, Levels, Phase, Recipe, Scores, Shown, Weights

if TYPE_CHECKING:
    from torch import Tensor

STRIDE = 2
REACH = (
    384  # pixels a cell can see: with it, tiles give exactly the maps of one pass (measured; with 160, within 0.004)
)
APART = 32  # pixels of context beyond that, for telling whether two centres are one bead; more for large suppression
COARSEST = 32  # sides the network eats are multiples of its coarsest stride
FLOOR = 0.05  # confidence below which a peak is not even a candidate
NM = 1e-3  # µm
AROUND = np.stack(np.meshgrid([0, -1, 1], [0, -1, 1], indexing="ij"), axis=-1).reshape(-1, 2)
"""A cell and its eight neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beads:
    """Settings for finding gold beads, or any other spots of a few known sizes.

    Attributes
    ----------
    classes
        Names of the size classes; empty: those the dataset annotates.
    diameters_nm
        Diameter of each class in nm; empty: read from the names ("6nm"), else measured on the annotated beads.
    match_nm
        How far from an annotated centre a found one may lie, for each class; empty: the bead's radius plus 2 nm.
    working_nm
        Pixel size the network works at; images are resampled to it. 0: the images' own, or a tenth of the smallest
        diameter where they are much finer than that.
    thresholds
        Confidence from which a bead counts, for each class; empty: chosen on images held out from training.
    suppression
        Two centres closer than this share of their mean diameter are one bead: the more confident one stays.
    measure_diameter
        Also learn to measure each bead's diameter.
    encoder
        resnet18, resnet34 or resnet50.
    width
        Scale of the encoder's channels; 1 is the published network.
    neck_channels, neck_rounds, head_channels
        Size of the feature pyramid and of the heads.
    stem_skip
        Show the heads the encoder's finest features: places small beads better.
    epochs
        Training epochs; three numbers (heads only, + deep layers, all) thaw a pretrained encoder step by step.
    steps
        Patches drawn per epoch, in batches.
    batch
        Patches per step.
    patch_px
        Side of a training patch, in pixels of the working size; a multiple of 32.
    learning_rate
        Peak learning rate.
    patience
        Epochs without a better score on held-out images before training (or a phase of it) ends.
    average
        Decay of the moving average of the weights that is kept; 0 keeps the last weights themselves.
    mining
        Share of patches drawn around beads.
    paste
        Chance that crops of annotated beads are pasted into a patch.
    """

    name: ClassVar[str] = "beads"
    objective: ClassVar[str] = "f1"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds", "suppression")
    searched: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Choice(3e-4, 1e-2, "log"),
        "batch": Choice(4, 12, "whole"),
        "width": Choice(values=(0.25, 0.5, 1.0)),
        "neck_channels": Choice(values=(32, 64, 96)),
        "neck_rounds": Choice(1, 3, "whole"),
        "patch_px": Choice(values=(128, 192, 256)),
        "average": Choice(values=(0.0, 0.95, 0.98, 0.99)),
        "mining": Choice(0.4, 0.9),
        "paste": Choice(0.0, 0.8),
    }
    methods: ClassVar[str] = (
        "a convolutional network that predicts object centres as a heatmap (CenterNet, Zhou et al. 2019, arXiv:1904.07850) "
        "with a residual encoder (He et al. 2016, doi:10.1109/CVPR.2016.90) and a bidirectional feature pyramid (Tan et al. "
        "2020, doi:10.1109/CVPR42600.2020.01079)"
    )

    classes: tuple[str, ...] = ()
    diameters_nm: tuple[float, ...] = ()
    match_nm: tuple[float, ...] = ()
    working_nm: float = 0.0
    thresholds: tuple[float, ...] = ()
    suppression: float = 0.5
    measure_diameter: bool = False

    encoder: str = "resnet18"
    width: float = 0.5
    neck_channels: int = 64
    neck_rounds: int = 2
    head_channels: int = 32
    stem_skip: bool = True

    epochs: tuple[int, ...] = (16,)
    steps: int = 16
    batch: int = 8
    patch_px: int = 192
    learning_rate: float = 2e-3
    patience: int = 10
    average: float = 0.98
    mining: float = 0.7
    paste: float = 0.5

    def __post_init__(self) -> None:
        for field in ("diameters_nm", "match_nm", "thresholds"):
            count = len(getattr(self, field))
            if count not in (0, len(self.classes)):
                raise SettingsError(
                    f"found {count} {field} for {len(self.classes)} classes {self.classes}; give one for each class"
                )
        if self.patch_px % COARSEST or self.patch_px <= 0:
            raise SettingsError(f"patch_px is {self.patch_px}; it must be a multiple of {COARSEST}")
        if len(self.epochs) not in (1, len(THAWING)):
            raise SettingsError(
                f"epochs are {self.epochs}; give one number, or {len(THAWING)} to thaw the encoder step by step"
            )

    @property
    def grid(self) -> Grid:
        spacing = self.working_nm * NM
        halo = REACH + max(APART, self._apart_px)
        return Grid(
            spacing_um=(spacing, spacing),
            tile=(2176, 2176),
            halo=(halo, halo),
            multiple=COARSEST,
            stride=STRIDE,
            vector=len(self.classes),
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        """Suppression as a distance between the smallest beads, in nm."""
        if not self.diameters_nm:
            return {"suppression": Shown("nearer than this is one bead", 0, 2, 0.01, "diameters")}
        small = min(self.diameters_nm)
        name = self.classes[self.diameters_nm.index(small)]
        return {"suppression": Shown(f"two of {name} nearer than this are one", 0, 2 * small, 0.1, "nm", small)}

    @property
    def recipe(self) -> Recipe:
        small, working = min(self.diameters_nm), self.working_nm
        return Recipe(
            patch=(self.patch_px, self.patch_px),
            batch=self.batch,
            steps=self.steps,
            phases=_phases(self.epochs, self.learning_rate),
            augment=Augment(
                rotate_deg=10,
                elastic_um=0.1 * small * NM,
                elastic_scale_um=8 * small * NM,
                brightness=3.0,  # beside a dark fold the ground is several noise spreads off the image's median
                contrast=0.25,
                noise=0.15,
                blur_um=min(0.08 * small, working) * NM,
                paste=self.paste,
            ),
            object_um=tuple(d * NM for d in self.diameters_nm),
            mining=self.mining,
            mining_um=self.patch_px / 4 * working * NM,
            patience=self.patience,
            average=self.average,
        )

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        standard: Floats = ((pixels.astype(np.float32) - np.float32(levels.centre)) / np.float32(levels.spread))[None]
        return standard

    def network(self) -> Any:
        from graticule.nets.centernet import CenterNet

        return CenterNet(
            len(self.classes),
            encoder=self.encoder,
            width=self.width,
            neck=self.neck_channels,
            rounds=self.neck_rounds,
            head=self.head_channels,
            diameter=self.measure_diameter,
            stem_skip=self.stem_skip,
        )

    def forward(self, weights: Weights, device: str) -> Forward:
        from graticule.nets.forward import as_forward

        return as_forward(self.network(), weights, device, partial(_probabilities, kinds=len(self.classes)))

    def target(self, truth: Result, on: Image) -> Floats:
        """``(kinds + 2 [+ 1], *cells)``: heat exactly 1 in the cell of each centre; offset; log of the diameter in cells.

        The cells around a centre point at it too. Where the peak falls in one of them (a flat top, an average of turned
        views) the bead is still where it is.
        """
        assert isinstance(truth, Points)
        n = len(self.classes)
        target = np.zeros((n + 2 + self.measure_diameter, *on.shape), np.float32)
        nearest = np.full(on.shape, np.inf)
        centres = on.to_voxels(truth.position_um)
        for centre, kind, diameter_um in zip(centres, truth.kind, self._diameters_um(truth), strict=True):
            across = diameter_um / on.spacing_um[0]
            own = np.round(centre).astype(int)
            _stamp(target[kind], own, sigma=max(0.7, 0.45 * np.sqrt(across)))
            for cell in map(tuple, own + AROUND):
                offset = centre - cell
                inside = all(0 <= c < limit for c, limit in zip(cell, on.shape, strict=True))
                if inside and offset @ offset < nearest[cell]:
                    nearest[cell] = offset @ offset
                    target[(slice(n, n + 2), *cell)] = offset
                    target[(slice(n + 2, None), *cell)] = np.log(across)
        return target

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import max_pool2d

        from graticule.losses.focal import centre_focal, smooth_l1_at

        n = len(self.classes)
        heat = target[:, :n]
        centre = (heat == 1).any(dim=1, keepdim=True).to(maps.dtype)
        around = max_pool2d(centre, kernel_size=3, stride=1, padding=1)
        # What a person marked is known even outside the region they finished.
        loss = centre_focal(maps[:, :n], heat, torch.maximum(known, centre))
        loss = loss + smooth_l1_at(maps[:, n : n + 2], target[:, n : n + 2], around)
        if self.measure_diameter:
            loss = loss + smooth_l1_at(maps[:, n + 2 :], target[:, n + 2 :], around)
        return loss

    def decode(self, maps: Image) -> Points:
        n = len(self.classes)
        data = np.asarray(maps.data[...])
        found = []
        for kind in range(n):
            cells, heights = find_peaks(data[kind], min_distance=1, threshold=FLOOR, offset=data[n : n + 2])
            found.append(Points(maps.to_um(cells), heights.astype(float), np.full(len(cells), kind), self.classes))
        points = _joined(found)
        # What no class would keep gives way to nothing that one would: leaving it out first changes nothing, and is quick.
        points = points[points.confidence >= min(self.thresholds, default=0.0)]
        spread_um = self.suppression * self._class_diameters_um()[points.kind]
        points = self.keep(points[suppress(points.position_um, points.confidence, spread_um)])
        return self._with_diameters(points, maps) if self.measure_diameter else points

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return detection.scores(_all_points(found), truth, self.match_um)

    def resolve(self, examples: Sequence[Example]) -> Self:
        task = self if self.classes else replace(self, classes=_classes(examples))
        if not task.diameters_nm:
            task = replace(task, diameters_nm=tuple(_diameter_nm(name, examples) for name in task.classes))
        if not task.match_nm:
            task = replace(task, match_nm=tuple(d / 2 + 2 for d in task.diameters_nm))
        if not task.working_nm:
            native = float(np.median([min(e.image.spacing_um) for e in examples])) / NM
            wanted = min(task.diameters_nm) / 10
            task = replace(task, working_nm=native if native > 0.75 * wanted else wanted)
        return task

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Points:
        assert isinstance(candidates, Points)
        floors = np.array(self.thresholds or (FLOOR,) * len(self.classes))
        return candidates[candidates.confidence >= floors[candidates.kind]]

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        best = detection.best_thresholds(_all_points(found), truth, self.match_um)
        return replace(self, thresholds=tuple(max(FLOOR, round(float(best[name]), 4)) for name in self.classes))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=tuple(np.mean([t.thresholds for t in tasks], axis=0).round(4).tolist()))

    @property
    def match_um(self) -> Mapping[str, float]:
        """Matching radius of each class."""
        return {name: nm * NM for name, nm in zip(self.classes, self.match_nm, strict=True)}

    @property
    def _apart_px(self) -> int:
        """Two beads further apart than this are never one."""
        if not self.working_nm:
            return 0
        return math.ceil(self.suppression * max(self.diameters_nm, default=0.0) / self.working_nm)

    def _class_diameters_um(self) -> Array:
        return np.array(self.diameters_nm) * NM

    def _diameters_um(self, truth: Points) -> Array:
        return self._class_diameters_um()[truth.kind] if truth.diameter_um is None else truth.diameter_um

    def _with_diameters(self, points: Points, maps: Image) -> Points:
        """Each bead's diameter, read from the cell its centre lies in."""
        cells = np.clip(np.round(maps.to_voxels(points.position_um)).astype(int), 0, np.array(maps.shape) - 1)
        log_cells = np.asarray(maps.data[-1])[tuple(cells.T)]
        return replace(points, diameter_um=np.exp(log_cells.astype(float)) * maps.spacing_um[0])


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "midasmap": {
        "encoder": "resnet50",
        "width": 1.0,
        "neck_channels": 128,
        "neck_rounds": 2,
        "head_channels": 64,
        "stem_skip": False,
        "epochs": (40, 40, 60),
        "steps": 25,
        "batch": 8,
        "patch_px": 512,
        "learning_rate": 1e-3,
        "patience": 20,
        "average": 0.0,
    },
}
"""Settings by name. `midasmap` is the published configuration (24.4 M parameters, three phases): made for a GPU."""

THAWING: tuple[Mapping[str, float], ...] = (
    {"": 1.0, "encoder": 0.0},
    {"": 0.5, "encoder": 0.0, "encoder.layer3": 0.01, "encoder.layer4": 0.05},
    {"": 0.2, "encoder": 0.001, "encoder.layer2": 0.005, "encoder.layer3": 0.02, "encoder.layer4": 0.05},
)
"""Three phases for a pretrained encoder: learning rates as shares of the peak. 0 is frozen."""


def _phases(epochs: tuple[int, ...], peak: float) -> tuple[Phase, ...]:
    if len(epochs) == 1:
        return (Phase(epochs[0], {"": peak}),)
    return tuple(
        Phase(n, {k: share * peak for k, share in rates.items()}) for n, rates in zip(epochs, THAWING, strict=True)
    )


def _probabilities(out: Tensor, kinds: int) -> Tensor:
    out[:, :kinds] = out[:, :kinds].sigmoid()
    return out


def _stamp(heat: Floats, cell: Array, sigma: float) -> None:
    """A Gaussian that is exactly 1 at `cell`, merged by maximum; `cell` may lie outside."""
    reach = int(np.ceil(3 * sigma))
    low, high = np.maximum(cell - reach, 0), np.minimum(cell + reach + 1, heat.shape)
    if (low >= high).any():
        return
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    squares = [((np.arange(a, b) - c) ** 2) for a, b, c in zip(low, high, cell, strict=True)]
    bump = np.exp(-np.add.outer(*squares) / (2 * sigma**2))
    heat[window] = np.maximum(heat[window], bump)


def _joined(found: Sequence[Points]) -> Points:
    return Points(
        np.concatenate([p.position_um for p in found]),
        np.concatenate([p.confidence for p in found]),
        np.concatenate([p.kind for p in found]),
        found[0].kinds,
    )


def _all_points(results: Sequence[Result]) -> list[Points]:
    points = [r for r in results if isinstance(r, Points)]
    assert len(points) == len(results), "beads are points"
    return points


def _classes(examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes that the annotation's table names, in its order."""
    names = {name: None for e in examples if isinstance(e.truth, Points) for name in e.truth.kinds}
    if not names:
        raise AnnotationError("found no points in the dataset; beads need points/NAME.csv for every image")
    return tuple(names)


def _diameter_nm(name: str, examples: Sequence[Example]) -> float:
    """From the annotation's own sizes, else the class's name ("6nm"), else as measured on the annotated spots."""
    annotated = [e.truth.of_kind(name) for e in examples if isinstance(e.truth, Points) and name in e.truth.kinds]
    sizes = [p.diameter_um for p in annotated if p.diameter_um is not None and len(p)]
    if sizes:
        return round(float(np.median(np.concatenate(sizes))) / NM, 3)
    stated = re.search(r"(\d+(?:\.\d+)?)\s*nm\b", name, re.IGNORECASE)
    if stated:
        return float(stated[1])
    measured = [_measured_nm(e, name) for e in examples]
    known = [m for m in measured if m is not None]
    if not known:
        raise AnnotationError(f"found no size for class {name!r}: no such bead is annotated; give --diameters-nm")
    return round(float(np.median(known)), 3)


def _measured_nm(example: Example, name: str) -> float | None:
    truth = example.truth
    if not isinstance(truth, Points) or name not in truth.kinds or not len(truth.of_kind(name)):
        return None
    px = measured_diameter(
        np.asarray(example.image.data[...], np.float32), example.image.to_voxels(truth.of_kind(name).position_um)
    )
    return None if px is None else px * example.image.spacing_um[0] / NM
