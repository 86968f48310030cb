"""Files on the server that its users may point at: those below one folder, and nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graticule.errors import FormatError
from graticule.io import is_image
from graticule.io.address import Address

MOST_CHARACTERS = 4000
"""Of a path; no file system has longer ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in a listing. An OME-Zarr is one image, though it is a folder; folders have 0 `bytes`."""

    name: str
    is_folder: bool
    is_image: bool
    bytes: int


class Root:
    """A folder that users may look into; without one (None) there is nothing they could point at.

    What begins with a dot is neither listed nor found. Symbolic links count for what they lead to.
    """

    def __init__(self, folder: Path | None, *, without: Sequence[Path] = ()) -> None:
        """`without`: folders inside that are nobody's business, such as those of the server's users."""
        if folder is not None and not folder.is_dir():
            raise FormatError(f"{folder}: found no such folder for --root; need one that exists; change it")
        self._root = None if folder is None else folder.resolve()
        self._without = tuple(path.resolve() for path in without)

    @property
    def is_open(self) -> bool:
        """Whether there is anything to point at."""
        return self._root is not None

    def listing(self, relative: str = "") -> list[Entry]:
        """Folders first, then files, each in the order of their names; what cannot be pointed at is left out."""
        folder = self.resolve(relative)
        if not folder.is_dir() or is_image(folder):
            raise FormatError(f"{_shown(relative)}: found no folder; need one to list; choose a folder")
        try:
            paths = list(folder.iterdir())
        except OSError as error:
            raise FormatError(f"{_shown(relative)}: cannot be listed ({error.strerror}); choose another") from error
        entries = [self._entry(path) for path in paths]
        return sorted((e for e in entries if e is not None), key=lambda e: (not e.is_folder, e.name.lower(), e.name))

    def resolve(self, relative: str = "") -> Path:
        """The file or folder meant by a path below the root, or a place in an HDF5 or Zarr: ``a/b.h5:/data``."""
        if self._root is None:
            raise FormatError("found no folder on this server to point at; need one; start the server with --root")
        at = Address.of(_checked(relative)) if relative else Address("")
        if at.is_remote:
            raise FormatError(f"{_shown(relative)}: found an address; need a file below the server's root; choose one")
        try:
            found = (self._root / at.root).resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:  # missing, a loop of links, a name too long
            raise _unknown(relative) from error
        if not self._may_be_seen(found):
            raise _unknown(relative)
        return Path(f"{found}:/{at.inner}") if at.inner else found

    def _may_be_seen(self, path: Path) -> bool:
        assert self._root is not None
        if not path.is_relative_to(self._root) or any(path.is_relative_to(other) for other in self._without):
            return False
        hidden = any(part.startswith(".") for part in path.relative_to(self._root).parts)
        return not hidden and (path.is_dir() or path.is_file())

    def _entry(self, path: Path) -> Entry | None:
        if not _is_plain(path.name):
            return None
        try:
            found = path.resolve(strict=True)
            if path.name.startswith(".") or not self._may_be_seen(found):
                return None
            image = is_image(path)
            return Entry(path.name, found.is_dir() and not image, image, 0 if found.is_dir() else found.stat().st_size)
        except (OSError, RuntimeError):
            return None


def _checked(relative: str) -> str:
    """`relative`, if it is names between single slashes, none of which could lead upwards or elsewhere."""
    parts = relative.split("/")
    plain = len(relative) <= MOST_CHARACTERS and _is_plain(relative) and "\\" not in relative
    if not plain or any(not part or part.strip(" .") == "" or part.startswith(".") for part in parts):
        raise FormatError(
            f"{_shown(relative)}: found a path that is not one below the server's root; need names between slashes, such as "
            "stack/S1.tif; choose from the list"
        )
    return relative


def _is_plain(text: str) -> bool:
    """No control characters, and nothing that is no text at all (file names may be any bytes)."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)


def _unknown(relative: str) -> FormatError:
    """The same words whether it is not there or not to be seen: neither can be told from the other."""
    return FormatError(
        f"{_shown(relative)}: found no such file or folder below the server's root; choose from the list"
    )


def _shown(relative: str) -> str:
    """Fit to be shown: control characters escaped, not too long."""
    text = relative.encode("unicode_escape").decode("ascii") if not _is_plain(relative) else relative
    return text if len(text) <= 80 else f"{text[:77]}…"
