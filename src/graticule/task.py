"""The contract between a task and the engines that run and train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from graticule.errors import SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Labels, Result

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = Mapping[str, Array]
Scores = Mapping[str, float]

Forward = Callable[[Floats], Floats]
"""``(B, C, *space)`` prepared pixels to ``(B, K, *cells)`` maps, NumPy in and out."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The voxel grid a task thinks on; images are resampled to it and results carried back.

    Attributes
    ----------
    spacing_um
        Voxel size the task works at, per spatial axis; empty: the image's own, whatever it is, in 2D and in 3D (`tile`
        and `halo` are then those of a volume, and their last two entries those of a plane).
    tile, halo
        Voxels kept per step at most, and voxels of context read around them.
    multiple
        Sides of what the network is given are multiples of this.
    stride
        Voxels per cell of the maps, along each axis. The centre of cell 0 lies ``(stride - 1) / 2`` voxels in.
    vector
        First of the ``ndim`` map channels that hold a displacement along each axis, to be turned and mirrored with the
        image; None where the maps hold no vector.
    rigid
        Results depend on how tiles lie (a network that sees less than its whole reach): they start at multiples of
        `tile` whatever memory there is, and are never made smaller or of another size.
    blended
        Of a rigid grid without stride: where windows (tiles with their halo) overlap their maps are averaged, with weights
        that fall off smoothly towards each window's edge, in place of cut off in the middle. Tiles are at least as wide as
        both their halos; maps are confidences in whole 255ths.
    side_by_side
        Computing one tile keeps one core busy, so several are computed at once; networks use all cores by themselves.
    bytes_per_voxel
        Memory that preparing, computing and decoding take at their peak, per voxel read; 0: not known.
    channels
        Of what `prepare` is given: more than 1 only where the task draws them itself (see `Viewing`).
    """

    spacing_um: tuple[float, ...]
    tile: tuple[int, ...]
    halo: tuple[int, ...]
    multiple: int = 1
    stride: int = 1
    vector: int | None = None
    rigid: bool = False
    blended: bool = False
    side_by_side: bool = False
    bytes_per_voxel: int = 0
    channels: int = 1

    def __post_init__(self) -> None:
        if self.blended and (
            not self.rigid or self.stride > 1 or any(t < 2 * h for t, h in zip(self.tile, self.halo, strict=True))
        ):
            raise ValueError(f"windows of tiles {self.tile} and halo {self.halo} cannot be blended")

    def of(self, ndim: int) -> Grid:
        """The grid for an image of `ndim` dimensions: a task that takes both planes and volumes is told which it is."""
        return self if self.spacing_um else replace(self, tile=self.tile[-ndim:], halo=self.halo[-ndim:])


@dataclass(frozen=True, slots=True)
class Regions:
    """What becomes of outlined voxels once the tiles of a whole image are joined. The engine does it, block by block.

    In this order: drop what is small, keep the largest, fill holes, grow or shrink. Voxels are joined through faces.

    Attributes
    ----------
    objects
        True: every region is an object with a number of its own, and `decode` gives numbers that hold within a tile.
        False: `decode` gives classes (1: `kinds[0]` …), and so does the result, unless it is `numbered`.
    numbered
        `decode` gives classes, and every region of a class becomes an object with a number of its own once all tiles are
        joined: so tiles may be rigid, and need not know of one another's objects.
    rims
        `decode` gives 1 in the core of an object and 2 in its rim. Rims join: what hangs together is one object, unless it
        has no core, and is dropped, or several. Then each core is an object, and the rims between go to the core that is
        nearest through them, up to `reach_px` steps from voxel to voxel; what lies further goes to the first core that its
        rim touches.
    divided
        With `rims`: False takes what hangs together for one object however many cores it has; it still needs one.
    min_core_voxels
        With `rims`: where there are several cores, those of fewer voxels do not count.
    reach_px
        With `rims`: see there.
    min_confidence
        With `rims`: what hangs together is dropped if the mean of its voxels' first confidence is lower.
    min_voxels
        Regions of fewer voxels are dropped; with `rims`, what hangs together in fewer.
    max_hole_voxels
        Background of up to so many voxels is filled where a single object or class surrounds it, also at the image's
        edge; 0 fills nothing; None fills all that does not reach the edge.
    keep_largest
        Keep only the largest region (of each class).
    grow_um
        Grow by so much, or shrink if it is negative; not for objects or what is numbered, which would touch.
    kinds
        Names of the classes.
    confidences
        How many of the maps, from the first, are confidences in 0 … 1, to be kept beside the labels: one for each class.
    """

    objects: bool = False
    numbered: bool = False
    rims: bool = False
    divided: bool = True
    min_core_voxels: int = 0
    reach_px: int = 24
    min_confidence: float = 0.0
    min_voxels: int = 0
    max_hole_voxels: int | None = 0
    keep_largest: bool = False
    grow_um: float = 0.0
    kinds: tuple[str, ...] = ("object",)
    confidences: int = 1

    def __post_init__(self) -> None:
        if self.counted and self.grow_um:
            raise SettingsError("found grow_um for single objects, which would touch; need 0; grow a mask instead")
        if self.objects and self.numbered:
            raise ValueError("regions are numbered either where they are decoded or once they are joined, not twice")
        if self.rims and (not self.numbered or len(self.kinds) > 1 or self.keep_largest):
            raise ValueError("cores and rims are of numbered objects of one kind, all of which are kept")
        if self.min_confidence and not self.rims:
            raise ValueError("only what has cores and rims is dropped for its confidence")

    @property
    def counted(self) -> bool:
        """Whether the result's labels are numbers of single objects, not classes."""
        return self.objects or self.numbered


