"""Sheets of polygonal cells by seeds: every place belongs to the cell whose seed is nearest, or outweighs nearer ones.

Cells whose seeds lie on one circle meet at its centre: so groups of cells are laid out as they should meet, and all other
seeds settle around them (Lloyd's relaxation: each moves to the middle of its cell, again and again). A seed with a weight
pushes its borders outwards, or lets them in: the power diagram, found as the nearest neighbour in one more dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from graticule.image import Array
from graticule.simulate.fields import Random

SAMPLES = 6  # places along a cell's side at which Lloyd's relaxation looks


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """Seeds of cells, in a plane where cells are round and have a typical diameter of 1.

    Attributes
    ----------
    place
        ``(N, 2)``.
    weight
        ``(N,)``: by how much the squared distance to a seed counts as less than it is.
    free
        ``(N,)``, whether it may move: not those laid out in a group.
    """

    place: Array
    weight: Array
    free: Array

    def __len__(self) -> int:
        return len(self.place)

    def nearest(self, places: Array) -> Array:
        """Which seed's cell each of the places ``(..., 2)`` lies in."""
        lift = np.sqrt(self.weight.max() - self.weight)
        tree = KDTree(np.column_stack([self.place, lift]))
        flat = places.reshape(-1, 2)
        found: Array = tree.query(np.column_stack([flat, np.zeros(len(flat))]))[1]
        return found.reshape(places.shape[:-1])

    def with_more(self, place: Array, weight: Array | None = None) -> Seeds:
        """With others behind them that may not move."""
        weight = np.zeros(len(place)) if weight is None else weight
        return Seeds(
            np.concatenate([self.place, place]),
            np.concatenate([self.weight, weight]),
            np.concatenate([self.free, np.zeros(len(place), bool)]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Cells laid out around a place: where their seeds lie relative to it, their weights, and how far they reach."""

    place: Array
    weight: Array
    reach: float


def ring(rng: Random, cells: int, *, uneven: float = 0.0, inner: float = 0.0) -> Group:
    """`cells` of about usual size that meet at one place.

    `uneven` is by how much their seeds lie off the circle, relative to its radius: then they meet at several places.
    `inner` is the radius of a cell that they surround, smaller or larger than others; 0: there is none.
    """
    radius = max((np.sqrt(cells * rng.uniform(0.75, 1.0)) - 1) / 2, 0.45) + 0.35 * inner
    turn = 2 * np.pi * (np.arange(cells) + rng.uniform(-0.22, 0.22, cells) + rng.uniform()) / cells
    off = uneven * rng.permutation(np.where(np.arange(cells) % 2, 1, -1) * rng.uniform(0.7, 1, cells))
    place = (radius * (1 + off))[:, None] * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    weight = np.zeros(cells)
    if inner:
        place = np.concatenate([place, np.zeros((1, 2))])
        weight = np.append(weight, radius * (2 * inner - radius))
    return Group(place, weight, radius + 0.5)


def lone(rng: Random, radius: float) -> Group:
    """A large round cell, as cells are when they divide."""
    reach = radius + 0.5
    return Group(np.zeros((1, 2)), np.array([reach * (2 * radius - reach)]), reach)


def settled(rng: Random, low: Array, high: Array, groups: list[tuple[Array, Group]], *, rounds: int) -> Seeds:
    """Seeds all over the rectangle from `low` to `high`, with groups round their places; the more rounds the more regular."""
    count = int(np.prod(high - low) * 4 / np.pi)
    place = rng.uniform(low, high, (count, 2))
    for middle, group in groups:
        place = place[((place - middle) ** 2).sum(axis=1) > (group.reach - 0.1) ** 2]
    seeds = Seeds(place, np.zeros(len(place)), np.ones(len(place), bool))
    for middle, group in groups:
        seeds = seeds.with_more(middle + group.place, group.weight)
    axes = [np.arange(a, b, 1 / SAMPLES) for a, b in zip(low, high, strict=True)]
    samples = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    for _ in range(rounds):
        seeds = _relaxed(seeds, samples)
    return seeds


def _relaxed(seeds: Seeds, samples: Array) -> Seeds:
    """Every free seed moved to the middle of its cell."""
    cell = seeds.nearest(samples).ravel()
    count = np.bincount(cell, minlength=len(seeds))
    sums = [np.bincount(cell, samples[..., axis].ravel(), minlength=len(seeds)) for axis in range(2)]
    middle = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
    return replace(seeds, place=np.where((seeds.free & (count > 0))[:, None], middle, seeds.place))
