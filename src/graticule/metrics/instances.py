"""How right outlines of single objects are: which were found, how well each agrees, and which were split or joined.

A found and a true object *agree* at a threshold if their intersection over union (IoU) is above it. From 0.5 on no object
can agree with two others, so pairs are one to one without any choice (Kirillov et al., Panoptic Segmentation, CVPR 2019);
below, as many pairs as can be are assigned, and then those of the highest total IoU. At each threshold:

* **precision** is the share of the found objects that agree with a true one, **recall** the share of the true ones that
  agree with a found one, **F1** their harmonic mean, 2 TP / (2 TP + FP + FN);
* **ap** is TP / (TP + FP + FN), counts of all images pooled, averaged over IoU 0.5, 0.55 … 0.95: what StarDist and Cellpose
  call average precision. It needs no confidence. **ranked_ap**, where confidences are given, is the other figure of that
  name: the area under the precision-recall curve at IoU 0.5 as the threshold of confidence falls (PASCAL VOC from 2010 on);
* **sq** is the mean IoU of the pairs at 0.5, **rq** the F1 there, and panoptic quality **pq** = sq × rq (Kirillov et al.);
* **merges** are found objects that join several true ones, **splits** true objects that lie in several found ones. An
  object lies in another if that holds more than half of its voxels (Matula et al., PLoS ONE 10: e0144959, 2015); what is
  less than `SPECK` of the object it lies in is no part of it but a speck, and false or missed as any other;
* **boundary_nm** is the mean distance between the outlines of a pair, **boundary_nm_95** the distance that 95 % of its
  outlines stay below (`boundary.surface_distances`): means over the pairs at 0.5, with the voxel size of each axis.

Only what is annotated is judged, by the voxels where the truth is complete. An object most of whose voxels lie elsewhere is
neither false nor missed, but may be the partner of one that is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from graticule.example import Example
from graticule.image import Array, Image
from graticule.metrics.boundary import surface_distances
from graticule.metrics.detection import average_precision
from graticule.metrics.overlap import scores as voxel_scores
from graticule.metrics.overlap import true_labels
from graticule.results import Labels, Result

THRESHOLDS = tuple(round(0.5 + step / 20, 2) for step in range(10))
"""IoU above which a pair agrees: 0.5, 0.55 … 0.95."""

SPECK = 0.05
"""Share of an object below which what lies in it is no part of it."""

SLAB = 1 << 19
"""Voxels looked at together."""

SMALL = 1 << 20
"""Objects with larger numbers are numbered anew, for tables by number to stay small."""

NM_PER_UM = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Which objects of one image share voxels, where the truth is known.

    Attributes
    ----------
    found, true
        ``(N,)`` and ``(M,)``: the objects' numbers, ascending.
    size, area
        ``(N,)`` and ``(M,)``: their known voxels.
    judged, counted
        ``(N,)`` and ``(M,)`` booleans: most of the object's voxels are known.
    ours, theirs, common
        ``(P,)`` each: for every pair that shares voxels its places in `found` and `true`, and how many it shares.
    """

    found: Array
    true: Array
    size: Array
    area: Array
    judged: Array
    counted: Array
    ours: Array
    theirs: Array
    common: Array

    @property
    def iou(self) -> Array:
        """``(P,)``: intersection over union of every pair that shares voxels."""
        shares: Array = self.common / (self.size[self.ours] + self.area[self.theirs] - self.common)
        return shares

    def pairs(self, threshold: float) -> Array:
        """``(Q,)`` places in `ours`, `theirs` and `common` of one-to-one pairs whose IoU is above `threshold`."""
        iou = self.iou
        likely = np.flatnonzero(iou > threshold)
        if threshold >= 0.5:  # each is the only one there can be
            return likely
        rows, row = np.unique(self.ours[likely], return_inverse=True)
        columns, column = np.unique(self.theirs[likely], return_inverse=True)
        worth = np.zeros((len(rows), len(columns)))
        worth[row, column] = len(likely) + iou[likely]  # a pair more is worth more than any overlap
        at = np.full(worth.shape, -1)
        at[row, column] = likely
        chosen = at[linear_sum_assignment(worth, maximize=True)]
        return np.sort(chosen[chosen >= 0])

    def merges(self) -> Array:
        """``(N,)`` booleans: several true objects lie in this found one."""
        part = (2 * self.common > self.area[self.theirs]) & (self.common >= SPECK * self.size[self.ours])
        return np.bincount(self.ours[part], minlength=len(self.found)) > 1

    def splits(self) -> Array:
        """``(M,)`` booleans: several found objects lie in this true one."""
        part = (2 * self.common > self.size[self.ours]) & (self.common >= SPECK * self.area[self.theirs])
        return np.bincount(self.theirs[part], minlength=len(self.true)) > 1


