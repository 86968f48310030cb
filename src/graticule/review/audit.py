"""What the random part of a review proves: how many proposals are right, and how many objects were never proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from graticule.image import Array
from graticule.review.decision import Field
from graticule.review.item import Item
from graticule.statistics import intervals
from graticule.statistics.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; `seen` of `whole` (proposals or fields) were looked at for it."""

    value: float
    low: float
    high: float
    seen: int
    whole: int


@dataclass(frozen=True, slots=True)
class Audit:
    """None: nothing was looked at yet that would say it.

    Attributes
    ----------
    precision
        Share of the proposals that are right.
    missed
        Number of objects in the image that were not proposed.
    recall
        Share of all objects that were proposed, at the two numbers above; its interval takes both at their ends.
    """

    precision: Estimate | None
    missed: Estimate | None
    recall: Estimate | None


def audit(
    items: Mapping[int, Item], audited: Sequence[int], fields_um: Sequence[Field], looked: Sequence[Field]
) -> Audit:
    """The estimates.

    Parameters
    ----------
    items
        As they are now.
    audited
        Ids of the proposals in the random order they were drawn in. Those from the first up to the first undecided one
        count, whoever showed them: they are a random sample whatever else was decided.
    fields_um
        All fields, which cover the image once, in the random order they were drawn in.
    looked
        Those that were searched.
    """
    right = _verdicts(items, audited)
    precision = _share(right, len(audited)) if right else None
    missed = _missed(items, fields_um, looked)
    return Audit(precision, missed, _recall(precision, missed, len(audited)))


def _verdicts(items: Mapping[int, Item], audited: Sequence[int]) -> list[bool]:
    """Of the leading decided ones. What was merged into another is a duplicate, and so not right."""
    verdicts = []
    for number in audited:
        item = items.get(number)
        if item is not None and item.status == "open":
            break
        verdicts.append(item is not None and item.status == "accepted")
    return verdicts


def _share(right: Sequence[bool], whole: int) -> Estimate:
    """Wilson's interval, scaled for sampling without replacement; exact when all were seen."""
    seen = len(right)
    value = sum(right) / seen
    low, high = intervals.share(sum(right), seen)
    left = np.sqrt((whole - seen) / max(1, whole - 1))
    return Estimate(value, float(value - (value - low) * left), float(value + (high - value) * left), seen, whole)


def _missed(items: Mapping[int, Item], fields_um: Sequence[Field], looked: Sequence[Field]) -> Estimate | None:
    """Fields are drawn alike, so the mean number missed in them, times their number, is the whole's.

    The interval is the wider of Poisson's exact one for the count (Garwood 1936) and Student's over the fields, which
    knows of clusters.
    """
    searched = set(looked)
    chosen = [field for field in fields_um if field in searched]
    if not chosen:
        return None
    added = np.array([i.position_um for i in items.values() if i.origin == "added" and i.status == "accepted"])
    per_field = np.array([_within(added, field) for field in chosen], float)
    seen, whole, count = len(chosen), len(fields_um), per_field.sum()
    left = np.sqrt((whole - seen) / max(1, whole - 1))
    low, high = intervals.poisson(int(count))
    if seen > 1:
        reach = student.ppf((1 + LEVEL) / 2, seen - 1) * per_field.std(ddof=1) * np.sqrt(seen)
        low, high = min(low, count - reach), max(high, count + reach)
    scale = whole / seen
    return Estimate(
        float(count * scale),
        float(max(0.0, (count - (count - low) * left) * scale)),
        float((count + (high - count) * left) * scale),
        seen,
        whole,
    )


def _within(places: Array, field: Field) -> int:
    if not len(places):
        return 0
    return int(np.all((places >= field[0]) & (places < field[1]), axis=1).sum())


def _recall(precision: Estimate | None, missed: Estimate | None, proposals: int) -> Estimate | None:
    if precision is None or missed is None or not proposals:
        return None

    def share(right: float, lost: float) -> float:
        return right * proposals / (right * proposals + lost) if right or lost else 1.0

    return Estimate(
        share(precision.value, missed.value),
        share(precision.low, missed.high),
        share(precision.high, missed.low),
        missed.seen,
        missed.whole,
    )
