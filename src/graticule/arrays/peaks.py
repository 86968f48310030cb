"""Local maxima, and choosing among those that lie too close together."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import generate_binary_structure, label, maximum_filter
from scipy.spatial import cKDTree

from graticule.image import Array, Floats


def find_peaks(
    heat: Floats, *, min_distance: int, threshold: float, offset: Floats | None = None
) -> tuple[Array, Array]:
    """Places higher than `threshold` and not lower than anything within `min_distance` voxels along each axis.

    A flat top counts once, at its centre. A peak at the border counts as any other.

    Parameters
    ----------
    heat
        ``(*space)``.
    offset
        ``(ndim, *space)``: where within (or beyond) its voxel each peak really lies, in voxels; None for its centre.

    Returns
    -------
    positions, heights
        ``(N, ndim)`` voxel coordinates, possibly between voxels, and ``(N,)`` values, highest first.
    """
    is_top = (heat == maximum_filter(heat, size=2 * min_distance + 1)) & (heat > threshold)
    tops, count = label(is_top, structure=generate_binary_structure(heat.ndim, heat.ndim))
    if count == 0:
        return np.zeros((0, heat.ndim)), np.zeros(0, heat.dtype)
    where = np.nonzero(is_top)
    member = tops[where] - 1
    places = np.stack(where, axis=1).astype(float)
    if offset is not None:
        places += np.stack([axis[where] for axis in offset], axis=1)
    size = np.bincount(member, minlength=count)
    positions = np.stack([np.bincount(member, weights=p, minlength=count) / size for p in places.T], axis=1)
    heights = np.bincount(member, weights=heat[where], minlength=count).astype(heat.dtype) / size
    order = np.argsort(-heights, kind="stable")
    return positions[order], heights[order]


def suppress(positions: Array, heights: Array, radius: Array) -> Array:
    """Indices to keep, highest first, so that no kept point lies within ``(radius[i] + radius[j]) / 2`` of a higher one.

    Parameters
    ----------
    positions
        ``(N, ndim)``.
    heights, radius
        ``(N,)``; each point's own suppression radius, in the unit of the positions.
    """
    order = np.argsort(-heights, kind="stable")
    if len(order) < 2:
        return order
    tree, widest = cKDTree(positions), radius.max()
    gone = np.zeros(len(order), bool)
    kept = []
    for i in order:
        if gone[i]:
            continue
        kept.append(i)
        near = np.array(tree.query_ball_point(positions[i], float(radius[i] + widest) / 2), int)
        close = np.linalg.norm(positions[near] - positions[i], axis=1) < (radius[i] + radius[near]) / 2
        gone[near[close]] = True
    return np.array(kept)