@dataclass(frozen=True, slots=True)
class Count:
    """What was found in some images. Counts add up.

    A ratio with nothing below the line is 1: nothing was there, or nothing was found.

    Attributes
    ----------
    found, true
        Objects that are judged.
    right, met
        How many of them agree, at each of `THRESHOLDS`.
    pairs, iou
        Pairs at 0.5, and the sum of their IoU.
    splits, merges
        True objects in pieces, found objects of several.
    outlined, apart_um, apart_95_um
        Pairs that have outlines to compare, the sum of their mean distances and that of the distances' 95th percentiles.
    """

    found: int = 0
    true: int = 0
    right: tuple[int, ...] = (0,) * len(THRESHOLDS)
    met: tuple[int, ...] = (0,) * len(THRESHOLDS)
    pairs: int = 0
    iou: float = 0.0
    splits: int = 0
    merges: int = 0
    outlined: int = 0
    apart_um: float = 0.0
    apart_95_um: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.found + other.found,
            self.true + other.true,
            tuple(a + b for a, b in zip(self.right, other.right, strict=True)),
            tuple(a + b for a, b in zip(self.met, other.met, strict=True)),
            self.pairs + other.pairs,
            self.iou + other.iou,
            self.splits + other.splits,
            self.merges + other.merges,
            self.outlined + other.outlined,
            self.apart_um + other.apart_um,
            self.apart_95_um + other.apart_95_um,
        )

    def precision(self, threshold: float = 0.5) -> float:
        return _share(self.right[THRESHOLDS.index(threshold)], self.found)

    def recall(self, threshold: float = 0.5) -> float:
        return _share(self.met[THRESHOLDS.index(threshold)], self.true)

    def f1(self, threshold: float = 0.5) -> float:
        """2 TP / (2 TP + FP + FN), where TP is right in the found and met in the true objects."""
        at = THRESHOLDS.index(threshold)
        return _share(self.right[at] + self.met[at], self.found + self.true)

    @property
    def ap(self) -> float:
        """TP / (TP + FP + FN), averaged over `THRESHOLDS`."""
        twice = [right + met for right, met in zip(self.right, self.met, strict=True)]
        return float(np.mean([_share(tp, 2 * (self.found + self.true) - tp) for tp in twice]))

    @property
    def sq(self) -> float:
        """Mean IoU of the pairs; without any 0, or 1 if there was nothing to find and nothing was found."""
        return self.iou / self.pairs if self.pairs else self.f1()

    @property
    def pq(self) -> float:
        return self.sq * self.f1()


def objects_of(example: Example) -> Array:
    """The true objects of an example, numbered; 0 is none.

    As they are annotated; but where a single number occurs (1, or 255), it is a mask, and each of its parts that hang
    together by faces is an object.
    """
    true = true_labels(example)
    if not is_mask(true):
        return true
    return np.asarray(ndimage.label(true != 0)[0])


def meetings(found: Array, true: Array, known: Array | None = None) -> Meetings:
    """Of numbered objects `found` and `true`, of one shape; 0 is none. What lies where `known` is 0 does not count."""
    if found.shape != true.shape:
        raise ValueError(f"labels of {found.shape} and {true.shape} voxels cannot be compared")
    (our_names, found), (their_names, true) = small(found), small(true)
    pairs, common = _shared(found, true, known)
    ours, size, judged = _sizes(pairs[0], common)
    theirs, area, counted = _sizes(pairs[1], common)
    meet = (pairs != 0).all(axis=0) & (common[0] > 0)
    return Meetings(
        found=our_names[ours],
        true=their_names[theirs],
        size=size,
        area=area,
        judged=judged,
        counted=counted,
        ours=np.searchsorted(ours, pairs[0, meet]),
        theirs=np.searchsorted(theirs, pairs[1, meet]),
        common=common[0, meet],
    )


def count(found: Result, example: Example) -> Count:
    """Of one image."""
    numbers, true, known = small(voxels_of(found))[1], small(objects_of(example))[1], known_of(example)
    seen = meetings(numbers, true, known)
    splits, merges = seen.splits() & seen.counted, seen.merges() & seen.judged
    judged = seen.judged[seen.ours] | seen.counted[seen.theirs]
    above = [seen.iou > threshold for threshold in THRESHOLDS]
    pairs = np.flatnonzero(above[0] & judged)
    apart = _apart_um(seen, pairs, numbers, true, example.image, known)
    return Count(
        found=int(seen.judged.sum()),
        true=int(seen.counted.sum()),
        right=tuple(int(seen.judged[seen.ours[agree]].sum()) for agree in above),
        met=tuple(int(seen.counted[seen.theirs[agree]].sum()) for agree in above),
        pairs=len(pairs),
        iou=float(seen.iou[pairs].sum()),
        splits=int(splits.sum()),
        merges=int(merges.sum()),
        outlined=len(apart),
        apart_um=sum(mean for mean, _ in apart),
        apart_95_um=sum(most for _, most in apart),
    )


