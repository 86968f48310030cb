"""One channel of many: asked for, never guessed."""

from __future__ import annotations

import numpy as np

from graticule.errors import FormatError
from graticule.image import ArrayLike
from graticule.io.address import Source
from graticule.io.lazy import Mean, Taken

COLOURS = ("red", "green", "blue")


def select(
    data: ArrayLike, axes: str, names: tuple[str, ...], channel: str | int | None, path: Source
) -> tuple[ArrayLike, str]:
    """`data` and `axes` without the axis of channels or colours.

    Alpha is no colour and left out. Three equal colours are one grey. ``"all"`` keeps the axis, named ``c``.
    """
    axis = max(axes.find("c"), axes.find("s"))
    if axis < 0:
        _refuse_choice_of_one(channel, path)
        return data, axes
    rest = axes[:axis] + axes[axis + 1 :]
    count, names = _countable(data.shape[axis], axes[axis], names)
    if count == 1 or (channel is None and _equal(data, axis, count, axes[axis])):
        _refuse_choice_of_one(channel, path, unless=count > 1)
        return _taken(data, axis, 0), rest
    if channel is None:
        raise FormatError(_question(count, names, path))
    chosen = str(channel).strip().lower()
    if chosen == "all":
        return _first(data, axis, count), axes[:axis] + "c" + axes[axis + 1 :]
    if chosen == "mean":
        mean = Mean(data, axis, count)
        return (mean[...] if isinstance(data, np.ndarray) else mean), rest
    return _taken(data, axis, _position(chosen, count, names, path)), rest


def _countable(length: int, letter: str, names: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """How many channels there are to choose from, and their names: samples 2 and 4 are alpha."""
    if letter == "s" and length in (3, 4):
        return 3, COLOURS
    if letter == "s" and length == 2:
        return 1, ()
    return length, names


def _equal(data: ArrayLike, axis: int, count: int, letter: str) -> bool:
    """Grey that was saved as colour; only looked at where the pixels are in memory anyway."""
    if letter != "s" or count != 3 or not isinstance(data, np.ndarray):
        return False
    red, green, blue = (data.take(i, axis) for i in range(3))
    return np.array_equal(red, green) and np.array_equal(red, blue)


def _taken(data: ArrayLike, axis: int, at: int) -> ArrayLike:
    # A view of one colour would keep all of them in memory.
    return np.ascontiguousarray(data.take(at, axis)) if isinstance(data, np.ndarray) else Taken(data, axis, at)


def _first(data: ArrayLike, axis: int, count: int) -> ArrayLike:
    if count == data.shape[axis]:
        return data
    return np.asarray(data[...]).take(range(count), axis)


def _position(chosen: str, count: int, names: tuple[str, ...], path: Source) -> int:
    known = [name.lower() for name in names]
    if chosen in known:
        return known.index(chosen)
    if chosen.isdecimal() and int(chosen) < count:
        return int(chosen)
    raise FormatError(f"{path}: found no channel {chosen!r}; need one of {_choices(count, names)}; change --channel")


def _choices(count: int, names: tuple[str, ...]) -> str:
    return ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(names or ("",) * count))


def _question(count: int, names: tuple[str, ...], path: Source) -> str:
    if names == COLOURS:
        return (
            f"{path}: found an RGB image with 3 colours; need one channel; pass --channel red|green|blue|mean, or a "
            "number from 0"
        )
    return (
        f"{path}: found {count} channels; need one; pass --channel N with N among {_choices(count, names)}, or mean; "
        "if they are slices of a stack, pass --axes zyx or, of a dataset, write axes: zyx into dataset.yaml"
    )


def _refuse_choice_of_one(channel: str | int | None, path: Source, *, unless: bool = False) -> None:
    """`channel` may name the only one there is."""
    if not unless and channel is not None and str(channel).strip().lower() not in ("0", "mean", "all", *COLOURS):
        raise FormatError(f"{path}: found a single channel, not {channel!r}; need no choice; leave out --channel")
