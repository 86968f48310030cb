"""A mask that says where to look: blocks without any of it are skipped, and results are clipped to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from graticule.box import Box
from graticule.errors import FormatError
from graticule.image import Array, Image


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """`mask` seen on the voxels of another image that shows the same piece of the world, maybe at another size.

    Attributes
    ----------
    mask
        Not 0 where objects may be; may be larger than memory.
    image
        The image that is looked at.
    margin_um
        How far outside the mask is still allowed.
    """

    mask: Image
    image: Image
    margin_um: float = 0.0

    def __post_init__(self) -> None:
        if len(self.mask.axes) != self.mask.ndim or self.mask.ndim != self.image.ndim:
            raise FormatError(
                f"found a mask with axes {self.mask.axes!r} for an image with {self.image.axes!r}; need one channel and "
                "the image's axes; choose a channel, or make it from the image"
            )
        ours, theirs = _extent(self.mask), _extent(self.image)
        within = np.maximum(self.mask.spacing_um, self.image.spacing_um)
        if (np.abs(ours - theirs) > within).any():
            raise FormatError(
                f"found a mask of {_said(self.mask)} for an image of {_said(self.image)}; they must show the same; "
                "make the mask on this image, or give its voxel size"
            )

    def on(self, box: Box) -> Array:
        """Booleans on the voxels of `box`: where objects may be."""
        reach = tuple(int(np.ceil(self.margin_um / s)) for s in self.image.spacing_um)
        start = tuple(max(0, a - r) for a, r in zip(box.start, reach, strict=True))
        stop = tuple(min(n, b + r) for b, r, n in zip(box.stop, reach, self.image.shape, strict=True))
        wide = Box(start, stop)
        inside = self._nearest(wide)
        if self.margin_um > 0 and inside.any() and not inside.all():
            inside = distance_transform_edt(~inside, sampling=self.image.spacing_um) <= self.margin_um
        return inside[box.relative_to(wide.start).slices()]

    def _nearest(self, box: Box) -> Array:
        """The mask's voxel nearest to each of `box`."""
        places = [
            np.clip(np.floor((o + s * np.arange(a, b) - mo) / ms + 0.5).astype(int), 0, n - 1)
            for a, b, o, s, mo, ms, n in zip(
                box.start,
                box.stop,
                self.image.origin_um,
                self.image.spacing_um,
                self.mask.origin_um,
                self.mask.spacing_um,
                self.mask.shape,
                strict=True,
            )
        ]
        window = tuple(slice(int(p[0]), int(p[-1]) + 1) for p in places)
        voxels = np.asarray(self.mask.data[window]) != 0
        near: Array = voxels[np.ix_(*(p - p[0] for p in places))]
        return near


def bounds(allowed: Array, start: tuple[int, ...]) -> Box:
    """The smallest box around all that is true in `allowed`, whose first voxel is `start`."""
    low, high = [], []
    for axis, first in enumerate(start):
        along = np.flatnonzero(allowed.any(axis=tuple(a for a in range(allowed.ndim) if a != axis)))
        low.append(first + int(along[0]))
        high.append(first + int(along[-1]) + 1)
    return Box(tuple(low), tuple(high))


def _extent(image: Image) -> Array:
    """``(2, ndim)``: the outer edges of the first and the last voxels, in µm."""
    spacing, origin = np.array(image.spacing_um), np.array(image.origin_um)
    first: Array = origin - spacing / 2
    return np.stack([first, first + spacing * image.shape])


def _said(image: Image) -> str:
    return f"{' x '.join(map(str, image.shape))} voxels of {' x '.join(f'{s:g}' for s in image.spacing_um)} µm"
