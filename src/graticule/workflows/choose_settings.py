"""From defaults, a preset, a settings file and what was typed to a task; each counts for more than those before."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from graticule.errors import DatasetError, SettingsError
from graticule.io.dataset import Dataset
from graticule.io.naming import unknown
from graticule.settings import checked
from graticule.task import Task, Trainable
from graticule.tasks import PRESETS, TASKS

Settings = Mapping[str, Any]


def choose(
    kind: type[Any],
    dataset: Dataset,
    given: Settings,
    *,
    preset: str | None = None,
    file: Path | None = None,
    start: Task | None = None,
) -> Trainable:
    """The task `kind` with what the user chose, and the dataset's classes and diameters where nothing was chosen.

    Of a model to start from, it takes the settings without which its weights mean nothing (the task's `handed_on`).
    """
    chosen = {
        **_handed_on(kind, start),
        **preset_settings(kind, preset),
        **file_settings(kind, file),
        **checked(kind, given, "settings"),
    }
    task: Trainable = kind(**{**_from_dataset(kind, dataset, chosen), **chosen})
    return task


def adjusted(task: Any, words: Sequence[str], *, every: bool) -> Any:
    """`task` with settings typed as ``name=value``, e.g. ``grow_um=0.2``.

    `every`: all of them may be changed, as of a method that was not trained. Else those that its `adjustable` names: the
    others a network has learnt with.
    """
    typed = checked(type(task), dict(_pair(word) for word in words), "--set")
    free = tuple(field.name for field in fields(task)) if every else getattr(task, "adjustable", ())
    fixed = [name for name in typed if name not in free]
    if fixed:
        able = f"those that can be changed are {', '.join(free)}" if free else "none of this model's can be changed"
        raise SettingsError(f"--set: found {fixed[0]}, which the model has learnt with; {able}")
    return replace(task, **typed)


def _pair(word: str) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not equals or not name.strip():
        raise SettingsError(f"--set: found {word!r}; need NAME=VALUE, e.g. grow_um=0.2")
    try:
        return name.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), text.strip()


def _handed_on(kind: type[Any], start: Task | None) -> Settings:
    if start is None or start.name != kind.name:
        return {}
    return {name: getattr(start, name) for name in getattr(kind, "handed_on", ())}


def preset_settings(kind: type[Any], name: str | None) -> Settings:
    """Those of the preset called `name`; none has none."""
    known = PRESETS.get(kind.name, {})
    if name is None:
        return {}
    if name not in known:
        raise SettingsError(unknown("preset", name, tuple(known)))
    return checked(kind, known[name], f"preset {name}")


def file_settings(kind: type[Any], file: Path | None) -> Settings:
    """Those in a TOML file; its keys are the names of the task's fields."""
    if file is None:
        return {}
    try:
        plain = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{file}: could not be read ({error.strerror}); give a file that exists") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: found no TOML ({error}); need lines such as epochs = 10; mend it") from error
    return checked(kind, plain, str(file))


def task_kind(name: str) -> type[Any]:
    """The task a user means by `name`."""
    if name not in TASKS:
        raise SettingsError(unknown("task", name, tuple(TASKS)))
    return TASKS[name]


def _from_dataset(kind: type[Any], dataset: Dataset, chosen: Settings) -> dict[str, Any]:
    """What the dataset knows and the task has a field for: names of the classes, their diameters."""
    known: dict[str, Any] = {"classes": dataset.classes}
    known["diameters_nm"] = _diameters_nm(dataset, chosen.get("classes") or dataset.classes)
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in known.items() if name in names and value and not chosen.get(name)}


def _diameters_nm(dataset: Dataset, classes: tuple[str, ...]) -> tuple[float, ...]:
    missing = [name for name in classes if name not in dataset.diameters_nm]
    if missing and len(missing) < len(classes):
        raise DatasetError(
            f"{dataset.name}: found diameters_nm of {', '.join(dataset.diameters_nm)} only; need all classes or none; "
            f"add {', '.join(missing)} to dataset.yaml"
        )
    return () if missing else tuple(dataset.diameters_nm[name] for name in classes)
