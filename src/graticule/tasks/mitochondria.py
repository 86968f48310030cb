"""Mitochondria, or any other organelle of one kind, as single objects in planes and volumes of electron micrographs.

A U-Net says of every voxel whether it lies in an object, and whether it lies in an object's *core*: further than a rim from
whatever is not the same object. Cores of objects that touch are apart, so they are what is counted; the rest of each object
is given back to them by growing the cores. Nothing here knows what a mitochondrion is but the name: the annotated images do.
torch is imported inside the methods that need it, so that the settings below can be read without it.

The network learns from soft Dice, which is 2 |A ∩ B| / (|A| + |B|), as `graticule.losses.overlap` has it. Divided by the
union, as is sometimes seen, the same sum is twice the Jaccard index and reaches 2; and log(1 - Dice) of a perfect answer is
minus infinity, so it is no loss to be minimised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy import ndimage

from graticule.arrays.intensity import between_ends
from graticule.arrays.regions import CORE, RIM, STEPS, tidy
from graticule.box import round_up
from graticule.errors import FormatError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import instances, overlap
from graticule.results import Labels, Result
from graticule.task import Augment, Choice, Forward, Grid, Levels, Phase, Recipe, Regions, Scores, Shown, Weights
from graticule.tasks.sizes import dimensions_of, fitting_patch, for_each_axis

if TYPE_CHECKING:
    from torch import Tensor

NM = 1e-3  # µm
VOXELS = {2: 176**2, 3: 16 * 80**2}  # of a training patch, as the network sees it
BATCH = {2: 16, 3: 6}
STEADY = 12  # by which share of the median diameter, as a divisor, answers are averaged from section to section
SEEN = 32  # voxels, of those that the network sees, that an object is across
WINDOW = {2: 1024, 3: 256}
OVERLAP = {2: 128, 3: 64}
DEEP = 4  # coarsest voxels that a volume has along z, at least, to be looked at along all three axes
BLOCK = (256, 320, 320)  # and a window there, or deeper, for all but the last to have as many
CUBES = 1.25  # times the shortest side of a voxel, that the longest may be for the axes to be alike
PARTS = 7  # in which the sections of a window are looked at, one after the other: it takes less memory
SECTIONS = 16  # of a window of a volume that is looked at section by section, at least
BYTES = {2: 40, 3: 60}  # of each voxel of a window, at the peak of a pass; a third more than measured
BYTES_THREE = 45  # and where it is looked at along three axes
BYTES_SEEN = {2: 140, 3: 50}  # and of each voxel that the network sees, with 16 channels
RIM_VOXELS = 3  # as far as two cores that touch are kept apart on either side, on the finest axis
CORED = 0.95  # share of the annotated objects that need a core for a rim to be no deeper than they are
SMALLEST = 3.0  # by which share of the median diameter, as a divisor, what is found may be smaller
CORE_THRESHOLDS = (0.3, 0.5, 0.7)
SURE = (
    0.6,
    0.4,
    0.2,
)  # how far from a voxel's threshold to 1 the mean confidence of an object has to lie: as far as it can
AS_GOOD = 0.05  # difference in Dice between models that says nothing: two objects of the dozen that a slab may show
AS_GOOD_OBJECTS = 0.02  # and by dropping what is doubtful: less than one
AS_GOOD_THRESHOLD = 0.01  # and between thresholds of one model, for they err on the same objects
LEAST_CORE = 8  # by which share of the smallest object's voxels, as a divisor, a core may be smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitochondria:
    """Settings for outlining mitochondria, or any other organelle, one by one.

    Attributes
    ----------
    classes
        The name of what is outlined: one; empty: what the dataset names, else "mitochondrion".
    dimensions
        2 for planes, 3 for volumes; 0: as the annotated images are.
    sections
        Look at every section of a volume by itself, with a network for planes, average its answers from section to section
        and link objects: it learns in a fraction of the time, and is all that can be done where sections are far apart.
        Otherwise the network sees volumes; that wants a GPU.
    three_ways
        Of volumes that are looked at section by section and whose voxels are cubes: look at the sections along all three
        axes and average, where there are enough of them (128 if the median object is 64 across). What looks like an object
        from one side only is none.
    working_nm
        Voxel size of what is found, one number or one for each axis; images are resampled to it. Empty: the annotated
        images' own.
    detail_nm
        Voxel size the network looks at, as near as whole multiples of `working_nm` come: it is shown means, and its
        answers are interpolated. 0: so that the median annotated object is about 32 voxels across, if it is larger.
    across_nm
        Of volumes that are looked at section by section: standard deviation of the Gaussian by which answers are averaged
        from section to section. 0: a twelfth of the median annotated object's diameter.
    thresholds
        Confidence from which a voxel lies in an object; empty: chosen on images held out from training.
    core_threshold
        Confidence from which it lies in an object's core: higher splits more. 0: chosen with `thresholds`.
    object_threshold
        Mean confidence from which what hangs together is kept: what is doubtful is dropped as a whole. 0: three
        fifths of the way from the threshold of voxels to 1, or less if what is held out suffers.
    rim_nm
        How deep below its surface an object's core begins; 0: three voxels, or fewer where objects are so thin that not
        all have a core then. What is found without a core is dropped.
    min_object_um
        Objects smaller than a disc or ball of this diameter are dropped; 0: a third of the median annotated object's.
    divide
        Tell apart objects that touch, by their cores. If not, what hangs together is one object: for annotation in which
        objects that touch share a number.
    fill_holes
        Fill background that an object encloses.
    channels
        Of each level of the network. Between levels resolution is halved, along the axes that are finest.
    window_px
        Sides of the windows that the network is shown, one number or one for each axis; empty: 1024 in planes, 256 in
        volumes, or the like. Windows of fewer sections than `three_ways` needs are looked at one way.
    overlap_px
        Voxels that neighbouring windows share, where their answers are averaged with weights that fall off towards each
        window's edge. Empty: 128 in planes, 64 in volumes, or the like.
    criterion
        "dice" and cross-entropy, added; or "focal-tversky", which minds what is missed more than what is found wrongly.
    epochs
        Training epochs.
    steps
        Steps per epoch.
    batch
        Patches per step; 0: 16 of planes, 6 of volumes.
    patch_px
        Sides of a training patch, one number or one for each axis; empty: 176 in planes, 16 sections of 80 in volumes
        (fewer and wider ones where sections are far apart), counted as the network sees them, or less where images are
        smaller.
    learning_rate
        Peak learning rate.
    weight_decay
        Of AdamW.
    average
        Decay of the moving average of the weights that is kept; 0 keeps the last weights themselves.
    held_out
        Share of the specimens, or of a single volume, that is not learnt from but chooses the thresholds.
    mining
        Share of patches drawn around objects, half of them around their edges; the rest are drawn anywhere.
    bent
        Share of the patches that are rotated, zoomed or bent, besides quarter turns and mirrors.
    tilt_deg
        By how much, at most, the planes of a volume's rotated patches are tilted where its sections lie less than two pixels
        apart: cut another way, the same objects look like others.
    missing
        Share of the patches of several sections in which one is lost.
    edges
        Share of the patches that are shown as the image's edge would cut them: most images hold few objects that are cut.
    """

    name: ClassVar[str] = "mitochondria"
    objective: ClassVar[str] = "dice"
    adjustable: ClassVar[tuple[str, ...]] = (
        "thresholds",
        "core_threshold",
        "object_threshold",
        "min_object_um",
        "divide",
        "fill_holes",
        "three_ways",
    )
    redrawn: ClassVar[tuple[str, ...]] = ("three_ways",)
    handed_on: ClassVar[tuple[str, ...]] = (
        "channels",
        "working_nm",
        "detail_nm",
        "across_nm",
        "sections",
        "dimensions",
    )
    searched: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Choice(3e-4, 1e-2, "log"),
        "weight_decay": Choice(1e-5, 1e-1, "log"),
        "mining": Choice(0.2, 0.8),
        "bent": Choice(0.0, 0.9),
        "average": Choice(values=(0.0, 0.97, 0.99)),
        "criterion": Choice(values=("dice", "focal-tversky")),
        "channels": Choice(values=((16, 32, 64, 128), (16, 32, 64, 128, 256), (24, 48, 96, 192, 256))),
    }
    methods: ClassVar[str] = (
        "a residual U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; Kerfoot et al. 2019, "
        "doi:10.1007/978-3-030-12029-0_40) that outlines objects and their cores, by which objects that touch are told apart"
    )

    classes: tuple[str, ...] = ()
    dimensions: int = 0
    sections: bool = True
    three_ways: bool = True
    working_nm: tuple[float, ...] = ()
    detail_nm: float = 0.0
    across_nm: float = 0.0
    thresholds: tuple[float, ...] = ()
    core_threshold: float = 0.0
    object_threshold: float = 0.0
    rim_nm: float = 0.0
    min_object_um: float = 0.0
    divide: bool = True
    fill_holes: bool = True

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    window_px: tuple[int, ...] = ()
    overlap_px: tuple[int, ...] = ()

    criterion: Literal["dice", "focal-tversky"] = "dice"
    epochs: int = 72
    steps: int = 60
    batch: int = 0
    patch_px: tuple[int, ...] = ()
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    average: float = 0.99
    held_out: float = 0.15
    mining: float = 0.5
    bent: float = 0.7
    tilt_deg: float = 40.0
    missing: float = 0.05
    edges: float = 0.25

    def __post_init__(self) -> None:
        every = (*self.thresholds, self.core_threshold, self.object_threshold)
        if len(self.thresholds) > 1 or not all(0 <= t <= 1 for t in every):
            raise SettingsError(
                f"found thresholds {self.thresholds}, core_threshold {self.core_threshold:g} and object_threshold "
                f"{self.object_threshold:g}; need one of each, from 0 to 1"
            )
        if self.dimensions not in (0, 2, 3):
            raise SettingsError(f"dimensions is {self.dimensions}; it must be 2 or 3, or 0 to ask the images")
        shares = {name: getattr(self, name) for name in ("mining", "bent", "missing", "edges")}
        if not all(0 <= share <= 1 for share in shares.values()) or not 0 <= self.held_out <= 0.5:
            found = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            raise SettingsError(
                f"found {found}, held_out {self.held_out:g}; they are shares: need 0 to 1, and of held_out 0 to 0.5"
            )
        lengths = {name: getattr(self, name) for name in ("detail_nm", "across_nm", "rim_nm", "min_object_um")}
        if any(length < 0 for length in lengths.values()):
            found = ", ".join(f"{name} {length:g}" for name, length in lengths.items())
            raise SettingsError(f"found {found}; need 0 or more of each")
        if len(self.patch_px) == len(self.working_nm) == self._ndim:
            self._refuse_uneven(self.patch_px, self.reduction, "patch_px")

    # -- the grid ----------------------------------------------------------------------------------------------------------

    @property
    def coarser(self) -> tuple[int, ...]:
        """Voxels in one that the network sees, along the axes that it sees."""
        return tuple(max(1, round(self.detail_nm / nm)) for nm in self._seen_nm)

    @property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """By how much each level of the network is coarser than the one above, along its axes.

        Axes are halved whose voxels are less than twice as long as the shortest at that level: sections that are further
        apart than pixels wait until pixels are as coarse.
        """
        spacing = [nm * factor for nm, factor in zip(self._seen_nm, self.coarser, strict=True)]
        steps = []
        for _ in self.channels[1:]:
            finest = min(spacing)
            step = tuple(2 if nm < 2 * finest else 1 for nm in spacing)
            spacing = [nm * factor for nm, factor in zip(spacing, step, strict=True)]
            steps.append(step)
        return tuple(steps)

    @property
    def reduction(self) -> tuple[int, ...]:
        """Voxels, along each axis, in one of the coarsest level; 1 from section to section where each is seen by itself."""
        seen = tuple(factor * prod(step[axis] for step in self.strides) for axis, factor in enumerate(self.coarser))
        return (*(1,) * (self._ndim - self._seen), *seen)

    @property
    def grid(self) -> Grid:
        shared, window = self._overlap, self._window
        return Grid(
            spacing_um=tuple(nm * NM for nm in self.working_nm),
            tile=tuple(n - s for n, s in zip(window, shared, strict=True)),
            halo=tuple(s // 2 for s in shared),
            rigid=True,
            blended=True,
            bytes_per_voxel=self._bytes_per_voxel,
        )

    @property
    def _bytes_per_voxel(self) -> int:
        at_once = ceil(self._window[0] / PARTS) / self._window[0] if self._by_section else 1.0
        seen = BYTES_SEEN[self._seen] * self.channels[0] / 16 / prod(self.coarser)
        return ceil(BYTES[self._seen] + BYTES_THREE * (self._deep > 0) + at_once * seen)

    @property
    def _overlap(self) -> tuple[int, ...]:
        """Multiples of twice the coarsest voxel: windows are then halved alike on all levels of the network."""
        if self.overlap_px:
            given = for_each_axis(self.overlap_px, self._ndim, "overlap_px")
            self._refuse_uneven(given, tuple(2 * r for r in self.reduction), "overlap_px")
            return given
        if self._deep:
            return (round_up(OVERLAP[3], 2 * self.reduction[-1]),) * 3
        usual = tuple(round_up(n, 2 * r) for n, r in zip(self._usual(OVERLAP), self.reduction, strict=True))
        return (2 * ceil(self._across), *usual[1:]) if self._by_section else usual

    @property
    def _window(self) -> tuple[int, ...]:
        if self.window_px:
            given = for_each_axis(self.window_px, self._ndim, "window_px")
            self._refuse_uneven(given, self.reduction, "window_px")
            if any(n < 2 * s for n, s in zip(given, self._overlap, strict=True)):
                raise SettingsError(
                    f"found windows of {given} that share {self._overlap} voxels; need windows twice as large"
                )
            return given
        least = (max(BLOCK[0], self._deep + self._overlap[0]), *BLOCK[1:]) if self._deep else self._usual(WINDOW)
        sides = [
            max(2 * shared + r, round_up(n, r))
            for n, r, shared in zip(least, self.reduction, self._overlap, strict=True)
        ]
        if self._deep:
            return tuple(sides)
        return (max(SECTIONS, 4 * self._overlap[0]), *sides[1:]) if self._by_section else tuple(sides)

    def _usual(self, sides: Mapping[int, int]) -> tuple[int, ...]:
        """So many voxels of the last axis, if the network has five levels, and as many coarsest ones of the others."""
        return tuple(max(1, sides[self._seen] * r // (16 * self.coarser[-1])) for r in self.reduction)

    def _refuse_uneven(self, sides: tuple[int, ...], units: tuple[int, ...], field: str) -> None:
        if any(n <= 0 or n % unit for n, unit in zip(sides, units, strict=True) if n or unit > 1):
            raise SettingsError(
                f"{field} is {sides}; need multiples of {units}, which the network halves on its way to its coarsest level"
            )

    # -- what is learnt ----------------------------------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        chance = 1 - (1 - self.bent) ** (1 / 3)  # each of three, so that one or more of them happens to `bent` of all
        cubes = len(set(self.working_nm)) == 1 and not self._by_section
        tilt = self.tilt_deg if max(self.working_nm, default=1) < 2 * min(self.working_nm, default=1) else 0.0
        seen_px = self.coarser[-1]
        return Recipe(
            patch=self.patch_px or self._usual_patch,
            batch=self.batch or BATCH[self._seen],
            steps=self.steps,
            phases=(Phase(self.epochs, {"": self.learning_rate}),),
            # Grey levels are scaled to -1 … 1: stain and detector shift them by a good part of that.
            augment=Augment(
                rotate_deg=45.0,
                rotate_chance=chance,
                any_axis=cubes,
                tilt_deg=tilt,
                zoom=0.25,
                zoom_chance=chance,
                elastic_px=4.0 * seen_px,
                elastic_scale_px=32.0 * seen_px,
                elastic_chance=chance,
                missing=self.missing,
                edges=self.edges,
                brightness=0.3,
                contrast=0.3,
                noise=0.2 * seen_px,  # a mean of voxels is that much less noisy
                blur_um=1.2 * seen_px * min(self.working_nm, default=0.0) * NM,
            ),
            mining=self.mining,
            weight_decay=self.weight_decay,
            patience=self.epochs,  # the schedule ends there, and so do the weights that are kept
            validate_every=10,  # examining a slab of a volume takes longer than an epoch
            as_good=AS_GOOD,
            average=self.average,
            held_out=self.held_out,
        )

    @property
    def regions(self) -> Regions:
        least = self._least_voxels()
        return Regions(
            numbered=True,
            rims=True,
            divided=self.divide,
            min_core_voxels=least // LEAST_CORE,
            min_confidence=self.object_threshold,
            min_voxels=least,
            max_hole_voxels=None if self.fill_holes else 0,
            kinds=self.classes or ("mitochondrion",),
            confidences=1,
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        finest = min(self.working_nm, default=0.0) * NM or 1.0
        return {
            "core_threshold": Shown("confidence of cores (higher splits more)", 0, 1, 0.01),
            "object_threshold": Shown("confidence of objects (higher drops more)", 0, 1, 0.01),
            "min_object_um": Shown("smallest object across", 0, 100 * finest, finest, "µm"),
        }

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """``(1, *space)``: grey levels from the darkest to the brightest percent to -1 … 1; specks may lie a little beyond.

        Raises
        ------
        FormatError
            If the image is all alike, but for specks.
        """
        if levels.high <= levels.low:
            raise FormatError(
                f"found an image whose voxels are all alike ({levels.low:g}), but for specks; need one that shows something; "
                "crop what is blank"
            )
        return between_ends(pixels, levels)[None]

    def network(self, *, parts: int = 1, deep: int = 0) -> Any:
        """`parts`, `deep`: of sections that are seen one by one; see `SectionBySection`."""
        from graticule.nets.unet import SectionBySection, UNet

        kind = partial(SectionBySection, across=self._across, parts=parts, deep=deep) if self._by_section else UNet
        return kind(2, dimensions=self._seen, channels=self.channels, strides=self.strides, coarser=self.coarser)

    def forward(self, weights: Weights, device: str) -> Forward:
        """Maps are the confidences that a voxel lies in an object, and in an object's core."""
        from graticule.nets.forward import as_forward

        return as_forward(self.network(parts=PARTS, deep=self._deep), weights, device, _confidences)

    def target(self, truth: Result, on: Image) -> Floats:
        """``(2, *space)``: 1 in objects, and 1 in their cores."""
        assert isinstance(truth, Labels)
        numbers = np.asarray(truth.image.data[...])
        reach = tuple(int(self.rim_nm * NM / s + 1e-6) for s in truth.image.spacing_um)
        return np.stack([numbers != 0, cores(numbers, reach)]).astype(np.float32)

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        from graticule.losses.overlap import dice_bce, focal_tversky

        return dice_bce(maps, target, known) if self.criterion == "dice" else focal_tversky(maps, target, known)

    # -- what is found -----------------------------------------------------------------------------------------------------

    def decode(self, maps: Image) -> Labels:
        """1 in cores and 2 in rims ``(*space)``; of a `permissive` task both confidences ``(2, *space)`` in 255ths."""
        graded = np.round(np.asarray(maps.data[:2]) * STEPS).astype(np.uint8)
        if not self.thresholds:
            return Labels(replace(maps, data=graded))
        return Labels(replace(maps, data=self._cores_and_rims(graded), axes=maps.axes[1:]))

    def keep(self, candidates: Result) -> Labels:
        """The objects, numbered; without a threshold all as it is."""
        assert isinstance(candidates, Labels)
        if not self.thresholds:
            return candidates
        image = candidates.image
        graded = np.asarray(image.data)
        numbers = tidy(self._cores_and_rims(graded), self.regions, image.spacing_um, graded[0])
        return Labels(replace(image, data=numbers, axes=image.axes[1:]))

    def _cores_and_rims(self, graded: Array) -> Array:
        inside, core = (max(1, round(t * STEPS)) for t in (self.thresholds[0], self.core_threshold or 0.5))
        raw: Array = np.where(graded[0] >= inside, np.uint8(RIM), np.uint8(0))
        raw[(raw != 0) & (graded[1] >= core)] = CORE
        return raw

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return instances.scores(found, truth, self.regions.kinds)

    def at_thresholds(self, thresholds: tuple[float, ...]) -> Self:
        """With the threshold of whole objects as far between that of voxels and 1 as it was.

        Left where it was, it would drop nearly all that a lower one finds: larger outlines have a lower mean confidence.
        """
        task = replace(self, thresholds=thresholds)
        if not self.object_threshold or not self.thresholds or self.thresholds[0] >= 1:
            return task
        way = (self.object_threshold - self.thresholds[0]) / (1 - self.thresholds[0])
        return replace(task, object_threshold=round(thresholds[0] + max(0.0, way) * (1 - thresholds[0]), 4))

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The threshold of the highest Dice; then, unless they were given, those of cores and of whole objects."""
        task = replace(self, thresholds=overlap.best_thresholds(found, truth, 1, as_good=AS_GOOD_THRESHOLD))
        task = task if self.core_threshold else task._splitting(found, truth)
        return task if self.object_threshold else task._dropping(found, truth)

    def _splitting(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """With the threshold of cores of the highest F1 of objects; of those as good, the middle one."""
        tried = [replace(self, core_threshold=value) for value in CORE_THRESHOLDS]
        right = [instances.f1([one.keep(each) for each in found], truth) for one in tried]
        best = max(range(len(tried)), key=lambda n: (right[n], -abs(CORE_THRESHOLDS[n] - 0.5)))
        return tried[best]

    def _dropping(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """With the usual threshold of whole objects, or a lower one if by it what is true is lost.

        It is not chosen by F1: a dozen objects do not say it.
        """
        inside, whole = self.thresholds[0], self._dice(found, truth)
        for way in SURE:
            task = replace(self, object_threshold=round(inside + way * (1 - inside), 4))
            if task._dice(found, truth) >= whole - AS_GOOD_OBJECTS:
                return task
        return self

    def _dice(self, found: Sequence[Result], truth: Sequence[Example]) -> float:
        return overlap.scores([self.keep(each) for each in found], truth, self.regions.kinds)["dice"]

    def averaged(self, tasks: Sequence[Self]) -> Self:
        """The same at the mean thresholds."""
        return replace(
            self,
            thresholds=tuple(np.mean([t.thresholds for t in tasks], axis=0).round(4).tolist()),
            core_threshold=round(float(np.mean([t.core_threshold for t in tasks])), 4),
            object_threshold=round(float(np.mean([t.object_threshold for t in tasks])), 4),
        )

    def resolve(self, examples: Sequence[Example]) -> Self:
        """What is left open, from annotated images.

        Raises
        ------
        SettingsError
            If there are several classes: a model is for one kind of object.
        """
        if len(self.classes) > 1:
            raise SettingsError(
                f"found {len(self.classes)} classes ({', '.join(self.classes)}); a model outlines one kind of object; name "
                "it with --classes, and train another for the next"
            )
        task = replace(
            self, classes=self.classes or ("mitochondrion",), dimensions=dimensions_of(examples, self.dimensions)
        )
        own_nm = np.median([e.image.spacing_um for e in examples], axis=0) / NM
        working = self.working_nm or tuple(float(round(nm, 6)) for nm in own_nm)
        task = replace(task, working_nm=for_each_axis(working, task.dimensions, "working_nm"))
        diameter = median_diameter_um(examples)
        finest = min(task.working_nm)
        task = replace(
            task, detail_nm=task.detail_nm or round(finest * max(1, round(diameter / NM / finest / SEEN)), 6)
        )
        patch = task.patch_px or task._fitting_patch(examples)
        return replace(
            task,
            across_nm=task.across_nm or round(diameter / NM / STEADY, 3),
            patch_px=task._for_each_axis(patch),
            rim_nm=task.rim_nm or task._deepest_rim_nm(examples),
            min_object_um=task.min_object_um or round(diameter / SMALLEST, 6),
        )

    def remarks(self, examples: Sequence[Example]) -> Iterator[str]:
        """What a person should know before training: how objects that touch are told apart."""
        if self.divide and not any(some_touch(example) for example in examples):
            yield (
                "none of the annotated objects touches another one; what is found is divided where it is narrow; if objects "
                "that touch share a number in your annotation, as where it was a mask, find them so, too: --no-divide"
            )

    # -- sizes -------------------------------------------------------------------------------------------------------------

    @property
    def _ndim(self) -> int:
        return self.dimensions or 3

    @property
    def _by_section(self) -> bool:
        return self.sections and self._ndim == 3

    @property
    def _deep(self) -> int:
        """Sections from which a volume is looked at along all three axes; 0: it never is."""
        cubes = max(self.working_nm, default=1) <= CUBES * min(self.working_nm, default=0)
        return DEEP * self.reduction[-1] if self._by_section and self.three_ways and cubes else 0

    @property
    def _seen(self) -> int:
        """Dimensions of what the network sees."""
        return 2 if self._by_section else self._ndim

    @property
    def _seen_nm(self) -> tuple[float, ...]:
        """Voxel size along the axes that the network sees."""
        return (self.working_nm or (1.0,) * self._ndim)[self._ndim - self._seen :]

    @property
    def _across(self) -> float:
        """Of the Gaussian, in sections."""
        return self.across_nm / self.working_nm[0] if self.working_nm else 0.0

    @property
    def _usual_patch(self) -> tuple[int, ...]:
        """About `VOXELS` that the network sees; of volumes wide rather than deep: what an object is shows by what lies around
        it in a section.
        """
        voxels, coarse = VOXELS[self._seen], self.reduction[-1] // self.coarser[-1]
        if self._seen == 2:
            side = round(voxels**0.5) // coarse * self.reduction[-1]
            return (*(1,) * (self._ndim - 2), side, side)
        deep = max(8, self.reduction[0] // self.coarser[0])
        wide = int((voxels / deep) ** 0.5) // coarse * self.reduction[-1]
        return (deep * self.coarser[0], wide, wide)

    def _for_each_axis(self, patch: tuple[int, ...]) -> tuple[int, ...]:
        """One number is that of all axes that the network sees."""
        unseen = self._ndim - self._seen
        return (
            (*(1,) * unseen, *patch * self._seen) if len(patch) == 1 else for_each_axis(patch, self._ndim, "patch_px")
        )

    def _fitting_patch(self, examples: Sequence[Example]) -> tuple[int, ...]:
        return fitting_patch(examples, self.grid.spacing_um, self._usual_patch, self.reduction)

    def _deepest_rim_nm(self, examples: Sequence[Example]) -> float:
        """That leaves a core to nearly all annotated objects; a third of a voxel, which leaves all of them whole, at worst."""
        finest = min(self.working_nm)
        for voxels in range(RIM_VOXELS, 0, -1):
            rim_nm = round(voxels * finest, 6)
            whole = [int(rim_nm / nm + 1e-6) * nm * NM for nm in self.working_nm]  # whole voxels of the working grid
            if share_with_core(examples, [0.0] * (self._ndim - self._seen) + whole[-self._seen :]) >= CORED:
                return rim_nm
        return round(finest / 3, 6)

    def _least_voxels(self) -> int:
        """Of a disc or ball of the least diameter, on the working grid."""
        if not self.min_object_um or not self.working_nm:
            return 0
        return voxels_of(self.min_object_um, self.grid.spacing_um)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "demo": {"epochs": 12, "steps": 25},
    "accelerator": {
        "sections": False,
        "channels": (32, 64, 128, 256, 512),
        "batch": 24,
        "epochs": 300,
        "steps": 200,
        "average": 0.999,
    },
}
"""Settings by name. `accelerator` is the longer recipe, for volumes; it wants a GPU. `demo` is for a first look."""


def voxels_of(diameter_um: float, spacing_um: Sequence[float]) -> int:
    """Of a disc or ball, on a grid of as many dimensions as there are spacings."""
    share = np.pi / (4 if len(spacing_um) == 2 else 6)
    return ceil(share * diameter_um ** len(spacing_um) / prod(spacing_um))


def cores(numbers: Array, reach: tuple[int, ...]) -> Array:
    """Voxels ``(*space)`` of numbered objects around which, up to `reach` voxels along each axis, all is the same object.

    What lies beyond the array is taken to go on as it ends.
    """
    size = tuple(2 * min(r, n - 1) + 1 for r, n in zip(reach, numbers.shape, strict=True))
    highest = ndimage.maximum_filter(numbers, size, mode="nearest")
    alone: Array = (numbers != 0) & (highest == ndimage.minimum_filter(numbers, size, mode="nearest"))
    return alone


def some_touch(example: Example) -> bool:
    """Whether voxels of two annotated objects share a face."""
    assert isinstance(example.truth, Labels)
    numbers = np.asarray(example.truth.image.data[...])
    pairs = (
        (numbers.take(range(1, n), axis), numbers.take(range(n - 1), axis)) for axis, n in enumerate(numbers.shape)
    )
    return any(bool(((a != b) & (a != 0) & (b != 0)).any()) for a, b in pairs)


def share_with_core(examples: Sequence[Example], rim_um: Sequence[float]) -> float:
    """Of all annotated objects, those that have a core so deep below their surface, by axis; 1 if there are none."""
    found = [has for example in examples for has in _with_core(example, rim_um)]
    return float(np.mean(found)) if found else 1.0


def _with_core(example: Example, rim_um: Sequence[float]) -> list[bool]:
    reach = [ceil(rim / um - 1e-6) for rim, um in zip(rim_um, example.image.spacing_um, strict=True)]
    _, numbers = instances.small(instances.objects_of(example))
    has = []
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        if box is not None:
            around = tuple(slice(max(0, at.start - r), at.stop + r) for at, r in zip(box, reach, strict=True))
            here = numbers[around]
            has.append(bool((here[cores(here, tuple(reach))] == number).any()))
    return has


def median_diameter_um(examples: Sequence[Example]) -> float:
    """Of annotated objects, that of a disc or ball of as many voxels; 0 if there are none."""
    volumes = np.concatenate([_volumes_um(example) for example in examples])
    if not len(volumes):
        return 0.0
    ndim = examples[0].image.ndim
    return float((np.median(volumes) * (4 if ndim == 2 else 6) / np.pi) ** (1 / ndim))


def _volumes_um(example: Example) -> Array:
    """Of every object of an example: its area in µm² or volume in µm³."""
    _, numbers = instances.small(instances.objects_of(example))
    sizes = np.bincount(numbers.ravel())[1:]
    return np.asarray(sizes[sizes > 0] * prod(example.image.spacing_um))


def _confidences(out: Tensor) -> Tensor:
    """Rounded to whole 255ths, as they are kept; in place, for they are many."""
    return out.sigmoid_().mul_(STEPS).round_().div_(STEPS)
