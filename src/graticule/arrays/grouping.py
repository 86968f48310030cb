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
GROUND = 20  # percentile of the light around a particle that is not its own
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


def recentred(light: Floats, places: Array, *, window: float, limit: float, among: Array | None = None) -> Array:
    """Each of `places` ``(N, ndim)`` moved to the centre of mass of the `light` around it, again and again until it rests.

    Parameters
    ----------
    light
        ``(*space)``. It counts above the ground: what a fifth of the voxels around is darker than.
    window
        Voxels to each side that are looked at: half a particle. What is nearer to another of `among` counts for that one.
    limit
        Voxels that a place may move. What would move further stays where it was: its light is not its own.
    among
        ``(M, ndim)``, all particles there are, whether they are moved or not; None: `places`.

    Where there is no light, a place stays.
    """
    if not len(places):
        return np.asarray(places, float)
    every = np.asarray(places if among is None else among, float)
    tree, moved = cKDTree(every), []
    for place in np.asarray(places, float):
        near = every[tree.query_ball_point(place, 2 * window + limit)]
        others = near[np.linalg.norm(near - place, axis=1) > 0]
        moved.append(_recentred(light, place, others, window, limit))
    return np.array(moved)


def _recentred(light: Floats, begun: Array, others: Array, window: float, limit: float) -> Array:
    here = begun
    for _ in range(MOST_STEPS):
        there = _centre_of_mass(light, here, others, window)
        if np.linalg.norm(there - begun) > limit:
            return begun
        if np.linalg.norm(there - here) < SETTLED_PX:
            return there
        here = there
    return here


def _centre_of_mass(light: Floats, here: Array, others: Array, window: float) -> Array:
    """Of the light within `window` voxels of `here` that no place of `others` ``(M, ndim)`` is nearer to."""
    low = np.maximum(np.ceil(here - window), 0).astype(int)
    high = np.minimum(np.floor(here + window) + 1, light.shape).astype(int)
    if (high <= low).any():
        return here
    seen = light[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(float)
    axes = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
    voxels = np.stack(axes, axis=-1).reshape(-1, len(here))
    away = np.linalg.norm(voxels - here, axis=1)
    own = away <= window
    if len(others):
        own &= away <= np.linalg.norm(voxels[:, None] - others[None], axis=2).min(axis=1)
    mass = np.clip(seen.ravel() - np.percentile(seen, GROUND), 0, None) * own
    return (mass[:, None] * voxels).sum(axis=0) / mass.sum() if mass.sum() > 0 else here


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
