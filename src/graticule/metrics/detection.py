"""How right found points are: one-to-one matching, precision and recall, operating points.

Everywhere here a finding is kept where its confidence is at least the threshold, a pair may be as far apart as its
radius, and each point is in one pair at most: a second finding on an object is a false one.

Only places where the annotation is complete are judged. There, an annotated object that is not found is a miss, and a
finding without an object is false. Elsewhere nothing is a miss and nothing is false, but a finding just outside may
still be the partner of an object just inside. A finding is not called false either where it lies on an object annotated
outside, or in a place the caller declares unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from graticule.errors import AnnotationError
from graticule.example import Example
from graticule.image import Array
from graticule.results import Points

UNTAUGHT_THRESHOLD = 0.5
"""Operating point where no class has both an annotated object and a candidate to learn one from."""


def match(found_um: Array, truth_um: Array, within_um: float) -> tuple[Array, Array]:
    """One-to-one pairs of points no further apart than `within_um`.

    As many pairs as can be, and of all such choices the one of least total distance (Hungarian assignment).

    Parameters
    ----------
    found_um, truth_um
        ``(N, d)`` and ``(M, d)``.

    Returns
    -------
    found_index, truth_index
        ``(K,)`` each, ordered by `found_index`.
    """
    return _assign(found_um, truth_um, within_um, np.ones(len(found_um), bool))


@dataclass(frozen=True, slots=True)
class Tally:
    """Right, false and missed. Tallies of several images or classes add up.

    A ratio with nothing below the line is 1 where nothing was there and nothing was found, else 0: never NaN.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        return self._share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return self._share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return self._share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def _share(self, part: int, whole: int) -> float:
        return part / whole if whole else float(self.fp + self.fn == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What became of every finding and every annotated object of one image.

    Attributes
    ----------
    hit, wrong
        ``(N,)`` booleans, one per finding; one that is neither was not judged.
    partner
        ``(N,)`` index of the annotated object a finding was paired with, else -1.
    met, missed
        ``(M,)`` booleans, one per annotated object; one that is neither was not judged.
    """

    hit: Array
    wrong: Array
    partner: Array
    met: Array
    missed: Array


def judge(found: Points, example: Example, within_um: Mapping[str, float], *, unknown: Points | None = None) -> Verdict:
    """Every finding and every annotated object of the classes `within_um` names; those of other classes are not judged.

    Classes must agree. `unknown` are discs, of their own diameters, in which no finding is false: beads of a size that
    nobody annotated, say.
    """
    truth = truth_points(example)
    hit, wrong, partner = np.zeros(len(found), bool), np.zeros(len(found), bool), np.full(len(found), -1)
    met, missed = np.zeros(len(truth), bool), np.zeros(len(truth), bool)
    for name, radius_um in within_um.items():
        case = _case(found, truth, example, name, radius_um, unknown)
        a, b = _assign(found.position_um[case.found], truth.position_um[case.truth], radius_um, case.judged)
        hit[case.found[a]], met[case.truth[b]] = True, True
        partner[case.found[a]] = case.truth[b]
        wrong[case.found] = case.judged & ~hit[case.found]
        missed[case.truth] = ~met[case.truth]
    return Verdict(hit, wrong, partner, met, missed)


def tally(
    found: Points, example: Example, within_um: Mapping[str, float], *, unknown: Points | None = None
) -> dict[str, Tally]:
    """Right, false and missed per class name of `within_um`, in one image; see `judge`."""
    verdict = judge(found, example, within_um, unknown=unknown)
    truth = truth_points(example)
    return {
        name: Tally(
            tp=int(verdict.hit[_indices(found, name)].sum()),
            fp=int(verdict.wrong[_indices(found, name)].sum()),
            fn=int(verdict.missed[_indices(truth, name)].sum()),
        )
        for name in within_um
    }


def pooled(tallies: Iterable[Tally]) -> Tally:
    """All counts in one."""
    return sum(tallies, Tally())


def scores(
    found: Sequence[Points],
    examples: Sequence[Example],
    within_um: Mapping[str, float],
    *,
    unknown: Sequence[Points | None] | None = None,
) -> dict[str, float]:
    """Flat figures over all images: ``f1, precision, recall, tp, fp, fn`` of all classes pooled, then ``f1[6nm]`` ….

    ``ap[6nm]`` is there for classes that have an annotated object, and ``ap`` is their mean.
    """
    places = unknown or [None] * len(examples)
    each = [tally(f, e, within_um, unknown=u) for f, e, u in zip(found, examples, places, strict=True)]
    by_class = {name: pooled(one[name] for one in each) for name in within_um}
    figures = _figures(pooled(by_class.values()), "")
    for name, total in by_class.items():
        figures |= _figures(total, f"[{name}]")
    precisions = {}
    for name in within_um:
        if by_class[name].tp + by_class[name].fn:
            _, precision, recall = pr_curve(found, examples, within_um, name, unknown=unknown)
            precisions[f"ap[{name}]"] = average_precision(precision, recall)
    if precisions:
        figures["ap"] = float(np.mean(list(precisions.values())))
    return figures | precisions


def pr_curve(
    found: Sequence[Points],
    examples: Sequence[Example],
    within_um: Mapping[str, float],
    kind: str,
    *,
    unknown: Sequence[Points | None] | None = None,
) -> tuple[Array, Array, Array]:
    """``(threshold, precision, recall)`` of one class pooled over images, ``(T,)`` each, thresholds falling.

    One entry for every confidence that occurs, matched anew at each.
    """
    ladder = _ladder(found, examples, within_um, kind, unknown)
    at = [Tally(int(tp), int(fp), ladder.objects - int(tp)) for tp, fp in zip(ladder.tp, ladder.fp, strict=True)]
    return ladder.confidence, np.array([t.precision for t in at]), np.array([t.recall for t in at])


def average_precision(precision: Array, recall: Array) -> float:
    """Area under the precision-recall curve, all-point interpolation (PASCAL VOC from 2010 on).

    The precision that counts at a recall is the best at that or any higher recall; recalls never reached count as 0.
    """
    order = np.argsort(recall, kind="stable")
    envelope = np.maximum.accumulate(precision[order][::-1])[::-1]
    return float(np.sum(np.diff(recall[order], prepend=0.0) * envelope))


def best_thresholds(
    found: Sequence[Points],
    examples: Sequence[Example],
    within_um: Mapping[str, float],
    *,
    unknown: Sequence[Points | None] | None = None,
) -> dict[str, float]:
    """Per class, the confidence at which F1, pooled over images and matched anew at each threshold, is highest.

    Where a whole range of thresholds is best, the middle of the widest such range: the least touchy choice. At least
    one candidate stays above it. A class without an annotated object or without candidates gets the threshold that is
    best for the other classes together; without those, `UNTAUGHT_THRESHOLD`.
    """
    ladders = {name: _ladder(found, examples, within_um, name, unknown) for name in within_um}
    taught = [ladder for ladder in ladders.values() if _teaches(ladder)]
    fallback = _best_threshold(_merged(taught)) if taught else UNTAUGHT_THRESHOLD
    return {name: _best_threshold(one) if _teaches(one) else fallback for name, one in ladders.items()}


def truth_points(example: Example) -> Points:
    """The annotation, which must be points."""
    if not isinstance(example.truth, Points):
        raise AnnotationError(
            f"{example.name}: found labels, need points to judge points; give points/{example.name}.csv"
        )
    return example.truth


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One class in one image: its findings, the objects that count, and which findings can be false."""

    found: Array
    truth: Array
    judged: Array


def _case(found: Points, truth: Points, example: Example, name: str, within_um: float, unknown: Points | None) -> _Case:
    ours, theirs = _indices(found, name), _indices(truth, name)
    counts = example.is_complete_at(truth.position_um[theirs])
    place_um = found.position_um[ours]
    judged = example.is_complete_at(place_um)
    judged &= ~_near(place_um, truth.position_um[theirs[~counts]], within_um)
    if unknown is not None:
        judged &= ~_inside(place_um, unknown)
    return _Case(ours, theirs[counts], judged)


def _indices(points: Points, name: str) -> Array:
    if name not in points.kinds:
        return np.zeros(0, int)
    return np.flatnonzero(points.kind == points.kinds.index(name))


def _near(place_um: Array, others_um: Array, within_um: float) -> Array:
    if not len(place_um) or not len(others_um):
        return np.zeros(len(place_um), bool)
    distance, _ = KDTree(others_um).query(place_um)
    near: Array = distance <= within_um
    return near


def _inside(place_um: Array, discs: Points) -> Array:
    if discs.diameter_um is None:
        raise ValueError("places where findings are not judged need diameters")
    distance = np.linalg.norm(place_um[:, None] - discs.position_um[None], axis=2)
    inside: Array = (distance <= discs.diameter_um / 2).any(axis=1)
    return inside


def _edges(found_um: Array, truth_um: Array, within_um: float) -> tuple[Array, Array, Array]:
    """Every pair close enough: indices into either, and the distance; ``(E,)`` each."""
    if not len(found_um) or not len(truth_um):
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    near = KDTree(found_um).sparse_distance_matrix(KDTree(truth_um), within_um, output_type="ndarray")
    return near["i"].astype(int), near["j"].astype(int), near["v"]


def _assign(found_um: Array, truth_um: Array, within_um: float, preferred: Array) -> tuple[Array, Array]:
    """Pairs: as many as can be; then as many `preferred` findings in them as can be; then the least total distance.

    Every finding also gets a private stand-in it may be paired with at a cost no real pair reaches, so that the sparse
    solver always finds a full assignment and crowds of ten thousand points stay cheap.
    """
    i, j, distance = _edges(found_um, truth_um, within_um)
    if not len(i):
        return np.zeros(0, int), np.zeros(0, int)
    ours, theirs = np.unique(i), len(truth_um)
    row = np.searchsorted(ours, i)
    # In units of the radius every real pair costs 1 to 2 (the solver takes a cost of 0 for no edge). A finding that is
    # not preferred costs more than all distances together, a stand-in more than all of those.
    reluctance = 2.0 * len(ours)
    alone = reluctance * (len(ours) + 1)
    cost = 1 + distance / max(within_um, np.finfo(float).tiny) + np.where(preferred[i], 0.0, reluctance)
    rows = np.concatenate([row, np.arange(len(ours))]).astype(np.int32)  # the only index type SciPy before 1.15 takes
    columns = np.concatenate([j, theirs + np.arange(len(ours))]).astype(np.int32)
    costs = np.concatenate([cost, np.full(len(ours), alone)])
    graph = csr_array((costs, (rows, columns)), shape=(len(ours), theirs + len(ours)))
    a, b = min_weight_full_bipartite_matching(graph)
    real = b < theirs
    return ours[a[real]], b[real]


def _figures(total: Tally, suffix: str) -> dict[str, float]:
    names = ("f1", "precision", "recall", "tp", "fp", "fn")
    return {f"{name}{suffix}": float(getattr(total, name)) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class _Ladder:
    """Pooled counts of one class when findings down to each confidence that occurs, highest first, are kept."""

    confidence: Array
    tp: Array
    fp: Array
    objects: int


def _ladder(
    found: Sequence[Points],
    examples: Sequence[Example],
    within_um: Mapping[str, float],
    name: str,
    unknown: Sequence[Points | None] | None,
) -> _Ladder:
    confidence, gained, false, objects = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0, int)], 0
    places = unknown or [None] * len(examples)
    for points, example, place in zip(found, examples, places, strict=True):
        truth = truth_points(example)
        case = _case(points, truth, example, name, within_um[name], place)
        case = _by_confidence(case, points)
        i, j, _ = _edges(points.position_um[case.found], truth.position_um[case.truth], within_um[name])
        confidence.append(points.confidence[case.found])
        gained.append(_gains(i, j, np.ones(len(case.found), bool)).astype(int))
        false.append((case.judged & ~_gains(i, j, case.judged)).astype(int))
        objects += len(case.truth)
    return _climb(np.concatenate(confidence), np.concatenate(gained), np.concatenate(false), objects)


