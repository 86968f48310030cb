"""How far apart two outlines of one object run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from graticule.image import Array


def surface_distances(one: Array, other: Array, spacing_um: Sequence[float], known: Array | None = None) -> Array:
    """``(P,)`` in µm: from every surface voxel of each of two masks to the nearest surface voxel of the other mask.

    Their mean is the average symmetric surface distance, their 95th percentile the robust Hausdorff distance (Taha and
    Hanbury, BMC Medical Imaging 15:29, 2015; both directions pooled). The spacing is that of each axis, so that thick
    sections count as thick. Surface voxels where `known` is 0 are left out. Empty if either mask has no surface.
    """
    places = [_places_um(mask, spacing_um, known) for mask in (one, other)]
    if not all(map(len, places)):
        return np.zeros(0)
    here, there = (KDTree(place) for place in places)
    return np.concatenate([there.query(places[0])[0], here.query(places[1])[0]])


def surface(mask: Array) -> Array:
    """Voxels of a mask with a face on something that is not; beyond the edge of the array, all goes on as it is there."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        ours, theirs = (np.moveaxis(array, axis, 0) for array in (inner, mask))
        ours[1:] &= theirs[:-1]
        ours[:-1] &= theirs[1:]
    outer: Array = mask & ~inner
    return outer


def _places_um(mask: Array, spacing_um: Sequence[float], known: Array | None) -> Array:
    outline = surface(mask)
    places: Array = np.argwhere(outline if known is None else outline & (known != 0)) * np.asarray(spacing_um)
    return places
