"""The parts of a dataset as it divides itself (``split`` in dataset.yaml): what may be learnt from, and what judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graticule.errors import DatasetError
from graticule.io import dataset_yaml
from graticule.io.dataset import Dataset, load

LEARNT_FROM = ("train", "training", "learn", "val", "valid", "validation", "dev")
"""Parts that may be looked at; all others are kept for the test."""


def kept_for_test(folder: Path, leave_out: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of images that nothing may be learnt from: those of the dataset's test part, and those (or specimens) named here.

    A dataset with no other part than these keeps nothing for itself: it is a test set, and learnt from on purpose.
    """
    header, _ = dataset_yaml.read(folder)
    parts = header.split or {}
    learnt = [part for part in parts if part.lower() in LEARNT_FROM]
    names = [name for part, inside in parts.items() if learnt and part not in learnt for name in inside]
    for one in leave_out:
        names += header.groups.get(one, (one,))
    return tuple(dict.fromkeys(names))


def to_learn_from(folder: Path, without: Sequence[str], **reading: Any) -> Dataset:
    """The dataset without the images kept for the test, whose files are not opened."""
    read = load(folder, without=without, **reading)
    if not read.examples:
        raise DatasetError(
            f"{folder}: found no image to learn from; need some that are not kept for the test; add others"
        )
    return read


def not_for_test(folder: Path) -> tuple[str, ...]:
    """Names of images that a dataset with a test part has for learning: a model is judged on the others."""
    header, _ = dataset_yaml.read(folder)
    if not kept_for_test(folder):
        return ()
    return tuple(
        name for part, inside in (header.split or {}).items() if part.lower() in LEARNT_FROM for name in inside
    )
