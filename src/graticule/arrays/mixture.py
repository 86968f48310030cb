"""Grey levels as two Gaussians: what is background, and what is brighter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graticule.image import Array

BINS = 512
ROUNDS = 300
SETTLED = 1e-6  # change of the log-likelihood per voxel at which fitting ends


@dataclass(frozen=True, slots=True)
class TwoGaussians:
    """Shares, means and standard deviations of two populations, the darker one first."""

    share: tuple[float, float]
    mean: tuple[float, float]
    spread: tuple[float, float]

    @property
    def threshold(self) -> float:
        """The grey level above the darker mean from which a voxel more likely belongs to the brighter population.

        A brighter population that is wider than the darker one also claims what is darker than anything; that does not
        count. Where the brighter one nowhere wins, it is four spreads above the darker mean.
        """
        far = max(self.mean[1] + 4 * self.spread[1], self.mean[0] + 4 * self.spread[0])
        levels = np.linspace(self.mean[0], far, 4 * BINS)
        dark, bright = self._densities(levels)
        won = np.flatnonzero(bright > dark)
        return float(levels[won[0]]) if len(won) else self.mean[0] + 4 * self.spread[0]

    def _densities(self, levels: Array) -> Array:
        """``(2, N)``: of each population, weighed by its share."""
        return _weighed(levels, np.array(self.share), np.array(self.mean), np.array(self.spread))


def two_gaussians(values: Array) -> TwoGaussians | None:
    """The mixture of two Gaussians most likely to give `values`, any shape; None where they are all alike.

    By expectation maximisation on a histogram (Dempster, Laird and Rubin 1977), begun at the median and at the brightest
    hundredth, so that few bright voxels among many dark ones are not overlooked. The same values give the same mixture.
    """
    values = np.asarray(values, float).ravel()
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return None
    count, edges = np.histogram(values, BINS, (low, high))
    levels = (edges[:-1] + edges[1:]) / 2
    weight = count / count.sum()
    finest = (high - low) / BINS
    low_part, middle, bright = (levels[np.searchsorted(np.cumsum(weight), part)] for part in (0.16, 0.5, 0.99))
    mean = np.array([middle, max(bright, middle + 3 * finest)])
    begun = max(middle - low_part, finest)
    spread, share, before = np.array([begun, begun]), np.array([0.95, 0.05]), -np.inf
    for _ in range(ROUNDS):
        densities = _weighed(levels, share, mean, spread)
        total = densities.sum(axis=0) + 1e-300
        owned = densities / total * weight
        share = np.maximum(owned.sum(axis=1), 1e-9)
        mean = (owned * levels).sum(axis=1) / share
        spread = np.sqrt((owned * (levels - mean[:, None]) ** 2).sum(axis=1) / share)
        spread = np.maximum(spread, finest)
        likelihood = float((weight * np.log(total)).sum())
        if abs(likelihood - before) < SETTLED:
            break
        before = likelihood
    first, second = np.argsort(mean, kind="stable")
    order = [int(first), int(second)]
    pairs = [(float(v[order[0]]), float(v[order[1]])) for v in (share / share.sum(), mean, spread)]
    return TwoGaussians(*pairs)


def _weighed(levels: Array, share: Array, mean: Array, spread: Array) -> Array:
    across = (levels[None] - mean[:, None]) / spread[:, None]
    heights: Array = share[:, None] * np.exp(-(across**2) / 2) / (spread[:, None] * np.sqrt(2 * np.pi))
    return heights
