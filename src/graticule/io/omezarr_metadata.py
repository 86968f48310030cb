"""What OME-Zarr says about an image in its group: versions 0.4 and 0.5 are read, 0.5 is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graticule.errors import FormatError
from graticule.image import SPATIAL
from graticule.io.address import Source
from graticule.io.lengths import in_um, tidy

VERSION = "0.5"
READABLE = ("0.4", "0.5")
ASK_AGAIN = "export it again as OME-Zarr 0.4 or 0.5"


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """One array of a pyramid; `scale` and `translation` have one entry per axis, in the units of the axes."""

    path: str
    scale: tuple[float, ...] | None
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Multiscale:
    """An image, as its metadata describe it.

    Attributes
    ----------
    axes
        One letter per dimension: z, y, x, c, t; ``?`` for what has another name.
    units
        One per axis, empty where none is given.
    levels
        From fine to coarse.
    channels
        Their names.
    labels
        The voxels are numbers of objects.
    """

    axes: str
    units: tuple[str, ...]
    levels: tuple[Level, ...]
    channels: tuple[str, ...] = ()
    labels: bool = False

    def level(self, path: str) -> Level | None:
        """The level stored at `path`; or, if there is none, of this number."""
        named = next((level for level in self.levels if level.path == path), None)
        if named is None and path.isdecimal() and int(path) < len(self.levels):
            return self.levels[int(path)]
        return named

    def sizes_um(self, level: Level) -> tuple[dict[str, float], str]:
        """Micrometres by spatial axis, and a sentence on where they are from, or why there are none."""
        if level.scale is None:
            return {}, "the OME metadata give no voxel size"
        by_axis = dict(zip(self.axes, zip(level.scale, self.units, strict=True), strict=True))
        spatial = {axis: by_axis[axis] for axis in self.axes if axis in SPATIAL}
        if bare := [axis for axis, (_, unit) in spatial.items() if not unit]:
            numbers = " × ".join(f"{scale:g}" for scale, _ in spatial.values())
            return {}, f"the OME metadata give a voxel size of {numbers} without a unit for {', '.join(bare)}"
        for scale, unit in spatial.values():
            if in_um(unit) is None:
                return {}, f"the OME metadata give a voxel size in {unit!r}, which is no length"
            if not (np.isfinite(scale) and scale > 0):
                return {}, f"the OME metadata give a voxel size of {scale:g}, which is no length"
        units = ", ".join(dict.fromkeys(unit for _, unit in spatial.values()))
        return {a: _um(scale, unit) for a, (scale, unit) in spatial.items()}, f"voxel size from OME-Zarr, unit {units}"

    def origin_um(self, level: Level) -> tuple[float, ...]:
        """Where the first voxel's centre lies, along each spatial axis; only of use where voxel sizes are known."""
        along = zip(self.axes, level.translation, self.units, strict=True)
        return tuple(_um(start, unit) for axis, start, unit in along if axis in SPATIAL)


def _um(length: float, unit: str) -> float:
    per_um = in_um(unit) or 1.0
    return float(length) if per_um == 1 else tidy(length * per_um)


def parse(said: Mapping[str, Any], source: Source) -> Multiscale | None:
    """What the attributes of a group say; None where they say nothing of an image."""
    ome = said.get("ome", said)
    if not isinstance(ome, Mapping) or "multiscales" not in ome:
        return None
    try:
        first = ome["multiscales"][0]
        axes, units = _axes(first["axes"])
        return Multiscale(axes, units, tuple(_levels(first, len(axes))), _channels(ome), "image-label" in ome)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        version = _version(ome)
        known = "" if version in READABLE else f" of version {version}" if version else " of an unknown version"
        raise FormatError(
            f"{source}: found OME metadata{known} that cannot be made out ({type(error).__name__}: {error}); need "
            f"multiscales with axes and datasets; {ASK_AGAIN}"
        ) from error


def _version(ome: Mapping[str, Any]) -> str:
    """Version 0.4 has it in the multiscales, 0.5 beside them."""
    scales = ome.get("multiscales")
    first = scales[0] if isinstance(scales, list) and scales and isinstance(scales[0], Mapping) else {}
    return str(ome.get("version") or first.get("version") or "")


