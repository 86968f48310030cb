"""Cells of an epithelium as a label image: telling one from a picture of membranes, and making one from such a picture.

A label image has one number per cell, 0 where there is none. Lines of 0 between cells, as many programs leave them, count
as the cells' border: whatever is up to `GAP_PX` from a cell is taken for that.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_values
from skimage.morphology import h_minima
from skimage.segmentation import expand_labels, watershed

from graticule.arrays.cell_borders import LEVEL_PX, Borders, border_map, bright_borders, guessed_cell_px
from graticule.arrays.regions import union
from graticule.errors import AnnotationError
from graticule.image import Array, Floats

GAP_PX = 2  # lines between cells are up to four pixels wide
THICK_PX = 2  # by which boundaries are thickened on either side, as the model card draws them at about 25 px a cell
ALIKE = 0.6  # share of neighbours with the same value, from which an image is piecewise constant
PIECES = 2.0  # regions per value, up to which values are names of cells: a crop cuts some cells in two
FEWEST_PX = 6  # mean size of such a region
TRIES = 3  # times that cells are outlined, each time knowing better how large they are
SURE = 1.15  # the factor up to which that need not be known better
STEEP = 0.08  # of the strength of strong borders: a basin less deep is no cell of its own
FAINT = 0.5  # of that strength: borders fainter than this on average are none
SOFT = 0.1  # strengths much below count alike
TINY = 0.08  # of the usual area: a cell so small needs borders twice as strong
ENOUGH = 2.0  # cells smaller by that factor are looked at as they are: enlarging adds time, not detail
LARGEST = 12.0  # times the usual area: a cell as large is no cell but where there is none


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
    grey = bright_borders(_floats(membrane), borders)
    if grey.min() == grey.max() or min(grey.shape) < 3:
        return np.ones(membrane.shape, np.int32)
    if cell_px:
        return _outlined(grey, cell_px)
    guess = size = guessed_cell_px(grey)
    for _ in range(TRIES):
        cells = _outlined(grey, size)
        if cells.max() < 2:
            break
        before, size = size, float(np.clip(cell_diameter_px(cells), guess / 2, guess * 2))
        if max(size / before, before / size) < SURE:
            break
    return cells


def boundaries(cells: Array) -> tuple[Array, Array]:
    """Where cells end, drawn thin and thick: two ``uint8`` images ``(y, x)`` of 0 and 1.

    Thin: one pixel wide, inside the cell whose neighbour to the right or below is another (the inner boundary). Thick:
    that, thickened by `THICK_PX` to either side. The frame of the image is no boundary; the edge of the tissue is.
    Lines of 0 between cells give the same as cells that touch, to within a pixel.
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
            "more to know how large cells are; give an image with more cells, or say what it shows: cells=labels or "
            "cells=membranes"
        )
    whole = area.copy()
    for edge in (closed[0], closed[-1], closed[:, 0], closed[:, -1]):
        whole[edge] = 0
    counted = whole if whole.any() else area
    return float(np.median(2 * np.sqrt(counted[counted > 0] / np.pi)))


def without_gaps(cells: Array) -> Array:
    """``int32``, numbered 0, 1 … in the order of their values, with lines of 0 up to ``2 * GAP_PX`` wide given to cells."""
    numbered = _numbered(cells)
    closed: Array = expand_labels(numbered, GAP_PX) if (numbered == 0).any() else numbered
    return closed


def _nearest(length: int, wanted: int) -> Array:
    places: Array = np.minimum(((np.arange(wanted) + 0.5) * length / wanted).astype(int), length - 1)
    return places


def _whole(pixels: Array) -> bool:
    if np.issubdtype(pixels.dtype, np.integer):
        return True
    return np.issubdtype(pixels.dtype, np.floating) and bool(np.all(np.isfinite(pixels)) and np.all(pixels % 1 == 0))


def _floats(membrane: Array) -> Floats:
    grey = np.asarray(membrane, np.float32)
    finite = np.isfinite(grey)
    if finite.all():
        return grey
    return np.where(finite, grey, np.median(grey[finite]) if finite.any() else 0).astype(np.float32)


