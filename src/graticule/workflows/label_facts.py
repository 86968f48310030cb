"""What is in the labels of an annotated dataset, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from graticule.example import Example
from graticule.image import Array
from graticule.results import Labels

LITTLE = 0.01
"""Share of voxels below which a class, or the background, is hardly there to learn from."""

MASK_WHITE = 255

SAMPLE = 4_000_000
"""Pixels that are plenty to describe grey levels by."""


def class_shares(example: Example, classes: Sequence[str]) -> dict[str, float]:
    """Share of each class of the voxels that are annotated; of all that is outlined, where there is one class or none."""
    numbers = _known(example)
    if not numbers.size:
        return {}
    if len(classes) < 2:
        return {classes[0] if classes else "outlined": float((numbers != 0).mean())}
    return {name: float((numbers == number).mean()) for number, name in enumerate(classes, start=1)}


def nothing_outlined(examples: Sequence[Example], classes: Sequence[str]) -> str:
    """That there is nothing to learn in any image; empty if there is something, or nothing is meant to be outlined."""
    outlined = [example for example in examples if isinstance(example.truth, Labels)]
    if not outlined or any(sum(class_shares(example, classes).values()) for example in outlined):
        return ""
    return (
        f"labels: found 0 in every annotated voxel of all {len(outlined)} images; need something outlined; are these the "
        "right files, and are objects not 0 in them?"
    )


def label_problem(example: Example, classes: Sequence[str]) -> str:
    """What makes the labels of one image unusable; empty if nothing does."""
    if isinstance(example.truth, Labels) and (least := _least(example.truth)) < 0:
        return (
            f"labels/{example.name}: found the number {least}; need 0 for background and more for what is outlined; mend it, "
            "and mark what nobody looked at by 0 in masks/"
        )
    if len(classes) < 2 or not isinstance(example.truth, Labels):
        return ""
    largest = int(_known(example).max(initial=0))
    if largest <= len(classes):
        return ""
    return (
        f"labels/{example.name}: found the number {largest} for {len(classes)} classes ({', '.join(classes)}); need 1 for "
        "the first of them, 2 for the second …; mend the labels, or classes in dataset.yaml"
    )


def label_warnings(examples: Sequence[Example], classes: Sequence[str]) -> list[str]:
    """What may be right, but is worth a look: nothing outlined, nothing left out, masks of 0 and 255."""
    outlined = [example for example in examples if isinstance(example.truth, Labels)]
    said = [sentence for example in outlined if (sentence := _about_shares(example, classes))]
    white = [example.name for example in outlined if _is_white(example)]
    if white:
        said.append(f"labels of {', '.join(white)} are 0 and {MASK_WHITE}; {MASK_WHITE} is taken as 1")
    return said


def _about_shares(example: Example, classes: Sequence[str]) -> str:
    shares = class_shares(example, classes)
    whole = round(sum(shares.values()), 12)  # of shares that are sums themselves
    if whole == 0:
        return f"labels/{example.name}: nothing is outlined; is it the right file, or is there nothing to find?"
    if whole == 1:
        return f"labels/{example.name}: every voxel is outlined, nothing is background; is it the right file?"
    if whole > 1 - LITTLE:
        return f"labels/{example.name}: only {1 - whole:.2%} is background; is 0 the background?"
    rare = [f"{name} {share:.2%}" for name, share in shares.items() if 0 < share < LITTLE]
    return f"labels/{example.name}: there is little of {', '.join(rare)}" if rare else ""


def _is_white(example: Example) -> bool:
    present = np.unique(_known(example)[:: max(1, _known(example).size // 1_000_000)])
    return bool(present.size) and int(present[-1]) == MASK_WHITE and set(present.tolist()) <= {0, MASK_WHITE}


def shares_said(shares: Mapping[str, float]) -> str:
    """For people."""
    return ", ".join(f"{share:.1%} {name}" for name, share in shares.items())


def sampling(shape: Sequence[int]) -> tuple[slice, ...]:
    """All voxels, or a regular grid of them in a large image."""
    step = max(1, int((prod(shape) / SAMPLE) ** (1 / len(shape))))
    return (slice(None, None, step),) * len(shape)


def _least(truth: Labels) -> int:
    """The least number anywhere; voxels that cannot be negative are not read for it."""
    data = truth.image.data
    return int(np.asarray(data[...]).min(initial=0)) if np.dtype(data.dtype).kind == "i" else 0


def _known(example: Example) -> Array:
    """The numbers ``(N,)`` of the voxels whose annotation is complete."""
    assert isinstance(example.truth, Labels)
    numbers = np.asarray(example.truth.image.data[...])
    known: Array = numbers.ravel()
    return known if example.complete is None else known[np.asarray(example.complete.data[...]).ravel() != 0]
