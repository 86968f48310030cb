"""A Zarr array as an image's voxels: read window by window, and whatever is wrong said in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graticule.box import window
from graticule.errors import FormatError, GraticuleError
from graticule.image import Array
from graticule.io.scan import reason

if TYPE_CHECKING:
    import zarr

COUNTABLE = 200_000
"""Files of more chunks than this are not counted: it would take longer than people wait for `info`."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A Zarr array that is only ever sliced. Chunks that were never written are legal, and read as its fill value."""

    source: str
    array: zarr.Array[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """In this machine's byte order; what is true or false is 0 or 1."""
        own = np.dtype(self.array.dtype)
        return np.dtype(np.uint8) if own.kind == "b" else own.newbyteorder("=")

    @property
    def chunks(self) -> tuple[int, ...]:
        """What is decoded at once."""
        return tuple(self.array.chunks)

    @property
    def files(self) -> tuple[int, ...]:
        """Voxels in one file: a chunk, or a shard of many."""
        return tuple(self.array.shards or self.array.chunks)

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        try:
            found = np.asarray(self.array[read])
        except GraticuleError:
            raise
        except Exception as error:  # codecs raise anything on damaged bytes, and networks on bad days
            raise self._refusal(read, error) from error
        return found.astype(self.dtype, copy=False)[then]

    def missing(self) -> tuple[int, int] | None:
        """How many of how many files are not there; None where counting them is not cheap."""
        total = prod(-(-n // c) for n, c in zip(self.shape, self.files, strict=True))
        root = getattr(self.array.store, "root", None)
        if root is None or total > COUNTABLE:
            return None
        return total - _count_files(Path(root) / self.array.path), total

    def _refusal(self, read: tuple[slice, ...], error: Exception) -> FormatError:
        """One chunk after the other is tried, to say which."""
        for block, place in self._blocks(read):
            try:
                self.array[block]
            except Exception as found:
                return FormatError(
                    f"{self.source}: found a damaged chunk, {self._file(place)} (voxels {_spelt(block)}: "
                    f"{reason(found)}); need all that is stored to be whole; copy that file again"
                )
        return FormatError(
            f"{self.source}: could not be read this time ({reason(error)}); need a reliable disk or network; try again"
        )

    def _blocks(self, read: tuple[slice, ...]) -> Iterator[tuple[tuple[slice, ...], tuple[int, ...]]]:
        ranges = [range(s.start // n, -(-s.stop // n)) for s, n in zip(read, self.files, strict=True)]
        for place in product(*ranges):
            corners = zip(place, self.files, self.shape, strict=True)
            yield tuple(slice(i * n, min((i + 1) * n, length)) for i, n, length in corners), place

    def _file(self, place: tuple[int, ...]) -> str:
        key: str = self.array.metadata.encode_chunk_key(place)
        return f"{self.array.path}/{key}" if self.array.path else key


def _spelt(block: tuple[slice, ...]) -> str:
    return ", ".join(f"{s.start}–{s.stop - 1}" for s in block)


def _count_files(folder: Path) -> int:
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += sum(not name.startswith(".") and name != "zarr.json" for name in files)
    return count
