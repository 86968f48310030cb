"""Round spots of a given size: the Laplacian of Gaussian and its peaks.

A Laplacian of Gaussian answers most strongly at the centre of a disc when its standard deviation is the disc's diameter
over ``2 * sqrt(ndim)`` (Lindeberg 1998, "Feature detection with automatic scale selection", Int. J. Comput. Vis. 30).
Responses are scaled so that a lone, sharp disc of the stated diameter gives its contrast: how many grey levels it
differs from what is around it. They can therefore be compared between diameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import exp, gamma, pi, sqrt
from typing import Literal

import numpy as np
from scipy.ndimage import correlate1d, generate_binary_structure, label, maximum, maximum_filter

from graticule.image import Array, Floats

Polarity = Literal["dark", "bright"]

REACH = 4.0
"""Standard deviations at which a Gaussian is cut off."""


def sigma(diameter_px: float, ndim: int = 2) -> float:
    """Standard deviation, in pixels, of the Laplacian of Gaussian that answers most to a disc (or ball) this large."""
    return diameter_px / (2 * sqrt(ndim))


def reach_px(diameter_px: float, ndim: int = 2) -> int:
    """How far, in pixels along each axis, a response looks."""
    return int(REACH * sigma(diameter_px, ndim) + 0.5)


def blob_response(pixels: Array, diameter_px: float, *, polarity: Polarity = "dark", roundness: float = 0.0) -> Floats:
    """How much like a disc of this diameter each place is, ``(*space)``, in the grey levels of `pixels`.

    Parameters
    ----------
    pixels
        ``(*space)``. Beyond the border its edge goes on: of all ways to continue, the one that leaves discs which the
        border cuts where they are and of the size they are.
    roundness
        How strongly lines and edges are held against a place: 0 is the plain Laplacian of Gaussian (the sum of the
        curvatures along the axes); 1 counts, in 2D, twice the smaller of the two main curvatures, which is nothing on
        a line however dark it is.
    """
    working = pixels.astype(np.float32)
    width, ndim = sigma(diameter_px, pixels.ndim), pixels.ndim
    scale = width**2 / ideal_answer(ndim)
    upward = np.float32(scale if polarity == "dark" else -scale)
    curvature = [_derivative(working, width, {axis: 2}) for axis in range(ndim)]
    laplacian: Floats = np.sum(curvature, axis=0)
    response: Floats = upward * laplacian
    if roundness == 0:
        return response
    twists = [_derivative(working, width, {a: 1, b: 1}) for a, b in combinations(range(ndim), 2)]
    response -= np.float32(scale * roundness) * _elongation(curvature, twists, laplacian)
    return response


def blob_responses(
    pixels: Array, diameters_px: Sequence[float], *, polarity: Polarity = "dark", roundness: float = 0.0
) -> Floats:
    """`blob_response` at several diameters, ``(K, *space)``."""
    return np.stack([blob_response(pixels, d, polarity=polarity, roundness=roundness) for d in diameters_px])


def blob_peaks(response: Floats, *, threshold: float, min_distance_px: int = 1) -> tuple[Array, Array]:
    """Places where `response` is above `threshold` and highest within `min_distance_px` along each axis.

    A flat top counts once, at its centre; a peak at the border counts as any other. Places are refined between pixels
    by a parabola through each peak and its two neighbours along every axis, except across the border.

    Returns
    -------
    positions_px, heights
        ``(N, ndim)`` and ``(N,)``, highest first.
    """
    is_top = (response == maximum_filter(response, size=2 * min_distance_px + 1, mode="nearest")) & (
        response > threshold
    )
    tops, count = label(is_top, structure=generate_binary_structure(response.ndim, response.ndim))
    positions = _refined(response, tops, count)
    heights = np.asarray(maximum(response, tops, np.arange(1, count + 1)), response.dtype).reshape(count)
    order = np.argsort(-heights, kind="stable")
    return positions[order], heights[order]


def ideal_answer(ndim: int) -> float:
    """Of ``sigma² ∇²G`` at the centre of a ball of contrast 1 and radius ``sigma * sqrt(ndim)``.

    By the divergence theorem that is the ball's surface times the Gaussian's slope there. In 2D it is ``2 / e``.
    """
    radius = sqrt(ndim)
    surface = 2 * pi ** (ndim / 2) / gamma(ndim / 2) * radius ** (ndim - 1)
    slope = radius * exp(-(radius**2) / 2) / (2 * pi) ** (ndim / 2)
    return float(surface * slope)


def _derivative(pixels: Floats, width: float, orders: Mapping[int, int]) -> Floats:
    """Of a Gaussian-smoothed image: how often along which axis."""
    for axis in range(pixels.ndim):
        pixels = correlate1d(pixels, _kernel(width, orders.get(axis, 0)), axis=axis, mode="nearest")
    return pixels


def _kernel(width: float, order: int) -> Array:
    """A sampled Gaussian or one of its derivatives, exact on polynomials up to `order`.

    SciPy's own, cut off where they are, do not quite add up to zero: far from zero grey they answer where nothing is.
    """
    reach = int(REACH * width + 0.5)
    x = np.arange(-reach, reach + 1)
    smooth: Array = np.exp(-(x**2) / (2 * width**2))
    smooth /= smooth.sum()
    if order == 0:
        return smooth
    if order == 1:
        slope: Array = x * smooth / (x**2 * smooth).sum()
        return slope
    bent: Array = (x**2 / width**2 - 1) * smooth
    bent -= bent.sum() * smooth
    bent *= 2 / (x**2 * bent).sum()
    return bent


def _elongation(curvature: Sequence[Floats], twists: Sequence[Floats], laplacian: Floats) -> Floats:
    """How far the main curvatures differ: in 2D the size of their difference; 0 where a spot is round."""
    ndim = len(curvature)
    squares = np.sum([c**2 for c in curvature], axis=0) + 2 * np.sum([t**2 for t in twists], axis=0)
    spread: Floats = np.sqrt(np.maximum(squares - laplacian**2 / ndim, 0) * np.float32(ndim / (ndim - 1)))
    return spread


def _refined(response: Floats, tops: Array, count: int) -> Array:
    """Centres ``(count, ndim)`` of labelled flat tops; along axes on which one is a pixel wide, a parabola's top.

    That moves it by half a pixel at most, and not along an axis on which it touches the border.
    """
    where = np.stack(np.nonzero(tops), axis=1)
    member = tops[tuple(where.T)] - 1
    order = np.argsort(member, kind="stable")
    where, starts = where[order], np.searchsorted(member[order], np.arange(count))
    if count == 0:
        return np.zeros((0, response.ndim))
    low, high = np.minimum.reduceat(where, starts), np.maximum.reduceat(where, starts)
    centres = np.add.reduceat(where, starts) / np.bincount(member, minlength=count)[:, None]
    for axis, length in enumerate(response.shape):
        free = (low[:, axis] == high[:, axis]) & (low[:, axis] > 0) & (high[:, axis] < length - 1)
        centres[free, axis] += _parabola_shift(response, where[starts[free]], axis)
    return centres


def _parabola_shift(response: Floats, cells: Array, axis: int) -> Array:
    step = np.eye(response.ndim, dtype=int)[axis]
    before, top, after = (response[tuple((cells + k * step).T)].astype(float) for k in (-1, 0, 1))
    bend = before - 2 * top + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    limited: Array = np.clip(shift, -0.5, 0.5)
    return limited