def scores(
    found: Sequence[Result],
    truth: Sequence[Example],
    kinds: Sequence[str],
    *,
    confidences: Sequence[Mapping[int, float]] | None = None,
) -> dict[str, float]:
    """All figures over all images; what they are is said at the head of this file.

    ``object_f1``, ``object_precision`` and ``object_recall`` at IoU 0.5, ``object_f1_75`` at 0.75; ``ap``, ``pq``, ``sq``,
    ``rq``; ``objects_found``, ``objects_true``, ``objects_met``, ``objects_false``, ``splits`` and ``merges``: how many;
    ``boundary_nm`` and ``boundary_nm_95``, left out where there is no pair to measure. With `confidences`, for each image
    by the number of the found object, also ``ranked_ap``. Then voxel by voxel, whatever object they are of: ``dice``,
    ``jaccard`` (IoU), ``precision``, ``recall`` and counts, as in `overlap.scores`, of one class.
    """
    total = sum((count(one, example) for one, example in zip(found, truth, strict=True)), Count())
    named = {
        "object_f1": total.f1(),
        "object_precision": total.precision(),
        "object_recall": total.recall(),
        "object_f1_75": total.f1(0.75),
        "ap": total.ap,
        "pq": total.pq,
        "sq": total.sq,
        "rq": total.f1(),
        "objects_found": float(total.found),
        "objects_true": float(total.true),
        "objects_met": float(total.met[0]),
        "objects_false": float(total.found - total.right[0]),
        "splits": float(total.splits),
        "merges": float(total.merges),
    }
    if total.outlined:
        named["boundary_nm"] = total.apart_um / total.outlined * NM_PER_UM
        named["boundary_nm_95"] = total.apart_95_um / total.outlined * NM_PER_UM
    if confidences is not None:
        named["ranked_ap"] = ranked_ap(found, truth, confidences)
    return named | voxel_scores(found, truth, kinds[:1])


def f1(found: Sequence[Result], truth: Sequence[Example]) -> float:
    """F1 of objects at IoU 0.5, over all images: what `scores` calls ``object_f1``, without measuring outlines."""
    hits, objects = 0, 0
    for one, example in zip(found, truth, strict=True):
        seen = meetings(voxels_of(one), objects_of(example), known_of(example))
        agree = seen.iou > 0.5
        hits += int(seen.judged[seen.ours[agree]].sum() + seen.counted[seen.theirs[agree]].sum())
        objects += int(seen.judged.sum() + seen.counted.sum())
    return _share(hits, objects)


def ranked_ap(
    found: Sequence[Result],
    truth: Sequence[Example],
    confidences: Sequence[Mapping[int, float]],
    threshold: float = 0.5,
) -> float:
    """Area under the precision-recall curve of objects that agree above an IoU, as the threshold of confidence falls."""
    ranks, hits, true = [np.zeros(0)], [np.zeros(0, bool)], 0
    for one, example, sure in zip(found, truth, confidences, strict=True):
        seen = meetings(voxels_of(one), objects_of(example), known_of(example))
        hit = np.isin(np.arange(len(seen.found)), seen.ours[seen.iou > threshold])
        ranks.append(np.array([sure[int(number)] for number in seen.found[seen.judged]], float))
        hits.append(hit[seen.judged])
        true += int(seen.counted.sum())
    if not true:
        return float(not sum(map(len, hits)))
    confidence, right = np.concatenate(ranks), np.concatenate(hits)
    last = np.flatnonzero(
        np.diff(np.append(np.sort(-confidence), np.inf))
    )  # objects as sure as each other come together
    tp = np.cumsum(right[np.argsort(-confidence, kind="stable")])[last]
    return average_precision(tp / (last + 1), np.minimum(tp / true, 1.0))


