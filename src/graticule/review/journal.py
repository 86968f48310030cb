"""A file that only grows: one line of JSON for each decision, on the disk before the reviewer sees it acknowledged.

The first line says what is reviewed. Whoever is killed, loses power or fills the disk loses at most the line that was being
written, and that one was never acknowledged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from graticule.errors import FormatError, StoreError

FORMAT = 1
TORN = ".torn"


class Journal:
    """An open journal; one process at a time.

    Attributes
    ----------
    header
        What is reviewed, and by whom.
    lines
        The decisions that were there when it was opened.
    recovered
        What had to be done to read it, to be told to the reviewer; empty if nothing.
    """

    def __init__(
        self, path: Path, header: dict[str, Any], lines: list[dict[str, Any]], recovered: str, file: int
    ) -> None:
        self.path = path
        self.header = header
        self.lines = lines
        self.recovered = recovered
        self._next = len(lines) + 1
        self._file = file
        self._end = os.lseek(file, 0, os.SEEK_END) if file >= 0 else 0

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any], begin: Mapping[str, Any] | None = None) -> Self:
        """Begin a journal, or go on with one; its header then has to agree with `header` in all that both say.

        `begin` is written to the header of a new journal; of one that was begun its own counts. A last line that was torn
        off is cut from the journal, and kept beside it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with _disk(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, path)
            with _disk(path):
                text = _content(file)
                whole, torn = _whole_lines(text)
                recovered = _set_aside(path, file, len(whole), torn) if torn else ""
            if not whole:
                full = _plain({"graticule": "review", "format": FORMAT, **header, **(begin or {})})
                with _disk(path):
                    _append(file, full, 0)
                    _flush_folder(path.parent)
                return cls(path, full, [], recovered, file)
            first, *rest = _parsed(whole, path)
            _check_header(first, header, path)
            return cls(path, first, rest, recovered, file)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def read(cls, path: Path, header: Mapping[str, Any]) -> Self:
        """A journal that may be in use, to look at; a torn last line is left aside. `append` refuses."""
        try:
            whole, _ = _whole_lines(path.read_bytes())
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror}); give the journal of a review") from error
        if not whole:
            raise FormatError(f"{path}: found no line in this journal; give one of a review that was begun")
        first, *rest = _parsed(whole, path)
        _check_header(first, header, path)
        return cls(path, first, rest, "", -1)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line; when this returns, it is on the disk. If that fails nothing of it stays."""
        if self._file < 0:
            raise StoreError(f"{self.path}: found it closed; need it open to decide anything; open the review again")
        with _disk(self.path):
            self._end = _append(self._file, {"n": self._next, **line}, self._end)
        self._next += 1

    def close(self) -> None:
        """Let others in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Errors of the disk, in our words."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: the decision could not be written ({error.strerror}); it does not count; make room or give back the "
            "right to write, then decide again"
        ) from error


def _lock(file: int, path: Path) -> None:
    """One writer; the lock goes with the process, however that ends. Where the system has no such locks there is none."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(
            f"{path}: found it in use by another window or program; need one reviewer at a time; close the other, or "
            "review under another name (--who)"
        ) from error
    except OSError:
        return


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    parts = []
    while part := os.read(file, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _whole_lines(text: bytes) -> tuple[bytes, bytes]:
    """What ends with a newline and, at its end, is JSON; and the rest."""
    end = text.rfind(b"\n") + 1
    whole, torn = text[:end], text[end:]
    if whole and not torn:  # a disk may have kept the length of the last line but not its content
        start = whole.rfind(b"\n", 0, -1) + 1
        with suppress(ValueError):
            json.loads(whole[start:])
            return whole, b""
        return whole[:start], whole[start:]
    return whole, torn


def _set_aside(path: Path, file: int, length: int, torn: bytes) -> str:
    aside = path.with_name(path.name + TORN)
    with aside.open("ab") as rest:
        rest.write(torn + b"\n")
    os.ftruncate(file, length)
    os.fsync(file)
    return (
        f"{path.name}: the last line was cut off while it was written ({len(torn)} bytes, kept in {aside.name}); all "
        "decisions before it are there"
    )


def _parsed(whole: bytes, path: Path) -> list[dict[str, Any]]:
    lines = []
    for number, text in enumerate(whole.splitlines(), start=1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise FormatError(
                f"{path}, line {number}: found a damaged line among good ones; need a journal as it was written; restore "
                "it from a backup, or remove that line"
            ) from error
        if number > 1 and (not isinstance(line, dict) or line.get("n") != number - 1):
            raise FormatError(
                f"{path}, line {number}: found no decision {number - 1}; need all, in order; restore it from a backup"
            )
        lines.append(line)
    return lines


def _check_header(first: Any, header: Mapping[str, Any], path: Path) -> None:
    if not isinstance(first, dict) or first.get("graticule") != "review":
        raise FormatError(f"{path}: found no journal of a review in this file; choose another")
    if first.get("format") != FORMAT:
        raise FormatError(f"{path}: found format {first.get('format')}; this version reads {FORMAT}; update graticule")
    for name, value in header.items():
        told = _plain(value)
        if name in first and first[name] != told:
            raise FormatError(
                f"{path}: found decisions on another {name} ({_short(first[name])}); need those on {_short(told)}; move the "
                "journal away to begin anew, or give the result it belongs to"
            )


def _plain(value: Any) -> Any:
    """As it is when read again."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _append(file: int, line: Mapping[str, Any], end: int) -> int:
    """Write a line at `end` and wait for the disk; on failure the file ends where it did."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        os.lseek(file, end, os.SEEK_SET)
        left = memoryview(text)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, end)
        raise
    return end + len(text)


def _flush_folder(folder: Path) -> None:
    """A new file is safe when its folder's entry is."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
