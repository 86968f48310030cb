"""Where a result came from: versions, machine, and hashes of what went in."""

from __future__ import annotations

import hashlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from graticule.example import Example
from graticule.image import Image
from graticule.io.dataset import Dataset
from graticule.results import Points

PARTS = ("graticule", "torch", "monai", "numpy", "scipy")


def made_on() -> dict[str, Any]:
    """Versions, machine and time."""
    return {
        "versions": {"python": platform.python_version(), **{part: _version(part) for part in PARTS}},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def about_dataset(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Which dataset, and a hash of each of its files by its place in the folder."""
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in dataset_files(folder)}
    return {"dataset": {"name": dataset.name, "folder": str(folder.resolve()), "sha256": files}}


def dataset_files(folder: Path) -> list[Path]:
    """The files of a dataset that training depends on."""
    rooms = ("images", "points", "labels", "masks")
    inside = (path for room in rooms for path in sorted((folder / room).glob("*")))
    return [path for path in (*folder.glob("dataset.yaml"), *inside) if path.is_file()]


def pixel_hash(image: Image) -> str:
    """Of the pixels alone: the same image under another name, or saved anew with other metadata, has the same one."""
    pixels = np.ascontiguousarray(image.data[...])
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype.str}".encode())
    digest.update(pixels.data)
    return digest.hexdigest()


def example_hash(example: Example) -> str:
    """Of all that training and judging see of an example: pixels, their size, annotation, where it is complete."""
    truth = example.truth
    digest = hashlib.sha256(f"{example.name} {example.specimen} {example.image.spacing_um} ".encode())
    digest.update(pixel_hash(example.image).encode())
    if isinstance(truth, Points):
        names = [truth.kinds[k] for k in truth.kind]
        digest.update(repr([truth.position_um.tolist(), names]).encode())
    else:
        digest.update(pixel_hash(truth.image).encode())
    digest.update(b"" if example.complete is None else pixel_hash(example.complete).encode())
    return digest.hexdigest()


def _version(part: str) -> str:
    try:
        return version(part)
    except PackageNotFoundError:
        return "not installed"