def _axes(said: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    """Version 0.3 names axes without more; before that they had no names, and are asked for."""
    entries = [{"name": axis} if isinstance(axis, str) else axis for axis in said]
    return "".join(_letter(axis) for axis in entries), tuple(str(axis.get("unit") or "") for axis in entries)


def _letter(axis: Mapping[str, Any]) -> str:
    name = str(axis["name"]).lower()
    if name in ("z", "y", "x", "c", "t"):
        return name
    return {"channel": "c", "time": "t"}.get(str(axis.get("type")), "?")


def _levels(first: Mapping[str, Any], ndim: int) -> list[Level]:
    shared = first.get("coordinateTransformations") or []
    levels = []
    for entry in first["datasets"]:
        steps = [*(entry.get("coordinateTransformations") or []), *shared]
        scale, translation = _combined(steps, ndim)
        sized = any(step["type"] == "scale" for step in steps)
        levels.append(Level(str(entry["path"]).strip("/"), scale if sized else None, translation))
    if not levels:
        raise ValueError("datasets is empty")
    return levels


def _combined(steps: Sequence[Mapping[str, Any]], ndim: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """One scale and one translation that do what `steps` do one after the other."""
    scale, translation = np.ones(ndim), np.zeros(ndim)
    for step in steps:
        match step["type"]:
            case "scale":
                factor = _numbers(step["scale"], ndim)
                scale, translation = scale * factor, translation * factor
            case "translation":
                translation = translation + _numbers(step["translation"], ndim)
            case "identity":
                pass
            case other:
                raise ValueError(f"a transformation of type {other!r}")
    return tuple(map(float, scale)), tuple(map(float, translation))


def _numbers(said: Any, ndim: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    numbers = np.array([float(number) for number in said])
    if len(numbers) != ndim or not np.isfinite(numbers).all():
        raise ValueError(f"{list(said)} for {ndim} axes")
    return numbers


def _channels(ome: Mapping[str, Any]) -> tuple[str, ...]:
    """Names are a courtesy: what is wrong with them keeps no one from the voxels."""
    said = ome.get("omero")
    listed = said.get("channels") if isinstance(said, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(channel, Mapping) for channel in listed):
        return ()
    return tuple(str(channel.get("label") or "") for channel in listed)


# -- writing -----------------------------------------------------------------------------------------------------------


def multiscales(
    name: str,
    axes: str,
    spacing_um: Sequence[tuple[float, ...]],
    origin_um: Sequence[tuple[float, ...]],
    *,
    labels: bool,
) -> dict[str, Any]:
    """The entry ``multiscales`` for levels 0, 1, … with these voxel sizes and origins, in the order of `axes`."""
    datasets = [
        {"path": str(level), "coordinateTransformations": _transformations(axes, spacing, origin)}
        for level, (spacing, origin) in enumerate(zip(spacing_um, origin_um, strict=True))
    ]
    said = {
        "type": "mode" if labels else "mean",
        "metadata": {"description": f"{'most frequent' if labels else 'mean'} of the voxels in a coarser one"},
    }
    return {"name": name, "axes": [_axis(letter) for letter in axes], "datasets": datasets, **said}


def _axis(letter: str) -> dict[str, str]:
    if letter in SPATIAL:
        return {"name": letter, "type": "space", "unit": "micrometer"}
    return {"name": letter, "type": {"c": "channel", "t": "time"}[letter]}


def _transformations(axes: str, spacing: tuple[float, ...], origin: tuple[float, ...]) -> list[dict[str, Any]]:
    """Translation comes after scale, and so is in µm; other axes have neither."""
    scale, translation = [1.0] * len(axes), [0.0] * len(axes)
    for at, size, start in zip((i for i, a in enumerate(axes) if a in SPATIAL), spacing, origin, strict=True):
        scale[at], translation[at] = float(size), float(start)
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]


def omero(channels: Sequence[str], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Names of channels, with what the specification demands beside them for viewers: a colour and a range of grey."""
    low, high = (0.0, 1.0) if dtype.kind == "f" else _range(dtype)
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"channels": [{"label": name, "color": "FFFFFF", "window": window, "active": True} for name in channels]}


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    return (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