def _outlined(grey: Floats, cell_px: float) -> Array:
    """Cells of about that size between bright borders: found where they are `LEVEL_PX` large, then fitted to the image."""
    zoom = LEVEL_PX / cell_px
    level = grey if 1 <= zoom < ENOUGH else _zoomed(grey, zoom)
    strength = border_map(level)
    strong = float(np.quantile(strength, 0.9))
    basins, _ = ndimage.label(h_minima(strength, STEEP * strong))
    cells = _joined(watershed(strength, basins).astype(np.int32), strength / max(strong, 1e-12))
    if level is not grey:
        cells = _fitted(cells, grey, cell_px)
    return _numbered(_without_wastes(cells))


def _zoomed(grey: Floats, zoom: float) -> Floats:
    smooth = ndimage.gaussian_filter(grey, 0.4 / zoom) if zoom < 1 else grey
    size = [max(1, round(length * zoom)) / length for length in grey.shape]
    return np.asarray(ndimage.zoom(smooth, size, order=1, mode="nearest", grid_mode=True))


def _fitted(cells: Array, grey: Floats, cell_px: float) -> Array:
    """Cells found on a picture of another size, on the grid of `grey`; borders that were moved lie on bright lines again."""
    rows, columns = (_nearest(n, wanted) for n, wanted in zip(cells.shape, grey.shape, strict=True))
    fitted: Array = cells[np.ix_(rows, columns)]
    if cell_px <= LEVEL_PX:
        return fitted
    unsure = ndimage.distance_transform_edt(boundaries(fitted)[0] == 0) < 2 * cell_px / LEVEL_PX
    return np.asarray(watershed(ndimage.gaussian_filter(grey, 0.08 * cell_px / LEVEL_PX), np.where(unsure, 0, fitted)))


def _joined(cells: Array, strength: Floats) -> Array:
    """Cells joined over faint borders, the faintest first, until all that are left are strong enough.

    In rounds: each joins those whose faintest border is the same one.
    """
    area = np.bincount(cells.ravel()).astype(float)
    pairs, weakness, length = _borders(cells, strength)
    number = np.arange(len(area))
    usual = np.pi * LEVEL_PX**2 / 4
    while len(pairs):
        mean = (length / weakness - SOFT) * np.where(area[pairs].min(axis=1) < TINY * usual, 0.5, 1.0)
        faintest = np.full(len(area), np.inf)
        for side in pairs.T:
            np.minimum.at(faintest, side, mean)
        join = (mean < FAINT) & (mean <= faintest[pairs].min(axis=1))
        if not join.any():
            break
        groups, group = union(len(area), pairs[join])
        number = group[number]
        area = np.bincount(group, area, groups)
        pairs, weakness, length = _summed(group[pairs], weakness, length)
    return number[cells].astype(np.int32)


def _borders(cells: Array, strength: Floats) -> tuple[Array, Array, Array]:
    """``(m, 2)`` cells that touch, each pair once; along their border the sum of 1 / strength, and its length in pixels.

    The harmonic mean that follows is nearest to what is faint: a border is as good as its gaps.
    """
    pairs, along = [], []
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = cells[before] != cells[after]
        pairs.append(np.stack([cells[before][differ], cells[after][differ]], axis=1))
        along.append(np.maximum(strength[before][differ], strength[after][differ]))
    weakness = 1 / (np.concatenate(along).astype(float) + SOFT)
    return _summed(np.concatenate(pairs).astype(np.int64), weakness, np.ones(len(weakness)))


def _summed(pairs: Array, total: Array, length: Array) -> tuple[Array, Array, Array]:
    """The same with each pair once, whichever comes first, and none of a cell with itself."""
    pairs = np.sort(pairs, axis=1)
    width = int(pairs.max(initial=0)) + 1
    keys, which = np.unique(pairs[:, 0] * width + pairs[:, 1], return_inverse=True)
    total, length = (np.bincount(which, amount, len(keys)) for amount in (total, length))
    once = np.stack([keys // width, keys % width], axis=1)
    apart = once[:, 0] != once[:, 1]
    return once[apart], total[apart], length[apart]


def _without_wastes(cells: Array) -> Array:
    """0 in place of what is far too large for a cell."""
    area = np.bincount(cells.ravel())
    usual = np.median(area[area > 0])
    waste = area > LARGEST * usual
    return np.where(waste[cells] & (np.count_nonzero(area) > 2), 0, cells)


def _numbered(cells: Array) -> Array:
    _, dense = np.unique(np.append(cells.ravel(), 0), return_inverse=True)
    return dense[:-1].reshape(cells.shape).astype(np.int32)
