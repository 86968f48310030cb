"""Change of voxel size."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from graticule.image import Array, Image

SAME = 1e-3  # relative difference in voxel size below which nothing is gained by resampling


def to_spacing(image: Image, spacing_um: tuple[float, ...], order: int = 1) -> Image:
    """`image` on voxels as near `spacing_um` as whole voxels allow; nothing in it moves.

    Outer edges stay put, so the first voxel's centre shifts by half the change in spacing. Before it is coarsened an
    image is smoothed just enough that fine detail does not alias. Integer images stay integer (their range is kept);
    ``order=0`` takes the nearest voxel and is for masks and labels.
    """
    if np.allclose(image.spacing_um, spacing_um, rtol=SAME):
        return image
    channels = len(image.axes) - image.ndim
    factors = np.array([a / b for a, b in zip(image.spacing_um, spacing_um, strict=True)])
    shape = np.maximum(1, np.round(factors * image.shape)).astype(int)
    factors = shape / image.shape
    data: Array = np.asarray(image.data[...])
    working = data if order == 0 else data.astype(np.float32)
    if order and (factors < 1).any():
        sigma = np.where(factors < 1, 0.5 * np.sqrt(np.maximum(1 / factors**2 - 1, 0)), 0)
        working = gaussian_filter(working, [0.0] * channels + list(sigma), mode="nearest")
    out: Array = zoom(working, [1.0] * channels + list(factors), order=order, grid_mode=True, mode="nearest")
    if np.issubdtype(data.dtype, np.integer) and order:
        limits = np.iinfo(data.dtype)
        out = np.clip(np.round(out), limits.min, limits.max).astype(data.dtype)
    exact = tuple(float(s * n / m) for s, n, m in zip(image.spacing_um, image.shape, shape, strict=True))
    origin = tuple(o + (new - old) / 2 for o, new, old in zip(image.origin_um, exact, image.spacing_um, strict=True))
    return Image(out, image.axes, exact, origin)
