"""Single particles in fluorescence volumes (or planes): all of them from about ten clicks, by learning from unlabelled data.

A classifier of windows (Bepler et al. 2019, doi:10.1038/s41592-019-0575-8) that takes what nobody clicked for what it is:
unlabelled, a known share of it particles. torch is imported inside the methods that need it, so that the settings below can
be read without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from graticule.arrays.foreground import above_ground, foreground, foreground_level, ground_reach, share_inside
from graticule.arrays.grouping import equalised_at, merged, recentred
from graticule.arrays.intensity import levels as levels_of
from graticule.arrays.peaks import find_peaks, suppress
from graticule.arrays.resample import to_spacing
from graticule.box import round_up
from graticule.errors import AnnotationError, FormatError, SettingsError
from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.metrics import detection
from graticule.results import Points, Result
from graticule.task import Augment, Cycles, Forward, Grid, Levels, Phase, Recipe, Scores, Shown, Weights
from graticule.tasks.particles_marks import count_of, look_of, refuse_unfit

if TYPE_CHECKING:
    from torch import Tensor

NM = 1e-3  # µm
EVEN = 0.5  # confidence that parts what the risk calls particles from what it does not
FLOOR = 0.05  # confidence below which a top is not even a candidate
SURE = 9.0  # logit beyond which confidences are all alike
EDGES = 0.3  # of the patches in training
SMOOTHING = 0.078  # standard deviation, in diameters, of the mean over overlapping windows
EQUALISED_LIMIT = 0.1  # share of a local histogram that a single grey level may have

ERODED, OPENED, GROWN = 1, 1, 2  # voxels
FAINT = 0.08  # of the light of the faintest click, below which nothing is looked at
LIGHT_WITHIN = 0.25  # diameters from a click, along each axis, that its light is measured in
MARKED_WITHIN = 0.15  # diameters from a click within which a window is centred on it
BESIDE = (0.24, 0.38)  # diameters from a click between which no other particle can have its centre
REACH = 0.165  # radius, in diameters, of what counts as one particle in the prior: more, and smears are called particles too
LIT_WITHIN = 0.5  # diameters from a centre that its light is looked for
DRIFT = 0.2  # diameters that a centre may move towards the light
SHIFTED = 0.3  # diameters that a click may lie off the middle of a patch, along each axis
LEAST_PRIOR, MOST_PRIOR = 1e-4, 0.5

LOW_RECALL = 0.9  # of the clicks that lie in the region of interest, below which a person is told
MEASURED = "measured."
PIECE = {2: 512, 3: 64}  # sides of what is measured at once
MOST_PIECES = 64
PLACES = 24  # per piece, at which local contrast is sampled
RUN_CELLS = {2: 32, 3: 8}  # sides of what is given to the network at once: as small as particles, to leave out the rest
RUNS = 16  # that are given to it together

Network = Literal["light", "efficientnet-b0"]
Loss = Literal["binomial", "non-negative", "supervised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """Settings for finding single particles from a few clicks.

    Attributes
    ----------
    classes
        The name of what is found: one.
    diameters_nm
        How long a particle is, in nm: its largest extent; empty: measured on the clicked ones.
    match_nm
        How far from an annotated centre a found one may lie; empty: half the diameter.
    dimensions
        3 for volumes, 2 for planes; 0: as the dataset has them.
    polarity
        Whether particles are bright or dark; "auto" looks at the clicked ones.
    count
        About how many particles an image holds; 0: estimated from what looks like the clicked ones.
    count_interval
        Least and largest such number, where it was estimated.
    prior
        Share of the unlabelled windows that hold a particle; 0: follows from the count, the diameter and the region.
    window_nm
        Side of the window a particle is judged by; 0: four thirds of its diameter.
    window_px
        Voxels a side that a window is resampled to; alike along all axes.
    linear_to
        Noise spreads up to which brightness counts as it is; beyond, its logarithm does. Large where how bright a particle
        is tells it from others, small where particles differ in brightness.
    thresholds
        Confidence from which a particle counts; empty: 0.5, or the best one if masks say where annotation is complete.
    focus
        Look only where anything is bright (two Gaussians in the grey levels, erosion, opening).
    least_light
        How far the faintest clicked particle rises above its ground, on the scale that the network sees: what rises less than a
        twelfth as far is not looked at. 0: measured.
    suppression
        Of two tops closer than this share of the diameter, the less confident is dropped.
    merge
        Tops closer than this share of the diameter are one particle, at their mean place; 0: none are merged.
    recentre
        Move each particle to the centre of mass of the light around it, unless that is far off.
    intensity_filter
        Drop what is dark among its surroundings: local equalisation, Otsu's threshold.
    shaped
        Whether particles have a shape, the same for all, that tells them from other things of their size and light. Not for
        spots, nor for what differs in shape.
    net
        light, or efficientnet-b0, which wants a GPU.
    channels
        Of the light network's layers.
    risk
        binomial (as many of the unlabelled are particles as the prior says), non-negative, or supervised: everything
        unlabelled is taken for background.
    risk_weight
        Of the binomial risk's expectation.
    reconstruct
        Also learn to draw windows again from their features, weighted as it is learnt.
    drop
        Share of the features (light) or blocks (efficientnet-b0) that are left out in training.
    epochs
        Training epochs.
    steps
        Steps per epoch.
    batch
        Patches per step.
    marked
        Share of every batch that is drawn around clicks.
    patch_px
        Side of a training patch, in voxels; what is more than a window gives more windows.
    learning_rate
        Peak learning rate.
    weight_decay
        Of stochastic gradient descent.
    swa
        Average the weights over cycles of the learning rate.
    cycle
        Steps per cycle.
    tilt_deg
        Largest rotation out of the plane in training.
    zoom
        Largest relative change of scale in training.
    company
        Share of the patches around clicks in which another clicked particle is laid beside the first.
    heaps
        Share of every batch that shows several clicked particles laid over one another, each turned anew: what is as bright
        as a particle and has no shape is none. Only where particles are `shaped`.
    contrast
        Largest relative change of brightness in training (after its logarithm, see `linear_to`): small where how bright a
        particle is tells it from others.
    """

    name: ClassVar[str] = "particles"
    objective: ClassVar[str] = "f1"
    adjustable: ClassVar[tuple[str, ...]] = ("thresholds", "suppression", "merge", "recentre", "intensity_filter")
    methods: ClassVar[str] = (
        "a convolutional classifier of windows learnt from a few marked and many unlabelled windows (Bepler et al. 2019, "
        "doi:10.1038/s41592-019-0575-8) with stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407)"
    )
    handed_on: ClassVar[tuple[str, ...]] = (
        "diameters_nm", "polarity", "window_nm", "window_px", "linear_to", "contrast", "shaped", "net", "channels",
        "reconstruct",
    )  # fmt: skip

    classes: tuple[str, ...] = ()
    diameters_nm: tuple[float, ...] = ()
    match_nm: tuple[float, ...] = ()
    dimensions: int = 0
    polarity: Literal["auto", "bright", "dark"] = "auto"
    count: float = 0.0
    count_interval: tuple[float, ...] = ()
    prior: float = 0.0
    window_nm: float = 0.0
    window_px: int = 24
    linear_to: float = 12.0
    thresholds: tuple[float, ...] = ()
    focus: bool = True
    least_light: float = 0.0
    suppression: float = 0.2
    merge: float = 0.5
    recentre: bool = True
    intensity_filter: bool = True

    shaped: bool = False
    net: Network = "light"
    channels: tuple[int, ...] = (16, 32, 32, 32, 64)
    risk: Loss = "binomial"
    risk_weight: float = 1.0
    reconstruct: bool = False
    drop: float = 0.2

    epochs: int = 60
    steps: int = 20
    batch: int = 36
    marked: float = 1 / 3
    patch_px: int = 28
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    swa: bool = True
    cycle: int = 10
    tilt_deg: float = 15.0
    zoom: float = 0.15
    company: float = 0.5
    heaps: float = 1 / 6
    contrast: float = 0.3

    def __post_init__(self) -> None:
        for field in ("diameters_nm", "match_nm", "thresholds"):
            found = len(getattr(self, field))
            if found > 1:
                raise SettingsError(f"found {found} {field}; particles are of one class: need one")
        if self.prior and not 0 < self.prior < 1:
            raise SettingsError(
                f"prior is {self.prior:g}; need the share of the unlabelled windows that hold a particle, above 0 and below 1; "
                "give --count, or leave both out to have it estimated"
            )
        if self.count < 0 or self.window_nm < 0:
            raise SettingsError(
                f"found count {self.count:g} and window_nm {self.window_nm:g}; need numbers above 0, or 0"
            )
        lengths = (*self.diameters_nm, *self.match_nm)
        if any(length <= 0 for length in lengths) or self.learning_rate <= 0:
            raise SettingsError(
                f"found diameters_nm {self.diameters_nm}, match_nm {self.match_nm} and learning_rate {self.learning_rate:g}; "
                "need numbers above 0"
            )
        shares = {name: getattr(self, name) for name in ("marked", "drop", "company", "heaps", "contrast")}
        if not all(0 <= share <= 1 for share in (*shares.values(), *self.thresholds)) or not self.marked:
            given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            raise SettingsError(
                f"found {given}, thresholds {self.thresholds}; need 0 to 1 of each, and of marked more than 0"
            )
        step = 8 if self.net == "efficientnet-b0" else 2
        if self.window_px % step or self.window_px < 16:
            raise SettingsError(f"window_px is {self.window_px}; need a multiple of {step} from 16")
        if self.patch_px < self.window_px or (self.patch_px - self.window_px) % self._stride:
            raise SettingsError(
                f"patch_px is {self.patch_px}; need window_px ({self.window_px}) or a multiple of {self._stride} more"
            )

    @property
    def grid(self) -> Grid:
        spacing = self.window_nm * NM / self.window_px
        around = max(self.window_px // 2, ground_reach(self._sigma_px) + 2 * ERODED + 2 * OPENED + GROWN)
        recentring = (2 * LIT_WITHIN + DRIFT) if self.recentre else 0.0
        merging = (4 * SMOOTHING + self.suppression + 2 * self.merge + recentring) * self._diameter_um / spacing
        reach = around + max(int(merging) + 1, self._stride * (self._equalised_reach + 2))
        # What pads inside depends on where it begins: pieces that are seen together lie alike whatever the tiles are.
        multiple = RUN_CELLS.get(self.dimensions, 1) * self._stride if self.net == "efficientnet-b0" else 8
        return Grid(
            spacing_um=(spacing,) * self.dimensions,
            tile=(256, 384, 384) if self.dimensions == 3 else (2048,) * 2,
            halo=(round_up(reach, multiple),) * self.dimensions,
            multiple=multiple,
            stride=self._stride,
            bytes_per_voxel=48,
        )

    @property
    def shown(self) -> Mapping[str, Shown]:
        """Distances in diameters."""
        return {
            "suppression": Shown("of tops nearer than this one stays", 0, 1, 0.01, "diameters"),
            "merge": Shown("tops nearer than this are one particle", 0, 1, 0.01, "diameters"),
        }

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            patch=(self.patch_px,) * self.dimensions,
            rim=(self.window_px - self._stride) // 2,
            batch=self.batch,
            steps=self.steps,
            phases=(Phase(self.epochs, {"": self.learning_rate}),),
            augment=Augment(
                rotate_deg=180.0,
                tilt_deg=self.tilt_deg,
                zoom=self.zoom,
                zoom_chance=1.0,
                brightness=0.2,
                contrast=self.contrast,
                noise=0.1,
                edges=EDGES,
                company=self.company,
            ),
            object_um=(self._diameter_um,),
            mining_um=SHIFTED * self._diameter_um,
            marked=self.marked,
            heaps=self.heaps if self.shaped else 0.0,
            compressed=True,
            linear=True,
            optimiser="sgd",
            weight_decay=self.weight_decay,
            patience=self.epochs,
            validate_every=self.epochs,  # clicks say nothing about when to stop
            cycles=Cycles(steps=self.cycle) if self.swa else None,
            held_out=0.0,
        )

    def prepare(self, pixels: Array, levels: Levels) -> Floats:
        """Particles bright, on a scale that a bright image does not stretch."""
        sign = -1 if self.polarity == "dark" else 1
        unit = np.float32(sign / (self.linear_to * levels.spread))
        prepared: Floats = np.arcsinh((pixels.astype(np.float32) - np.float32(levels.centre)) * unit)[None]
        return prepared

    def measure(self, image: Image) -> Weights:
        """Where foreground begins, and Otsu's threshold of the equalised light, from pieces of all of the image.

        Raises
        ------
        FormatError
            If the image is smaller than a window, or all alike.
        """
        if image.ndim != self.dimensions or min(image.shape) < self.window_px:
            size = " x ".join(f"{n * s:.4g}" for n, s in zip(image.shape, image.spacing_um, strict=True))
            raise FormatError(
                f"found an image of {size} µm, and windows of {self.window_nm * NM:g} µm; need an image larger than a window; "
                "are the voxel size and --diameters-nm right?"
            )
        levels = levels_of(image)
        pieces = [self.prepare(piece, levels)[0] for piece in _pieces(image)]
        level = foreground_level([above_ground(piece, self._sigma_px) for piece in pieces])
        values = np.concatenate([self._sampled(piece) for piece in pieces])
        dim = float(threshold_otsu(values)) if np.ptp(values) > 0 else 0.0
        return {f"{MEASURED}level": np.array(max(level, FAINT * self.least_light)), f"{MEASURED}dim": np.array(dim)}

    def region(self, prepared: Floats, measured: Weights) -> Array:
        """Where windows may have their middle: see `foreground`."""
        if not self.focus:
            return np.ones(prepared.shape[1:], bool)
        lit = above_ground(prepared[0], self._sigma_px)
        return foreground(lit, float(measured[f"{MEASURED}level"]), erode=ERODED, open_by=OPENED, grow=GROWN)

    def network(self) -> Any:
        if self.net == "light":
            from graticule.nets.windows import WindowNet

            return WindowNet(
                dimensions=self.dimensions,
                window=self.window_px,
                channels=self.channels,
                dropout=self.drop,
                reconstruct=self.reconstruct,
            )
        from graticule.nets.efficientnet import EfficientWindows

        return EfficientWindows(dimensions=self.dimensions, window=self.window_px, drop_connect=self.drop)

    def forward(self, weights: Weights, device: str) -> Forward:
        """Three maps: confidence in 0 … 1 (0 outside the region), light, and how dark is too dark, alike everywhere."""
        from graticule.nets.forward import as_forward

        learnt = {name: value for name, value in weights.items() if not name.startswith(MEASURED)}
        score = as_forward(self.network(), learnt, device, _probability)
        return partial(self._maps, score, weights)

    def target(self, truth: Result, on: Image) -> Floats:
        """``(3, *cells)``: 1 in cells centred on a click; where no centre can be, beside one; and near one at all.

        No centre can be near what is certainly none: points of confidence 0.
        """
        assert isinstance(truth, Points)
        places = np.stack(np.meshgrid(*[np.arange(n) for n in on.shape], indexing="ij"), axis=-1)
        um = on.to_um(places.reshape(-1, on.ndim))
        nearest = self._nearest(um, truth.position_um[truth.confidence > 0])
        beside = (nearest > BESIDE[0]) & (nearest < BESIDE[1])
        refuted = self._nearest(um, truth.position_um[truth.confidence == 0]) < BESIDE[1]
        flags = np.stack([nearest <= MARKED_WITHIN, beside | refuted, (nearest < BESIDE[1]) | refuted])
        target: Floats = flags.reshape(3, *on.shape).astype(np.float32)
        return target

    def loss(self, maps: Tensor, target: Tensor, known: Tensor) -> Tensor:
        from torch.nn.functional import softplus

        logit = maps[:, 0]
        marked, beside = target[:, 0] > 0, target[:, 1] > 0
        # What was marked, and what lies so near that it may be the same particle, is never unlabelled.
        unlabelled = (known[:, 0] > 0) & (target[:, 2] == 0)
        loss = self._risk(logit[marked], logit[unlabelled])
        if beside.any():
            loss = loss + softplus(logit[beside]).mean()
        if maps.shape[1] == 1:
            return loss
        missed, scales = maps[:, 1].mean(), maps[0, 2:, 0].flatten(1)[:, 0]
        weighed: Tensor = (-scales[0]).exp() * loss + (-scales[1]).exp() / 2 * missed + scales.sum() / 2
        return weighed

    def _risk(self, marked: Tensor, unlabelled: Tensor) -> Tensor:
        from graticule.losses.positive_unlabelled import binomial_expectation, non_negative_risk, supervised

        if not unlabelled.numel():  # everything near clicks: nothing to say of the rest
            return -_logsigmoid_mean(marked)
        if self.risk == "supervised":
            return supervised(marked, unlabelled)
        if self.risk == "non-negative":
            return non_negative_risk(marked, unlabelled, self.prior)
        return binomial_expectation(marked, unlabelled, self.prior, weight=self.risk_weight)

    def decode(self, maps: Image) -> Points:
        """Tops, suppressed, merged, recentred and filtered: see `arrays.grouping`."""
        confidence, light, dim = (np.asarray(channel) for channel in maps.data[...])
        cell_um = maps.spacing_um[0]
        diameter = self._diameter_um / cell_um
        places, heights = find_peaks(
            averaged_windows(confidence, SMOOTHING * diameter), min_distance=1, threshold=FLOOR
        )
        kept = suppress(places, heights, np.full(len(places), self.suppression * diameter))
        places, heights = places[kept], heights[kept].astype(float)
        if self.merge and len(places):
            places, heights = merged(places, heights, self.merge * diameter)
        every, sure = places, heights >= self._threshold  # the rest only claim their light
        places, heights = places[sure], heights[sure]
        if self.recentre and len(places):
            places = recentred(light, places, window=LIT_WITHIN * diameter, limit=DRIFT * diameter, among=every)
        if self.intensity_filter and len(places):
            bright = equalised_at(light, places, self._equalised_reach, EQUALISED_LIMIT) >= dim.flat[0]
            places, heights = places[bright], heights[bright]
        found = Points(maps.to_um(places), heights, np.zeros(len(places), int), self.classes)
        return self.keep(found)

    def score(self, found: Sequence[Result], truth: Sequence[Example]) -> Scores:
        return detection.scores(_all_points(found), truth, self.match_um)

    def resolve(self, examples: Sequence[Example]) -> Self:
        """Class, size, polarity, count and prior, from the clicks and the images.

        Raises
        ------
        AnnotationError, FormatError
            If the clicks or the images are unfit: see `refuse_unfit`.
        SettingsError
            If there is not one class, or the count or prior is impossible.
        """
        refuse_unfit(examples)
        task = self if self.classes else replace(self, classes=_classes(examples))
        if len(task.classes) != 1:
            raise SettingsError(
                f"found {len(task.classes)} classes ({', '.join(task.classes)}); particles are of one; name it with --classes"
            )
        task = replace(task, dimensions=examples[0].image.ndim)
        if task.polarity == "auto" or not task.diameters_nm:
            polarity, diameter_nm = look_of(examples, *task.diameters_nm)
            task = replace(
                task,
                polarity=polarity if task.polarity == "auto" else task.polarity,
                diameters_nm=task.diameters_nm or (diameter_nm,),
            )
        finest_nm = max(min(example.image.spacing_um) for example in examples) / NM
        if task.diameters_nm[0] < finest_nm:
            raise SettingsError(
                f"found a diameter of {task.diameters_nm[0]:g} nm, and voxels of {finest_nm:g} nm; need particles larger than "
                "a voxel; is --diameters-nm in nm, and is the voxel size right?"
            )
        task = replace(task, match_nm=task.match_nm or (task.diameters_nm[0] / 2,))
        task = replace(task, window_nm=task.window_nm or round(task.diameters_nm[0] * 4 / 3, 3))
        task = replace(task, least_light=task.least_light or task._faintest(examples))
        task = task if task.count else task._with_count(examples)
        return task if task.prior else task._with_prior(examples)

    def permissive(self) -> Self:
        return replace(self, thresholds=())

    def keep(self, candidates: Result) -> Points:
        assert isinstance(candidates, Points)
        return candidates[candidates.confidence >= self._threshold]

    def calibrate(self, found: Sequence[Result], truth: Sequence[Example]) -> Self:
        """Where annotation is known to be complete, the threshold of the best F1; else the one that the risk is made for.

        Clicks say nothing of what is false, and the images learnt from are no measure of confidence elsewhere.
        """
        best = EVEN
        if all(example.complete is not None for example in truth):
            best = detection.best_thresholds(_all_points(found), truth, self.match_um)[self.classes[0]]
        return replace(self, thresholds=(max(FLOOR, round(float(best), 4)),))

    def averaged(self, tasks: Sequence[Self]) -> Self:
        return replace(self, thresholds=(round(float(np.mean([t.thresholds[0] for t in tasks])), 4),))

    def remarks(self, examples: Sequence[Example]) -> Iterator[str]:
        """What a person should know before training: sizes and counts that were estimated, clicks that will be missed."""
        low_high = f", {self.count_interval[0]:.0f} to {self.count_interval[1]:.0f}" if self.count_interval else ""
        where = "estimated" if self.count_interval else "as given"
        yield (
            f"particles of {self.diameters_nm[0]:g} nm, {self.polarity}; about {self.count:.0f} in an image "
            f"({where}{low_high}): {self.prior:.1%} of the windows that are looked at"
        )
        if not self.shaped:
            yield "told by size and light, hardly by shape; --shaped tells what has one shape from mere heaps of light"
        share = self.region_recall(examples)
        if share < LOW_RECALL:
            yield (
                f"only {share:.0%} of the clicks lie in the region that is looked at; look everywhere with --no-focus, or mask "
                "what is bright and no particle"
            )

    def region_recall(self, examples: Sequence[Example]) -> float:
        """Share of the clicks that lie in the region of interest."""
        seen, total = 0.0, 0
        for image, region in self._regions(examples):
            truth = image.truth
            assert isinstance(truth, Points)
            seen += share_inside(region, image.image.to_voxels(truth.position_um)) * len(truth)
            total += len(truth)
        return seen / max(1, total)

    @property
    def match_um(self) -> Mapping[str, float]:
        """Matching radius of the class."""
        return {self.classes[0]: self.match_nm[0] * NM}

    @property
    def _threshold(self) -> float:
        return self.thresholds[0] if self.thresholds else FLOOR

    @property
    def _stride(self) -> int:
        return 4 if self.net == "efficientnet-b0" else 2

    @property
    def _diameter_um(self) -> float:
        return self.diameters_nm[0] * NM

    @property
    def _sigma_px(self) -> float:
        return self.window_px / 12

    @property
    def _equalised_reach(self) -> int:
        """In cells: a window to each side would be CLAHE's usual eighth of an image; half of one sees past a particle."""
        return self.window_px // 2 // self._stride + 2

    def _nearest(self, um: Array, places: Array) -> Array:
        """Diameters from each of `um` ``(N, ndim)`` to the nearest of `places`."""
        nearest = np.full(len(um), np.inf)
        for place in places:
            nearest = np.minimum(nearest, np.linalg.norm(um - place, axis=1))
        return nearest / self._diameter_um

    def _faintest(self, examples: Sequence[Example]) -> float:
        """The light of the faintest click but for one in ten, which may be of something that cannot be seen."""
        light = []
        for example in examples:
            assert isinstance(example.truth, Points)
            image = to_spacing(example.image, self.grid.spacing_um)
            lit = above_ground(self.prepare(np.asarray(image.data[...]), levels_of(image))[0], self._sigma_px)
            for place in image.to_voxels(example.truth.position_um):
                light.append(
                    lit[_around(place, LIGHT_WITHIN * self._diameter_um / image.spacing_um[0], lit.shape)].max()
                )
        return max(0.0, round(float(np.sort(light)[len(light) // 10]), 4))

    def _with_count(self, examples: Sequence[Example]) -> Self:
        polarity: Literal["dark", "bright"] = "dark" if self.polarity == "dark" else "bright"
        estimate = count_of(examples, self.diameters_nm[0], polarity)
        each = [round(value / len(examples), 2) for value in (estimate.value, estimate.low, estimate.high)]
        return replace(self, count=each[0], count_interval=(each[1], each[2]))

    def _with_prior(self, examples: Sequence[Example]) -> Self:
        clicks = sum(len(e.truth) for e in examples if isinstance(e.truth, Points))
        if round(self.count * len(examples)) < clicks:
            raise SettingsError(
                f"found a count of {self.count:g} particles in an image, and {clicks} clicks in {len(examples)}; need at least "
                "as many particles as clicks; leave out --count to have it estimated"
            )
        cells, voxels = 0.0, 0.0
        for ready, region in self._regions(examples):
            assert isinstance(ready.truth, Points)
            cells += sum(
                _near(region, place, self._reach_px) for place in ready.image.to_voxels(ready.truth.position_um)
            )
            voxels += float(region.sum())
        each_voxels = max(cells / clicks, 1.0)
        left = max(self.count * len(examples) - clicks, 0.0)
        complete = all(example.complete is not None for example in examples)
        prior = 0.0 if complete else left * each_voxels / max(voxels - clicks * each_voxels, 1.0)
        if prior >= 1:
            raise SettingsError(
                f"found a count of {self.count:g} particles of {self.diameters_nm[0]:g} nm, which would fill more than the "
                "image; need a smaller --count or --diameters-nm"
            )
        return replace(self, prior=float(np.clip(prior, LEAST_PRIOR, MOST_PRIOR)))

    @property
    def _reach_px(self) -> float:
        return REACH * self._diameter_um / self.grid.spacing_um[0]

    def _regions(self, examples: Sequence[Example]) -> Iterator[tuple[Example, Array]]:
        """Each example on the working grid, and where it is looked at."""
        for example in examples:
            image = to_spacing(example.image, self.grid.spacing_um)
            prepared = self.prepare(np.asarray(image.data[...]), levels_of(image))
            yield replace(example, image=image, complete=None), self.region(prepared, self.measure(image))

    def _maps(self, score: Forward, weights: Weights, batch: Floats) -> Floats:
        return np.stack([self._maps_of(score, weights, pixels) for pixels in batch])

    def _maps_of(self, score: Forward, weights: Weights, pixels: Floats) -> Floats:
        """``(3, *cells)`` of one tile ``(1, *space)``; only pieces with some region in them reach the network."""
        stride, rim = self._stride, (self.window_px - self._stride) // 2
        allowed: Array = np.any(by_cells(self.region(pixels, weights), stride), axis=-1)
        light = by_cells(pixels[0], stride).mean(axis=-1)
        confidence = np.zeros(allowed.shape, np.float32)
        for several in batched(_runs(allowed, RUN_CELLS[self.dimensions]), RUNS):
            around = np.stack([_cut(pixels, first, RUN_CELLS[self.dimensions], stride, rim) for first in several])
            for first, scores in zip(several, score(around), strict=True):
                room = confidence[tuple(slice(a, a + n) for a, n in zip(first, scores.shape[1:], strict=True))]
                room[...] = scores[(0, *(slice(n) for n in room.shape))]
        confidence *= allowed
        dim = np.full_like(confidence, float(weights[f"{MEASURED}dim"]))
        return np.stack([confidence, light.astype(np.float32), dim])

    def _sampled(self, piece: Floats) -> Array:
        """Equalised light at places spread over a piece."""
        light = by_cells(piece[tuple(slice(n // self._stride * self._stride) for n in piece.shape)], self._stride)
        light = light.mean(axis=-1)
        flat = np.linspace(0, light.size - 1, PLACES).astype(int)
        places = np.stack(np.unravel_index(flat, light.shape), axis=1)
        return equalised_at(light, places, self._equalised_reach, EQUALISED_LIMIT)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "demo": {"epochs": 10},
    "efficientnet": {
        "net": "efficientnet-b0",
        "reconstruct": False,
        "patch_px": 24,
        "batch": 128,
        "marked": 0.125,
        "epochs": 50,
        "steps": 40,
    },
}
"""Settings by name. `efficientnet` is the published network; of volumes it wants a GPU. `demo` is for a first look."""


def share_of_volume(count: float, radius: float, volume: float) -> float:
    """``(k / D) (4 / 3) pi r^3``: which share of a volume D is within r of k centres that do not overlap."""
    return count / volume * 4 / 3 * np.pi * radius**3


def averaged_windows(confidence: Floats, cells: float) -> Floats:
    """Each cell's confidence, averaged with those of the windows that overlap it most, on the scale of logits.

    `cells`: standard deviation of the Gaussian that they are weighted by.
    """
    bounded = np.clip(confidence.astype(np.float64), 1 / (1 + np.exp(SURE)), 1 / (1 + np.exp(-SURE)))
    logit = gaussian_filter(np.log(bounded / (1 - bounded)), cells, mode="nearest")
    return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


def by_cells(voxels: Array, stride: int) -> Array:
    """``(*cells, voxels of a cell)`` of ``(*space)``, whose sides are multiples of `stride`."""
    ndim = voxels.ndim
    split = voxels.reshape([part for n in voxels.shape for part in (n // stride, stride)])
    moved = np.moveaxis(split, range(1, 2 * ndim, 2), range(ndim, 2 * ndim))
    return moved.reshape(*moved.shape[:ndim], -1)


def _runs(allowed: Array, side: int) -> Iterator[tuple[int, ...]]:
    """First cells of cubes that have some of the region in them."""
    for first in product(*(range(0, n, side) for n in allowed.shape)):
        if allowed[tuple(slice(a, a + side) for a in first)].any():
            yield first


def _cut(pixels: Floats, first: tuple[int, ...], cells: int, stride: int, rim: int) -> Floats:
    """The voxels ``(1, *space)`` of so many cells from `first` on and the rim around them; 0 beyond the image."""
    side = cells * stride + 2 * rim
    starts = [a * stride - rim for a in first]
    inside = [slice(max(a, 0), min(a + side, n)) for a, n in zip(starts, pixels.shape[1:], strict=True)]
    cut = np.zeros((1, *[side] * len(first)), np.float32)
    place = tuple(slice(i.start - a, i.stop - a) for a, i in zip(starts, inside, strict=True))
    cut[0][place] = pixels[0][tuple(inside)]
    return cut


def batched(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of up to `size`, in order (itertools has it from Python 3.12 on)."""
    rest = iter(values)
    while several := list(islice(rest, size)):
        yield several


def _around(place: Array, radius: float, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Voxels within a radius of a place along each axis; at least the one it lies in."""
    middle = np.clip(np.round(place), 0, np.array(shape) - 1)
    low = np.maximum(np.minimum(np.ceil(place - radius), middle), 0).astype(int)
    high = np.minimum(np.maximum(np.floor(place + radius), middle) + 1, shape).astype(int)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def _near(region: Array, place: Array, radius: float) -> int:
    """Voxels of the region within a radius of a place."""
    here = _around(place, radius, region.shape)
    window, axes = region[here], np.ogrid[here]
    squares = sum((axis - p) ** 2 for axis, p in zip(axes, place, strict=True))
    return int((window & (squares <= radius**2)).sum())


def _pieces(image: Image) -> Iterator[Array]:
    """All of a small image, pieces on a regular grid of a large one; each begins at a multiple of 8 voxels."""
    axes = []
    for length in image.shape:
        count = max(1, round(length / PIECE[image.ndim]))
        edges = [length * k // count // 8 * 8 for k in range(count)]
        axes.append([slice(a, b) for a, b in zip(edges, [*edges[1:], length], strict=True)])
    while np.prod([len(axis) for axis in axes]) > MOST_PIECES:
        longest = max(range(len(axes)), key=lambda axis: len(axes[axis]))
        axes[longest] = axes[longest][::2]
    for window in product(*axes):
        yield np.asarray(image.data[window])


def _probability(out: Tensor) -> Tensor:
    return out[:, :1].sigmoid()


def _logsigmoid_mean(logit: Tensor) -> Tensor:
    from torch.nn.functional import logsigmoid

    return logsigmoid(logit).mean()


def _classes(examples: Sequence[Example]) -> tuple[str, ...]:
    names = {name: None for e in examples if isinstance(e.truth, Points) for name in e.truth.kinds}
    if not names:
        raise AnnotationError("found no points in the dataset; particles need points/NAME.csv")
    return tuple(names)


def _all_points(results: Sequence[Result]) -> list[Points]:
    points = [r for r in results if isinstance(r, Points)]
    assert len(points) == len(results), "particles are points"
    return points
