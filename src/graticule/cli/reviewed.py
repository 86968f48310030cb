"""``graticule reviewed RUN… [-o DATASET]``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common

if TYPE_CHECKING:
    from graticule.cli.voice import Voice
    from graticule.review import Estimate
    from graticule.workflows.reviewed import Account, Reviews


def reviewed(
    *runs: Path,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    who: str = "",
    image: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Say what was decided in reviews, and make of it a dataset to learn from.

    For each image and reviewer: what was accepted, rejected, added, and is still open; and, with 95 % intervals, what the
    random part of the review says of all: the share of the findings that is right, how many objects were missed, and the
    share that was found. Of several reviewers, how far they agree: Cohen's kappa on what both judged, and F1.

    Parameters
    ----------
    runs
        What graticule predict wrote and people reviewed: folders of results, or of single images' results.
    out
        New folder for a dataset of what was accepted. It is complete only where somebody looked; where several looked, the
        majority counts. graticule train TASK DATASET --from MODEL learns from it.
    who
        Count this reviewer only.
    image
        Where the image is now, if it was moved; for a single result.
    """
    from graticule.cli.voice import Voice
    from graticule.errors import DatasetError, FormatError, SettingsError
    from graticule.workflows.results import check_new_folder
    from graticule.workflows.review import results_in
    from graticule.workflows.reviewed import reviews_of

    voice = Voice(common)
    if not runs:
        raise FormatError("found no result to look at; name some: graticule reviewed RUN…")
    if out is not None:
        check_new_folder(out)
    folders = [folder for run in runs for folder in results_in(run)]
    if image is not None and len(folders) != 1:
        raise SettingsError(f"found --image and {len(folders)} results; need one; name the folder of a single result")
    every = [one for one in (reviews_of(folder, who, image) for folder in folders) if one.accounts]
    if not every:
        by = f" by {who}" if who else ""
        raise DatasetError(
            f"found no decision{by} in {len(folders)} results; need at least one; review them: graticule review RUN"
        )
    _tell(voice, every)
    facts: dict[str, Any] = {"images": [one.as_plain() for one in every], "out": None}
    if out is not None:
        facts |= {"out": str(out), "dataset": _collect(voice, folders, out, who, image)}
    voice.finish(facts)


def _tell(voice: Voice, every: Sequence[Reviews]) -> None:
    accounts = [account for one in every for account in one.accounts]
    voice.table(("image", "reviewer", "accepted", "rejected", "open", "added"), [_counts(each) for each in accounts])
    proved = [_estimates(each) for each in accounts if each.audit.precision or each.audit.missed]
    if proved:
        voice.show("")
        voice.table(("of all, by the random part", "", "right", "missed", "found"), proved)
    for one in every:
        for pair in one.agreements:
            said = f"kappa {_number(pair.kappa)} on {pair.judged} findings that both judged; F1 {_number(pair.f1)}"
            voice.show(f"{one.image}: {' and '.join(pair.reviewers)} agree: {said}")


def _counts(account: Account) -> tuple[object, ...]:
    counts = (account.accepted, account.rejected, account.open, account.added)
    return (account.image, account.reviewer, *counts)


def _estimates(account: Account) -> tuple[str, ...]:
    audit = account.audit
    return (
        account.image,
        account.reviewer,
        _share(audit.precision),
        _count(audit.missed),
        _share(audit.recall),
    )


def _share(told: Estimate | None) -> str:
    return "" if told is None else f"{told.value:.0%} ({told.low:.0%} to {told.high:.0%})"


def _count(told: Estimate | None) -> str:
    return "" if told is None else f"{told.value:.0f} ({told.low:.0f} to {told.high:.0f})"


def _number(value: float) -> str:
    return "unknown" if value != value else f"{value:.2f}"


def _collect(voice: Voice, folders: Sequence[Path], out: Path, who: str, image: Path | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from graticule.workflows.collect import collect

    told = collect(folders, out, who=who, image_file=image)
    for one in told:
        disputed = f", {one.disputed} disputed and left unknown" if one.disputed else ""
        voice.show(f"{one.image}: {one.objects} objects{disputed}; {one.known:.0%} of the image is known  {out}/")
    return [asdict(one) for one in told]
