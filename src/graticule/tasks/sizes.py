"""How many dimensions, how large a patch: what tasks that outline ask of annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example


def for_each_axis(values: tuple[Any, ...], ndim: int, field: str) -> tuple[Any, ...]:
    """One value for every axis, from one for all or one each; `field` is the setting they come from.

    >>> for_each_axis((5.0,), 3, "working_nm")
    (5.0, 5.0, 5.0)
    """
    if len(values) not in (1, ndim):
        raise SettingsError(f"found {len(values)} {field} for {ndim} dimensions; give one number, or one for each axis")
    return values * ndim if len(values) == 1 else values


def dimensions_of(examples: Sequence[Example], wanted: int = 0) -> int:
    """2 or 3, as the images have, which must be alike, and as is `wanted` if that is not 0."""
    by_ndim = {example.image.ndim: example.name for example in examples}
    if len(by_ndim) > 1:
        raise AnnotationError(
            f"found planes ({by_ndim[2]}) and volumes ({by_ndim[3]}); a model is for either; use two datasets"
        )
    found = next(iter(by_ndim), wanted or 3)
    if wanted not in (0, found):
        raise AnnotationError(f"found images of {found} dimensions ({by_ndim[found]}), but dimensions is {wanted}")
    return found


def fitting_patch(
    examples: Sequence[Example], spacing_um: tuple[float, ...], usual: tuple[int, ...], multiple: int | Sequence[int]
) -> tuple[int, ...]:
    """The usual patch, or less along axes of which a quarter may be held out and the rest would be smaller than it.

    Sides are multiples of `multiple`, of one number or one for each axis, on voxels of `spacing_um`.
    """
    steps = np.broadcast_to(multiple, len(usual))
    sizes = [np.array(e.image.shape) * e.image.spacing_um / spacing_um for e in examples]
    room = np.min(sizes, axis=0) * 0.75 // steps * steps
    return tuple(int(np.clip(n, step, most)) for n, step, most in zip(room, steps, usual, strict=True))
