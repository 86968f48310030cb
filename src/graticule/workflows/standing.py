"""What stands of a result: all that was found or, after a review, what its reviewer made of it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from graticule.box import Box
from graticule.errors import FormatError
from graticule.image import Array, Image
from graticule.io import points_csv
from graticule.io.atomic import replacing
from graticule.results import Labels, Points
from graticule.review import Item, Session
from graticule.review.item import as_points
from graticule.review.state import State
from graticule.workflows.review import TABLE, Reviewed

SLAB = 16
"""Planes of a volume that are counted at once."""

EXTENTS = ("area_um2", "volume_um3")
NUMBER = "particle_id"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reviewer changed, in numbers of objects: ``found - rejected - joined + divided + added`` is what stands.

    Attributes
    ----------
    who
        The reviewer.
    found
        What the method found.
    rejected, joined
        Of these, what is gone: held for nothing, or for a part of another object.
    divided, added
        What came into being: parts of what was divided, and what had been missed.
    moved, relabelled, redrawn
        Of what was found and stands, what lies elsewhere, is of another class, or has another outline.
    undecided
        Of what stands, what the reviewer did not decide on.
    """

    who: str
    found: int
    rejected: int
    joined: int
    divided: int
    added: int
    moved: int
    relabelled: int
    redrawn: int
    undecided: int

    @property
    def stands(self) -> int:
        return self.found - self.rejected - self.joined + self.divided + self.added

    def __str__(self) -> str:
        """As a clause: who, and what is other than 0."""
        names = ("rejected", "joined", "divided", "added", "moved", "relabelled", "redrawn", "undecided")
        counts = asdict(self)
        told = ", ".join(f"{counts[name]} {name}" for name in names if counts[name])
        return f"corrected by {self.who}: {told or 'nothing changed'}"


