"""A task's settings as plain values and back: for model files, settings files and training states."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from graticule.errors import SettingsError

T = TypeVar("T")


def to_plain(value: Any) -> dict[str, Any]:
    """The fields of a frozen dataclass as numbers, texts and lists: what JSON and TOML can hold."""
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def from_plain(kind: type[T], plain: Mapping[str, Any], source: str = "settings") -> T:
    """The inverse of `to_plain`. Unknown keys are refused with the nearest name, wrong types with the right one."""
    values = checked(kind, plain, source)
    missing = [f.name for f in fields(kind) if f.name not in plain and _has_no_default(f)]  # type: ignore[arg-type]
    if missing:
        raise SettingsError(f"{source}: found no {', '.join(missing)}; add them")
    return kind(**values)


def checked(kind: type[Any], plain: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Some of the settings of `kind`, as the types of its fields; the first unknown key or wrong type is refused."""
    hints = {f.name: get_type_hints(kind)[f.name] for f in fields(kind)}
    for key in plain:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.0)
            raise SettingsError(
                f"{source}: found unknown key {key!r}; the nearest is {near[0]!r}; known are {', '.join(hints)}"
            )
    return {key: _typed(value, hints[key], key, source) for key, value in plain.items()}


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What the docstring's ``Attributes`` say of each field, in one line; fields described together share it."""
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    start = next((i + 2 for i, line in enumerate(lines) if line == "Attributes"), len(lines))
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in lines[start:]:
        if line.startswith(" "):
            for name in names:
                found[name].append(line.strip())
        elif line:
            names = [name.strip() for name in line.split(",")]
            found |= {name: [] for name in names}
    return {name: " ".join(words) for name, words in found.items()}


def _has_no_default(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _typed(value: Any, wanted: Any, key: str, source: str) -> Any:
    """`value` as the annotated type: lists become tuples, whole numbers become floats where a float is wanted."""
    inner = get_args(wanted)
    if get_origin(wanted) is Literal:
        if value not in inner:
            raise SettingsError(f"{source}: {key} is {value!r}; it must be one of {', '.join(map(str, inner))}")
        return value
    if inner:
        if not isinstance(value, (list, tuple)):
            value = [value]
        return tuple(_typed(v, inner[0], key, source) for v in value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    raise SettingsError(f"{source}: {key} is {value!r}; it must be of type {wanted.__name__}")
