"""What was found, or is known to be there: points, or labelled voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from graticule.image import Array, Image


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Objects with a place but no outline.

    Attributes
    ----------
    position_um
        ``(N, ndim)``, in the order of the image's axes (``(z,) y, x``).
    confidence
        ``(N,)`` in 0 … 1; ones for what a person marked.
    kind
        ``(N,)`` integers into `kinds`.
    kinds
        Names of the classes, e.g. ``("6nm", "12nm")``.
    diameter_um
        ``(N,)``, or None where no size was measured.
    """

    position_um: Array
    confidence: Array
    kind: Array
    kinds: tuple[str, ...]
    diameter_um: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.position_um)
        if self.position_um.ndim != 2:
            raise ValueError(f"positions have shape {self.position_um.shape}, need (N, ndim)")
        if self.confidence.shape != (n,) or self.kind.shape != (n,):
            raise ValueError(f"{n} positions, but confidence {self.confidence.shape} and kind {self.kind.shape}")
        if self.diameter_um is not None and self.diameter_um.shape != (n,):
            raise ValueError(f"{n} positions, but diameters {self.diameter_um.shape}")
        if n and not (0 <= self.kind.min() and self.kind.max() < len(self.kinds)):
            raise ValueError(f"kinds {np.unique(self.kind)} do not all name one of {self.kinds}")

    def __len__(self) -> int:
        return len(self.position_um)

    @classmethod
    def marked(cls, position_um: Array, kind: Array | None = None, kinds: tuple[str, ...] = ("object",)) -> Points:
        """Points a person vouches for: confidence 1."""
        n = len(position_um)
        kind = np.zeros(n, int) if kind is None else np.asarray(kind, int)
        return cls(np.asarray(position_um, float), np.ones(n), kind, kinds)

    @classmethod
    def none(cls, ndim: int, kinds: tuple[str, ...] = ("object",)) -> Points:
        """No points at all."""
        return cls.marked(np.zeros((0, ndim)), kinds=kinds)

    def __getitem__(self, keep: Array | slice) -> Points:
        """The points that a boolean mask, an index array or a slice selects."""
        diameter = None if self.diameter_um is None else self.diameter_um[keep]
        return Points(self.position_um[keep], self.confidence[keep], self.kind[keep], self.kinds, diameter)

    def of_kind(self, name: str) -> Points:
        return self[self.kind == self.kinds.index(name)]

    def named(self, kinds: Sequence[str]) -> Points:
        """The same points with `kinds` as the table of names; every kind in use must be in it."""
        table = tuple(kinds)
        unknown = sorted({self.kinds[k] for k in np.unique(self.kind)} - set(table))
        if unknown:
            raise ValueError(f"points of class {', '.join(unknown)}; known classes are {', '.join(table)}")
        index = np.array([table.index(name) if name in table else -1 for name in self.kinds], int)
        return replace(self, kind=index[self.kind] if len(self) else self.kind, kinds=table)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Objects with an outline: integer voxels, 0 is background, one number per object. A mask is labels with one object."""

    image: Image

    def __post_init__(self) -> None:
        if not np.issubdtype(self.image.data.dtype, np.integer) and self.image.data.dtype != bool:
            raise ValueError(f"labels are whole numbers, got {self.image.data.dtype}")


Result = Points | Labels
