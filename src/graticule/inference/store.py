"""An unfinished result on disk: a folder with a ledger of the blocks that are done, so that a killed run can go on."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from graticule.errors import StoreError
from graticule.io.atomic import replacing

IDENTITY, LEDGER = "identity.json", "ledger.jsonl"
Facts = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Store:
    """A folder to write a result in, block by block.

    A block's files are written first and its line in the ledger then, so that every block in the ledger is whole. Blocks
    own their files (they begin at multiples of the stored chunks): doing one again disturbs no other.
    """

    folder: Path
    done: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    @classmethod
    def begin(cls, folder: Path, identity: Facts) -> Store:
        """A new one; what lies in `folder` is lost. `identity` is all that the result depends on, as plain values."""
        with writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            with replacing(folder / IDENTITY) as aside:
                aside.write_text(json.dumps(identity, indent=1), encoding="utf-8")
        return cls(folder)

    @classmethod
    def resume(cls, folder: Path, identity: Facts) -> Store:
        """The one that a run left in `folder`; refused if that run was another."""
        begun = identity_of(folder)
        wanted = json.loads(json.dumps(identity))
        changed = sorted(key for key in begun.keys() | wanted.keys() if begun.get(key) != wanted.get(key))
        if changed:
            raise StoreError(
                f"{folder}: found a run begun with another {', '.join(changed)}; resume with the same, or leave out "
                "--resume to begin anew"
            )
        store = cls(folder)
        with writing(folder):
            store._read_ledger()
        return store

    def _read_ledger(self) -> None:
        """Whole lines count; half a line, from a run killed while writing it, is taken away."""
        path = self.folder / LEDGER
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n") and _is_json(line)]
        with replacing(path) as aside:
            aside.write_text("".join(whole), encoding="utf-8")
        for line in whole:
            entry = json.loads(line)
            self.done.setdefault(entry["stage"], {})[entry["block"]] = entry["facts"]

    def finished(self, stage: str) -> dict[int, dict[str, Any]]:
        """Blocks that are done, and what was noted of each."""
        return self.done.setdefault(stage, {})

    def finish(self, stage: str, block: int, **facts: Any) -> None:
        """Note that a block's files are written."""
        line = json.dumps({"stage": stage, "block": block, "facts": facts}) + "\n"
        with self._lock, writing(self.folder), (self.folder / LEDGER).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self.finished(stage)[block] = facts

    def close(self) -> None:
        """Remove what only an unfinished result needs."""
        for name in (IDENTITY, LEDGER):
            (self.folder / name).unlink(missing_ok=True)


def begun(folder: Path) -> int:
    """How many blocks an earlier run finished in `folder` before it was stopped; 0: nothing worth keeping."""
    ledger = folder / LEDGER
    return len(ledger.read_bytes().splitlines()) if ledger.is_file() else 0


def identity_of(folder: Path) -> dict[str, Any]:
    """What the unfinished result in `folder` depends on."""
    try:
        said: dict[str, Any] = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        return said
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: found no unfinished run to resume; leave out --resume to begin one") from error


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A full disk, or one that may not be written to, said in one line."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else error.strerror or str(error)
        todo = (
            "free some space; --resume then goes on where this stopped"
            if full
            else "need a place that may be written to"
        )
        raise StoreError(f"{folder}: could not be written ({what}); {todo}") from error


Progress = Callable[[int, int], None]


def each(
    todo: Sequence[int], do: Callable[[int], None], workers: int, progress: Progress | None = None, total: int = 0
) -> None:
    """`do` for every block in `todo`, `workers` at once; the first error stops the rest.

    Of `total` blocks those not in `todo` are finished already: `progress` is told so at once, for there may be no other.
    """
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    total = total or len(todo)
    count, lock = total - len(todo), Lock()
    if count and progress is not None:
        progress(count, total)

    def counted(block: int) -> None:
        nonlocal count
        do(block)
        with lock:
            count += 1
            if progress is not None:
                progress(count, total)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(counted, block) for block in todo]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
            wait(futures)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
