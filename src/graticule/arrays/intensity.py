"""Grey levels."""

from __future__ import annotations

import numpy as np

from graticule.errors import FormatError
from graticule.image import Image
from graticule.task import Levels

SAMPLE = 1_000_000  # voxels are plenty for two quantiles
ONE_SIGMA = (15.87, 84.13)  # percentiles one standard deviation either side of a normal distribution's middle


def levels(image: Image) -> Levels:
    """Median and spread (half the distance between the percentiles one σ to either side) of the whole image.

    Large images are sampled on a regular grid. A constant image has spread 1.
    """
    step = max(1, int((np.prod(image.shape) / SAMPLE) ** (1 / image.ndim)))
    window = (..., *(slice(None, None, step),) * image.ndim)
    sample = np.asarray(image.data[window], np.float32)
    if not np.isfinite(sample).all():
        raise FormatError("the image holds NaN or infinite pixels; replace them, or mask and crop them away, before analysis")
    low, middle, high = np.percentile(sample, (ONE_SIGMA[0], 50, ONE_SIGMA[1]))
    spread = (high - low) / 2 or float(sample.std()) or 1.0
    return Levels(float(middle), float(spread))
