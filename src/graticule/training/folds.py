"""Who learns and who examines: splits by specimen, never by image, never by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from graticule.errors import DatasetError
from graticule.example import Example
from graticule.image import Array
from graticule.results import Labels, Points

OUTLINE_GAP = 0.06
"""Share of a volume's length that is left out between parts of it on both sides of a split."""

WIDER = (0.25, 0.35, 0.45)
"""Shares of an image that are held out, one after the other, where less shows too little."""

THINNEST = 16
"""Voxels across the thinnest slab that has an inside."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Names of the examples that train and of those that are held out; no specimen has a name in both."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def leave_one_out(examples: Sequence[Example]) -> tuple[Fold, ...]:
    """One fold for each specimen, in the order in which specimens first appear."""
    return leave_out(examples, len(specimens(examples)), seed=None)


def leave_out(examples: Sequence[Example], folds: int, seed: int | None) -> tuple[Fold, ...]:
    """`folds` folds that hold out each specimen once; with a seed, specimens are dealt out at random.

    Specimens with more images are dealt first, so that folds are of like size.
    """
    names = list(specimens(examples))
    if len(names) < 2:
        raise DatasetError(f"found {len(names)} specimen(s) ({', '.join(names)}); holding one out needs at least 2")
    if seed is not None:
        names = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    count = min(folds, len(names))
    hands = [names[i::count] for i in range(count)]
    return tuple(_fold(examples, set(hand)) for hand in hands)


def specimens(examples: Sequence[Example]) -> tuple[str, ...]:
    """Each specimen once."""
    return tuple(dict.fromkeys(e.specimen for e in examples))


def _fold(examples: Sequence[Example], held_out: set[str]) -> Fold:
    fold = Fold(
        tuple(e.name for e in examples if e.specimen not in held_out),
        tuple(e.name for e in examples if e.specimen in held_out),
    )
    check(fold, examples)
    return fold


def check(fold: Fold, examples: Sequence[Example]) -> None:
    """Refuse a fold in which training would see what it is examined on."""
    by_name = {e.name: e.specimen for e in examples}
    strangers = [n for n in (*fold.train, *fold.held_out) if n not in by_name]
    if strangers:
        raise DatasetError(
            f"the fold names {', '.join(strangers)}, which the dataset does not hold; make the folds anew"
        )
    shared = {by_name[n] for n in fold.train} & {by_name[n] for n in fold.held_out}
    if shared:
        raise DatasetError(f"specimen(s) {', '.join(sorted(shared))} lie on both sides of a split; split by specimen")


def pick(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """The examples of these names, in the order of the names."""
    by_name = {e.name: e for e in examples}
    return [by_name[n] for n in names]


def hold_out(examples: Sequence[Example], seed: int, share: float = 0.25) -> tuple[list[Example], list[Example]]:
    """Examples to learn from and examples to choose by (when to stop, which threshold): about `share` of the specimens.

    A single specimen is cut in two instead, the smaller part of each image being held out, with a gap between.
    """
    names = specimens(examples)
    if len(names) == 1:
        parts = [_cut_in_two(e, share) for e in examples]
        return [a for a, _ in parts], [b for _, b in parts]
    folds = max(2, min(len(names), round(1 / share)))
    fold = leave_out(examples, folds, seed)[0]
    return pick(examples, fold.train), pick(examples, fold.held_out)


def slabs(example: Example, count: int, gap: float = OUTLINE_GAP) -> list[Example]:
    """`count` parts of one outlined volume, each a specimen of its own, for want of more volumes.

    They are cut across its longest axis, and a share `gap` of its length is left out between any two: neighbouring
    slices show the same things, and neighbouring cubes dealt out at random would all be on both sides of a split. Points
    and planes are not cut: their specimens have to be told apart by who prepared them.
    """
    if example.image.ndim != 3 or not isinstance(example.truth, Labels):
        raise DatasetError(
            f"{example.name}: found a single specimen; need at least 2 to hold one out, or an outlined volume, which can be "
            "cut into slabs; annotate another"
        )
    axis = int(np.argmax(example.image.shape))
    length = example.image.shape[axis]
    lost = max(1, round(gap * length))
    thick = (length - lost * (count - 1)) // count
    if thick < THINNEST:
        raise DatasetError(
            f"{example.name}: found {length} voxels along its longest axis; need {count} slabs of at least {THINNEST} and "
            "gaps between them; annotate more, or another volume"
        )
    starts = [number * (thick + lost) for number in range(count)]
    cut = [_part(example, axis, start, start + thick, f"slab{number}") for number, start in enumerate(starts)]
    return [replace(slab, specimen=slab.name) for slab in cut]


def _cut_in_two(example: Example, share: float, gap: float = 0.02) -> tuple[Example, Example]:
    """Both parts of an image along its longest axis. Objects near the gap stay in their own part's annotation only.

    Outlined ones are cut where both parts show about as much of the outlined as the whole, and nearer to the middle if no
    end shows enough: often a single cell in the middle is annotated. Points, if one part would be left with too few to
    choose by, are cut along the axis and from the end that leave most to the poorer part.
    """
    if isinstance(example.truth, Labels):
        for wide in (share, *(more for more in WIDER if more > share)):
            cuts = [_cut(example, wide, OUTLINE_GAP, axis, at) for axis in range(example.image.ndim) for at in (1, 0)]
            best = min(cuts, key=lambda parts: _unlike(parts, example))
            if _voxels_outlined(best[1]) >= share / 2 * _voxels_outlined(example):
                break
        return best
    usual = _cut(example, share, gap, int(np.argmax(example.image.shape)), 1)
    assert isinstance(example.truth, Points)
    if _fewest(usual) >= max(1, share / 2 * len(example.truth)):
        return usual
    cuts = [_cut(example, share, gap, axis, end) for axis in range(example.image.ndim) for end in (1, 0)]
    return max([usual, *cuts], key=_fewest)


def _fewest(parts: Sequence[Example]) -> int:
    """Points in the part that has fewer."""
    return min(len(part.truth) if isinstance(part.truth, Points) else 0 for part in parts)


def _cut(example: Example, share: float, gap: float, axis: int, end: int) -> tuple[Example, Example]:
    """The larger part, and the smaller one: at the end of the axis (1) or its start (0).

    Whatever the share, there is a gap, and both parts show something, if the axis is three voxels long.
    """
    length = example.image.shape[axis]
    second_start = min(max(round(length * (1 - share)), 2), length - 1)
    first_end = max(1, min(round(length * (1 - share - gap)), second_start - 1))
    if end == 1:
        return _part(example, axis, 0, first_end, "a"), _part(example, axis, second_start, length, "b")
    return (
        _part(example, axis, length - first_end, length, "a"),
        _part(example, axis, 0, length - second_start, "b"),
    )


def _unlike(parts: Sequence[Example], whole: Example) -> float:
    return max(abs(_outlined(part) - _outlined(whole)) for part in parts)


def _outlined(example: Example) -> float:
    """Share of the voxels that are outlined."""
    return _voxels_outlined(example) / prod(example.image.shape)


def _voxels_outlined(example: Example) -> int:
    assert isinstance(example.truth, Labels)
    return int(np.count_nonzero(np.asarray(example.truth.image.data[...])))


def _part(example: Example, axis: int, start: int, stop: int, suffix: str) -> Example:
    low = [0] * example.image.ndim
    high = list(example.image.shape)
    low[axis], high[axis] = start, stop
    box = tuple(low), tuple(high)
    image = example.image.crop(*box)
    complete = None if example.complete is None else example.complete.crop(*box)
    truth = example.truth
    if isinstance(truth, Labels):
        truth = Labels(truth.image.crop(*box))
    else:
        voxels = np.round(image.to_voxels(truth.position_um)).astype(int)
        inside: Array = np.all((voxels >= 0) & (voxels < np.array(image.shape)), axis=1)
        truth = truth[inside]
    return replace(example, name=f"{example.name}-{suffix}", image=image, truth=truth, complete=complete)
