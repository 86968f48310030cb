"""A dataset of images whose contents are known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graticule.errors import SettingsError
from graticule.io import dataset
from graticule.settings import checked

SIZE = "shape_px"
"""The field of every kind of scenes that `size_px` sets."""


def simulate(
    kind: type[Any], folder: Path, *, count: int, size_px: int, seed: int = 0, settings: Mapping[str, Any] | None = None
) -> dataset.Dataset:
    """Draw `count` square images of the scenes `kind` and write them, with their truth, to the new folder `folder`."""
    if count < 1 or size_px < 1:
        raise SettingsError(
            f"found {count} images of {size_px} pixels; need at least 1 of each; change --count or --size"
        )
    scenes = kind(**checked(kind, {**(settings or {}), SIZE: (size_px, size_px)}, "settings"))
    dataset.write(
        folder,
        list(scenes.examples(count, seed=seed)),
        classes=_classes(scenes),
        diameters_nm=dict(_pairs(scenes, "diameters_nm")),
        unannotated=dict(_pairs(scenes, "unmarked_nm")),
    )
    return dataset.load(folder)


def _classes(scenes: Any) -> tuple[str, ...]:
    return tuple(name for name, _ in _pairs(scenes, "diameters_nm"))


def _pairs(scenes: Any, name: str) -> tuple[tuple[str, float], ...]:
    """Names of classes and their diameters, where the scenes have classes."""
    return getattr(scenes, name) if name in {field.name for field in fields(scenes)} else ()
