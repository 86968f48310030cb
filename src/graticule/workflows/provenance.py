"""Where a result came from: versions, machine, and hashes of what went in."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PARTS = ("graticule", "torch", "monai", "numpy", "scipy")


def made_on() -> dict[str, Any]:
    """Versions, machine and time."""
    return {
        "versions": {"python": platform.python_version(), **{part: _version(part) for part in PARTS}},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprints(paths: Iterable[Path]) -> dict[str, str]:
    """A hash for each file, by name."""
    return {path.name: sha256(path) for path in sorted(paths) if path.is_file()}


def dataset_files(folder: Path) -> list[Path]:
    """The files of a dataset that training depends on."""
    rooms = ("images", "points", "labels", "masks")
    return [*folder.glob("dataset.yaml"), *(path for room in rooms for path in sorted((folder / room).glob("*")))]


def _version(part: str) -> str:
    try:
        return version(part)
    except PackageNotFoundError:
        return "not installed"