def verdict(found: Labels, example: Example) -> Array:
    """By voxel: 1 in found objects that agree above IoU 0.5, 2 in false ones, 3 in missed ones where no found one is.

    What is not judged is 0, and so is the rim between two found objects that touch in a plane: pictures show them apart.
    """
    numbers, true = small(voxels_of(found))[1], small(objects_of(example))[1]
    seen = meetings(numbers, true, known_of(example))
    pairs = seen.pairs(0.5)
    right, met = np.isin(seen.found, seen.found[seen.ours[pairs]]), np.isin(seen.true, seen.true[seen.theirs[pairs]])
    ours = _by_number(seen.found, np.where(seen.judged, np.where(right, 1, 2), 0))[numbers]
    theirs = _by_number(seen.true, np.where(seen.counted & ~met, 3, 0))[true]
    judged: Array = np.where(numbers != 0, ours, theirs)
    for axis in (-2, -1):
        here, there = (np.moveaxis(numbers, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        np.moveaxis(judged, axis, 0)[1:][(here != there) & (here != 0) & (there != 0)] = 0
    return judged


def voxels_of(found: Result) -> Array:
    """The numbers of what was found, in memory."""
    assert isinstance(found, Labels), "objects have outlines"
    voxels: Array = np.asarray(found.image.data[...])
    return voxels.view(np.uint8) if voxels.dtype == bool else voxels


def known_of(example: Example) -> Array | None:
    """Where the truth is known, not 0; None: everywhere."""
    return None if example.complete is None else np.asarray(example.complete.data[...])


def small(numbers: Array) -> tuple[Array, Array]:
    """The same objects by small numbers from 1 on: the names they had, at the place of each, and the voxels.

    >>> names, voxels = small(np.array([[0, 10**12, 7]]))
    >>> names.tolist(), voxels.tolist()
    ([0, 7, 1000000000000], [[0, 2, 1]])
    """
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    if 0 <= low and high < SMALL:
        return np.arange(high + 1), numbers
    present = np.unique(np.concatenate([np.unique(numbers[part]) for part in _slabs(numbers.shape)]))
    present = present[present != 0]
    voxels = np.empty(numbers.shape, np.uint32)
    for part in _slabs(numbers.shape):
        voxels[part] = np.where(numbers[part] != 0, np.searchsorted(present, numbers[part]) + 1, 0)
    return np.concatenate([np.zeros(1, present.dtype), present]), voxels


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Parts of an array along its first axis."""
    step = max(1, SLAB // max(1, int(np.prod(shape[1:]))))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def is_mask(true: Array) -> bool:
    """Whether at most one number occurs beside 0: its objects are the parts that hang together."""
    top = true.max(initial=0)
    return all(bool(((true[part] == 0) | (true[part] == top)).all()) for part in _slabs(true.shape))


def _shared(found: Array, true: Array, known: Array | None) -> tuple[Array, Array]:
    """``(2, P)`` numbers found and true that voxels have together, and of how many voxels: known ones, and all.

    One pass; along a line numbers change rarely, so only where they do are they sorted.
    """
    keys: list[Array] = [np.zeros(0, np.uint64)]
    counts: list[Array] = [np.zeros(0)]
    for part in _slabs(found.shape):
        code = found[part].astype(np.uint64).ravel()
        code <<= np.uint64(32)
        code |= true[part].astype(np.uint64).ravel() << np.uint64(1)
        code |= np.uint64(1) if known is None else (known[part] != 0).ravel()
        starts = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
        key, place = np.unique(code[starts], return_inverse=True)
        keys.append(key)
        counts.append(np.bincount(place, np.diff(np.append(starts, len(code)))))
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    every, known_ones = np.bincount(place, np.concatenate(counts)), (key & np.uint64(1)) != 0
    pair, place = np.unique(key >> np.uint64(1), return_inverse=True)
    common = np.stack([np.bincount(place, weights) for weights in (every * known_ones, every)])
    pairs = np.stack([pair >> np.uint64(31), pair & np.uint64(2**31 - 1)])
    return pairs.astype(np.int64), common.astype(np.int64)


def _sizes(numbers: Array, common: Array) -> tuple[Array, Array, Array]:
    """The objects of one side of pairs, how many known voxels each has, and whether that is most of them."""
    real = numbers != 0
    present, place = np.unique(numbers[real], return_inverse=True)
    size, whole = (np.bincount(place, one[real], len(present)).astype(np.int64) for one in common)
    return present, size, 2 * size > whole


def _by_number(numbers: Array, values: Array) -> Array:
    """A table of the values by number; of any other number 0."""
    table = np.zeros(int(numbers.max(initial=0)) + 1, np.uint8)
    table[numbers] = values
    return table


def _apart_um(
    seen: Meetings, pairs: Array, found: Array, true: Array, image: Image, known: Array | None
) -> list[tuple[float, float]]:
    """Of each pair that has outlines to compare: mean and 95th percentile of the distances between them."""
    if not len(pairs):
        return []
    boxes, theirs = ndimage.find_objects(found), ndimage.find_objects(true)
    apart = []
    for n, m in zip(seen.found[seen.ours[pairs]], seen.true[seen.theirs[pairs]], strict=True):
        box = _around(boxes[n - 1], theirs[m - 1])
        where = None if known is None else known[box]
        distances = surface_distances(found[box] == n, true[box] == m, image.spacing_um, where)
        if len(distances):
            apart.append((float(distances.mean()), float(np.percentile(distances, 95))))
    return apart


def _around(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...]:
    """What holds both boxes and one voxel more on every side."""
    return tuple(
        slice(max(0, min(a.start, b.start) - 1), max(a.stop, b.stop) + 1) for a, b in zip(one, other, strict=True)
    )
