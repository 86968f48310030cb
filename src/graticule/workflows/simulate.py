"""A dataset of images whose contents are known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graticule.errors import SettingsError
from graticule.io import dataset
from graticule.settings import checked

SIZE, DIMENSIONS = "shape_px", "dimensions"
"""The field of every kind of scenes that `size_px` sets, and that of kinds that may be planes or volumes."""

USUAL_PX = {2: (512, 512), 3: (96, 96, 96)}
"""Of images whose kind of scenes says nothing else, by `usual_px`."""


def simulate(
    kind: type[Any],
    folder: Path,
    *,
    count: int,
    size_px: int = 0,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> dataset.Dataset:
    """Draw `count` images of the scenes `kind` and write them, with their truth, to the new folder `folder`.

    They have `size_px` pixels along each axis; 0: as usual for the kind, mostly 512 in a plane and 96 in a volume.
    """
    if count < 1 or size_px < 0:
        raise SettingsError(
            f"found {count} images of {size_px} pixels; need at least 1 of each; change --count or --size"
        )
    given = dict(settings or {})
    ndim = _dimensions(kind, given)
    usual = getattr(kind, "usual_px", USUAL_PX).get(ndim, (1,) * ndim)
    shape = (size_px,) * ndim if size_px else usual
    scenes = kind(**checked(kind, {**given, SIZE: shape}, "settings"))
    dataset.write(
        folder,
        list(scenes.examples(count, seed=seed)),
        classes=_classes(scenes),
        diameters_nm=dict(_pairs(scenes, "diameters_nm")),
        unannotated=dict(_pairs(scenes, "unmarked_nm")),
    )
    return dataset.load(folder)


def _dimensions(kind: type[Any], settings: Mapping[str, Any]) -> int:
    """Planes, but for kinds that say otherwise."""
    usual = next((field.default for field in fields(kind) if field.name == DIMENSIONS), 2)
    return int(settings.get(DIMENSIONS, usual))


def _classes(scenes: Any) -> tuple[str, ...]:
    own: tuple[str, ...] = getattr(scenes, "classes", ())
    return own or tuple(name for name, _ in _pairs(scenes, "diameters_nm"))


def _pairs(scenes: Any, name: str) -> tuple[tuple[str, float], ...]:
    """Names of classes and their diameters, where the scenes have classes."""
    return getattr(scenes, name) if name in {field.name for field in fields(scenes)} else ()
