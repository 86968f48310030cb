"""Fresh training patches: cut, bent, pasted into and recoloured anew each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from graticule.example import Example
from graticule.image import Array, Floats, Image
from graticule.results import Labels, Points
from graticule.task import Recipe, Trainable
from graticule.training.augment import Rng, Warp, change_grey, draw_edge, draw_warp, empty_holes, lose_section, without
from graticule.training.company import GAIN, LEAST_HEAPED, MOST_HEAPED, heaped, laid_over, place_beside, scattered

MOST_ANCHORS = 200_000  # voxels remembered of each number, inside and at its edge: more would only cost memory
OVERHANG = 8  # share of a patch, as a divisor, that may lie beyond the image
MOST_PASTED = 6
ATTEMPTS = 20  # at placing a pasted object clear of the others


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An example ready to be cut from: prepared pixels on the task's grid.

    Attributes
    ----------
    splines
        ``(C, *space)`` cubic-spline coefficients of the prepared pixels, so that cutting costs no filtering; for outlines,
        and where a recipe asks for it, the prepared pixels themselves, which are interpolated linearly.
    known
        ``(*space)``, 1 where the annotation is complete.
    truth
        Objects, with positions in voxels of this source; or outlines, voxel on voxel.
    anchors
        Of outlines: by number (class or object) the flat indices of known voxels that are its inside, and its edge.
    places
        Flat indices of voxels that patches drawn anywhere are centred on; None: any that is known.
    area
        How many voxels are known: counting those of a volume takes longer than cutting from it.
    """

    splines: Floats
    known: Floats
    truth: Points | Labels
    spacing_um: tuple[float, ...]
    anchors: Mapping[int, tuple[Array, Array]] = field(default_factory=dict)
    places: Array | None = None
    area: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", int(np.count_nonzero(self.known)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.known.shape


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What one step of learning sees: ``(C, *space)`` pixels, ``(K, *cells)`` target, ``(1, *cells)`` known."""

    pixels: Floats
    target: Floats
    known: Floats


def make_source(example: Example, prepared: Floats, *, region: Array | None = None, linear: bool = False) -> Source:
    """`example` must lie on the task's grid; `prepared` are its pixels as the network eats them.

    `region` ``(*space)``, not 0 where objects may be: nothing is known elsewhere. `linear`: points' pixels are kept as
    they are, to be interpolated linearly.
    """
    known = np.ones(example.image.shape, np.float32)
    if example.complete is not None:
        known = (np.asarray(example.complete.data[...]) != 0).astype(np.float32)
    if region is not None:
        known *= region != 0
    if isinstance(example.truth, Labels):
        numbers = np.asarray(example.truth.image.data[...])
        truth = Labels(replace(example.image, data=numbers, axes=example.image.axes[-numbers.ndim :]))
        return Source(prepared, known, truth, example.image.spacing_um, _anchors(numbers, known))
    filtered = (channel if linear else spline_filter(channel, order=3, output=np.float32) for channel in prepared)
    splines = np.stack(list(filtered))
    voxels = replace(example.truth, position_um=example.image.to_voxels(example.truth.position_um))
    places = None if region is None else np.flatnonzero(known)
    return Source(splines, known, voxels, example.image.spacing_um, places=places)


def _anchors(numbers: Array, known: Floats) -> dict[int, tuple[Array, Array]]:
    """Where patches may be centred on each number: see `Source`."""
    marked = np.flatnonzero((numbers != 0) & (known != 0))
    edge = _at_edges(numbers).ravel()[marked]
    own = numbers.ravel()[marked]
    return {
        int(number): (_thinned(marked[(own == number) & ~edge]), _thinned(marked[(own == number) & edge]))
        for number in np.unique(own)
    }


def _at_edges(numbers: Array) -> Array:
    """Voxels that share a face with one of another number."""
    edge = np.zeros(numbers.shape, bool)
    for axis in range(numbers.ndim):
        ahead, behind = (np.moveaxis(edge, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        turned = np.moveaxis(numbers, axis, 0)
        differs = turned[1:] != turned[:-1]
        ahead |= differs
        behind |= differs
    return edge


def _thinned(voxels: Array) -> Array:
    """At most `MOST_ANCHORS` of them, evenly spread."""
    return voxels[:: max(1, -(-len(voxels) // MOST_ANCHORS))]


def marked_patches(recipe: Recipe) -> int:
    """How many patches of every batch are drawn around annotated objects: at least one, and at least one is not."""
    return min(max(1, round(recipe.marked * recipe.batch)), recipe.batch - 1) if recipe.marked else 0


def heaped_patches(recipe: Recipe) -> int:
    """How many patches of every batch show heaps: at least one patch is neither heaped nor marked."""
    return max(0, min(round(recipe.heaps * recipe.batch), recipe.batch - marked_patches(recipe) - 1))


def draw_patch(
    sources: Sequence[Source], task: Trainable, rng: Rng, *, marked: bool | None = None, centred: bool = False
) -> Patch:
    """One patch: around an annotated object if `marked`, else anywhere known; None: by chance, mostly the former.

    Nothing is known in a patch that is `marked`: it was chosen for what was marked, and is no fair sample of the rest.
    `centred`: the object lies in its very middle.
    """
    recipe = task.recipe
    aim = replace(recipe, mining_um=0.0) if centred else recipe
    source, centre = _choose_centre(sources, aim, rng, marked)
    warp = draw_warp(recipe.patch, centre, recipe.augment, source.spacing_um, rng)
    pixels, known, truth = cut(source, warp, crisp=recipe.augment.crisp, linear=recipe.linear)
    if marked:
        known = np.zeros_like(known)
    if marked and not centred and isinstance(truth, Points) and rng.random() < recipe.augment.company:
        pixels, truth = _with_company(pixels, truth, sources, recipe, rng)
    pixels = lose_section(empty_holes(pixels, recipe.augment, rng), recipe.augment, rng)
    if isinstance(truth, Points) and rng.random() < recipe.augment.paste:
        pixels, truth = paste(pixels, known, truth, sources, recipe.object_um, rng)
    return _recoloured(pixels, known, truth, source.spacing_um, task, rng)


def draw_heap(sources: Sequence[Source], task: Trainable, rng: Rng) -> Patch:
    """A patch of several annotated objects laid over one another: its middle is a point of confidence 0, nothing is known."""
    recipe, middle = task.recipe, (np.array(task.recipe.patch) - 1) / 2
    off = rng.uniform(-recipe.mining_um, recipe.mining_um, len(middle))
    each = []
    for _ in range(rng.integers(LEAST_HEAPED, MOST_HEAPED + 1)):
        source, origin = _choose_centre(sources, replace(recipe, mining_um=0.0), rng, True)
        spacing = np.array(source.spacing_um)
        diameter = max(recipe.object_um) / spacing
        warp = draw_warp(recipe.patch, origin, recipe.augment, source.spacing_um, rng)
        each.append(_light_around(source, origin, warp, off / spacing + scattered(diameter, rng), recipe))
    pixels = _prepared(heaped(each, rng), recipe)
    kinds = source.truth.kinds if isinstance(source.truth, Points) else ()
    heap = Points((middle + off / spacing)[None], np.zeros(1), np.zeros(1, int), kinds)
    return _recoloured(pixels, np.zeros(recipe.patch, np.float32), heap, source.spacing_um, task, rng)


def _recoloured(
    pixels: Floats, known: Floats, truth: Points | Labels, spacing_um: tuple[float, ...], task: Trainable, rng: Rng
) -> Patch:
    """Grey levels changed and an edge drawn; and what the task wants to be told of it."""
    recipe, stride, rim = task.recipe, task.grid.stride, task.recipe.rim
    pixels, off = change_grey(pixels, recipe.augment, spacing_um, rng), draw_edge(known.shape, recipe.augment, rng)
    pixels = without(pixels, off)
    if isinstance(truth, Labels):  # of points those that lie close beside the image are still to be found
        known = without(known, off)
    cells = Image(
        np.broadcast_to(np.float32(0), tuple((n - 2 * rim) // stride for n in recipe.patch)),
        "zyx"[-len(recipe.patch) :],
        tuple(s * stride for s in spacing_um),
        tuple(s * (rim + (stride - 1) / 2) for s in spacing_um),
    )
    if isinstance(truth, Points):
        truth = replace(truth, position_um=truth.position_um * np.array(spacing_um))
    inside = known[tuple(slice(rim, n - rim) for n in recipe.patch)]
    return Patch(pixels, task.target(truth, cells), _coarsen(inside, stride)[None])


def cut(
    source: Source, warp: Warp, *, crisp: bool = False, linear: bool = False
) -> tuple[Floats, Floats, Points | Labels]:
    """Pixels ``(C, *space)``, known ``(*space)`` and truth (in voxels of the patch).

    Beyond the image nothing is known and pixels are 0, as they are in prediction; outlines go on as they end, for what an
    object is near the image's border must not depend on how much beyond it a patch shows. `crisp`: outlined pixels are not
    mixed. `linear`: as the source was made, see `Recipe`.
    """
    slices = warp.slices()
    if slices is not None and isinstance(source.truth, Labels):  # a hundred times faster, and the same
        numbers = slices.take(np.asarray(source.truth.image.data), goes_on=True)
        truth = Labels(Image(numbers, source.truth.image.axes, source.spacing_um))
        return np.stack([slices.take(c) for c in source.splines]), slices.take(source.known), truth
    where = warp.coordinates()
    order = (1 if linear else 3) if isinstance(source.truth, Points) else 0 if crisp else 1
    pixels = np.stack([map_coordinates(c, where, order=order, prefilter=False, mode="mirror") for c in source.splines])
    limits = np.reshape(source.shape, (-1, *[1] * len(source.shape))) - 0.5
    inside = np.asarray(((where >= -0.5) & (where <= limits)).all(axis=0), np.float32)
    pixels *= inside
    if source.area < source.known.size:
        inside *= map_coordinates(source.known, where, order=0, mode="nearest")
    return pixels, inside, _cut_truth(source, warp, where)


def _cut_truth(source: Source, warp: Warp, where: Array) -> Points | Labels:
    truth = source.truth
    if isinstance(truth, Labels):
        numbers = map_coordinates(np.asarray(truth.image.data), where, order=0, mode="nearest")
        return Labels(Image(numbers, truth.image.axes, source.spacing_um))
    diameter = None if truth.diameter_um is None else truth.diameter_um / warp.zoom
    return replace(truth, position_um=warp.to_patch(truth.position_um), diameter_um=diameter)


def _choose_centre(
    sources: Sequence[Source], recipe: Recipe, rng: Rng, marked: bool | None = None
) -> tuple[Source, Array]:
    if any(source.anchors for source in sources):
        source, place = _on_outlines(sources, rng) if rng.random() < recipe.mining else _anywhere(sources, rng)
        return source, _middle_near(place, source.shape, recipe.patch)
    objects = [s.truth for s in sources if isinstance(s.truth, Points)]
    counts = np.array([len(truth) for truth in objects])
    if counts.any() and (rng.random() < recipe.mining if marked is None else marked):
        # Every class alike often, however rare: else the few large beads are hardly seen.
        kind = rng.choice(np.unique(np.concatenate([truth.kind for truth in objects])))
        of_kind = np.array([(truth.kind == kind).sum() for truth in objects])
        chosen = rng.choice(len(sources), p=of_kind / of_kind.sum())
        place = rng.choice(objects[chosen].position_um[objects[chosen].kind == kind])
        reach = recipe.mining_um / np.array(sources[chosen].spacing_um)
        return sources[chosen], place + rng.uniform(-reach, reach)
    return _anywhere(sources, rng)


def _middle_near(place: Array, shape: tuple[int, ...], patch: tuple[int, ...]) -> Array:
    """The middle of a patch that shows the voxel `place`, and reaches beyond the image by at most an eighth.

    Without that limit, most of what a network sees of a small region is the nothing around it. The patch's voxels are
    the image's: the middle of an even one lies between voxels, and what is only turned is not blurred.
    """
    half = [n // 2 for n in patch]
    low = np.array([h - 1 + n % 2 - n // OVERHANG for h, n in zip(half, patch, strict=True)])
    high = np.array([size - 1 - h + n // OVERHANG for h, n, size in zip(half, patch, shape, strict=True)])
    middle = np.where(low <= high, np.clip(place, low, high), (np.array(shape) - 1) // 2)
    return np.asarray(middle + np.array([(n - 1) / 2 % 1 for n in patch]))


def _anywhere(sources: Sequence[Source], rng: Rng) -> tuple[Source, Array]:
    """Any known voxel as likely as any other, those at the image's border too."""
    areas = np.array([s.area if s.places is None else len(s.places) for s in sources])
    source = sources[rng.choice(len(sources), p=areas / areas.sum())]
    if source.places is not None:
        flat = source.places[rng.integers(len(source.places))]
    elif source.area < source.known.size:
        flat = rng.choice(np.flatnonzero(source.known))
    else:
        flat = rng.integers(source.area)
    return source, np.array(np.unravel_index(flat, source.shape), float)


