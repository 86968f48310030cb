"""``dataset.yaml``: what a folder of annotated images says of itself. Any key may be left out; none may be unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from graticule.errors import DatasetError
from graticule.io.atomic import replacing
from graticule.io.naming import unknown
from graticule.io.placing import UNITS

FILE = "dataset.yaml"

FOR_PEOPLE = ("task", "files", "licence", "license", "copy_into_project", "source", "caveats")
"""Keys that are allowed and not read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header:
    """What ``dataset.yaml`` says.

    Attributes
    ----------
    name
        Of the dataset; the folder's name where none is given.
    axes
        Of all images, in lower case; empty: as the files say.
    pixel_size_um, pixel_size_um_by_image
        Along the spatial axes ``(z,) y, x``, of all images and of single ones.
    classes
        Of points, in the order they are numbered.
    diameters_nm
        By class.
    unannotated
        Diameters in nm of classes that are in the images and were never marked.
    groups
        Specimens, and the images of each.
    split
        Names such as ``train`` and ``test``, and the images of each.
    points_unit
        Of bare ``x,y`` columns: ``px``, ``um`` or ``nm``.
    channel
        Which one to read of images with several.
    """

    name: str
    axes: str = ""
    pixel_size_um: tuple[float, ...] | None = None
    pixel_size_um_by_image: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    diameters_nm: Mapping[str, float] = field(default_factory=dict)
    unannotated: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: Mapping[str, tuple[str, ...]] | None = None
    points_unit: str | None = None
    channel: str | None = None


def read(folder: Path) -> tuple[Header, list[DatasetError]]:
    """What the file in `folder` says, and everything that is wrong with it; a file that is not there says nothing."""
    path = folder / FILE
    raw, wrong = _mapping(path)
    known = (*PARSERS, *FOR_PEOPLE)
    wrong += [DatasetError(f"{path}: {unknown('key', str(key), known)}") for key in raw if key not in known]
    values: dict[str, Any] = {"name": folder.resolve().name}
    for key, parse in PARSERS.items():
        if raw.get(key) is None:
            continue
        try:
            values[key] = parse(raw[key])
        except (TypeError, ValueError) as error:
            wrong.append(DatasetError(f"{path}: found {key}: {raw[key]!r}; {error}"))
    header = Header(**values)
    return header, [*wrong, *_contradictions(header, path)]


def _mapping(path: Path) -> tuple[dict[Any, Any], list[DatasetError]]:
    if not path.exists():
        return {}, []
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        return {}, [DatasetError(f"{path}: found no readable YAML ({said}); need lines such as pixel_size_um: 0.1")]
    if raw is None:
        return {}, []
    if not isinstance(raw, dict):
        return {}, [DatasetError(f"{path}: found a {type(raw).__name__}; need lines such as pixel_size_um: 0.1")]
    return raw, []


def _contradictions(header: Header, path: Path) -> list[DatasetError]:
    wrong = []
    for group, other in _shared(header.groups):
        names = ", ".join(sorted(set(header.groups[group]) & set(header.groups[other])))
        wrong.append(f"found {names} in groups {group} and {other}; need each image in one; correct groups")
    for part, other in _shared(header.split or {}):
        names = ", ".join(sorted(set((header.split or {})[part]) & set((header.split or {})[other])))
        wrong.append(f"found {names} in {part} and {other}; need each image in one part; correct split")
    wrong += _divided(header)
    if header.classes:
        wrong += [
            unknown("class in diameters_nm", k, header.classes) for k in header.diameters_nm if not _is(k, header)
        ]
    both = sorted(set(header.classes) & set(header.unannotated))
    if both:
        wrong.append(
            f"found {', '.join(both)} in classes and in unannotated; need each in one; remove it from the other"
        )
    return [DatasetError(f"{path}: {what}") for what in wrong]


def _is(name: str, header: Header) -> bool:
    return name in header.classes or name in header.unannotated


def _shared(parts: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    names = list(parts)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [(a, b) for a, b in pairs if set(parts[a]) & set(parts[b])]


def _divided(header: Header) -> list[str]:
    """A specimen on both sides of a split would let training see what it is tested on."""
    wrong = []
    for group, images in header.groups.items():
        parts = [part for part, listed in (header.split or {}).items() if set(listed) & set(images)]
        if len(parts) > 1:
            sides = " and ".join(parts)
            wrong.append(f"found group {group} divided between {sides}; need each specimen on one side; correct split")
    return wrong


# -- values ------------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    raise ValueError("need a name")


def _axes(value: Any) -> str:
    axes = _text(value).lower()
    if not set("yx") <= set(axes) or set(axes) - set("czyx") or len(set(axes)) < len(axes):
        raise ValueError("need YX or ZYX, with C for channels")
    return axes


def _unit(value: Any) -> str:
    if value not in UNITS:
        raise ValueError(f"need one of {', '.join(UNITS)}")
    return str(value)


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (np.isfinite(value) and value > 0):
        raise ValueError("need positive numbers")
    return float(value)


def _sizes(value: Any) -> tuple[float, ...]:
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= 3:
        raise ValueError("need one number in µm, or one per axis in the order z, y, x")
    return tuple(_positive(entry) for entry in entries)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("need a list of names, e.g. [a, b]")
    names = tuple(_text(entry) for entry in value)
    if len(set(names)) < len(names):
        raise ValueError("need each name once")
    return names


def _by_name(parse: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    def parsed(value: Any) -> dict[str, T]:
        if not isinstance(value, dict):
            raise ValueError("need names with a value each, e.g. {a: …, b: …}")
        return {_text(name): parse(entry) for name, entry in value.items()}

    return parsed


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "name": _text,
    "axes": _axes,
    "pixel_size_um": _sizes,
    "pixel_size_um_by_image": _by_name(_sizes),
    "classes": _names,
    "diameters_nm": _by_name(_positive),
    "unannotated": _by_name(_positive),
    "groups": _by_name(_names),
    "split": _by_name(_names),
    "points_unit": _unit,
    "channel": _text,
}
"""Keys that are read, and how."""


def write(header: Header, folder: Path) -> None:
    """What is not at its default, so that people meet only what matters."""
    bare = Header(header.name)
    said = {key: _plain(getattr(header, key)) for key in PARSERS if getattr(header, key) != getattr(bare, key)}
    text = yaml.safe_dump({"name": header.name, **said}, sort_keys=False, allow_unicode=True, width=120)
    with replacing(folder / FILE) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def _plain(value: Any) -> Any:
    """What YAML has a word for."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value