@dataclass(frozen=True, slots=True)
class Levels:
    """Where an image's grey levels lie: measured once over the whole image, so that tiles of it are prepared alike.

    `centre` is their median, `spread` their standard deviation within the quieter of small blocks: noise, not scenery.
    `low` and `high` are the levels that one in a hundred voxels lies below and above: scenery, not noise.
    """

    centre: float
    spread: float
    low: float = -1.0
    high: float = 1.0


DRAWN = Levels(0.0, 1.0)
"""The levels of what a task drew itself: prepared as it is."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training.

    Attributes
    ----------
    epochs
        How long.
    learning_rates
        Beginnings of parameter names to peak learning rates; the longest that fits counts, parameters that fit none
        are frozen. ``{"": 1e-3}`` trains all.
    """

    epochs: int
    learning_rates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Augment:
    """How a patch may be changed without changing what is in it.

    Attributes
    ----------
    rotate_deg
        Largest rotation besides quarter turns and mirrors, which are always drawn.
    any_axis
        Voxels are cubes and the specimen has no preferred direction: volumes whose patches are cubes are also turned by
        quarters about the axes that lie in their planes.
    tilt_deg
        Largest rotation of a volume about an axis that lies in its planes.
    zoom
        Largest relative change of scale, e.g. 0.2 for 1 / 1.2 … 1.2. Sizes of objects change with it.
    elastic_um
        Standard deviation of a smooth random displacement.
    elastic_scale_um
        Distance over which that displacement varies.
    elastic_px, elastic_scale_px
        The same in voxels of the task's grid, along its finest axis, for tasks to which micrometres say nothing; used where
        `elastic_px` is set.
    rotate_chance, zoom_chance, elastic_chance
        Share of the patches that are rotated, zoomed and bent.
    crisp
        Pixels of what is outlined are drawn, not recorded: each is taken from the nearest one, never mixed.
    holes
        Share of the patches in which up to `MOST_HOLES` squares are emptied: what they showed is to be told from around.
    edges
        Share of the patches that are shown as the image's edge would cut them, somewhere between their middle and their
        side: what lies at edges is rare among few annotated objects.
    missing
        Share of the volumes' patches in which a section is lost, or two that follow each other, and shown empty.
    hole_px
        Longest side of such a square, in voxels; the shortest is a quarter of it.
    brightness, contrast
        Largest change of the grey levels' offset (in units of `Levels.spread`), and largest relative change of their spread.
    noise
        Largest standard deviation of added Gaussian noise, in units of `Levels.spread`.
    blur_um
        Largest Gaussian blur.
    paste
        Chance that crops of annotated objects are copied from other places into a patch.
    company
        Share of the patches around marked objects (see `Recipe.marked`) in which another one is laid beside the first, as
        near as objects that touch: pairs are common, and rare among few annotated objects. Needs `Recipe.object_um`.
    """

    rotate_deg: float = 10.0
    any_axis: bool = False
    tilt_deg: float = 0.0
    zoom: float = 0.0
    elastic_um: float = 0.0
    elastic_scale_um: float = 0.0
    elastic_px: float = 0.0
    elastic_scale_px: float = 0.0
    rotate_chance: float = 1.0
    zoom_chance: float = 0.5
    elastic_chance: float = 0.5
    crisp: bool = False
    holes: float = 0.0
    missing: float = 0.0
    hole_px: int = 0
    edges: float = 0.0
    brightness: float = 0.08
    contrast: float = 0.08
    noise: float = 0.1
    blur_um: float = 0.0
    paste: float = 0.0
    company: float = 0.0


