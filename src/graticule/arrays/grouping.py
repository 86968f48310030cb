"""From many windows around a particle to its centre: groups, means, centres of mass, and local contrast.

Nothing here depends on the order of the windows, nor on anything further away than its reach.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from graticule.image import Array, Floats

MOST_STEPS = 10
SETTLED_PX = 0.01
GREYS = 64  # levels of a local histogram


def groups(positions: Array, within: float) -> Array:
    """``(N,)`` numbers from 0: places nearer to each other than `within` are of one group, and so are their neighbours.

    Groups are connected components: the same whatever order the places come in.
    """
    count = len(positions)
    if count < 2:
        return np.zeros(count, int)
    pairs = cKDTree(positions).query_pairs(within, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, member = connected_components(links, directed=False)
    return np.asarray(member, int)


def merged(positions: Array, heights: Array, within: float) -> tuple[Array, Array]:
    """The mean place of every group, weighted by height, and its greatest height; highest first."""
    member = groups(positions, within)
    count = int(member.max(initial=-1)) + 1
    weight = np.bincount(member, heights, count)
    places = [np.bincount(member, heights * axis, count) / weight for axis in positions.T]
    highest = np.zeros(count)
    np.maximum.at(highest, member, heights)
    order = np.lexsort([*np.round(places, 6), -highest])
    return np.stack(places, axis=1)[order], highest[order]


def recentred(light: Floats, places: Array, radius: float) -> Array:
    """Each of `places` ``(N, ndim)`` moved to the centre of mass of the `light` around it, again and again until it rests.

    `light` ``(*space)`` counts above the median of what is seen, within `radius` voxels. No place moves further than
    `radius` from where it was, nor out of the image; where there is no light it stays.
    """
    return np.array([_recentred(light, place, radius) for place in places]).reshape(places.shape)


def _recentred(light: Floats, begun: Array, radius: float) -> Array:
    here: Array = np.asarray(begun, float)
    for _ in range(MOST_STEPS):
        low = np.maximum(np.ceil(here - radius), 0).astype(int)
        high = np.minimum(np.floor(here + radius) + 1, light.shape).astype(int)
        if (high <= low).any():
            return np.asarray(begun, float)
        window = light[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(float)
        axes = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
        squares = sum((axis - h) ** 2 for axis, h in zip(axes, here, strict=True))
        # Weighed down towards the rim, so that a neighbour that is half in sight does not draw.
        weight = np.clip(window - np.median(window), 0, None) * np.clip(1 - squares / radius**2, 0, None)
        total = weight.sum()
        if not total > 0:
            return here
        there = np.array([(weight * axis).sum() / total for axis in axes])
        drift = there - begun
        far = float(np.linalg.norm(drift))
        there = begun + drift * min(1.0, radius / far) if far > 0 else there
        if np.linalg.norm(there - here) < SETTLED_PX:
            return there
        here = there
    return here


def equalised_at(light: Floats, places: Array, reach: int, limit: float) -> Array:
    """``(N,)`` in 0 … 1: the grey level at each place, equalised within `reach` voxels to each side.

    Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) with a window of its own for every place in place
    of a lattice of tiles, so that a place's value depends on nothing but its surroundings. `limit` is the largest share
    of a local histogram that one of its `GREYS` levels may have; what is above is shared out among all.
    """
    return np.array([_equalised(light, place, reach, limit) for place in places]).reshape(len(places))


def _equalised(light: Floats, place: Array, reach: int, limit: float) -> float:
    middle = np.clip(np.round(place).astype(int), 0, np.array(light.shape) - 1)
    around = light[tuple(slice(max(0, m - reach), m + reach + 1) for m in middle)]
    low, high = float(around.min()), float(around.max())
    if not high > low:
        return 0.0
    count, _ = np.histogram(around, GREYS, (low, high))
    share = count / count.sum()
    clipped = np.minimum(share, limit)
    clipped += (1 - clipped.sum()) / GREYS
    level = min(int((float(light[tuple(middle)]) - low) / (high - low) * GREYS), GREYS - 1)
    return float(clipped[: level + 1].sum())