def _on_outlines(sources: Sequence[Source], rng: Rng) -> tuple[Source, Array]:
    """A voxel of an outlined number, each number alike often; as often at its edge as inside it."""
    number = rng.choice(sorted({number for source in sources for number in source.anchors}))
    at_edge = int(rng.random() < 0.5)
    each = [source.anchors.get(number, (np.zeros(0, int),) * 2) for source in sources]
    counts = np.array([len(anchors[at_edge]) for anchors in each])
    if not counts.any():  # all of it is edge, or, filling the image, all of it is inside
        at_edge = 1 - at_edge
        counts = np.array([len(anchors[at_edge]) for anchors in each])
    chosen = int(rng.choice(len(sources), p=counts / counts.sum()))
    flat = rng.choice(each[chosen][at_edge])
    return sources[chosen], np.array(np.unravel_index(flat, sources[chosen].shape), float)


def _with_company(
    pixels: Floats, truth: Points, sources: Sequence[Source], recipe: Recipe, rng: Rng
) -> tuple[Floats, Points]:
    """Another annotated object, from anywhere and turned anew, beside the one that is nearest to the patch's middle."""
    middle = (np.array(recipe.patch) - 1) / 2
    source, origin = _choose_centre(sources, replace(recipe, mining_um=0.0), rng, True)
    objects = source.truth
    assert isinstance(objects, Points), "outlines are not marked"
    kind = int(objects.kind[np.linalg.norm(objects.position_um - origin, axis=1).argmin()])
    diameter = recipe.object_um[kind] / np.array(source.spacing_um)
    nearest = truth.position_um[np.linalg.norm(truth.position_um - middle, axis=1).argmin()]
    place = place_beside(nearest, diameter, rng)
    warp = draw_warp(recipe.patch, origin, recipe.augment, source.spacing_um, rng)
    other, gain = _light_around(source, origin, warp, place - middle, recipe), rng.uniform(1 - GAIN, 1 + GAIN)
    pixels = _prepared(laid_over(_light(pixels, recipe), other, place, diameter, gain), recipe)
    return pixels, Points(
        np.vstack([truth.position_um, place]),
        np.append(truth.confidence, 1.0),
        np.append(truth.kind, kind),
        truth.kinds,
        None if truth.diameter_um is None else np.append(truth.diameter_um, recipe.object_um[kind]),
    )


