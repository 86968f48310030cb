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
from graticule.io.address import ZARR_MARKS, Address, Source
from graticule.io.dataset import Dataset
from graticule.results import Points

LARGE = 2 * 10**9
"""Files of more bytes are told apart by size and time: to read them for a hash would take minutes."""

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


def fingerprint(source: Source) -> dict[str, Any]:
    """Which file, folder or address this is: a hash of its bytes or, where there are too many, what stands for them."""
    at = Address.of(source)
    if at.is_remote:
        return {"file": str(source)}
    path = at.path
    said: dict[str, Any] = {"file": str(path.resolve()) + (f":/{at.inner}" if at.inner else "")}
    if path.is_dir():
        digest = hashlib.sha256()
        for meta in sorted(p for mark in ZARR_MARKS for p in (*path.glob(mark), *path.glob(f"*/{mark}"))):
            digest.update(meta.read_bytes())
        return said | {"metadata_sha256": digest.hexdigest()}
    about = path.stat()
    if about.st_size > LARGE:
        return said | {"bytes": about.st_size, "modified": about.st_mtime}
    return said | {"sha256": sha256(path)}


def about_model(file: Path) -> dict[str, Any]:
    """Which model file this is; or which method, where that goes by its name alone."""
    return {"sha256": sha256(file), "file": str(file.resolve())} if file.is_file() else {"method": str(file)}


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
