"""Made-up sections through tissue in resin, with known truth: as little as it takes to be told apart by texture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def section(
    seed=0, shape=(384, 384), *, share=0.5, grain=0.35, resin=180.0, tissue=140.0, noise=4.0, shadow=0.0, smooth=0.0
):
    """``(grey levels uint8, truth bool)``: a blob of tissue that covers about `share` of a plane.

    `grain` is how strongly tissue varies, as a share of the contrast of its membranes; `shadow` how much darker resin is
    on one flank of a charging shadow; `smooth` the Gaussian that makes noise coarser.
    """
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), min(shape) / 8, mode="wrap")
    truth = field > np.quantile(field, 1 - share)
    membranes = np.abs(ndimage.gaussian_filter(rng.standard_normal(shape), 5)) * 5 < 0.12
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5) * 5
    grey = np.where(truth, tissue + grain * 40 * texture - 50 * membranes, resin)
    grey = ndimage.gaussian_filter(grey, 0.7)
    if shadow:
        ramp = np.clip((np.arange(shape[1]) - shape[1] * 0.3) / (shape[1] * 0.3), 0, 1)
        ramp[int(shape[1] * 0.6) :] = 0
        grey = grey - np.where(truth, 0, shadow * ndimage.gaussian_filter1d(ramp, 4))
    speckle = rng.standard_normal(shape)
    if smooth:
        speckle = ndimage.gaussian_filter(speckle, smooth)
        speckle /= speckle.std()
    return np.clip(np.rint(grey + noise * speckle), 0, 255).astype(np.uint8), truth
