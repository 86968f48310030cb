"""How much like a border between cells each pixel of a picture of an epithelium is, and how large its cells may be.

A border is a ridge: grey levels curve across it and hardly along it. How strongly is compared with the surroundings, so
that light and stain may be uneven.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from graticule.image import Floats

Borders = Literal["auto", "bright", "dark"]

LEVEL_PX = 21.0
"""Diameter of a cell to which `border_map`'s scales belong; pictures with other cells are resized to it first."""

SCALES_PX = (1.0, 1.6, 2.4)  # standard deviations of Gaussians: borders are as wide as that
FLOOR = 0.35  # of the mean strength: less than that all round is no border but noise
GUESS_PX = 2.0  # scale at which borders are looked for when the size of cells is not known
SPECK_PX = 160  # a ridge of fewer pixels at that scale is noise
FROM_BORDER = 6.0  # diameter of a disc over the mean distance of its points from its rim


def bright_borders(grey: Floats, borders: Borders) -> Floats:
    """The picture, turned into its negative where borders are dark; "auto": where dark lines are the stronger ones."""
    if borders == "auto":
        bright, dark = (_lines(sign * grey) for sign in (1, -1))
        borders = "bright" if bright >= dark else "dark"
    return grey if borders == "bright" else -grey


def guessed_cell_px(grey: Floats) -> float:
    """Diameter of cells between bright borders to within a factor of two, from how far pixels lie from a strong ridge."""
    ridge = _relative(_ridge(grey, GUESS_PX), 20 * GUESS_PX)
    strong = remove_small_objects(ridge > threshold_otsu(ridge), max_size=SPECK_PX)
    if not strong.any():
        return float(min(grey.shape))
    guess = FROM_BORDER * float(ndimage.distance_transform_edt(~strong).mean())
    return float(np.clip(guess, 8, min(grey.shape)))


def border_map(grey: Floats) -> Floats:
    """0 or more, about 1 for what is usual nearby: how strong a ridge each pixel lies on, of cells `LEVEL_PX` large."""
    strength = np.max([_ridge(grey, scale) for scale in SCALES_PX], axis=0)
    return ndimage.gaussian_filter(_relative(strength, LEVEL_PX), SCALES_PX[0])  # type: ignore[no-any-return]


def _relative(strength: Floats, distance_px: float) -> Floats:
    nearby = ndimage.gaussian_filter(strength, distance_px)
    return np.asarray(strength / np.maximum(nearby, max(FLOOR * float(nearby.mean()), 1e-12)), np.float32)


def _ridge(grey: Floats, scale_px: float) -> Floats:
    """Curvature across the sharpest line through each pixel: minus the smaller eigenvalue of the Hessian, if above 0."""
    # Sampled and cut off, the filters' weights do not add up to 0: of a camera's offset something would be left.
    level = grey - grey.mean()
    yy, xx, yx = (ndimage.gaussian_filter(level, scale_px, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    smaller = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    return np.asarray(np.maximum(-smaller, 0) * scale_px**1.5, np.float32)


def _lines(grey: Floats) -> float:
    """How strong bright lines are, most of all the strong ones."""
    return float((_ridge(grey, GUESS_PX) ** 2).mean())
