"""Files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = _reserve(path)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        yield aside
        # Between rename and power cut the content must be on the disk, or the new name would hold nothing.
        _flush(aside)
        os.replace(aside, path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


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
