"""From defaults, a preset, a settings file and what was typed to a task; each counts for more than those before."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graticule.errors import DatasetError, SettingsError
from graticule.io.dataset import Dataset
from graticule.io.naming import unknown
from graticule.settings import checked
from graticule.task import Trainable
from graticule.tasks import PRESETS, TASKS

Settings = Mapping[str, Any]


def choose(
    kind: type[Any],
    dataset: Dataset,
    given: Settings,
    *,
    preset: str | None = None,
    file: Path | None = None,
) -> Trainable:
    """The task `kind` with what the user chose, and the dataset's classes and diameters where nothing was chosen."""
    chosen = {**preset_settings(kind, preset), **file_settings(kind, file), **checked(kind, given, "settings")}
    task: Trainable = kind(**{**_from_dataset(kind, dataset, chosen), **chosen})
    return task


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
