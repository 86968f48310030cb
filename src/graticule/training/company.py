"""Annotated objects laid beside one another, so that pairs are learnt from few; and laid over one another: heaps.

Several objects on one spot, each turned anew, have all of an object but its shape: its light, extent and noise. A network
that has seen only a few objects takes every such heap for one unless it is told.
"""

from __future__ import annotations

from collections.abc import Sequence

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


LEAST_HEAPED, MOST_HEAPED = 3, 6
SCATTER = 0.2
"""Diameters that each object of a heap may lie off its middle, along each axis."""

HEAP_GAIN = 0.5
"""Standard deviation of the logarithm of a heap's light."""


def scattered(diameter: Array, rng: Rng) -> Array:
    """How far off a heap's middle one of its objects lies, in voxels."""
    off: Array = rng.uniform(-SCATTER, SCATTER, len(diameter)) * diameter
    return off


def heaped(each: Sequence[Floats], rng: Rng) -> Floats:
    """The light of several objects, over the root of their number: noise is as strong as it is in one."""
    gain = np.exp(rng.normal(0, HEAP_GAIN)) / np.sqrt(len(each))
    return np.asarray(np.sum(each, axis=0) * gain, np.float32)


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
