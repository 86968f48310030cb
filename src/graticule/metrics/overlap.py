"""How well outlined voxels agree: Dice and Jaccard, by class and pooled.

Of what was found, A, and what is true, B, Dice is 2 |A ∩ B| / (|A| + |B|): voxels that both have count once in either, so
that two equal masks score 1. Now and then it is written with the union below the line, 2 |A ∩ B| / |A ∪ B|. That is twice
the Jaccard index: two equal masks score 2, and two that share a third of their union, which Dice calls 0.5, score 0.67. Nor
is log(1 - Dice) a loss: it falls without bound as Dice nears 1, so that what is nearly perfect pulls hardest and a perfect
patch is minus infinity; 1 - Dice is bounded, and what `losses.overlap` uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graticule.errors import AnnotationError
from graticule.example import Example
from graticule.image import Array
from graticule.results import Labels, Result

COUNTS = {"both": "tp", "only_found": "fp", "only_true": "fn"}
LEVELS = 256
AS_GOOD = 5e-4
"""Difference in Dice that says nothing: between thresholds that close, the plainest is chosen."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxels of one class: found and true, only found, only true. Overlaps add up over images."""

    both: int = 0
    only_found: int = 0
    only_true: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.both + other.both, self.only_found + other.only_found, self.only_true + other.only_true)

    @property
    def dice(self) -> float:
        """2 |A ∩ B| / (|A| + |B|) (Dice 1945); 1 where there is nothing to find and nothing was found."""
        return _share(2 * self.both, 2 * self.both + self.only_found + self.only_true)

    @property
    def jaccard(self) -> float:
        """|A ∩ B| / |A ∪ B| (intersection over union); Dice is 2 J / (1 + J)."""
        return _share(self.both, self.both + self.only_found + self.only_true)

    @property
    def precision(self) -> float:
        return _share(self.both, self.both + self.only_found)

    @property
    def recall(self) -> float:
        return _share(self.both, self.both + self.only_true)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def overlap(found: Array, true: Array, known: Array | None = None) -> Overlap:
    """Of two masks of one shape (not 0 is in), where `known` is not 0."""
    if found.shape != true.shape:
        raise ValueError(f"masks of {found.shape} and {true.shape} voxels cannot be compared")
    a, b = np.asarray(found) != 0, np.asarray(true) != 0
    if known is not None:
        a, b = a & (np.asarray(known) != 0), b & (np.asarray(known) != 0)
    both = int(np.count_nonzero(a & b))
    return Overlap(both, int(np.count_nonzero(a)) - both, int(np.count_nonzero(b)) - both)


def class_overlaps(found: Sequence[Result], truth: Sequence[Example], classes: int = 1) -> list[Overlap]:
    """For each class 1 … `classes` its overlap, summed over images; with one class, whatever is not 0 is that class."""
    totals = [Overlap()] * classes
    for labels, example in zip(found, truth, strict=True):
        ours, true = _voxels(labels), true_labels(example)
        known = None if example.complete is None else np.asarray(example.complete.data[...])
        for number in range(classes):
            mine, theirs = (ours, true) if classes == 1 else (ours == number + 1, true == number + 1)
            totals[number] += overlap(mine, theirs, known)
    return totals


def scores(found: Sequence[Result], truth: Sequence[Example], kinds: Sequence[str]) -> dict[str, float]:
    """``dice``, ``jaccard``, ``precision`` and ``recall``: means over classes, and for each as ``dice[tissue]``.

    Voxels of all images count together; those where the truth is not known do not count. ``tp``, ``fp`` and ``fn`` are
    how many there are of each sort, so that results can be pooled.
    """
    by_class = class_overlaps(found, truth, len(kinds))
    named: dict[str, float] = {}
    for measure in ("dice", "jaccard", "precision", "recall"):
        values = [getattr(one, measure) for one in by_class]
        named[measure] = float(np.mean(values))
        if len(kinds) > 1:
            named.update({f"{measure}[{kind}]": value for kind, value in zip(kinds, values, strict=True)})
    for count in ("both", "only_found", "only_true"):
        values = [getattr(one, count) for one in by_class]
        named[COUNTS[count]] = float(sum(values))
        named.update({f"{COUNTS[count]}[{kind}]": float(v) for kind, v in zip(kinds, values, strict=True)})
    return named


def best_thresholds(
    found: Sequence[Result], truth: Sequence[Example], classes: int = 1, *, as_good: float = AS_GOOD
) -> tuple[float, ...]:
    """For each class the confidence of the highest Dice, pooled over images; of those as good, the one nearest to 0.5.

    `found` are confidences ``(classes, *space)`` in 255ths. With one class, whatever is not 0 in the truth is that class.
    Thresholds whose Dice differs by no more than `as_good` are as good.
    """
    right, wrong = np.zeros((classes, LEVELS), np.int64), np.zeros((classes, LEVELS), np.int64)
    for graded, example in zip(found, truth, strict=True):
        confidence, true = _voxels(graded), true_labels(example)
        known = np.ones(true.shape, bool) if example.complete is None else np.asarray(example.complete.data[...]) != 0
        for number in range(classes):
            theirs = (true != 0) if classes == 1 else (true == number + 1)
            right[number] += np.bincount(confidence[number][known & theirs], minlength=LEVELS)
            wrong[number] += np.bincount(confidence[number][known & ~theirs], minlength=LEVELS)
    return tuple(_best_threshold(r, w, as_good) for r, w in zip(right, wrong, strict=True))


def _best_threshold(right: Array, wrong: Array, as_good: float) -> float:
    """From how many true and false voxels have each confidence; 0 is never enough."""
    true_found, false_found = (np.cumsum(counts[::-1])[::-1][1:] for counts in (right, wrong))
    dice = 2 * true_found / np.maximum(true_found + false_found + right.sum(), 1)
    good = np.flatnonzero(dice >= dice.max() - as_good) + 1
    return round(float(good[np.abs(good - (LEVELS - 1) / 2).argmin()]) / (LEVELS - 1), 4)


def true_labels(example: Example) -> Array:
    """The annotated voxels of an example, in memory."""
    return _voxels(example.truth, example.name)


def _voxels(result: Result, name: str = "") -> Array:
    if not isinstance(result, Labels):
        raise AnnotationError(
            f"{name}: found points where outlines are needed; add labels/{name}.tif, 0 where there is nothing"
        )
    return np.asarray(result.image.data[...])
