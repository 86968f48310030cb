"""Tissue against resin in electron micrographs, in planes and in volumes: a mask, by a compact U-Net.

Such masks say where other methods shall look at all. Classes may be added (trachea, soma …); what is in none of them is
background. torch is imported inside the methods that need it, so that the settings below can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy.special import softmax

from graticule.arrays import texture
from graticule.arrays.intensity import between_ends
from graticule.arrays.intensity import levels as levels_of
from graticule.arrays.texture import Resin, Scales
from graticule.box import round_up
from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import overlap
from graticule.results import Labels, Result
from graticule.task import Augment, Choice, Forward, Grid, Levels, Phase, Recipe, Regions, Scores, Shown, Weights
from graticule.tasks.masking import by_plane
from graticule.tasks.sizes import dimensions_of, fitting_patch, for_each_axis
from graticule.tasks.tissue_texture import TissueTexture

if TYPE_CHECKING:
    from torch import Tensor

COARSEST = 16  # sides of training patches are multiples of the network's coarsest stride
STEPS = 255  # confidences are whole 255ths: what is decoded at once and what is stored for later are the same
NM = 1e-3  # µm
TEXTURE = "texture."  # begins the names of what is measured, among a network's weights
SCALES = Scales()
PATCH = {2: 256, 3: 64}
WINDOW = {2: 1152, 3: 256}
OVERLAP = {2: 128, 3: 64}  # with it, tiles and one pass differ by 0.02 in confidence at most, and in 1e-5 of all labels
BYTES_PER_VOXEL = {2: 260, 3: 100}  # of a window, at the peak of a pass; measured (levels below the first are small)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """Settings for outlining tissue, or any other few classes of material.

    Attributes
    ----------
    classes
        Names of what is outlined, in the order of their numbers; empty: those the dataset names, else "tissue".
    dimensions
        2 for planes, 3 for volumes; 0: as the annotated images are.
    working_nm
        Voxel size the network works at, one number or one for each axis; images are resampled to it. Empty: the
        annotated images' own.
    thresholds
        Confidence from which a voxel counts, for each class; empty: chosen on images held out from training.
    channels
        Of each level of the network; every level below the first halves the resolution.
    norm
        "batch", or "instance": each window standardised by itself, as published; results then depend on the windows.
    window_px
        Side of the windows that the network is shown, a multiple of 16; 0: 1152 in 2D, 256 in 3D.
    overlap_px
        Voxels that neighbouring windows share; of these, each window's outer half is not kept. A multiple of 16, best of
        32: then windows are halved alike on all levels of the network. 0: 128 in 2D, 64 in 3D.
    min_region_um
        Regions smaller than a disc or ball of this diameter are dropped.
    fill_holes
        Fill background that is enclosed by a class.
    keep_largest
        Keep only the largest region of each class.
    grow_um
        Grow the mask by so much, or shrink it if negative.
    texture_weight
        How much the label-free confidence of `tissue-texture` counts: so many times its logit is added to the network's
        (that of the first class). 0: not at all. Worth a try where an image is unlike those learnt from: a model of
        simulated planes gained by it on cells in charged resin (Dice 0.95 to 0.97), and lost on platelets.
    epochs
        Training epochs.
    steps
        Steps per epoch.
    batch
        Patches per step.
    patch_px
        Side of a training patch, one number or one for each axis, multiples of 16; empty: 256 in 2D, 64 in 3D, or less
        where images are smaller.
    learning_rate
        Peak learning rate.
    weight_decay
        Of AdamW; 0 makes it Adam.
    patience
        Epochs without a better score on held-out images before training ends.
    average
        Decay of the moving average of the weights that is kept; 0 keeps the last weights themselves.
    mining
        Share of patches drawn around voxels of a class, half of them on its edge; the rest are drawn anywhere.
    zoom
        Largest relative change of scale that patches are shown at.
    """

    name: ClassVar[str] = "tissue"
    objective: ClassVar[str] = "dice"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds", "min_region_um", "fill_holes", "keep_largest", "grow_um")
    handed_on: ClassVar[tuple[str, ...]] = ("channels", "norm", "working_nm")
    searched: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Choice(2e-4, 1e-2, "log"),
        "weight_decay": Choice(1e-6, 1e-1, "log"),
        "batch": Choice(2, 8, "whole"),
        "mining": Choice(0.2, 0.8),
        "zoom": Choice(0.0, 0.4),
        "average": Choice(values=(0.0, 0.9, 0.97, 0.99)),
        "channels": Choice(values=((8, 16, 32, 64, 128), (16, 32, 64, 128), (16, 32, 64, 128, 256))),
    }
    methods: ClassVar[str] = (
        "a residual U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; Kerfoot et al. 2019, "
        "doi:10.1007/978-3-030-12029-0_40) that outlines classes of material voxel by voxel"
    )

    classes: tuple[str, ...] = ()
    dimensions: int = 0
    working_nm: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    norm: Literal["batch", "instance"] = "batch"
    window_px: int = 0
    overlap_px: int = 0

    min_region_um: float = 0.0
    fill_holes: bool = False
    keep_largest: bool = False
    grow_um: float = 0.0
    texture_weight: float = 0.0

    epochs: int = 20
    steps: int = 25
    batch: int = 4
    patch_px: tuple[int, ...] = ()
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    patience: int = 10
    average: float = 0.97
    mining: float = 0.5
    zoom: float = 0.25

    def __post_init__(self) -> None:
        if len(self.thresholds) not in (0, len(self.classes)):
            raise SettingsError(
                f"found {len(self.thresholds)} thresholds for {len(self.classes)} classes {self.classes}; give one each"
            )
        if self.dimensions not in (0, 2, 3):
            raise SettingsError(f"dimensions is {self.dimensions}; it must be 2 or 3, or 0 to ask the images")
        if any(n <= 0 or n % COARSEST for n in self.patch_px):
            raise SettingsError(f"patch_px is {self.patch_px}; all must be multiples of {COARSEST}")
        if self.overlap_px % COARSEST or self.window_px % COARSEST or 0 < self.window_px <= self.overlap_px:
            raise SettingsError(
                f"found windows of {self.window_px} that share {self.overlap_px} voxels; need multiples of {COARSEST}, and "
                "windows larger than what they share"
            )

    @property
    def grid(self) -> Grid:
        shared = self.overlap_px or OVERLAP[self._ndim]
        kept = (self.window_px or WINDOW[self._ndim]) - shared
        seen = round_up(SCALES.reach_px, COARSEST) if self.texture_weight else 0
        return Grid(
            spacing_um=tuple(nm * NM for nm in self.working_nm),
            tile=(kept,) * self._ndim,
            halo=(*(shared // 2,) * (self._ndim - 2), *(max(shared // 2, seen),) * 2),
            multiple=gcd(shared // 2, COARSEST),
            rigid=True,
            bytes_per_voxel=BYTES_PER_VOXEL[self._ndim],
        )

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            patch=for_each_axis(self.patch_px or (PATCH[self._ndim],), self._ndim, "patch_px"),
            batch=self.batch,
            steps=self.steps,
            phases=(Phase(self.epochs, {"": self.learning_rate}),),
            # Grey levels are scaled to -1 … 1: stain and detector shift them by a good part of that.
            augment=Augment(rotate_deg=0.0, zoom=self.zoom, brightness=0.3, contrast=0.3, noise=0.2),
            mining=self.mining,
            weight_decay=self.weight_decay,
            patience=self.patience,
            average=self.average,
        )

    @property
    def regions(self) -> Regions:
        return Regions(
            min_voxels=self._least_voxels(),
            max_hole_voxels=None if self.fill_holes else 0,
            keep_largest=self.keep_largest,
            grow_um=self.grow_um,
            kinds=self.classes,
            confidences=len(self.classes),
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        finest = min(self.working_nm, default=0.0) * NM or 1.0
        return {
            "min_region_um": Shown("smallest region across", 0, 200 * finest, finest, "µm"),
            "grow_um": Shown("grown by", -20 * finest, 20 * finest, finest, "µm"),
        }

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """Grey levels from the darkest to the brightest percent to -1 … 1; single specks may lie a little beyond."""
        return between_ends(pixels, levels)[None]

    def network(self) -> Any:
        from graticule.nets.unet import UNet

        return UNet(len(self.classes), dimensions=self._ndim, channels=self.channels, norm=self.norm)

    def forward(self, weights: Weights, device: str) -> Forward:
        """Maps are the confidence of each class in 0 … 1, in whole 255ths."""
        from graticule.nets.forward import as_forward

        own = {name: value for name, value in weights.items() if not name.startswith(TEXTURE)}
        if not self.texture_weight:
            return as_forward(self.network(), own, device, _confidences)
        resin = Resin(**{n.removeprefix(TEXTURE): float(w) for n, w in weights.items() if n.startswith(TEXTURE)})
        return _fused(as_forward(self.network(), own, device, lambda out: out), resin, self.texture_weight)

    def measure(self, image: Image) -> Weights:
        """What the texture of resin is like in this image, where that counts; to be merged into the weights."""
        if not self.texture_weight:
            return {}
        levels = levels_of(image)
        planes = (self.prepare(plane, levels)[0] for plane in texture.sampled(image))
        resin = asdict(texture.measure(planes, SCALES))
        return {f"{TEXTURE}{name}": np.array(value, np.float64) for name, value in resin.items()}

    def target(self, truth: Result, on: Image) -> Floats:
        """``(classes, *space)``: 1 in the voxels of a class; with one class, in all that are not 0."""
        assert isinstance(truth, Labels)
        numbers = np.asarray(truth.image.data[...])
        if len(self.classes) == 1:
            numbers = (numbers != 0).astype(np.uint8)
        every: Floats = np.stack([numbers == kind for kind in range(1, len(self.classes) + 1)]).astype(np.float32)
        return every

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        from graticule.losses.overlap import dice_cross_entropy

        return dice_cross_entropy(maps, target, known)

    def decode(self, maps: Image) -> Labels:
        """Classes ``(*space)``; of a `permissive` task every class's confidence ``(classes, *space)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[: len(self.classes)]) * STEPS).astype(np.uint8)
        return self.keep(Labels(replace(maps, data=graded)))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return overlap.scores(found, truth, self.classes)

    def resolve(self, examples: Sequence[Example]) -> Self:
        task = self if self.classes else replace(self, classes=("tissue",))
        task = replace(task, dimensions=dimensions_of(examples, self.dimensions))
        own_nm = np.median([e.image.spacing_um for e in examples], axis=0) / NM
        working = self.working_nm or tuple(float(round(nm, 6)) for nm in own_nm)
        task = replace(task, working_nm=for_each_axis(working, task.dimensions, "working_nm"))
        if not task.patch_px:
            task = replace(task, patch_px=_fitting_patch(task, examples))
        _refuse_strange_numbers(examples, task.classes)
        return task

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Labels:
        """The surest of the classes whose confidence reaches their thresholds; without thresholds all is kept as it is."""
        assert isinstance(candidates, Labels)
        if not self.thresholds:
            return candidates
        graded = np.asarray(candidates.image.data)
        reached = graded >= np.round(np.array(self.thresholds) * STEPS).reshape(-1, *[1] * (graded.ndim - 1))
        surest = np.where(reached, graded, 0).argmax(axis=0) + 1
        classes = np.where(reached.any(axis=0), surest, 0).astype(np.uint8)
        return Labels(replace(candidates.image, data=classes, axes=candidates.image.axes[1:]))

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """Thresholds of the highest Dice, class by class."""
        return replace(self, thresholds=overlap.best_thresholds(found, truth, len(self.classes)))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=tuple(np.mean([t.thresholds for t in tasks], axis=0).round(4).tolist()))

    @property
    def _ndim(self) -> int:
        return self.dimensions or 3

    def _least_voxels(self) -> int:
        """Of a disc or ball of the least diameter, on the working grid."""
        if not self.min_region_um or not self.working_nm:
            return 0
        share = np.pi / (4 if self._ndim == 2 else 6)
        return int(np.ceil(share * self.min_region_um**self._ndim / np.prod(self.grid.spacing_um)))


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "catena": {
        "dimensions": 3,
        "norm": "instance",
        "window_px": 64,
        "overlap_px": 16,
        "patch_px": (64,),
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "average": 0.0,
        "epochs": 100,
        "patience": 30,
        "steps": 80,
    },
}
"""Settings by name. `catena` is the published network and recipe; `catena-32` shows it smaller windows."""

