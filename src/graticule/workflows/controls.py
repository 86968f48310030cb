"""What a person may move after a run: sliders and choices made from the task's own `adjustable` settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from graticule.errors import SettingsError
from graticule.io.naming import unknown
from graticule.task import Regions, Shown, Task

CONFIDENCES = ("thresholds", "threshold")
YES_NO = ("no", "yes")
Value = float | str


@dataclass(frozen=True, slots=True)
class Control:
    """One slider or choice.

    Attributes
    ----------
    key
        What its value goes by in `with_values`: "suppression", "thresholds.0".
    setting, index
        The task's setting and, of a setting with one number for each class, which of them; else None.
    label
        What it is, in a few words.
    low, high, step
        Of a slider, in `unit`; zeros for a choice.
    value
        As it stands: a number in `unit`, or one of the `choices`.
    unit
        Empty for confidences, and where there is none.
    choices
        Empty for a slider.
    live
        Whether `workflows.again.decide` can follow it; else the network has to look again.
    """

    key: str
    setting: str
    index: int | None
    label: str
    low: float
    high: float
    step: float
    value: Value
    unit: str = ""
    choices: tuple[str, ...] = ()
    live: bool = True


def controls(task: Task) -> tuple[Control, ...]:
    """Those of a task: one for each class's confidence first, and then the others as the task names them."""
    names = sorted(task.adjustable, key=lambda name: name not in CONFIDENCES)
    return tuple(control for name in names for control in _of(task, name))


def with_values(task: Any, values: Mapping[str, Value]) -> Any:
    """`task` with the controls of these keys at these values; a control left at its value leaves its setting as it is.

    Raises
    ------
    SettingsError
        For an unknown key, a number that is out of range, or a choice that is none.
    """
    known = {control.key: control for control in controls(task)}
    moved: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise SettingsError(unknown("control", key, tuple(known)))
        control = known[key]
        _check(control, value)
        if value != control.value:
            before = moved.get(control.setting, getattr(task, control.setting))
            moved[control.setting] = _setting(task, control, value, before)
    return replace(task, **moved) if moved else task


def as_flags(task: Any, original: Any) -> list[str]:
    """What to add to ``graticule predict --model M`` so that `task` looks, where the model's own task is `original`."""
    flags: list[str] = []
    for name in sorted(task.adjustable, key=lambda name: name not in CONFIDENCES):
        value = getattr(task, name)
        if value == getattr(original, name):
            continue
        if name in CONFIDENCES:
            flags += ["--threshold", *map(_word, value if isinstance(value, tuple) else (value,))]
        else:
            flags += ["--set", f"{name}={_word(value)}"]
    return flags


# -- one setting -------------------------------------------------------------------------------------------------------


def _of(task: Any, name: str) -> tuple[Control, ...]:
    value, kind = getattr(task, name), get_type_hints(type(task))[name]
    live = name not in getattr(task, "redrawn", ())
    if name in CONFIDENCES:
        return _confidences(task, name, value, live)
    if kind is bool:
        return (_choice(name, YES_NO[value], YES_NO, live),)
    if get_origin(kind) is Literal:
        return (_choice(name, value, get_args(kind), live),)
    if kind not in (int, float):
        raise TypeError(f"{task.name}: no control can be made of {name}, which is no number and no choice")
    return (_slider(task, name, value, live),)


def _confidences(task: Any, name: str, value: Any, live: bool) -> tuple[Control, ...]:
    """One for each class; a model without thresholds of its own keeps everything, which is a threshold of 0."""
    regions: Regions | None = getattr(task, "regions", None)
    classes: tuple[str, ...] = getattr(task, "classes", ()) or (regions.kinds if regions else ())
    if not isinstance(value, tuple):
        low = min(value, 0.001)  # at 0 a task with one threshold decides nothing, and gives confidences
        return (Control(name, name, None, f"confidence, {classes[0]}", low, 1, 0.001, value, live=live),)
    each = value or (0.0,) * len(classes)
    return tuple(
        Control(f"{name}.{index}", name, index, f"confidence, {kind}", 0, 1, 0.001, at, live=live)
        for index, (kind, at) in enumerate(zip(classes, each, strict=True))
    )


def _choice(name: str, value: str, choices: tuple[str, ...], live: bool) -> Control:
    return Control(name, name, None, name.replace("_", " "), 0, 0, 0, value, choices=choices, live=live)


def _slider(task: Any, name: str, value: float, live: bool) -> Control:
    shown = _shown(task, name, value)
    now = value * shown.factor if shown.factor != 1 else value
    low, high = min(shown.low, now), max(shown.high, now)
    return Control(name, name, None, shown.label, low, high, shown.step, now, shown.unit, live=live)


def _shown(task: Any, name: str, value: float) -> Shown:
    """As the task says or, if it says nothing, from 0 to ten times what it is."""
    said: Mapping[str, Shown] = getattr(task, "shown", {})
    plain = Shown(name.replace("_", " "), 0, 10 * abs(value) or 10, 1 if isinstance(value, int) else 0.01)
    return said.get(name, plain)


def _check(control: Control, value: Value) -> None:
    if control.choices:
        if value not in control.choices:
            raise SettingsError(f"found {value!r} for {control.label}; need one of {', '.join(control.choices)}")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not control.low <= float(value) <= control.high:
        unit = f" {control.unit}" if control.unit else ""
        raise SettingsError(f"found {value!r} for {control.label}; need {control.low:g} to {control.high:g}{unit}")


def _setting(task: Any, control: Control, value: Value, before: Any) -> Any:
    """What the setting becomes; `before` is what it was, numbers of other classes included."""
    if control.choices:
        return value == YES_NO[1] if isinstance(before, bool) else value
    number = float(value)
    if control.index is not None:
        count = sum(other.setting == control.setting for other in controls(task))
        each = list(before or (0.0,) * count)
        each[control.index] = number
        return tuple(each)
    if control.setting in CONFIDENCES:
        return number
    if isinstance(before, int):
        if number != int(number):
            raise SettingsError(f"found {value!r} for {control.label}; need a whole number")
        return int(number)
    factor = _shown(task, control.setting, before).factor
    return number / factor if factor != 1 else number


def _word(value: Any) -> str:
    """As TOML and the command line read it: every digit of a number, so that it comes back the same."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