def _light_around(source: Source, origin: Array, warp: Warp, off: Array, recipe: Recipe) -> Floats:
    """The light of a patch that shows `origin`, of `source`, so many voxels off its middle: turned, not bent."""
    unbent = replace(warp, centre=origin - warp.zoom * warp.matrix @ off, displacement=None)
    pixels, _, _ = cut(source, unbent, linear=recipe.linear)
    return _light(pixels, recipe)


def _light(prepared: Floats, recipe: Recipe) -> Floats:
    return np.sinh(prepared) if recipe.compressed else prepared


def _prepared(light: Floats, recipe: Recipe) -> Floats:
    return np.arcsinh(light) if recipe.compressed else light


def _coarsen(known: Floats, stride: int) -> Floats:
    """A cell is known where all its voxels are."""
    if stride == 1:
        return known
    shape = [part for n in known.shape for part in (n // stride, stride)]
    coarse: Floats = known.reshape(shape).min(axis=tuple(range(1, 2 * known.ndim, 2)))
    return coarse


def paste(
    pixels: Floats, known: Floats, truth: Points, sources: Sequence[Source], object_um: Sequence[float], rng: Rng
) -> tuple[Floats, Points]:
    """Copy up to `MOST_PASTED` annotated objects from anywhere into free, known places of a patch.

    What is added is the object's difference from its own surroundings, so that it sits on the new background as it sat
    on the old. `object_um` is the diameter of each class; objects that touch others are not copied.
    """
    for _ in range(rng.integers(1, MOST_PASTED + 1)):
        crop = _take_object(sources, object_um, rng)
        place = None if crop is None else _free_place(pixels.shape[1:], known, truth, crop, rng)
        if crop is None or place is None:
            continue
        window = tuple(slice(p - r, p + r + 1) for p, r in zip(place, crop.reach, strict=True))
        pixels = pixels.copy()
        pixels[(slice(None), *window)] += crop.difference
        truth = Points(
            np.vstack([truth.position_um, place + crop.offset]),
            np.append(truth.confidence, 1.0),
            np.append(truth.kind, crop.kind),
            truth.kinds,
            None if truth.diameter_um is None else np.append(truth.diameter_um, crop.diameter_um),
        )
    return pixels, truth


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    difference: Floats  # (C, *space), faded out at the rim
    reach: Array  # voxels from its middle to its edge
    offset: Array  # of the object's centre from the crop's middle voxel
    kind: int
    diameter_um: float


def _take_object(sources: Sequence[Source], object_um: Sequence[float], rng: Rng) -> _Crop | None:
    objects = [s.truth for s in sources if isinstance(s.truth, Points)]
    kinds = np.unique(np.concatenate([truth.kind for truth in objects]))
    kind = int(rng.choice(kinds))
    number = int(rng.choice(len(sources)))
    source, truth = sources[number], objects[number]
    candidates = np.flatnonzero(truth.kind == kind)
    if not len(candidates):
        return None
    chosen = int(rng.choice(candidates))
    diameter_um = object_um[kind] if truth.diameter_um is None else float(truth.diameter_um[chosen])
    diameter = diameter_um / np.array(source.spacing_um)
    centre = truth.position_um[chosen]
    middle = np.round(centre).astype(int)
    reach = np.ceil(0.95 * diameter).astype(int) + 1
    gaps = np.abs(truth.position_um - centre) / reach
    gaps[chosen] = np.inf
    crowded = len(gaps) > 1 and gaps.max(axis=1).min() < 1.5
    if crowded or (middle < reach).any() or (middle + reach >= np.array(source.shape)).any():
        return None
    quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))
    where = np.stack(
        np.meshgrid(*[np.arange(m - r, m + r + 1) for m, r in zip(middle, reach, strict=True)], indexing="ij")
    )
    crop = np.stack([map_coordinates(c, where, order=3, prefilter=False) for c in source.splines])
    shape = [-1, *[1] * len(reach)]
    distance = np.sqrt((((where - centre.reshape(shape)) / diameter.reshape(shape)) ** 2).sum(axis=0))  # in diameters
    ring = (distance > 0.75) & (distance < 0.95)
    weight = np.clip((0.95 - distance) / 0.3, 0, 1)
    difference = (crop - np.median(crop[:, ring], axis=1).reshape(shape)) * weight
    return _turned(difference, reach, centre - middle, kind, diameter_um, quarter, mirror)


def _turned(
    difference: Floats, reach: Array, offset: Array, kind: int, diameter_um: float, quarter: int, mirror: bool
) -> _Crop:
    if reach[-1] == reach[-2]:
        difference = np.rot90(difference, quarter, axes=(-2, -1))
        for _ in range(quarter):
            offset = np.array([*offset[:-2], -offset[-1], offset[-2]])
    if mirror:
        difference = difference[..., ::-1]
        offset = np.array([*offset[:-1], -offset[-1]])
    return _Crop(np.ascontiguousarray(difference, np.float32), reach, offset, kind, diameter_um)


def _free_place(shape: tuple[int, ...], known: Floats, truth: Points, crop: _Crop, rng: Rng) -> Array | None:
    low, high = crop.reach, np.array(shape) - crop.reach - 1
    if (low > high).any():
        return None
    for _ in range(ATTEMPTS):
        place = np.array([rng.integers(a, b + 1) for a, b in zip(low, high, strict=True)])
        gaps = np.abs(truth.position_um - place) / crop.reach
        if known[tuple(place)] and (not len(gaps) or gaps.max(axis=1).min() > 1):
            return place
    return None