@dataclass(frozen=True, slots=True)
class Cycles:
    """Stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407): the mean of weights at the ends of cycles.

    Attributes
    ----------
    begin
        Share of a phase after which cycles begin; the learning rate falls towards that moment.
    steps
        Length of a cycle.
    highest, lowest
        Learning rates at a cycle's beginning and end, as shares of the peak.
    refresh
        Batches from which the averaged network's batch norms learn their statistics anew.
    """

    begin: float = 0.6
    steps: int = 20
    highest: float = 0.3
    lowest: float = 0.03
    refresh: int = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a task is learnt: values the training engine reads.

    Attributes
    ----------
    patch
        Voxels per training patch.
    rim
        Voxels at every side of a patch that are context only: the network, which has no padding, answers for the rest.
    batch
        Patches per step.
    steps
        Steps per epoch.
    phases
        One after the other.
    augment
        Changes drawn anew for every patch.
    object_um
        Typical diameter of an object of each class, for pasting.
    mining
        Share of patches drawn around annotated objects; the rest are drawn anywhere.
    mining_um
        How far from an object such a patch's centre may lie, along each axis.
    marked
        Share of every batch that is drawn around annotated objects, never less than one patch; the rest are drawn from
        all of the image, whatever is there. Only these stand for the image: in the former nothing is `known`. 0: `mining`
        decides, patch by patch.
    heaps
        Share of every batch, of those that are not `marked`, that shows several marked objects laid over one another, each
        turned anew: as bright as an object, and none. Their middle is a point of confidence 0. Needs `object_um`.
    compressed
        Prepared pixels are the inverse hyperbolic sine of light: what is laid over something is added to its light.
    linear
        Pixels of points' patches come from linear in place of cubic interpolation: faster, softer.
    optimiser
        AdamW, or stochastic gradient descent with `momentum` (Nesterov's).
    weight_decay, clip
        Of the optimiser (0 makes AdamW Adam); and the largest gradient norm.
    patience
        Epochs without a better validation score before a phase ends.
    validate_every
        Epochs between validations.
    as_good
        Difference between validation scores that says nothing: of models that score alike the later is kept.
    average
        Decay of the exponential moving average of the weights that is validated and kept; 0 keeps the raw weights.
    cycles
        Stochastic weight averaging in its place.
    held_out
        Share of the specimens that is held out to choose by; 0: all are learnt from, and chosen by.
    """

    patch: tuple[int, ...]
    batch: int
    steps: int
    phases: tuple[Phase, ...]
    augment: Augment = Augment()
    rim: int = 0
    object_um: tuple[float, ...] = ()
    mining: float = 0.7
    mining_um: float = 0.0
    marked: float = 0.0
    heaps: float = 0.0
    compressed: bool = False
    linear: bool = False
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 5.0
    patience: int = 20
    validate_every: int = 1
    as_good: float = 0.0
    average: float = 0.0
    cycles: Cycles | None = None
    held_out: float = 0.25


@dataclass(frozen=True, slots=True)
class Choice:
    """Which values of a setting are tried when settings are searched for: see `Searched`.

    Attributes
    ----------
    low, high
        Least and largest value of a number; both may be drawn.
    kind
        How numbers are drawn: "even", "log" (as often from 1 to 10 as from 10 to 100), or "whole" numbers, evenly.
    values
        All there are, in place of a range.
    """

    low: float = 0.0
    high: float = 0.0
    kind: Literal["even", "log", "whole"] = "even"
    values: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.values and (self.low or self.high):
            raise ValueError(f"found values {self.values} and a range; give one of them")
        if not self.values and not self.low < self.high:
            raise ValueError(f"found a range from {self.low} to {self.high}; need two numbers, the smaller one first")
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"found a logarithmic range from {self.low}; need one above 0")

    def including(self, value: Any) -> Choice:
        """The same, widened where it has to be to hold `value`."""
        if self.values:
            return self if value in self.values else replace(self, values=(value, *self.values))
        return replace(self, low=min(self.low, value), high=max(self.high, value))


class Task(Protocol):
    """Enough to predict and to judge: a frozen dataclass whose fields are the settings a user may choose."""

    name: ClassVar[str]
    objective: ClassVar[str]
    """Which of the `Scores` says how good a model is; higher is better."""
    adjustable: ClassVar[tuple[str, ...]]
    """Settings that may be changed after training: what becomes of the maps. A task that has some by which other maps are
    made names those in `redrawn`, too: another value takes the network again."""

    @property
    def grid(self) -> Grid: ...

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """Raw pixels ``(*space)`` or ``(C, *space)`` to what the network eats, ``(C, *space)``; voxel by voxel."""
        ...

    def forward(self, weights: Weights, device: str) -> Forward:
        """The function from prepared pixels to maps: a network with its weights, or a classical filter."""
        ...

    def decode(self, maps: Image) -> Result:
        """Maps to objects in micrometres. Local: depends on no voxel further away than ``grid.halo``."""
        ...

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        """How good `found` is, pooled over images, by the measures this field reports; only where truth is complete."""
        ...

    def resolve(self, examples: Sequence[Example]) -> Self:
        """The same task with what its settings leave open (class names, sizes) filled in from annotated images."""
        ...

    def permissive(self) -> Self:
        """The same task keeping every candidate, so that an operating point can be chosen afterwards."""
        ...

    def keep(self, candidates: Result) -> Result:
        """Those of the `permissive` candidates that count at this task's operating point."""
        ...

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """The same task at the operating point that scores best on these `permissive` results."""
        ...

    def averaged(self, tasks: Sequence[Self]) -> Self:
        """The same task at the mean operating point of several, for an ensemble."""
        ...


class LabelFree(Task, Protocol):
    """A task that needs no training: what it has to know it measures, once, on the image itself."""

    def measure(self, image: Image) -> Weights:
        """E.g. thresholds, from all of a small image or from windows spread over a large one.

        Does not depend on how the image is then tiled. These are the `weights` that `forward` gets; kept in a model
        file, they treat other images by the same measure.
        """
        ...


class Viewing(Task, Protocol):
    """A task that looks at something else than grey levels."""

    redrawn: ClassVar[tuple[str, ...]]
    """Of the `adjustable` settings, those by which something else is drawn: another value takes the network again."""

    def view(self, image: Image) -> Image:
        """What `prepare` is given in place of `image`: the same field, perhaps with channels and on another grid.

        Asked once for each whole image, in prediction and in learning, before it is brought to the task's grid. Results
        still come back on the image's own voxels. What is drawn has no unknown grey scale: its levels are `DRAWN`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """How a setting that is a number is put to people who move it with a slider.

    Attributes
    ----------
    label
        What it is, in a few words.
    low, high
        Bounds of the slider, and not of what the setting may be, in `unit`; for whole numbers whole ones.
    step
        In `unit`.
    factor
        The setting times this is a number in `unit`.
    """

    label: str
    low: float
    high: float
    step: float
    unit: str = ""
    factor: float = 1.0


class Showing(Task, Protocol):
    """A task that says how its `adjustable` settings are put to people; confidences and choices need no words."""

    @property
    def shown(self) -> Mapping[str, Shown]:
        """By the setting's name."""
        ...


class Focused(LabelFree, Protocol):
    """A task that looks only at a part of each image, which it finds by what it measured there."""

    def region(self, prepared: Floats, measured: Weights) -> Array:
        """``(*space)`` booleans: which voxels of ``(C, *space)`` prepared pixels objects may lie in.

        Nothing is learnt from elsewhere; `forward` keeps to it by itself. Local, as `decode` is.
        """
        ...


class Outlining(Task, Protocol):
    """A task whose results are labels.

    Its candidates are confidences: `decode` of a `permissive` task gives labels whose image is ``(kinds, *space)`` in
    255ths, and `keep` makes classes (or objects) of these.
    """

    @property
    def regions(self) -> Regions: ...


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What a task has to say of the objects it outlined in one image, besides where they are.

    Attributes
    ----------
    columns
        More columns of the table of objects, by name: an entry for each number that occurs, in rising order.
    images
        Labels to be written beside the result, by name, on the image's own voxels.
    facts
        For run.json.
    picture
        What the overlay shows in place of the image, of which there may be little to see.
    """

    columns: Mapping[str, Sequence[object]]
    images: Mapping[str, Image]
    facts: Mapping[str, object]
    picture: Image | None = None


class Proposing(Outlining, Protocol):
    """An outlining task of which another threshold finds other objects, so that finding more and being right can be traded."""

    def at(self, candidates: Result, threshold: float) -> Labels:
        """What `keep` would make of these `permissive` candidates if this were the threshold."""
        ...


class Describing(Outlining, Protocol):
    """An outlining task that knows more of its objects than where they are."""

    def describe(self, image: Image, objects: Labels) -> Description:
        """Of the whole image and the numbered `objects` in it; of a plane these lie on its own pixels."""
        ...


class Trainable(Task, Protocol):
    """What training needs on top."""

    @property
    def recipe(self) -> Recipe: ...

    def network(self) -> nn.Module:
        """``(B, C, *space)`` to ``(B, K, *cells)``, freshly initialised."""
        ...

    def target(self, truth: Result, on: Image) -> Floats:
        """What the maps should have been, ``(K, *cells)``, `on` the grid of the maps."""
        ...

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Scalar. `known`, ``(B, 1, *cells)``, is 0 where the annotation is silent."""
        ...


class Searched(Trainable, Protocol):
    """A task that says which of its settings are worth a search, and among which values."""

    searched: ClassVar[Mapping[str, Choice]]
    """By the setting's name. What a search chooses by is the score on held-out images, so a task needs some."""