PRESETS = {**PRESETS, "catena-32": {**PRESETS["catena"], "window_px": 32, "overlap_px": 16, "patch_px": (32,)}}


def _confidences(out: Tensor) -> Tensor:
    from graticule.losses.overlap import shares

    return (shares(out) * STEPS).round() / STEPS


def _fused(logits: Forward, resin: Resin, weight: float) -> Forward:
    """The network's logits and, for the first class, `weight` times that of texture, to confidences in whole 255ths."""
    textured = by_plane(lambda plane: texture.confidence(plane, resin, SCALES))

    def forward(batch: Floats) -> Floats:
        sums = logits(batch).astype(np.float64)
        # What lies beyond the image is exactly 0; no row or column of an image is.
        share = np.clip(textured(np.concatenate([batch, batch != 0], axis=1))[:, 0], 0.5 / STEPS, 1 - 0.5 / STEPS)
        sums[:, 0] += weight * np.log(share / (1 - share))
        fused: Floats = (np.round(softmax(np.insert(sums, 0, 0, axis=1), axis=1)[:, 1:] * STEPS) / STEPS).astype(
            np.float32
        )
        return fused

    return forward


def baseline(task: Tissue, examples: Sequence[Example]) -> TissueTexture:
    """Texture alone, which needs no examples."""
    return TissueTexture()


def _fitting_patch(task: Tissue, examples: Sequence[Example]) -> tuple[int, ...]:
    usual = (PATCH[task.dimensions],) * task.dimensions
    return fitting_patch(examples, task.grid.spacing_um, usual, COARSEST)


def _refuse_strange_numbers(examples: Sequence[Example], classes: tuple[str, ...]) -> None:
    if len(classes) == 1:
        return
    for example in examples:
        largest = int(overlap.true_labels(example).max(initial=0))
        if largest > len(classes):
            raise AnnotationError(
                f"labels/{example.name}: found the number {largest} for {len(classes)} classes ({', '.join(classes)}); "
                "need 1 for the first of them, 2 for the second …; name all classes, or mend the labels"
            )
