"""What no simulated scene can have: refused before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from graticule.errors import SettingsError


def refuse_impossible(scenes: Any, ranges: Sequence[str] = ()) -> None:
    """Numbers below 0, in any setting; and of `ranges`, a least one that is more than the largest.

    Raises
    ------
    SettingsError
    """
    for field in fields(scenes):
        value = getattr(scenes, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int | float) and not number >= 0 for number in numbers):
            raise SettingsError(f"found {field.name} {_said(numbers)}; need numbers from 0 on")
    for name in ranges:
        low, high = getattr(scenes, name)
        if low > high:
            raise SettingsError(f"found {name} {_said((low, high))}; need the least first, and then the largest")


def _said(numbers: Sequence[Any]) -> str:
    return " ".join(f"{number:g}" if isinstance(number, int | float) else str(number) for number in numbers)
