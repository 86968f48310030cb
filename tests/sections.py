"""Made-up sections through tissue in resin, with known truth: as little as it takes to be told apart by texture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SIDE = 384


def standard(field):
    """Mean 0 and standard deviation 1."""
    return (field - field.mean()) / field.std()


def grain(rng, sigma_px, shape=(SIDE, SIDE)):
    """Blobs of about that size, as bright as dark; of 0: one pixel's noise."""
    return standard(ndimage.gaussian_filter(rng.standard_normal(shape), sigma_px))


def fine_grain(rng, shape=(SIDE, SIDE)):
    """Of two or three pixels, and nothing coarser."""
    noise = rng.standard_normal(shape)
    return standard(noise - ndimage.gaussian_filter(noise, 0.6))


def curtains(rng, shape=(SIDE, SIDE)):
    """Vertical stripes of one pixel."""
    return np.tile(standard(rng.standard_normal(shape[1])), (shape[0], 1))


def island(rng, shape=(SIDE, SIDE)):
    """A smooth shape that covers half of the plane."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), min(shape) / 8, mode="wrap")
    return field > np.median(field)


def section(seed=0, shape=(SIDE, SIDE), *, resin=180.0, tissue=150.0, noise=4.0):
    """``(grey levels uint8, truth bool)``: a grainy island with dark membranes in smooth resin."""
    rng = np.random.default_rng(seed)
    truth = island(rng, shape)
    membranes = np.abs(grain(rng, 5, shape)) < 0.15
    grey = np.where(truth, tissue + 8 * grain(rng, 1.5, shape) - 50 * membranes, resin)
    grey = ndimage.gaussian_filter(grey, 0.7) + noise * rng.standard_normal(shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8), truth
