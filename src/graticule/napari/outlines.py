"""Outlines as a window shows them: an array of voxels around what is in front, and where it changed.

A voxel holds ``4 × object + code``, the code telling the object's status: a colour map that counts modulo 4 then paints
statuses, and neighbours of one colour stay two. A decision costs the voxels of the objects it is about, not the image's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from graticule.box import Box
from graticule.image import Array, Image
from graticule.napari.colours import CODES
from graticule.napari.window import voxels_of, window_for
from graticule.review import Field, Region, Session

STEP = 4
"""Voxels hold multiples of this plus a code; one more than there are codes."""

WHOLE, PART = 4_000_000, 1_000_000
"""Outlines of up to so many voxels are shown all at once; of larger ones, a part of about so many."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Voxels of the window that are to be set: ``places`` is one index array per axis, `values` as long."""

    places: tuple[Array, ...]
    values: Array


class Outlines:
    """The outlines of a session, in a window of its voxels.

    Attributes
    ----------
    box
        The window.
    voxels
        ``(*box.shape)`` int64, coded; whoever shows them changes them by the patches they are given.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.box = Box((0,) * self.place.ndim, (0,) * self.place.ndim)
        self.voxels: Array = np.zeros(self.box.shape, np.int64)
        self._boxes: dict[int, Box] = {}

    @property
    def place(self) -> Image:
        """Where voxels lie."""
        return self._session.state.place

    def show(self, frame_um: Field) -> bool:
        """Have a frame in the window; whether the window had to change for it."""
        return self.hold(voxels_of(frame_um, self.place))

    def hold(self, wanted: Box) -> bool:
        """The same of some voxels."""
        box = window_for(wanted, self.place.shape, self.box, whole=WHOLE, part=PART)
        if box == self.box:
            return False
        self.box = box
        numbers = self._numbers(self.box)
        self.voxels = self._coded(numbers)
        self._boxes = _boxes_of(numbers, self.box.start)
        return True

    def patch(self, ids: Iterable[int], regions: Iterable[Region]) -> Patch | None:
        """What changes in the window when these objects changed, and these voxels were painted."""
        touched = set(ids)
        boxes = [self._boxes[number] for number in touched if number in self._boxes]
        inside = [both for box in (*boxes, *(r.box for r in regions)) if (both := _common(box, self.box)) is not None]
        if not inside:
            return None
        box = _around(inside)
        numbers = self._numbers(box)
        self._remember(_boxes_of(np.where(np.isin(numbers, list(touched)), numbers, 0), box.start))
        new = self._coded(numbers)
        at = box.relative_to(self.box.start)
        differs = np.nonzero(new != self.voxels[at.slices()])
        if not len(differs[0]):
            return None
        return Patch(tuple(d + s for d, s in zip(differs, at.start, strict=True)), new[differs])

    def drawn(self, mask: Array) -> Region | None:
        """What was drawn on the window, as a region of the image; None if nothing was."""
        return Region.of(np.asarray(mask, bool), self.box.start) if np.any(mask) else None

    def of(self, number: int) -> Array:
        """``(*box.shape)`` booleans: the voxels of an object."""
        mask: Array = self.voxels // STEP == number
        return mask

    def _remember(self, boxes: Mapping[int, Box]) -> None:
        """Where objects are and where they were: taking a decision back puts them there again."""
        for number, box in boxes.items():
            before = self._boxes.get(number)
            self._boxes[number] = box if before is None else _around([before, box])

    def _numbers(self, box: Box) -> Array:
        return self._session.state.outlines(box, statuses=("open", "accepted", "rejected"))

    def _coded(self, numbers: Array) -> Array:
        present, inverse = np.unique(numbers, return_inverse=True)
        items = self._session.items
        coded = [STEP * int(n) + CODES[items[int(n)].status] if n else 0 for n in present]
        result: Array = np.array(coded, np.int64)[inverse].reshape(numbers.shape)
        return result


def _boxes_of(numbers: Array, start: tuple[int, ...]) -> dict[int, Box]:
    """Of each object in a part of the image, whose first voxel is `start`."""
    present, inverse = np.unique(numbers, return_inverse=True)
    found = ndimage.find_objects(inverse.reshape(numbers.shape) + 1)
    boxes = {}
    for number, span in zip(present, found, strict=True):
        if number and span is not None:
            first = tuple(s.start + o for s, o in zip(span, start, strict=True))
            boxes[int(number)] = Box(first, tuple(s.stop + o for s, o in zip(span, start, strict=True)))
    return boxes


def _common(a: Box, b: Box) -> Box | None:
    start = tuple(map(max, a.start, b.start))
    stop = tuple(map(min, a.stop, b.stop))
    return Box(start, stop) if all(x < y for x, y in zip(start, stop, strict=True)) else None


def _around(boxes: list[Box]) -> Box:
    starts, stops = ([box.start for box in boxes], [box.stop for box in boxes])
    return Box(tuple(map(min, zip(*starts, strict=True))), tuple(map(max, zip(*stops, strict=True))))