@dataclass(frozen=True, eq=False)
class Standing:
    """The objects of a result as they are now.

    Attributes
    ----------
    reviewed
        The result, with its image.
    session
        The review whose decisions count; None: all that was found stands.
    """

    reviewed: Reviewed
    session: Session | None = None

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Not rejected, in the order of the table; what came into being follows, as it came."""
        found = self.reviewed.proposals.items
        if self.session is None:
            return found
        now = self.session.items
        first = {item.id for item in found}
        order = [item.id for item in found if item.id in now] + sorted(set(now) - first)
        return tuple(now[number] for number in order if now[number].status != "rejected")

    @property
    def numbers(self) -> list[int]:
        """Their ``particle_id``, the same in every table of this result."""
        return [int(self._cells_of[item.id][NUMBER]) if item.id in self._cells_of else item.id for item in self.items]

    @property
    def points(self) -> Points:
        """Their places or, of outlines, centres."""
        return as_points(self.items, self.reviewed.proposals.kinds, self.reviewed.image.ndim)

    @cached_property
    def labels(self) -> Labels | None:
        """Outlines, numbered as the items; of a volume read when they are asked for. None for points."""
        found = self.reviewed.proposals.labels
        if found is None or self.session is None:
            return found
        state = self.session.state
        highest = max((item.id for item in self.items), default=0)
        own = np.dtype(found.image.data.dtype)
        dtype = own if own.kind in "iu" and highest <= np.iinfo(own).max else np.dtype(np.uint32)
        drawn = _Drawn(state, dtype)
        return Labels(replace(found.image, data=drawn[...] if found.image.ndim == 2 else drawn))

    @cached_property
    def changes(self) -> Changes | None:
        """None where there was no review."""
        if self.session is None:
            return None
        now, first = self.session.items, self._first
        stands = [(item, first[item.id]) for item in self.items if item.id in first]
        created = [item for item in self.items if item.id not in first]
        return Changes(
            who=self.session.who,
            found=len(first),
            rejected=sum(now[n].status == "rejected" for n in first if n in now),
            joined=sum(n not in now for n in first),
            divided=sum(item.origin == "split" for item in created),
            added=sum(item.origin == "added" for item in created),
            moved=sum(a.position_um != b.position_um and a.id not in self._redrawn for a, b in stands),
            relabelled=sum(a.kind != b.kind for a, b in stands),
            redrawn=sum(a.id in self._redrawn for a, _ in stands),
            undecided=sum(item.status == "open" for item in self.items),
        )

    def write_table(self, path: Path) -> None:
        """objects.csv, with what nobody touched as it was, to the last digit."""
        if self.session is None:
            with replacing(path) as aside:
                aside.write_bytes((self.reviewed.folder / TABLE).read_bytes())
            return
        header, _ = self._table
        with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, header, restval="", extrasaction="ignore", lineterminator="\n")
            rows.writeheader()
            rows.writerows(self._rows(header))

    # -- inside ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _first(self) -> dict[int, Item]:
        return {item.id: item for item in self.reviewed.proposals.items}

    @cached_property
    def _table(self) -> tuple[list[str], list[dict[str, str]]]:
        path = self.reviewed.folder / TABLE
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
        if NUMBER not in header or any(len(row) != len(header) for row in rows):
            raise FormatError(f"{path}: found no table as graticule predict writes it; need that one; predict anew")
        return header, [dict(zip(header, row, strict=True)) for row in rows]

    @cached_property
    def _cells_of(self) -> dict[int, dict[str, str]]:
        """The table's rows by the ids of their items: these are made of the table, row by row."""
        return {item.id: row for item, row in zip(self.reviewed.proposals.items, self._table[1], strict=True)}

    def _rows(self, header: Sequence[str]) -> Iterator[dict[str, str]]:
        fresh = points_csv.cells(self.points, self.reviewed.image)
        extent = next((name for name in EXTENTS if name in header), None)
        for number, item, cells in zip(self.numbers, self.items, fresh, strict=True):
            before, was = self._cells_of.get(item.id), self._first.get(item.id)
            row = {NUMBER: str(number), **cells} if before is None else dict(before)
            if was is not None and item.position_um != was.position_um:
                row |= {name: cell for name, cell in cells.items() if name.endswith(("_px", "_um"))}
            if was is not None and item.kind != was.kind:
                row["class"] = item.kind
            if item.id in self._redrawn:
                # What a task measured on the old outline is not true of the new one.
                own = {NUMBER, *cells}
                row = {name: cell for name, cell in row.items() if name in own}
            if item.diameter_um is not None and before is None:
                row["diameter_nm"] = f"{item.diameter_um * 1000:.9g}"
            if extent is not None and item.id in self._redrawn:
                row[extent] = f"{self._sizes[1][item.id] * prod(self._place.spacing_um):.6g}"
            yield row

    @property
    def _place(self) -> Image:
        labels = self.reviewed.proposals.labels
        assert labels is not None, "only outlines have sizes"
        return labels.image

    @cached_property
    def _redrawn(self) -> set[int]:
        """Items whose outlines are not those that were found; empty for points."""
        if self.session is None or not self.session.outlined:
            return set()
        before, now = self._sizes
        drawn = {n for d in self.session.state.decisions if d.regions or d.what == "merge" for n in (*d.ids, *d.new)}
        return {item.id for item in self.items if item.id in drawn or before[item.id] != now[item.id]}

    @cached_property
    def _sizes(self) -> tuple[Counter[int], Counter[int]]:
        """Voxels of each number, as found and as they are now."""
        assert self.labels is not None
        return _sizes(self._place), _sizes(self.labels.image)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Outlines as a review left them, to be sliced like an array."""

    state: State
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.state.place.shape

    def __getitem__(self, key: Any, /) -> Array:
        """Whole numbers, slices without steps, and an ellipsis."""
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            at = key.index(Ellipsis)
            key = (*key[:at], *[slice(None)] * (len(self.shape) - len(key) + 1), *key[at + 1 :])
        key = (*key, *[slice(None)] * (len(self.shape) - len(key)))
        spans = [
            k.indices(n)[:2] if isinstance(k, slice) else (int(k), int(k) + 1)
            for k, n in zip(key, self.shape, strict=True)
        ]
        box = Box(tuple(a for a, _ in spans), tuple(b for _, b in spans))
        drawn = self.state.outlines(box).astype(self.dtype)
        result: Array = drawn[tuple(slice(None) if isinstance(k, slice) else 0 for k in key)]
        return result


def _sizes(labels: Image) -> Counter[int]:
    counted: Counter[int] = Counter()
    step = SLAB if labels.ndim == 3 else labels.shape[0]
    for start in range(0, labels.shape[0], step):
        numbers, counts = np.unique(np.asarray(labels.data[start : start + step]), return_counts=True)
        counted.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
    return counted
