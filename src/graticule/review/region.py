"""Some voxels of an image: what a reviewer paints, and what the parts of a divided object are."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np

from graticule.box import Box
from graticule.errors import AnnotationError
from graticule.image import Array


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A mask in a box: small, wherever in a large image it lies.

    Attributes
    ----------
    start
        First voxel of the box, along each axis of the image.
    mask
        ``(*shape)`` booleans; not empty.
    """

    start: tuple[int, ...]
    mask: Array

    def __post_init__(self) -> None:
        if self.mask.ndim != len(self.start) or not self.mask.any():
            raise AnnotationError(
                f"found a region of {int(self.mask.sum())} voxels at {self.start}; need at least one voxel; draw it anew"
            )

    @classmethod
    def of(cls, mask: Array, start: tuple[int, ...] = ()) -> Self:
        """The voxels of `mask`, whose first lies at `start` (zeros unless given), in the smallest box around them."""
        start = start or (0,) * mask.ndim
        if not mask.any():
            return cls(start, np.asarray(mask, bool))
        spans = [np.flatnonzero(mask.any(axis=tuple(set(range(mask.ndim)) - {a}))) for a in range(mask.ndim)]
        inner = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
        return cls(tuple(o + s.start for o, s in zip(start, inner, strict=True)), np.asarray(mask[inner], bool).copy())

    @property
    def box(self) -> Box:
        return Box(self.start, tuple(a + n for a, n in zip(self.start, self.mask.shape, strict=True)))

    @property
    def centre(self) -> Array:
        """``(ndim,)``: mean place of its voxels, in voxels of the image."""
        inside: Array = np.argwhere(self.mask).mean(axis=0) + self.start
        return inside

    @property
    def voxels(self) -> int:
        return int(np.count_nonzero(self.mask))

    def to_plain(self) -> dict[str, Any]:
        """For JSON: the mask in bits, packed and compressed."""
        packed = zlib.compress(np.packbits(self.mask).tobytes(), 9)
        return {"start": list(self.start), "shape": list(self.mask.shape), "bits": base64.b64encode(packed).decode()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_plain`."""
        shape = tuple(int(n) for n in plain["shape"])
        bits = np.frombuffer(zlib.decompress(base64.b64decode(plain["bits"])), np.uint8)
        mask = np.unpackbits(bits, count=prod(shape)).astype(bool).reshape(shape)
        return cls(tuple(int(n) for n in plain["start"]), mask)
