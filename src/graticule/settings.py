"""A task's settings as plain values and back: for model files, settings files and training states."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from graticule.errors import SettingsError

T = TypeVar("T")


def to_plain(value: Any) -> dict[str, Any]:
    """The fields of a frozen dataclass as numbers, texts and lists: what JSON and TOML can hold."""
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def from_plain(kind: type[T], plain: Mapping[str, Any], source: str = "settings") -> T:
    """The inverse of `to_plain`. Unknown keys are refused with the nearest valid name, wrong types with the right one."""
    hints = get_type_hints(kind)
    names = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in plain:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
            raise SettingsError(f"{source}: found unknown key {key!r}; the nearest is {near[0]!r}; known are {', '.join(names)}")
    missing = [n for n, f in names.items() if n not in plain and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise SettingsError(f"{source}: found no {', '.join(missing)}; add them")
    return kind(**{key: _typed(value, hints[key], key, source) for key, value in plain.items()})


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _typed(value: Any, wanted: Any, key: str, source: str) -> Any:
    """`value` as the annotated type: lists become tuples, whole numbers become floats where a float is wanted."""
    inner = getattr(wanted, "__args__", ())
    if inner:
        if not isinstance(value, (list, tuple)):
            value = [value]
        return tuple(_typed(v, inner[0], key, source) for v in value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    raise SettingsError(f"{source}: {key} is {value!r}; it must be of type {wanted.__name__}")
