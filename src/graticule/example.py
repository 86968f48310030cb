"""An annotated image, as training and evaluation see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graticule.image import Array, Image
from graticule.results import Result


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image, what is in it, and where that is known to be all.

    Attributes
    ----------
    name
        The image's file name without its suffix.
    complete
        A mask on the image's own voxels: not 0 where the annotation is complete, so that an unmarked place there is
        background. Elsewhere it is unknown: neither trained as background nor scored. None: complete everywhere.
    specimen
        Images of one specimen never lie on both sides of a split.
    """

    name: str
    image: Image
    truth: Result
    complete: Image | None = None
    specimen: str = ""

    def __post_init__(self) -> None:
        if self.complete is not None and self.complete.shape != self.image.shape:
            raise ValueError(f"{self.name}: mask {self.complete.shape} and image {self.image.shape} differ in shape")
        if not self.specimen:
            object.__setattr__(self, "specimen", self.name)

    def is_complete_at(self, position_um: Array) -> Array:
        """``(N,)`` booleans: which of the places ``(N, ndim)`` lie where the annotation is complete, and in the image."""
        voxels = np.round(self.image.to_voxels(position_um)).astype(int)
        inside: Array = np.all((voxels >= 0) & (voxels < np.array(self.image.shape)), axis=1)
        if self.complete is None:
            return inside
        where = np.clip(voxels, 0, np.array(self.image.shape) - 1)
        marked: Array = np.asarray(self.complete.data[...])[tuple(where.T)] != 0
        both: Array = inside & marked
        return both
