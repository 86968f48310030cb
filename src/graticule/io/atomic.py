"""Files appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graticule.errors import FormatError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    r"""A place beside `path` to write to: renamed to `path` when the block succeeds, removed when it fails.

    It lies in the same folder, because only a rename within one file system is atomic, and keeps the suffix, because
    writers go by it. The folder is made where it is missing.

    >>> with replacing("points.csv") as aside:  # doctest: +SKIP
    ...     aside.write_text("x_um,y_um\n")
    """
    path = Path(path)
    with _in_its_folder(path):
        aside = _reserve(path)
        try:
            yield aside
            # Between rename and power cut the content must be on the disk, or the new name would hold nothing.
            _flush(aside)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, *, replaceable: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """A folder beside `folder` to write to: renamed to it when the block succeeds, removed when it fails.

    What lies there already is replaced if it is empty or `replaceable`, and otherwise refused.
    """
    _check_replaceable(folder, replaceable)
    with _in_its_folder(folder):
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.stem}-", suffix=folder.suffix, dir=folder.parent))
        try:
            aside.chmod(0o777 & ~_umask())
            yield aside
            swap(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _in_its_folder(path: Path) -> Iterator[None]:
    """Folders above `path` are made, and removed again if nothing came of it; disks refuse in our words."""
    missing = [parent for parent in path.absolute().parents if not parent.exists()]
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise _not_written(path, error) from error
        raise


def _check_replaceable(folder: Path, replaceable: Callable[[Path], bool]) -> None:
    if not folder.exists() or (folder.is_dir() and (replaceable(folder) or not any(folder.iterdir()))):
        return
    what = "a folder with other things in it" if folder.is_dir() else "a file"
    raise FormatError(f"{folder}: found {what}; need a new place, or an earlier result of this kind; choose another")


def swap(aside: Path, folder: Path) -> None:
    """The new folder in the place of the old one; a kill in between leaves either, under one name or another."""
    if not folder.exists():
        os.replace(aside, folder)
        return
    old = aside.with_name(aside.name + "-old")
    os.replace(folder, old)
    os.replace(aside, folder)
    shutil.rmtree(old, ignore_errors=True)


def _reserve(path: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    # mkstemp makes files only their owner may read; a result is as public as any file the user makes.
    os.chmod(name, 0o666 & ~_umask())
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _not_written(path: Path, error: OSError) -> FormatError:
    reason = error.strerror or str(error)
    return FormatError(f"{path}: could not be written ({reason}); needs a folder with space, where files may be made")
