"""How right proposals of whole structures are: which events were found, how much of each, and how many proposals are false.

An *event* is an annotated structure, a *proposal* a region that was found; both are numbered regions of pixels.

* **Touched** is an event that any proposal covers by at least one pixel: the recall that the model card of the Nematostella
  rosettes reports. It rewards one proposal that covers the whole image, and so says little by itself.
* **Met** is an event that is paired with a proposal, **right** a proposal that is paired with an event. Pairs are one to
  one, as many as can be and then those of the highest total overlap, and both agree at least roughly: their intersection is
  at least `LEAST` of their union. So of several fragments of an event one is right and the others, duplicates, are false;
  of a proposal over two events, one is met at most; a speck on an event and a proposal that is five times too large are
  false, and the event is not met.
* **Covered** by 10, 40 or 80 % is an event so many of whose pixels lie in any proposals (at least 10, more than 40 and 80,
  as on the card).

Only what is annotated is judged. A proposal or an event of which most pixels lie where the annotation is not complete is
neither false nor missed, but may be the partner of one that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment
from skimage.measure import label as label_values

from graticule.example import Example
from graticule.image import Array
from graticule.metrics.overlap import Overlap, overlap, true_labels
from graticule.metrics.overlap import scores as pixel_scores
from graticule.results import Labels, Result

LEAST = 0.2
"""Intersection over union from which a proposal and an event may be a pair: five times too large or too small is not."""

COARSE = tuple(round(step / 17, 4) for step in range(1, 17))
"""Thresholds that an operating point is chosen among."""

FINE = tuple(round(step / 51, 4) for step in range(1, 52))
"""Thresholds of a curve."""

BETA = 2.0
"""How many times more recall counts than precision where a threshold is chosen: what is proposed is looked at, and a false
proposal costs a glance; what is not proposed is found by looking at everything."""

AS_GOOD = 0.005
"""Difference in F that says nothing: between thresholds that close, the one of the highest Dice is chosen."""

At = Callable[[float], Labels]
"""The proposals of one image, numbered, at a threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What became of every proposal and every event of one image.

    Attributes
    ----------
    proposals, events
        ``(N,)`` and ``(M,)``, their numbers.
    right, wrong
        ``(N,)`` booleans; a proposal that is neither was not judged.
    met, missed
        ``(M,)`` booleans; an event that is neither was not judged.
    covered
        ``(M,)``, share of each event's pixels that lie in any proposal.
    """

    proposals: Array
    events: Array
    right: Array
    wrong: Array
    met: Array
    missed: Array
    covered: Array


@dataclass(frozen=True, slots=True)
class Count:
    """What was found in some images. Counts add up.

    A ratio with nothing below the line is 1: nothing was there, or nothing was found.
    """

    images: int = 0
    events: int = 0
    met: int = 0
    touched: int = 0
    covered_10: int = 0
    covered_40: int = 0
    covered_80: int = 0
    right: int = 0
    wrong: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def recall(self) -> float:
        """Share of the events that are met."""
        return _share(self.met, self.events)

    @property
    def precision(self) -> float:
        """Share of the proposals that are right."""
        return _share(self.right, self.right + self.wrong)

    @property
    def f1(self) -> float:
        return self.f(1.0)

    def f(self, beta: float) -> float:
        """Weighted mean of recall and precision, recall counting `beta` times as much (van Rijsbergen 1979)."""
        found, weight = (self.met + self.right) / 2, beta**2
        whole = (1 + weight) * found + weight * (self.events - self.met) + self.wrong
        return (1 + weight) * found / whole if whole else 1.0

    @property
    def false_per_image(self) -> float:
        return self.wrong / max(1, self.images)


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """Free-response operating characteristic: what each threshold finds, and at what price; ``(T,)`` each."""

    threshold: Array
    recall: Array
    touched: Array
    false_per_image: Array


def judge(found: Array, true: Array, known: Array | None = None) -> Judgement:
    """Numbered regions `found` against numbered regions `true`, of one shape; 0 is neither.

    Judged is what lies, for the better part, where `known` is not 0. If `true` has a single number, it is taken for a mask
    and each of its connected regions (corners connect) for an event.
    """
    if found.shape != true.shape:
        raise ValueError(f"labels of {found.shape} and {true.shape} voxels cannot be compared")
    proposals, ours = _dense(found)
    events, theirs = _dense(_apart(true))
    n, m = len(proposals), len(events)
    both = np.bincount(ours * (m + 1) + theirs, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    size, area = both.sum(axis=1)[1:], both.sum(axis=0)[1:]
    common = both[1:, 1:]
    agreement = common / np.maximum(size[:, None] + area[None] - common, 1)
    judged, counted = _judged(ours, size, known), _judged(theirs, area, known)
    a, b = _paired(agreement, judged)
    hit, reached = np.zeros(n, bool), np.zeros(m, bool)
    hit[a], reached[b] = True, True
    covered = common.sum(axis=0) / np.maximum(area, 1)
    return Judgement(
        proposals, events, hit & judged, ~hit & judged, reached & counted, ~reached & counted, covered.astype(float)
    )


def count(found: Sequence[Result], truth: Sequence[Example]) -> Count:
    """Over all images, where their truth is complete."""
    return sum((_count(_judged_image(one, example)) for one, example in zip(found, truth, strict=True)), Count())


def scores(found: Sequence[Result], truth: Sequence[Example], kinds: Sequence[str]) -> dict[str, float]:
    """All figures over all images; see the head of this file.

    ``event_recall``, ``event_precision`` and ``event_f1`` of one-to-one pairs; ``false_per_image``; ``touched`` (the card's
    event recall), ``untouched`` (its missed events), ``covered_10``, ``covered_40``, ``covered_80``: shares of the events;
    ``events``, ``met`` and ``false``: how many. Then pixel by pixel, whatever region they are of: ``dice``, ``jaccard``
    (IoU), ``precision``, ``recall`` and counts, as in `overlap.scores`. (F1 of pixels is Dice: 2 tp / (2 tp + fp + fn).)
    """
    total = count(found, truth)
    named = {
        "event_recall": total.recall,
        "event_precision": total.precision,
        "event_f1": total.f1,
        "false_per_image": total.false_per_image,
        "touched": _share(total.touched, total.events),
        "untouched": 1 - _share(total.touched, total.events),
        "covered_10": _share(total.covered_10, total.events),
        "covered_40": _share(total.covered_40, total.events),
        "covered_80": _share(total.covered_80, total.events),
        "events": float(total.events),
        "met": float(total.met),
        "false": float(total.wrong),
    }
    return named | pixel_scores(found, truth, kinds[:1])


def froc(proposals: Sequence[At], truth: Sequence[Example], thresholds: Sequence[float] = FINE) -> Froc:
    """Recall against false proposals per image, at each threshold anew: regions split and join as it falls."""
    counts = [count([at(threshold) for at in proposals], truth) for threshold in thresholds]
    return Froc(
        np.array(thresholds),
        np.array([one.recall for one in counts]),
        np.array([_share(one.touched, one.events) for one in counts]),
        np.array([one.false_per_image for one in counts]),
    )


def best_threshold(proposals: Sequence[At], truth: Sequence[Example]) -> float:
    """The one of `COARSE` with the highest F of events at `BETA`; of those as good, the one with the highest Dice.

    Recall alone would choose the lowest threshold there is.
    """
    f, dice = np.zeros(len(COARSE)), np.zeros(len(COARSE))
    for number, threshold in enumerate(COARSE):
        found = [at(threshold) for at in proposals]
        f[number] = count(found, truth).f(BETA)
        pixels = (_overlap(one, example) for one, example in zip(found, truth, strict=True))
        dice[number] = sum(pixels, Overlap()).dice
    good = f >= f.max() - AS_GOOD
    return COARSE[int(np.where(good, dice, -1.0).argmax())]


def verdict(found: Labels, example: Example) -> Array:
    """By pixel: 1 in proposals that are right, 2 in false ones, 3 in what no right one covers of missed events; else 0."""
    numbers, true = np.asarray(found.image.data[...]), _apart(true_labels(example))
    judged = judge(numbers, true, _known(example))
    right, wrong = (np.isin(numbers, judged.proposals[which]) for which in (judged.right, judged.wrong))
    missed = np.isin(true, judged.events[judged.missed])
    by_pixel: Array = np.select([right, wrong, missed], [1, 2, 3], 0).astype(np.uint8)
    return by_pixel


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _dense(numbers: Array) -> tuple[Array, Array]:
    """The numbers that occur besides 0 ``(n,)``, and flat, for every pixel, 0 or the place of its number from 1 on."""
    flat = numbers.ravel()
    if int(flat.max(initial=0)) > flat.size or int(flat.min(initial=0)) < 0:
        present, place = np.unique(np.append(flat, 0), return_inverse=True)
        rank = np.where(present == 0, 0, np.cumsum(present != 0))
        return present[present != 0], rank[place[:-1]]
    present = np.flatnonzero(np.bincount(flat, minlength=1)[1:]) + 1
    table = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    table[present] = np.arange(1, len(present) + 1)
    return present, table[flat]


def _apart(true: Array) -> Array:
    """Numbered events: as they are, or the regions of a mask."""
    true = np.asarray(true)
    values = true[true != 0]
    if not values.size or (values != values[0]).any():
        return true.astype(np.uint8) if true.dtype == bool else true
    return np.asarray(label_values(true != 0, connectivity=true.ndim))


def _judged(place: Array, size: Array, known: Array | None) -> Array:
    """``(n,)`` booleans: most of its pixels are known."""
    if known is None:
        return np.ones(len(size), bool)
    inside = np.bincount(place[np.asarray(known).ravel() != 0], minlength=len(size) + 1)[1:]
    return 2 * inside > size


def _paired(agreement: Array, judged: Array) -> tuple[Array, Array]:
    """One-to-one pairs: as many as can be, then as many judged proposals as can be, then the highest total agreement."""
    possible = agreement >= LEAST
    worth = np.where(possible, 1e6 + 1e3 * judged[:, None] + agreement, 0.0)
    a, b = linear_sum_assignment(worth, maximize=True)
    real = possible[a, b]
    return a[real], b[real]


def _known(example: Example) -> Array | None:
    return None if example.complete is None else np.asarray(example.complete.data[...])


def _judged_image(found: Result, example: Example) -> Judgement:
    assert isinstance(found, Labels), "proposals have outlines"
    return judge(np.asarray(found.image.data[...]), true_labels(example), _known(example))


def _count(one: Judgement) -> Count:
    covered = one.covered[one.met | one.missed]
    return Count(
        images=1,
        events=len(covered),
        met=int(one.met.sum()),
        touched=int((covered > 0).sum()),
        covered_10=int((covered >= 0.1).sum()),
        covered_40=int((covered > 0.4).sum()),
        covered_80=int((covered > 0.8).sum()),
        right=int(one.right.sum()),
        wrong=int(one.wrong.sum()),
    )


def _overlap(found: Labels, example: Example) -> Overlap:
    return overlap(np.asarray(found.image.data[...]), true_labels(example), _known(example))
