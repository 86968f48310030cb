"""What came of reviews: counts, what the random part proves, and how far reviewers agree."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graticule.review import Audit, Session
from graticule.review.agreement import Agreement, agreements
from graticule.workflows.collect import reach_um
from graticule.workflows.review import load_result, reviews


@dataclass(frozen=True, slots=True)
class Account:
    """One reviewer's work on one image.

    Attributes
    ----------
    accepted, rejected, open
        Of what was proposed.
    added
        What was missed, and added.
    complete
        Whether the reviewer said that nothing is missing anywhere.
    audit
        Shares of right proposals and of found objects, number of missed ones: see `graticule.review.Audit`.
    """

    image: str
    reviewer: str
    accepted: int
    rejected: int
    open: int
    added: int
    complete: bool
    audit: Audit


@dataclass(frozen=True, slots=True)
class Reviews:
    """All reviews of one image, and what each two of them agree on."""

    image: str
    accounts: tuple[Account, ...]
    agreements: tuple[Agreement, ...]

    def as_plain(self) -> dict[str, Any]:
        """For JSON; what is not known is None."""
        return dict(_plain(asdict(self)))


def reviews_of(folder: Path, who: str = "", image_file: Path | None = None) -> Reviews:
    """Of one result, ``OUT/NAME``; of `who` only, if given. Reviews in which nothing was decided yet are left out."""
    reviewed = load_result(folder, image_file=image_file)
    sessions = [s for s in reviews(reviewed) if s.last is not None and who in ("", s.who)]
    accounts = tuple(_account(reviewed.name, session) for session in sessions)
    return Reviews(reviewed.name, accounts, tuple(agreements(sessions, reach_um(reviewed))))


def _account(image: str, session: Session) -> Account:
    added = [item for item in session.items.values() if item.origin == "added" and item.status == "accepted"]
    found = session.progress
    accepted = found.accepted - len(added)
    return Account(
        image, session.who, accepted, found.rejected, found.open, len(added), session.is_complete, session.audit
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
