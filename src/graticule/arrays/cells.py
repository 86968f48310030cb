"""Cells of an epithelium as a label image: telling one from a picture of membranes, and making one from such a picture.

A label image has one number per cell, 0 where there is none. Lines of 0 between cells, as many programs leave them, count
as the cells' border, whatever is up to `GAP_PX` from a cell is taken for that.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_values
from skimage.segmentation import expand_labels, watershed

from graticule.errors import AnnotationError
from graticule.image import Array, Floats

GAP_PX = 2  # lines between cells are up to four pixels wide
THICK_PX = 2  # by which boundaries are thickened on either side, as the model card draws them at about 25 px a cell
ALIKE = 0.6  # share of neighbours with the same value, from which an image is piecewise constant
PIECES = 2.0  # regions per value, up to which values are names of cells: a crop cuts some cells in two
FEWEST_PX = 6  # mean size of such a region
SCALES_PX = (1.0, 1.5, 2.25, 3.4, 5.0)  # of Gaussians, to look for ridges as wide

Borders = Literal["auto", "bright", "dark"]


def looks_like_cells(pixels: Array) -> bool:
    """Whether `pixels` ``(y, x)`` are the numbers of cells rather than grey levels.

    They are if they are whole, mostly like their neighbours, and have at least two values besides 0 each of which fills
    about one region. So an image of two values, one of them 0, is a drawing of boundaries or of a mask, not of cells: it
    goes through `outline_cells`. Nor is a constant.
    """
    if pixels.ndim != 2 or pixels.dtype == bool or min(pixels.shape) < 2 or not _whole(pixels):
        return False
    alike = [float((a == b).mean()) for a, b in ((pixels[1:], pixels[:-1]), (pixels[:, 1:], pixels[:, :-1]))]
    if min(alike) < ALIKE or pixels.min() < 0:
        return False
    values = np.unique(pixels[pixels != 0])
    if len(values) < 2:
        return False
    regions = int(label_values(pixels.astype(np.int64), background=0, connectivity=2).max())
    return bool(regions <= PIECES * len(values) and np.count_nonzero(pixels) >= FEWEST_PX * regions)


def outline_cells(membrane: Array, *, cell_px: float = 0.0, borders: Borders = "auto") -> Array:
    """Cells in a picture of their borders: ``int32`` labels ``(y, x)``, numbered from 1, without gaps between cells.

    Parameters
    ----------
    membrane
        Grey levels ``(y, x)`` of any type and range; not a number counts as the median.
    cell_px
        Typical diameter of a cell in pixels; 0: measured on the image.
    borders
        Whether borders are brighter (fluorescence) or darker (phase contrast) than cells; "auto" asks the image.

    Returns
    -------
    labels
        0 where there is no epithelium. A constant image gives one cell.
    """
    ridges = _ridges(_levelled(membrane), borders)
    if not ridges.any():
        return np.ones(membrane.shape, np.int32)
    cells = _flooded(ridges, cell_px or 25.0)
    return cells if cell_px else _flooded(ridges, cell_diameter_px(cells))


def boundaries(cells: Array) -> tuple[Array, Array]:
    """Where cells end, drawn thin and thick: two ``uint8`` images ``(y, x)`` of 0 and 1.

    Thin: one pixel wide, inside the cell whose neighbour to the right or below is another (the inner boundary). Thick:
    that, thickened by `THICK_PX` to either side. The frame of the image is no boundary; the edge of the tissue is.
    Lines of 0 between cells and cells that touch give the same to a pixel.
    """
    closed = without_gaps(cells)
    thin = np.zeros(closed.shape, bool)
    thin[:-1] |= closed[:-1] != closed[1:]
    thin[:, :-1] |= closed[:, :-1] != closed[:, 1:]
    thick = ndimage.distance_transform_edt(~thin) <= THICK_PX if thin.any() else thin
    return thin.astype(np.uint8), thick.astype(np.uint8)


def cell_diameter_px(cells: Array) -> float:
    """Median diameter of the circle with a cell's area, in pixels; cells cut by the frame count only if there are no others.

    Raises
    ------
    AnnotationError
        If there are fewer than two cells.
    """
    closed = without_gaps(cells)
    area = np.bincount(closed.ravel())
    area[0] = 0
    if np.count_nonzero(area) < 2:
        raise AnnotationError(
            f"found {np.count_nonzero(area)} cells in an image of {' x '.join(map(str, cells.shape))} pixels; need two or "
            "more to know how large cells are; give an image with more cells, or say with --cells what it shows"
        )
    whole = area.copy()
    for edge in (closed[0], closed[-1], closed[:, 0], closed[:, -1]):
        whole[edge] = 0
    counted = whole if whole.any() else area
    return float(np.median(2 * np.sqrt(counted[counted > 0] / np.pi)))


def resized(cells: Array, factor: float) -> Array:
    """The label image `factor` times as large along each axis (at least one pixel), every pixel as its nearest one was."""
    rows, columns = (_nearest(length, max(1, round(length * factor))) for length in cells.shape)
    return np.asarray(cells[np.ix_(rows, columns)])


def without_gaps(cells: Array) -> Array:
    """``int32``, numbered 0, 1 … in the order of their values, with lines of 0 up to ``2 * GAP_PX`` wide given to cells."""
    _, dense = np.unique(np.append(cells.ravel(), 0), return_inverse=True)
    numbered = dense[:-1].reshape(cells.shape).astype(np.int32)
    closed: Array = expand_labels(numbered, GAP_PX) if (numbered == 0).any() else numbered
    return closed


def _nearest(length: int, wanted: int) -> Array:
    places: Array = np.minimum(((np.arange(wanted) + 0.5) * length / wanted).astype(int), length - 1)
    return places


def _whole(pixels: Array) -> bool:
    if np.issubdtype(pixels.dtype, np.integer):
        return True
    return np.issubdtype(pixels.dtype, np.floating) and bool(np.all(np.isfinite(pixels)) and np.all(pixels % 1 == 0))


def _levelled(membrane: Array) -> Floats:
    """Grey levels with an even spread, as floats."""
    grey = np.asarray(membrane, np.float32)
    finite = np.isfinite(grey)
    if not finite.all():
        grey = np.where(finite, grey, np.median(grey[finite]) if finite.any() else 0).astype(np.float32)
    return grey


def _ridges(grey: Floats, borders: Borders) -> Floats:
    """How much like a border each pixel is, 0 or more."""
    signs = {"bright": (1,), "dark": (-1,), "auto": (1, -1)}[borders]
    found = [np.max([_ridge(sign * grey, scale) for scale in SCALES_PX], axis=0) for sign in signs]
    return np.asarray(max(found, key=lambda ridge: float((ridge**2).sum())), np.float32)


def _ridge(grey: Floats, scale_px: float) -> Floats:
    """Curvature across the sharpest line through each pixel: minus the smaller eigenvalue of the Hessian, if above 0."""
    yy, xx, yx = (ndimage.gaussian_filter(grey, scale_px, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    smaller = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    return np.asarray(np.maximum(-smaller, 0) * scale_px**1.5, np.float32)


def _flooded(ridges: Floats, cell_px: float) -> Array:
    """Basins between ridges, about one for each cell of that size."""
    smooth = ndimage.gaussian_filter(ridges, cell_px / 12)
    lowest = ndimage.minimum_filter(smooth, size=max(3, int(cell_px / 2))) == smooth
    markers, _ = ndimage.label(lowest)
    return np.asarray(watershed(smooth, markers), np.int32)
