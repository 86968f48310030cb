"""Company for an annotated object: another one laid beside it, so that pairs are learnt from few that were annotated."""

from __future__ import annotations

import numpy as np

from graticule.image import Array, Floats

Rng = np.random.Generator

NEAREST, FURTHEST = 0.45, 1.0
"""Diameters between the centres of two that keep company."""

SOLID, GONE = 0.45, 0.75
"""Diameters from its centre up to which an object is laid over in full, and from which on nothing of it is."""

DARK = 20
"""Percentile of the rim in between that is the object's ground: a neighbour's light in it does not count."""

GAIN = 0.3
"""Largest relative change of a companion's brightness."""


def place_beside(first: Array, diameter: Array, rng: Rng) -> Array:
    """A place ``(ndim,)`` near `first`, in any direction; in voxels, as is the `diameter` along each axis."""
    way = rng.standard_normal(len(first))
    beside: Array = first + way / np.linalg.norm(way) * rng.uniform(NEAREST, FURTHEST) * diameter
    return beside


def laid_over(pixels: Floats, other: Floats, place: Array, diameter: Array, gain: float = 1.0) -> Floats:
    """`pixels` ``(C, *space)`` and, added to them, what `other` of the same shape shows within an object around `place`.

    Light adds up: the object is what stands out from its ground, which is told from its rim, and fades out there. Where
    `other` is 0, beyond its image, nothing is added.
    """
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in pixels.shape[1:]], indexing="ij"), axis=-1)
    away = np.linalg.norm((grid - place) / diameter, axis=-1)
    rim = (away > SOLID) & (away < GONE)
    if not rim.any():
        return pixels
    ground = np.percentile(other[:, rim], DARK, axis=1).reshape(-1, *[1] * len(place))
    weight = gain * np.clip((GONE - away) / (GONE - SOLID), 0, 1)
    return np.asarray(pixels + (other - ground) * weight * (other != 0), np.float32)
