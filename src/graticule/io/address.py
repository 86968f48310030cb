"""Where an image lies: a file or folder, an address on the web, and a place inside either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

Source = str | Path
"""What people call an image by: the name of a file or folder, or an address such as ``https://…``."""

INSIDE = re.compile(r"(?i)(.*\.(?:zarr|h5|hdf5|hdf))(?::/*|/)(.*[^/])/*")
"""``volume.zarr:/labels/mask``, ``volume.zarr:1``, and ``volume.zarr/labels/mask``, as file managers show it."""

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]+):/+")
"""Two letters at least, as one is a Windows drive. `Path` makes one slash of two, which is undone here."""

ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an image lies.

    Attributes
    ----------
    root
        The file or folder, or its URL.
    inner
        What is meant inside it, without slashes at its ends; empty for all of it.
    """

    root: str
    inner: str = ""

    @classmethod
    def of(cls, source: Source) -> Address:
        """Take `source` apart.

        >>> Address.of("s3://bucket/a.zarr:/labels/mask")
        Address(root='s3://bucket/a.zarr', inner='labels/mask')
        >>> Address.of(Path("https://host/a.zarr"))
        Address(root='https://host/a.zarr', inner='')
        """
        text = _url_restored(str(source).strip())
        inside = INSIDE.fullmatch(text)
        if inside and not Path(text).is_file():
            return cls(inside[1], inside[2])
        return cls(text.rstrip("/") or text)

    @property
    def is_remote(self) -> bool:
        """Reached by a protocol, not through the file system."""
        return "://" in self.root

    @property
    def path(self) -> Path:
        """The local file or folder."""
        return Path(self.root)

    @property
    def suffix(self) -> str:
        """In lower case; folders that Zarr has marked, and addresses without a suffix we know, are ``.zarr``."""
        own = Path(self.root).suffix.lower()
        if own == ".zarr" or (not self.is_remote and not is_zarr(self.path)):
            return own
        return own if own in LEAF_SUFFIXES else ".zarr"


LEAF_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".mrc", ".h5", ".hdf5", ".csv")
"""Of things on the web that are plainly no Zarr."""


def _url_restored(text: str) -> str:
    found = SCHEME.match(text)
    if not found or Path(text).exists():
        return text
    rest = text[found.end() :]
    return f"/{rest}" if found[1].lower() == "file" else f"{found[1].lower()}://{rest}"


def is_zarr(folder: Path) -> bool:
    """Zarr has been at work in this folder."""
    return folder.is_dir() and any((folder / mark).exists() for mark in ZARR_MARKS)


def image_name(source: Source) -> str:
    """The image's name without its suffix, ``.ome`` included; and with what is meant inside it.

    >>> image_name("images/S1.ome.tif"), image_name("https://host/S1.ome.zarr/labels/mask")
    ('S1', 'S1_labels_mask')
    """
    at = Address.of(source)
    stem = Path(at.root).stem
    stem = stem[:-4] if stem.lower().endswith(".ome") else stem
    return "_".join([stem, *at.inner.split("/")]) if at.inner else stem
