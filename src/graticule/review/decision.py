"""One thing a reviewer did, as it is written to the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from graticule.review.region import Region

What = Literal[
    "accept", "reject", "reopen", "move", "relabel", "add", "split", "merge", "reshape", "look", "complete", "undo"
]
Stream = Literal["queue", "audit", "free"]
Field = tuple[tuple[float, ...], tuple[float, ...]]
"""A part of an image in micrometres: its lowest and its highest corner, in the order of the image's axes."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was done to which objects.

    Attributes
    ----------
    what
        ``look``: a field was searched for missed objects, and all there are were added. ``complete``: so was the whole
        image. ``undo`` takes back the last decision that still counts.
    ids
        Items it is about.
    new
        Ids of items that come into being, in the order of `positions_um` or `regions`.
    positions_um
        Where things are now.
    kind
        Class, of ``add`` and ``relabel``.
    diameter_um
        Of what was added.
    regions
        Outlines, of labels.
    seen_um
        The field that was on screen: what is in it was seen.
    stream
        Why it was shown: the queue, the random audit, or the reviewer went there of their own accord.
    who, when
        Reviewer, and UTC time in ISO 8601.
    request
        Id that a window gave its question, where the answer may get lost on the way: see `Session.asked`.
    """

    what: What
    ids: tuple[int, ...] = ()
    new: tuple[int, ...] = ()
    positions_um: tuple[tuple[float, ...], ...] = ()
    kind: str = ""
    diameter_um: float | None = None
    regions: tuple[Region, ...] = ()
    seen_um: Field | None = None
    stream: Stream = "free"
    who: str = ""
    when: str = ""
    request: str = ""

    def to_plain(self) -> dict[str, Any]:
        """For JSON; what is empty is left out."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "regions"}
        if self.regions:
            plain["regions"] = [region.to_plain() for region in self.regions]
        return {name: value for name, value in plain.items() if value not in ((), "", None)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_plain`; keys it does not know are left aside."""
        seen = plain.get("seen_um")
        return cls(
            what=plain["what"],
            ids=tuple(int(n) for n in plain.get("ids", ())),
            new=tuple(int(n) for n in plain.get("new", ())),
            positions_um=tuple(tuple(float(x) for x in place) for place in plain.get("positions_um", ())),
            kind=plain.get("kind", ""),
            diameter_um=plain.get("diameter_um"),
            regions=tuple(Region.from_plain(region) for region in plain.get("regions", ())),
            seen_um=None if seen is None else (tuple(map(float, seen[0])), tuple(map(float, seen[1]))),
            stream=plain.get("stream", "free"),
            who=plain.get("who", ""),
            when=plain.get("when", ""),
            request=plain.get("request", ""),
        )
