"""Shapes of particles as clouds of points: where fluorophores may sit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from graticule.image import Array

Random = np.random.Generator

TRIPLETS = 9
TUBULES = 3
CENTRIOLE_WIDTH = 0.5
"""Diameter of a centriole as a share of its length: about 230 of 450 nm."""


def centriole(rng: Random, count: int) -> Array:
    """A barrel of nine triplets of microtubules, each triplet turned by 45° out of the wall, like the blades of a turbine.

    The proportions are those of mature human centrioles (Le Guennec et al. 2020, Sci Adv 6:eaaz4137).
    """
    triplet, tubule = rng.integers(0, TRIPLETS, count), rng.integers(0, TUBULES, count)
    around = 2 * np.pi * triplet / TRIPLETS
    radius, step = 0.80, 0.11
    outward, sideways = np.cos(np.pi / 4) * step * tubule, np.sin(np.pi / 4) * step * tubule
    along_wall = np.stack([-np.sin(around), np.cos(around)], axis=1)
    from_axis = np.stack([np.cos(around), np.sin(around)], axis=1)
    place = (radius + outward)[:, None] * from_axis + sideways[:, None] * along_wall
    place = place + rng.normal(0, 0.02, place.shape)
    return np.column_stack([rng.uniform(-0.5, 0.5, count), CENTRIOLE_WIDTH / 2 * place])


def ring(rng: Random, count: int) -> Array:
    """A thin ring across the first axis."""
    around = rng.uniform(0, 2 * np.pi, count)
    ripple = rng.normal(0, 0.02, (count, 3))
    return np.column_stack([np.zeros(count), 0.5 * np.cos(around), 0.5 * np.sin(around)]) + ripple


def rod(rng: Random, count: int) -> Array:
    """A solid rod along the first axis, five times as long as wide."""
    around, out = rng.uniform(0, 2 * np.pi, count), 0.1 * np.sqrt(rng.uniform(0, 1, count))
    return np.column_stack([rng.uniform(-0.5, 0.5, count), out * np.cos(around), out * np.sin(around)])


def shell(rng: Random, count: int) -> Array:
    """A hollow ball."""
    place = rng.standard_normal((count, 3))
    on_ball: Array = 0.5 * place / np.linalg.norm(place, axis=1, keepdims=True)
    return on_ball


def spot(rng: Random, count: int) -> Array:
    """All in one place: what is smaller than the microscope can show."""
    return np.zeros((count, 3))


TEMPLATES: Mapping[str, Callable[[Random, int], Array]] = {
    "centriole": centriole,
    "ring": ring,
    "rod": rod,
    "shell": shell,
    "spot": spot,
}
"""By name: ``(count, 3)`` points around 0, in units of the particle's length."""
