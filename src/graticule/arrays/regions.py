"""Connected regions of labelled voxels: which there are, which touch, and which stay.

Every voxel belongs to a region, those of the background too. Whether a region is dropped, or is a hole to be filled, is
decided on the graph of regions that touch, not on voxels: so the decision is the same for an array in memory and for
blocks of one that is larger (`inference/merge.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label as label_values

from graticule.image import Array
from graticule.task import Regions

UNCLAIMED = 1 << 30
"""Added to the number of the object that a voxel of a rim goes to unless another is nearer: see `claimed`."""

CORE, RIM = 1, 2
STEPS = 255  # confidences are whole 255ths
FEW = 8  # so many values are labelled one after the other, which is four times faster than all at once


@dataclass(frozen=True, slots=True, eq=False)
class Census:
    """The regions 0 … n-1 of some voxels.

    Attributes
    ----------
    value
        ``(n,)``, the label that its voxels have; 0 is background.
    size
        ``(n,)``, in voxels.
    first
        ``(n,)``, place in raster order of its first voxel.
    at_edge
        ``(n,)``, whether it reaches the image's edge.
    confidence
        ``(n,)``, the sum of its voxels' confidences, in 255ths: whole numbers, so that blocks add up to the whole.
    touching
        ``(m, 2)`` regions with a face in common, each pair once or more.
    """

    value: Array
    size: Array
    first: Array
    at_edge: Array
    confidence: Array
    touching: Array

    def __len__(self) -> int:
        return len(self.value)


def tidy(labels: Array, regions: Regions, spacing_um: Sequence[float], confidence: Array | None = None) -> Array:
    """`labels` as the task wants them: small ones dropped, holes filled, grown or shrunk, objects numbered from 1.

    Integers of any shape in, of the same shape out: the type given, or int32 where regions are counted. `confidence`, of
    the same shape, in 255ths, is needed where regions are dropped for it.
    """
    if regions.min_confidence and confidence is None:
        raise ValueError("what is unsure is to be dropped, and no confidences are given")
    labels = labels.astype(np.uint8) if labels.dtype == bool else labels
    ids = label_regions(labels)
    census = take_census(ids, labels, confidence=confidence)
    kept = decide(census, regions)
    result: Array = kept.astype(np.int32 if regions.counted else labels.dtype)[ids]
    if regions.rims:
        return claimed(result, regions.reach_px)
    return grown(result, regions.grow_um, spacing_um) if regions.grow_um else result


def label_regions(labels: Array) -> Array:
    """``int32``, 0 … n-1: the region of every voxel. Voxels of one label with a common face are of one region."""
    first = labels.flat[0] if labels.size else 0
    if (labels == first).all():
        return np.zeros(labels.shape, np.int32)
    values = _few_values(labels)
    if values is None:
        unsigned = labels.astype(np.int64) - int(labels.min()) + 1
        ids: Array = label_values(unsigned, background=0, connectivity=1).astype(np.int32) - 1
        return ids
    ids, found = ndimage.label(labels == values[0])
    ids -= 1
    for value in values[1:]:
        mask = labels == value
        part, count = ndimage.label(mask)
        ids += part
        np.add(ids, np.int32(found), out=ids, where=mask)
        found += count
    return np.asarray(ids, np.int32)


def _few_values(labels: Array) -> list[int] | None:
    """All values, if they are few and small."""
    highest = int(labels.max())
    if int(labels.min()) < 0 or highest >= FEW:
        return None
    return [value for value in range(highest + 1) if (labels == value).any()]


def take_census(
    ids: Array,
    labels: Array,
    start: Sequence[int] | None = None,
    shape: Sequence[int] | None = None,
    confidence: Array | None = None,
) -> Census:
    """What there is to know of the regions `ids` of `labels`: all of an image, or its block at `start`.

    `shape` is the whole image's; `start` and `shape` default to those of an image of its own. `confidence` ``(*space)``, in
    255ths; left out, all are 0.
    """
    start = (0,) * ids.ndim if start is None else start
    shape = ids.shape if shape is None else shape
    size = _sizes(ids)
    first_here = _first_voxels(ids, len(size))
    places = np.unravel_index(first_here, ids.shape)
    first = np.ravel_multi_index(tuple(p + s for p, s in zip(places, start, strict=True)), tuple(shape))
    at_edge = np.zeros(len(size), bool)
    for axis, (begin, length) in enumerate(zip(start, shape, strict=True)):
        if begin == 0:
            at_edge[ids.take(0, axis)] = True
        if begin + ids.shape[axis] == length:
            at_edge[ids.take(-1, axis)] = True
    pairs = [_meeting(*_halves(ids, axis), *_halves(labels, axis)) for axis in range(ids.ndim)]
    sure = np.zeros(len(size), np.int64) if confidence is None else _sums(ids, confidence)
    return Census(labels.ravel()[first_here], size, first, at_edge, sure, unique_pairs(np.concatenate(pairs)))


def _sizes(ids: Array) -> Array:
    """``(n,)`` voxels of each region."""
    return _summed(ids, (None for _ in ids))


def _sums(ids: Array, values: Array) -> Array:
    """``(n,)``: the sum, over the voxels of each region, of whole numbers."""
    return _summed(ids, (plane.ravel() for plane in values))


def _summed(ids: Array, weights: Iterable[Array | None]) -> Array:
    total = np.zeros(int(ids.max()) + 1, np.int64)
    planes = ids.reshape(len(ids), -1)
    for plane, weight in zip(planes, weights, strict=True):  # plane by plane: both are copied to wider numbers first
        sums = np.bincount(plane, weight)
        total[: len(sums)] += sums.astype(np.int64)
    return total


def _first_voxels(ids: Array, count: int) -> Array:
    """``(count,)``: place in raster order of the first voxel of each region."""
    first = np.empty(count, np.int64)
    planes = ids.reshape(len(ids), -1)
    here = np.arange(planes.shape[1] - 1, -1, -1)
    for number in range(len(planes) - 1, -1, -1):  # plane by plane, as places take more memory than the regions
        first[planes[number, ::-1]] = here + number * planes.shape[1]  # the last to be written is the first voxel
    return first


def _halves(ids: Array, axis: int) -> tuple[Array, Array]:
    """Every voxel but the last along an axis, and its neighbour."""
    before: list[slice] = [slice(None)] * ids.ndim
    after = before.copy()
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return ids[tuple(before)], ids[tuple(after)]


def _meeting(here: Array, there: Array, label: Array, other: Array) -> Array:
    """Pairs of regions of neighbouring voxels; where labels are the same so are regions, and labels take fewer bytes."""
    differ = label != other
    return unique_pairs(np.stack([here[differ], there[differ]], axis=1))


def touching(here: Array, there: Array) -> Array:
    """``(m, 2)`` pairs of different numbers at the same place of two arrays, each pair once."""
    differ = here != there
    return unique_pairs(np.stack([here[differ], there[differ]], axis=1))


def unique_pairs(pairs: Array) -> Array:
    """Each row once."""
    pairs = pairs.astype(np.int64)
    if not len(pairs):
        return pairs.reshape(0, 2)
    width = int(pairs.max()) + 1
    keys = np.unique(pairs[:, 0] * width + pairs[:, 1])
    return np.stack([keys // width, keys % width], axis=1)


def union(count: int, pairs: Array) -> tuple[int, Array]:
    """How many groups `count` things form when `pairs` ``(m, 2)`` belong together, and the group of each."""
    linked = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups, group = connected_components(linked, directed=False)
    return groups, group


def merged(census: Census, pairs: Array) -> tuple[Census, Array]:
    """The census once the regions in `pairs` ``(m, 2)`` are one, and for each old region its new number."""
    groups, group = union(len(census), pairs)
    size = np.zeros(groups, np.int64)
    np.add.at(size, group, census.size)
    confidence = np.zeros(groups, np.int64)
    np.add.at(confidence, group, census.confidence)
    first = np.full(groups, np.iinfo(np.int64).max)
    np.minimum.at(first, group, census.first)
    at_edge = np.zeros(groups, bool)
    np.logical_or.at(at_edge, group, census.at_edge)
    value = np.zeros(groups, census.value.dtype)
    value[group] = census.value
    between = group[census.touching]
    between = between[between[:, 0] != between[:, 1]]
    return Census(value, size, first, at_edge, confidence, unique_pairs(between)), group


def decide(census: Census, regions: Regions) -> Array:
    """``(n,)``: the label that the voxels of each region get."""
    if not len(census):
        return np.zeros(0, np.int64)
    if regions.rims:
        return _decided_by_cores(census, regions)
    stays = (census.value > 0) & (census.size >= regions.min_voxels)
    if regions.keep_largest:
        stays &= _is_largest(census, stays, regions.objects)
    label = np.where(stays, _numbered(census, stays) if regions.counted else census.value, 0)
    return label if regions.max_hole_voxels == 0 else _filled(census, label, regions.max_hole_voxels)


def _decided_by_cores(census: Census, regions: Regions) -> Array:
    """Of cores and rims; rims that several cores share are `UNCLAIMED`."""
    lit = census.value > 0
    a, b = census.touching.T
    bodies, body = union(len(census), census.touching[lit[a] & lit[b]])
    size = np.bincount(body[lit], weights=census.size[lit], minlength=bodies)
    core = census.value == CORE
    cored = np.bincount(body[core], minlength=bodies) > 0
    confidence = np.bincount(body[lit], weights=census.confidence[lit], minlength=bodies)
    sure = confidence >= regions.min_confidence * STEPS * size
    stays = lit & (cored & sure & (size >= regions.min_voxels))[body]
    core &= stays & (census.size >= regions.min_core_voxels) & regions.divided
    shared = np.bincount(body[core], minlength=bodies)[body] > 1  # by region: whether its body has several cores
    first = np.full(bodies, np.iinfo(np.int64).max)
    np.minimum.at(first, body[stays], census.first[stays])
    # An object begins where its core does, or, alone in its body, where that does.
    begins = np.where(shared, census.first, first[body])
    heads = stays & np.where(shared, core, census.first == begins)
    number = _numbered(replace(census, first=begins), heads)
    of_body = np.full(bodies, np.iinfo(np.int64).max)
    np.minimum.at(of_body, body[heads], number[heads])
    nearest = _first_core_touched(census, core & shared, number)
    fallback = np.where(nearest > 0, nearest, of_body[body])
    label = np.where(stays, np.where(~shared, of_body[body], np.where(core, number, UNCLAIMED + fallback)), 0)
    if regions.max_hole_voxels == 0:
        return label
    filled = _filled(census, np.where(stays, body + 1, 0), regions.max_hole_voxels)
    inside = np.flatnonzero((label == 0) & (filled > 0))
    of = filled[inside] - 1
    several = np.zeros(bodies, bool)
    several[body[shared]] = True
    label[inside] = of_body[of] + np.where(several[of], UNCLAIMED, 0)
    return label


def _first_core_touched(census: Census, core: Array, number: Array) -> Array:
    """``(n,)``: the lowest number of the cores that a region touches; 0 if it touches none."""
    none = np.iinfo(np.int64).max
    lowest = np.full(len(census), none)
    a, b = census.touching.T
    for one, other in ((a, b), (b, a)):
        meets = core[other]
        np.minimum.at(lowest, one[meets], number[other[meets]])
    return np.where(lowest < none, lowest, 0)


def claimed(labels: Array, steps: int) -> Array:
    """Numbers with all that is `UNCLAIMED` given to objects: each voxel to the one it is fewest steps from.

    Steps go through faces and unclaimed voxels; of objects as near the lowest number takes it. What is further than
    `steps` from any goes where it would. No voxel's answer depends on one further away than `steps`.
    """
    padded = np.pad(labels.astype(np.int64), 1)
    left = np.flatnonzero(padded.ravel() >= UNCLAIMED)
    if not len(left):
        return labels
    flat = padded.ravel()
    would, flat[left] = flat[left] - UNCLAIMED, 0
    strides = [int(np.prod(padded.shape[axis + 1 :])) for axis in range(padded.ndim)]
    none = np.iinfo(np.int64).max
    for _ in range(steps):
        beside = np.stack([flat[left + way * step] for step in strides for way in (-1, 1)])
        nearest = np.where(beside > 0, beside, none).min(axis=0)
        reached = nearest < none
        if not reached.any():
            break
        flat[left[reached]] = nearest[reached]
        left, would = left[~reached], would[~reached]
    flat[left] = would
    inner = padded[tuple(slice(1, -1) for _ in padded.shape)]
    return inner.astype(labels.dtype)


def _is_largest(census: Census, stays: Array, objects: bool) -> Array:
    """Of its class; of two as large, the one that begins first."""
    largest = np.zeros(len(census), bool)
    classes = [stays] if objects else [stays & (census.value == v) for v in np.unique(census.value[stays])]
    for members in classes:
        candidates = np.flatnonzero(members)
        if len(candidates):
            order = np.lexsort((census.first[candidates], -census.size[candidates]))
            largest[candidates[order[0]]] = True
    return largest


def _numbered(census: Census, stays: Array) -> Array:
    """1, 2 … in the order of first voxels."""
    numbers = np.zeros(len(census), np.int64)
    members = np.flatnonzero(stays)
    numbers[members[np.argsort(census.first[members])]] = np.arange(1, len(members) + 1)
    return numbers


def _filled(census: Census, label: Array, max_voxels: int | None) -> Array:
    """`label` with holes filled: background, dropped regions in it included, that only one label touches."""
    a, b = census.touching.T
    empty = label == 0
    within = census.touching[empty[a] & empty[b]]
    holes, hole_of = union(len(census), within)
    size, open_ = np.zeros(holes, np.int64), np.zeros(holes, bool)
    np.add.at(size, hole_of[empty], census.size[empty])
    np.logical_or.at(open_, hole_of[empty], census.at_edge[empty])
    lowest, highest = np.full(holes, np.iinfo(np.int64).max), np.zeros(holes, np.int64)
    for inside, outside in ((a, b), (b, a)):
        rim = empty[inside] & ~empty[outside]
        np.minimum.at(lowest, hole_of[inside[rim]], label[outside[rim]])
        np.maximum.at(highest, hole_of[inside[rim]], label[outside[rim]])
    small = ~open_ if max_voxels is None else size <= max_voxels
    fill = small & (lowest == highest)
    return np.where(empty & fill[hole_of], highest[hole_of], label)


def grown(labels: Array, by_um: float, spacing_um: Sequence[float]) -> Array:
    """Each class grown into the background by `by_um`, or shrunk if that is negative; lower numbers go first.

    What lies beyond the array's edge is like what lies at it, so nothing shrinks there.
    """
    result = labels.copy()
    if by_um < 0:
        for value in _values(labels):
            outside = labels != value
            result[~outside & _near(outside, -by_um, spacing_um)] = 0
        return result
    free = labels == 0
    for value in _values(labels):
        taken = free & _near(labels == value, by_um, spacing_um)
        result[taken] = value
        free &= ~taken
    return result


def _values(labels: Array) -> list[int]:
    present = np.unique(labels)
    return [int(value) for value in present if value]


def _near(mask: Array, um: float, spacing_um: Sequence[float]) -> Array:
    """Voxels no further than `um` from one in `mask`, centre to centre."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    near: Array = ndimage.distance_transform_edt(~mask, sampling=spacing_um) <= um
    return near
