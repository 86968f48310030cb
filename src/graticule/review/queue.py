"""In which order a reviewer is shown what was found, so that few looks teach and prove most.

Two streams are mixed. The *queue* shows what is most probably wrong first, but not one thing again and again. The *audit*
shows things drawn at random: proposals, to estimate how many are right, and fields of the image, to estimate how many
objects were never proposed. Only the audit allows unbiased estimates (see `graticule.review.audit`), whatever the queue did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree

from graticule.errors import SettingsError
from graticule.image import Array
from graticule.review.decision import Field, Stream
from graticule.review.item import Item

Rng = np.random.Generator

CROWD = 12
"""A proposal counts less as long as one like it, among so many nearest ones, was just chosen."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What to show next: an item by its id or, where that is 0, a field to be searched."""

    stream: Stream
    item: int = 0
    field_um: Field | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How turns are laid out.

    Attributes
    ----------
    audit
        Share of the turns that are drawn at random, half of them proposals and half fields.
    view_um
        Side of the fields; about what fits on the screen.
    threshold
        Confidence at which the model is undecided.
    diversity
        0: only expected error counts; 1: what is like something chosen before waits longest.
    seed
        Of the random draws.
    """

    audit: float = 0.2
    view_um: float
    threshold: float = 0.5
    diversity: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.audit <= 1 and 0 <= self.diversity <= 1 and 0 < self.threshold < 1 and self.view_um > 0):
            raise SettingsError(
                f"found audit {self.audit}, diversity {self.diversity}, threshold {self.threshold}, view {self.view_um} µm; "
                "need shares from 0 to 1, a threshold between them, and a view above 0"
            )


def expected_error(confidence: Array, threshold: float, disagreement: Array | None = None) -> Array:
    """``(N,)`` in 0 … 1: how probably the model's answer on each proposal is wrong, as far as it can tell.

    1 at `threshold`, where it is undecided, falling linearly to 0 where it is sure. `disagreement`, 0 … 1, is that of
    several models or of turned views on each proposal; the mean of both counts.
    """
    below = confidence / threshold
    above = (1 - confidence) / (1 - threshold)
    unsure = np.clip(np.where(confidence < threshold, below, above), 0, 1)
    result: Array = unsure if disagreement is None else (unsure + np.clip(disagreement, 0, 1)) / 2
    return result


def by_expected_error(error: Array, features: Array, diversity: float) -> Array:
    """Indices of all proposals, the most worth a look first.

    Greedily: of two as doubtful, the one less like what was chosen before; being like means lying near in `features`,
    ``(N, F)``, which are put to a common scale. Proposals in front of a crowd of likes stand for it.
    """
    order = np.argsort(-error, kind="stable")
    if diversity == 0 or len(error) < 3:
        return order
    scaled = _standardised(features)
    near, which = cKDTree(scaled).query(scaled, k=min(CROWD + 1, len(error)))
    reach = max(float(np.median(near[:, -1])), 1e-9)
    worth, chosen = error.astype(float).copy(), []
    waiting = np.ones(len(error), bool)
    for _ in range(len(error)):
        pick = int(np.argmax(np.where(waiting, worth, -np.inf)))
        chosen.append(pick)
        waiting[pick] = False
        likes = which[pick][1:]
        likeness = np.clip(1 - near[pick][1:] / reach, 0, 1)
        worth[likes] *= 1 - diversity * likeness
    return np.array(chosen, int)


def _standardised(features: Array) -> Array:
    spread = features.std(axis=0)
    scaled: Array = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled


def features_of(items: Sequence[Item]) -> Array:
    """``(N, F)``: by what proposals are told alike where nothing better is known: place, confidence, size and class."""
    kinds = sorted({item.kind for item in items})
    return np.array(
        [(*i.position_um, i.confidence, i.diameter_um or 0.0, kinds.index(i.kind)) for i in items], float
    ).reshape(len(items), -1)


def fields(extent_um: Field, view_um: float, rng: Rng) -> list[Field]:
    """Fields that cover the image without gap or overlap, in random order.

    The grid they form is shifted at random; those at the image's edge are smaller.
    """
    axes = []
    for low, high in zip(*extent_um, strict=True):
        first = low - rng.uniform(0, view_um)
        cuts = np.arange(first, high + view_um, view_um)
        cuts = np.unique(np.clip(cuts, low, high))
        axes.append(list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)))
    every = [(tuple(a for a, _ in box), tuple(b for _, b in box)) for box in product(*axes)]
    return [every[n] for n in rng.permutation(len(every))]


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """All turns of a review, fixed when it begins.

    Attributes
    ----------
    turns
        In the order they are shown; an item may be in both streams, and is shown once.
    audited
        Ids of all items in the random order of the audit.
    fields_um
        All fields, in the random order of the audit.
    """

    turns: tuple[Turn, ...]
    audited: tuple[int, ...]
    fields_um: tuple[Field, ...]


def lay_out(
    items: Sequence[Item], extent_um: Field, order: Order, disagreement: Mapping[int, float] | None = None
) -> Queue:
    """The queue over `items` of an image of that extent; the same for the same input."""
    rng = np.random.default_rng(order.seed)
    audited = [items[n].id for n in rng.permutation(len(items))]
    every_field = fields(extent_um, order.view_um, rng)
    known = None if disagreement is None else np.array([disagreement.get(item.id, 0.0) for item in items])
    error = expected_error(np.array([item.confidence for item in items]), order.threshold, known)
    ranked = [items[n].id for n in by_expected_error(error, features_of(items), order.diversity)] if items else []
    return Queue(tuple(_mixed(ranked, audited, every_field, order, rng)), tuple(audited), tuple(every_field))


def _mixed(
    ranked: Sequence[int], audited: Sequence[int], every_field: Sequence[Field], order: Order, rng: Rng
) -> Iterator[Turn]:
    """Queue and audit in one line; it ends when every item is in it, and of the fields as many as belong to that."""
    queue, audit, places = iter(ranked), iter(audited), iter(every_field)
    shown: set[int] = set()
    field_next = False
    while len(shown) < len(ranked):
        if rng.random() < order.audit:
            place = next(places, None) if field_next else None
            field_next = not field_next
            if place is not None:
                yield Turn("audit", field_um=place)
                continue
            item, stream = next(audit, 0), "audit"
        else:
            item, stream = next(queue, 0), "queue"
        if item and item not in shown:
            shown.add(item)
            yield Turn("audit" if stream == "audit" else "queue", item)
    if not ranked:
        yield from (Turn("audit", field_um=place) for place in places)
