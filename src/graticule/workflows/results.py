"""Folders of results: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from graticule.errors import FormatError
from graticule.inference.store import IDENTITY, Store, begun
from graticule.io.atomic import swap

MARK = "run.json"
"""A folder that holds this file is a result of ours, and may be replaced by a newer one."""


VERDICTS = "candidates.csv"
"""Of an evaluation: all candidates with what they are, and the objects missed."""

ERRORS = "errors"
"""Of an evaluation: pictures of single false and missed objects."""

WORST = "worst.csv"
"""Of an evaluation of single objects: what became of each, the worst first."""

MAPS = "maps"
"""Folder, in a result's, of the maps it was decided by, where they were kept."""

JOURNALS = "review"
"""Folder, in a result's, of what reviewers decided on it: never replaced by a newer result."""


def check_writable(path: Path) -> None:
    """Refuse a place for output before any work is done for it: a folder where a file shall be, no right to write …"""
    if path.is_dir():
        raise FormatError(f"{path}: found a folder; need the name of a file to write; add one")
    _check_parent(path)


def check_new_folder(folder: Path) -> None:
    """Refuse a place for a new folder where there is something already, or no right to write."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"{folder}: found something there already; need a new or empty folder; choose another")
    _check_parent(folder)


def check_result_folder(folder: Path) -> None:
    """Refuse a place for a folder of results: a file, somebody's own folder, no right to write."""
    if any((folder / JOURNALS).glob("*.jsonl")):
        raise FormatError(
            f"{folder}: found a result that people have reviewed ({JOURNALS}/); it is not replaced; choose another --out, or "
            "move it away"
        )
    if folder.exists() and not _is_replaceable(folder):
        what = "a folder with other things in it" if folder.is_dir() else "a file"
        raise FormatError(f"{folder}: found {what}; need a new or empty folder, or an earlier result; choose another")
    _check_parent(folder)


@contextmanager
def result_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write to: renamed to it when the block succeeds, removed when it fails.

    An earlier result there is replaced; parents that had to be made are removed again if nothing came of it.
    """
    check_result_folder(folder)
    made = _make_parents(folder)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        aside.chmod(0o755)
        yield aside
        swap(aside, folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)
        raise


@contextmanager
def resumable_folder(
    folder: Path, identity: Mapping[str, Any], *, resume: bool, worth_keeping: bool
) -> Iterator[Store]:
    """Like `result_folder`, but what was finished of a run that was stopped stays, and `resume` goes on from it.

    Without `resume` it is begun anew. An error leaves the unfinished result only if it is `worth_keeping` and a block of
    it is finished; being killed always leaves it.
    """
    check_result_folder(folder)
    made = _make_parents(folder)
    aside = unfinished(folder)
    try:
        store = Store.resume(aside, identity) if resume else Store.begin(aside, identity)
        yield store
        store.close()
        swap(aside, folder)
    except BaseException:
        if not (worth_keeping and begun(aside)):
            shutil.rmtree(aside, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)
        raise


def unfinished(folder: Path) -> Path:
    """Where the result that will be `folder` lies until it is whole."""
    return folder.with_name(f".{folder.name}.unfinished")


def is_begun(folder: Path) -> bool:
    """Whether a run that was stopped has left something to resume."""
    return (unfinished(folder) / IDENTITY).is_file()


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))


def _check_parent(path: Path) -> None:
    ancestor = next(parent for parent in path.absolute().parents if parent.exists())
    if not ancestor.is_dir():
        raise FormatError(f"{path}: cannot be made, as {ancestor} is a file; choose another place")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise FormatError(
            f"{path}: found no right to write in {ancestor}; need a folder of yours; choose another place"
        )


def _make_parents(folder: Path) -> list[Path]:
    """Those that were missing, the innermost first."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def remove_folder(folder: Path) -> None:
    """All of it; nothing happens if it is not there."""
    shutil.rmtree(folder, ignore_errors=True)
