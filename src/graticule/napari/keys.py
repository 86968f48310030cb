"""Which key does what in a review.

Letters that napari gives to no layer of points or labels, so that nobody loses a shortcut: `Y` accepts what `A` would have
selected. Digits choose a class; napari's own meaning of them (modes of a layer) has letters, too, and is back while an
outline is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key, the step of `Reviewing` it takes, and that step in plain words."""

    key: str
    step: str
    words: str


VERDICTS = (
    Key("Y", "accept", "accept"),
    Key("N", "reject", "reject"),
    Key("K", "skip", "skip, next"),
    Key("U", "undo", "undo"),
)
CORRECTIONS = (
    Key("I", "add", "add at cursor"),
    Key("G", "pick", "go to the one at cursor"),
    Key("D", "split", "divide: D at each half"),
    Key("J", "merge", "join with that at cursor"),
)
FOR_POINTS = (Key("H", "move", "centre is at cursor"),)
FOR_OUTLINES = (Key("R", "redraw", "draw the outline anew"),)
FIELDS = (
    Key("C", "look", "frame is checked"),
    Key("W", "complete", "whole image is complete"),
)
KEYS = (*VERDICTS, *CORRECTIONS, *FOR_POINTS, *FOR_OUTLINES, *FIELDS)
DIGITS = tuple("123456789")
"""Choose the class of that number."""


def keys_for(outlined: bool) -> tuple[Key, ...]:
    """Those that mean something for points, or for outlines."""
    return (*VERDICTS, *CORRECTIONS, *(FOR_OUTLINES if outlined else FOR_POINTS), *FIELDS)