def _by_confidence(case: _Case, points: Points) -> _Case:
    order = np.argsort(-points.confidence[case.found], kind="stable")
    return _Case(case.found[order], case.truth, case.judged[order])


def _gains(i: Array, j: Array, admitted: Array) -> Array:
    """``(N,)`` booleans: does the largest matching grow when finding 0, 1, 2 … of those `admitted` joins?

    A finding that does not enlarge it when it joins never will (matchings form a matroid), so one pass of augmenting
    paths gives what matching anew at every threshold would.
    """
    options: list[list[int]] = [[] for _ in admitted]
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        options[a].append(b)
    pairs = _Pairs({}, {})
    return np.array([bool(ok) and _augment(a, options, pairs) for a, ok in enumerate(admitted)], bool)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A matching in the making, readable from both sides."""

    finding_of: dict[int, int]
    object_of: dict[int, int]


def _augment(start: int, options: list[list[int]], pairs: _Pairs) -> bool:
    """Give `start` an object, others moving on to another if need be.

    Breadth first with a list, so that no crowd is too deep to recurse into.
    """
    reached_by: dict[int, int] = {}
    queue = [start]
    for finding in queue:
        for thing in options[finding]:
            if thing in reached_by:
                continue
            reached_by[thing] = finding
            if thing not in pairs.finding_of:
                _move_on(thing, reached_by, pairs)
                return True
            queue.append(pairs.finding_of[thing])
    return False


def _move_on(free: int, reached_by: dict[int, int], pairs: _Pairs) -> None:
    """Everyone on the path to the `free` object takes the next one along it."""
    thing: int | None = free
    while thing is not None:
        finding = reached_by[thing]
        left = pairs.object_of.get(finding)
        pairs.finding_of[thing], pairs.object_of[finding] = finding, thing
        thing = left


def _climb(confidence: Array, gained: Array, false: Array, objects: int) -> _Ladder:
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True)) if len(confidence) else np.zeros(0, int)
    return _Ladder(confidence[last], np.cumsum(gained[order])[last], np.cumsum(false[order])[last], objects)


def _merged(ladders: Sequence[_Ladder]) -> _Ladder:
    steps = [(one.confidence, np.diff(one.tp, prepend=0), np.diff(one.fp, prepend=0)) for one in ladders]
    confidence, gained, false = (np.concatenate(column) for column in zip(*steps, strict=True))
    return _climb(confidence, gained, false, sum(one.objects for one in ladders))


def _teaches(ladder: _Ladder) -> bool:
    return ladder.objects > 0 and len(ladder.confidence) > 0


def _best_threshold(ladder: _Ladder) -> float:
    """Middle of the widest range of thresholds with the highest F1.

    Keeping the first k rungs is what any threshold from rung k down to, not including, rung k + 1 does; below the last
    rung it goes on down to 0.
    """
    f1 = 2 * ladder.tp / (ladder.tp + ladder.fp + ladder.objects)
    upper, lower = ladder.confidence, np.append(ladder.confidence[1:], 0.0)
    best = np.concatenate([[False], np.isclose(f1, f1.max(), rtol=1e-12, atol=0), [False]])
    first, last = np.flatnonzero(best[1:] & ~best[:-1]), np.flatnonzero(best[:-1] & ~best[1:]) - 1
    widest = int(np.argmax(upper[first] - lower[last]))
    top, bottom = float(upper[first[widest]]), float(lower[last[widest]])
    middle = (top + bottom) / 2
    return middle if middle > bottom else top
