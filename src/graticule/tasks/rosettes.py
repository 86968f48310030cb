"""Rosettes in epithelia: five or more cells that meet round one point or one extruding cell, proposed for review.

What is looked at is where cells end, never how bright anything is: an attention U-Net sees cell boundaries drawn thin and
thick. Cells come from a label image, or from a picture of membranes that is cut into cells first. torch is imported inside
the methods that need it, so that the settings below can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy import ndimage

from graticule.arrays.cells import boundaries, cell_diameter_px, looks_like_cells, outline_cells, without_gaps
from graticule.arrays.regions import tidy
from graticule.arrays.resample import with_shape
from graticule.errors import FormatError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import events
from graticule.results import Labels, Result
from graticule.task import (
    DRAWN,
    Augment,
    Choice,
    Description,
    Forward,
    Grid,
    Levels,
    Phase,
    Recipe,
    Regions,
    Scores,
    Shown,
    Weights,
)

if TYPE_CHECKING:
    from torch import Tensor

    from graticule.tasks.rosettes_vertices import RosettesVertices

STEPS = 255  # confidences are whole 255ths: what is decoded at once and what is stored for later are the same
PUBLISHED_CELL_PX = 25.0  # what a cell measures where images keep their own pixels
LARGEST = 8.0  # times, that cells are magnified at most
BYTES_PER_VOXEL = 900  # of a window, at the peak of a pass; measured
GAP_PX = 2  # what is left out of each of two rosettes that touch: as wide as thick boundaries are drawn
SEEN = 2  # channels of the view that the network is given; the third is the numbers of the cells

Source = Literal["auto", "labels", "membranes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rosettes:
    """Settings for proposing rosettes.

    Attributes
    ----------
    classes
        The name of what is found: one.
    cells
        What images show: "labels", one number per cell; "membranes", which are cut into cells; "auto" asks each image.
    cell_px
        Pixels per median cell diameter that boundaries are drawn at, whatever the magnification; 0: the image's own
        pixels, as published.
    thresholds
        Confidence from which a pixel counts; empty: chosen on images held out from training.
    min_cells
        Proposals smaller than so many median cells are dropped.
    channels
        Of each level of the network; every level below the first halves the resolution.
    window_px
        Side of the windows that the network is shown.
    overlap_px
        Pixels that neighbouring windows share; of these, each window's outer half is not kept.
    epochs
        Training epochs.
    steps
        Steps per epoch.
    batch
        Patches per step.
    patch_px
        Side of a training patch.
    learning_rate
        Peak learning rate.
    weight_decay
        Of AdamW.
    patience
        Epochs without a better score on held-out images before training ends.
    average
        Decay of the moving average of the weights that is kept; 0 keeps the last weights themselves.
    mining
        Share of patches drawn around rosettes; the rest are drawn anywhere.
    rotate, elastic, affine, dropout
        Shares of the patches that are rotated by up to 45°, bent, zoomed by up to 1.2, and shown with holes. All but
        the first move or hide the places where cells meet, so they are rarer here than published (0.5, 0.4, 0.6, 0.3).
    """

    name: ClassVar[str] = "rosettes"
    objective: ClassVar[str] = "event_f1"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds", "min_cells", "cells")
    redrawn: ClassVar[tuple[str, ...]] = ("cells",)
    methods: ClassVar[str] = (
        "an Attention U-Net (Oktay et al. 2018, arXiv:1804.03999) that outlines rosettes on pictures of cell boundaries"
    )
    handed_on: ClassVar[tuple[str, ...]] = ("channels", "cell_px")
    searched: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Choice(3e-4, 1e-2, "log"),
        "weight_decay": Choice(1e-5, 1e-1, "log"),
        "cell_px": Choice(18.0, 34.0),
        "batch": Choice(2, 8, "whole"),
        "mining": Choice(0.2, 0.8),
        "elastic": Choice(0.0, 0.5),
        "affine": Choice(0.0, 0.7),
        "dropout": Choice(0.0, 0.4),
        "average": Choice(values=(0.0, 0.9, 0.97, 0.99)),
    }

    classes: tuple[str, ...] = ("rosette",)
    cells: Source = "auto"
    cell_px: float = 26.0
    thresholds: tuple[float, ...] = ()
    min_cells: float = 1.0

    channels: tuple[int, ...] = (16, 32, 64, 128)
    window_px: int = 640
    overlap_px: int = 128

    epochs: int = 18
    steps: int = 25
    batch: int = 4
    patch_px: int = 160
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 15
    average: float = 0.97
    mining: float = 0.5
    rotate: float = 0.5
    elastic: float = 0.1
    affine: float = 0.3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if len(self.thresholds) > 1:
            raise SettingsError(f"found {len(self.thresholds)} thresholds; need one")
        if self.cell_px < 0:
            raise SettingsError(f"cell_px is {self.cell_px}; need a number of pixels, or 0 for the image's own")
        sides = {"window_px": self.window_px, "overlap_px": self.overlap_px, "patch_px": self.patch_px}
        odd = {name: side for name, side in sides.items() if side % self._coarsest}
        if odd or not 0 <= self.overlap_px < self.window_px or self.patch_px <= 0:
            raise SettingsError(
                f"found {', '.join(f'{name} {side}' for name, side in sides.items())}; need multiples of "
                f"{self._coarsest}, and windows larger than what they share"
            )

    @property
    def grid(self) -> Grid:
        return Grid(
            spacing_um=(),
            tile=(self.window_px - self.overlap_px,) * 2,
            halo=(self.overlap_px // 2,) * 2,
            rigid=True,
            bytes_per_voxel=BYTES_PER_VOXEL * self.channels[0] // 16,
            channels=3,
        )

    @property
    def recipe(self) -> Recipe:
        cell = self._cell_px
        return Recipe(
            patch=(self.patch_px,) * 2,
            batch=self.batch,
            steps=self.steps,
            phases=(Phase(self.epochs, {"": self.learning_rate}),),
            # Boundaries are drawn: there are no grey levels to change.
            augment=Augment(
                rotate_deg=45.0,
                rotate_chance=self.rotate,
                zoom=0.2,
                zoom_chance=self.affine,
                elastic_px=0.13 * cell,  # 3.2 px at 25 px a cell, which is what alpha 120 and sigma 6 come to
                elastic_scale_px=0.5 * cell,
                elastic_chance=self.elastic,
                holes=self.dropout,
                hole_px=round(0.8 * cell),
                crisp=True,
                brightness=0.0,
                contrast=0.0,
                noise=0.0,
            ),
            mining=self.mining,
            weight_decay=self.weight_decay,
            patience=self.patience,
            validate_every=2,  # examining takes as long as learning
            average=self.average,
        )

    @property
    def regions(self) -> Regions:
        cell = np.pi / 4 * self._cell_px**2
        return Regions(
            numbered=True,
            min_voxels=round(self.min_cells * cell),
            max_hole_voxels=round(cell),
            kinds=self.classes,
            confidences=1,
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        return {"min_cells": Shown("smallest rosette", 0, 20, 0.1, "cells")}

    def view(self, image: Image) -> Image:
        """``(3, y, x)``: thin boundaries, thick boundaries, numbers of cells, at `cell_px` pixels per median cell."""
        return drawn(self.cells_in(image), self.cell_px)

    def cells_in(self, image: Image) -> Image:
        """The numbers of the cells on the image's own pixels."""
        return cells_in(image, self.cells)

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """Of the view, what the network is given: thin and thick boundaries, 0 and 1."""
        seen: Floats = np.asarray(pixels[:SEEN], np.float32)
        return seen

    def network(self) -> Any:
        from graticule.nets.attention_unet import AttentionUNet

        return AttentionUNet(1, dimensions=2, channels=self.channels, inputs=SEEN)

    def forward(self, weights: Weights, device: str) -> Forward:
        """One map: the confidence in 0 … 1, in whole 255ths."""
        from graticule.nets.forward import as_forward

        return as_forward(self.network(), weights, device, _confidences)

    def target(self, truth: Result, on: Image) -> Floats:
        """``(1, y, x)``: 1 in rosettes, all their cells included, but for a gap where two of them touch."""
        assert isinstance(truth, Labels)
        numbers = np.asarray(truth.image.data[...]).astype(np.int64)
        inside: Floats = ((numbers != 0) & ~_contested(numbers)).astype(np.float32)[None]
        return inside

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Half binary cross-entropy, half soft Dice, as published; the softmax of one class is the sigmoid."""
        from graticule.losses.overlap import dice_cross_entropy

        return 0.5 * dice_cross_entropy(maps, target, known)

    def decode(self, maps: Image) -> Labels:
        """1 in rosettes, ``(y, x)``; of a `permissive` task the confidence ``(1, y, x)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[:1]) * STEPS).astype(np.uint8)
        if not self.thresholds:
            return Labels(replace(maps, data=graded))
        return Labels(replace(maps, data=self._reached(graded), axes=maps.axes[1:]))

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        named: Scores = events.scores(found, truth, self.classes)
        return named

    def resolve(self, examples: Sequence[Example]) -> Self:
        """The same task.

        Raises
        ------
        SettingsError
            If there is not one class.
        """
        if len(self.classes) != 1:
            raise SettingsError(
                f"found {len(self.classes)} classes ({', '.join(self.classes)}); rosettes are one; name it with --classes"
            )
        return self

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Labels:
        """The proposals, numbered: regions where the confidence reaches the threshold; without one, all as it is."""
        assert isinstance(candidates, Labels)
        if not self.thresholds:
            return candidates
        image = candidates.image
        numbers = tidy(self._reached(np.asarray(image.data)), self.regions, image.spacing_um)
        return Labels(replace(image, data=numbers, axes=image.axes[1:]))

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold at which proposals and rosettes, paired one to one, agree best: see `events.best_threshold`."""
        return replace(self, thresholds=(events.best_threshold([partial(self.at, one) for one in found], truth),))

    def at(self, candidates: Result, threshold: float) -> Labels:
        """The proposals that there would be at another threshold."""
        return replace(self, thresholds=(threshold,)).keep(candidates)

    def describe(self, image: Image, objects: Labels) -> Description:
        """How many cells each proposal involves and which, cells.tif, and what the image was taken for.

        A cell is involved if at least half of it lies in the proposal.
        """
        cells = self.cells_in(image)
        numbers = np.asarray(cells.data)
        involved = _involved(numbers, np.asarray(objects.image.data))
        columns: dict[str, Sequence[object]] = {
            "cells": [len(each) for each in involved],
            "cell_ids": [" ".join(map(str, each)) for each in involved],
        }
        kind = taken_for(np.asarray(image.data[...]), self.cells)
        facts = {
            "cells": {
                "from": kind,
                "count": int(np.count_nonzero(np.unique(numbers))),
                "median_diameter_px": round(cell_diameter_px(numbers), 2),
            }
        }
        thin, _ = boundaries(numbers)
        picture = replace(image, data=1 - thin) if kind == "labels" else None
        return Description(columns, {"cells": cells}, facts, picture)

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=tuple(np.mean([t.thresholds for t in tasks], axis=0).round(4).tolist()))

    def _reached(self, graded: Array) -> Array:
        reached: Array = (graded[0] >= max(1, round(self.thresholds[0] * STEPS))).astype(np.uint8)
        return reached

    @property
    def _cell_px(self) -> float:
        return self.cell_px or PUBLISHED_CELL_PX

    @property
    def _coarsest(self) -> int:
        return int(2 ** (len(self.channels) - 1))


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "demo": {"epochs": 14, "steps": 20},
    "nematostella": {
        "channels": (64, 128, 256, 512, 1024),
        "cell_px": 0.0,
        "window_px": 512,
        "overlap_px": 128,
        "patch_px": 512,
        "learning_rate": 1e-4,
        "batch": 4,
        "epochs": 200,
        "steps": 40,
        "patience": 15,
        "average": 0.0,
        "mining": 0.7,
        "elastic": 0.4,
        "affine": 0.6,
        "dropout": 0.3,
    },
}
"""Settings by name. `nematostella` is the network and recipe of the model card; it wants a GPU. `demo` is for a first look."""


def baseline(task: Rosettes, examples: Sequence[Example]) -> RosettesVertices:
    """Places where five cells or more meet, at the radius that fits the examples best."""
    from graticule.tasks.rosettes_vertices import RosettesVertices  # which draws on this file

    vertices = RosettesVertices(cells=task.cells)
    permissive = vertices.permissive()
    found = [
        permissive.decode(replace(view, data=vertices.prepare(view.data[...], DRAWN), axes="cyx"))
        for view in (vertices.view(example.image) for example in examples)
    ]
    return vertices.calibrate(found, examples)


def cells_in(image: Image, source: Source) -> Image:
    """The numbers of the cells ``(y, x)`` in an image of cells, or of membranes; see `Rosettes.cells`.

    Raises
    ------
    FormatError
        If it is no single plane, or is said to be labels and holds fractions or negative numbers.
    """
    if image.axes != "yx":
        raise FormatError(
            f"found an image with axes {image.axes!r} and shape {image.data.shape}; rosettes are looked for in single planes; "
            "choose a plane, or a channel with --channel"
        )
    pixels = np.asarray(image.data[...])
    if taken_for(pixels, source) == "membranes":
        return replace(image, data=outline_cells(pixels))
    if pixels.min(initial=0) < 0 or not np.all(np.mod(pixels, 1) == 0):
        raise FormatError(
            "found fractions or negative numbers in what shall be the numbers of cells; need 0, 1, 2 …; is it a picture "
            "of membranes? then say cells=membranes"
        )
    return replace(image, data=pixels if np.issubdtype(pixels.dtype, np.integer) else pixels.astype(np.int32))


def taken_for(pixels: Array, source: Source) -> str:
    """Whether pixels ``(y, x)`` of a `source` show "labels" or "membranes"."""
    return source if source != "auto" else "labels" if looks_like_cells(pixels) else "membranes"


def drawn(cells: Image, cell_px: float) -> Image:
    """``(3, y, x)`` float32: boundaries of `cells` thin and thick, and their numbers, at `cell_px` pixels per median cell.

    0 keeps the pixels. The same piece of the world is shown, whatever its pixels. Numbers are 1, 2 … in the order of those
    in `cells`, and lines between cells are closed.
    """
    cells = replace(cells, data=without_gaps(np.asarray(cells.data)))
    if cell_px:
        factor = min(LARGEST, cell_px / cell_diameter_px(np.asarray(cells.data)))
        cells = with_shape(cells, tuple(max(1, round(n * factor)) for n in cells.shape), order=0)
    numbers = np.asarray(cells.data)
    return replace(cells, data=np.stack([*boundaries(numbers), numbers]).astype(np.float32), axes="cyx")


def _involved(cells: Array, objects: Array) -> list[list[int]]:
    """For each number in `objects`, rising, the numbers of the cells at least half of which lie in it."""
    names, ours = np.unique(cells, return_inverse=True)
    numbers, theirs = np.unique(objects, return_inverse=True)
    both = np.bincount(ours.ravel() * len(numbers) + theirs.ravel(), minlength=len(names) * len(numbers))
    both = both.reshape(len(names), len(numbers))
    mostly = (2 * both >= both.sum(axis=1, keepdims=True)) & (names != 0)[:, None]
    return [names[mostly[:, place]].astype(int).tolist() for place, number in enumerate(numbers) if number]


def _contested(numbers: Array) -> Array:
    """Pixels ``(y, x)`` up to `GAP_PX` from two rosettes: between them regions shall end, or both would be one proposal."""
    side = 2 * GAP_PX + 1
    highest = ndimage.maximum_filter(numbers, side)
    lowest = ndimage.minimum_filter(np.where(numbers == 0, highest.max() + 1, numbers), side)
    contested: Array = lowest < highest
    return contested


def _confidences(out: Tensor) -> Tensor:
    from graticule.losses.overlap import shares

    return (shares(out) * STEPS).round() / STEPS
