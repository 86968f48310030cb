"""The pixels of a TIFF: all in it, decodable, and read no earlier than they are needed."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile

from graticule.box import window
from graticule.errors import FormatError
from graticule.image import Array, ArrayLike
from graticule.io.lazy import Contiguous
from graticule.io.scan import IN_MEMORY, SAVE_AGAIN, check_plausible, reading


def main_series(file: tifffile.TiffFile, path: Path) -> Any:
    """The one image in the file. Thumbnails and levels of a pyramid are passed over; two images are one too many."""
    series = sorted(file.series, key=lambda one: one.size, reverse=True)
    if not series:
        raise FormatError(f"{path}: found a TIFF without an image; need one; {SAVE_AGAIN}")
    if len(series) > 1 and series[1].size > series[0].size / 2:
        shapes = "; ".join(" × ".join(map(str, one.shape)) for one in series[:4])
        raise FormatError(f"{path}: found {len(series)} images ({shapes} …); need one; save each as its own file")
    return series[0]


def check_complete(file: tifffile.TiffFile, series: Any, path: Path) -> None:
    """Every page and every strip lies in the file: cut files would otherwise be read as fewer slices, or as zeros."""
    if not _chain_ends(file):
        raise FormatError(f"{path}: found a truncated TIFF (its list of pages is cut short); need all; {SAVE_AGAIN}")
    size = file.filehandle.size
    if series.dataoffset is not None:
        _check_end(series.dataoffset + series.nbytes, size, path)
    for page in series.pages if not _is_virtual(series) else ():
        if page is None:
            raise FormatError(f"{path}: found slices that lie in other, missing files; need them beside it")
        if page.parent is not file:
            continue
        _check_page(page, size, path)


def _chain_ends(file: tifffile.TiffFile) -> bool:
    """The last page says that it is the last; in a file cut between pages, it points to where nothing is."""
    len(file.pages)
    where = file.pages.next_page_offset
    if where is None:
        return True
    file.filehandle.seek(where)
    found = file.filehandle.read(file.tiff.offsetsize)
    return len(found) == file.tiff.offsetsize and struct.unpack(file.tiff.offsetformat, found)[0] == 0


def _is_virtual(series: Any) -> bool:
    """A stack in one piece of which only the first page is written down, as ImageJ does beyond 4 GB."""
    return series.dataoffset is not None and len(series.pages) == 1


def _check_page(page: Any, size: int, path: Path) -> None:
    counts, offsets = page.databytecounts, page.dataoffsets
    expected = int(np.prod(page.keyframe.chunked))
    if len(offsets) != len(counts) or len(offsets) < expected:
        raise FormatError(f"{path}: found {len(counts)} pieces of a page, not {expected}; it is damaged; {SAVE_AGAIN}")
    if 0 in counts or 0 in offsets:
        raise FormatError(f"{path}: found a page with pieces that hold no data; need all; {SAVE_AGAIN}")
    if page.keyframe.compression == 1 and sum(counts) < page.keyframe.nbytes * page.keyframe.bitspersample // (
        8 * page.keyframe.dtype.itemsize
    ):
        raise FormatError(f"{path}: found too few bytes for a page; it is damaged; {SAVE_AGAIN}")
    _check_end(max(offset + count for offset, count in zip(offsets, counts, strict=True)), size, path)


def _check_end(end: int, size: int, path: Path) -> None:
    if end > size:
        raise FormatError(f"{path}: found a truncated TIFF ({size} of at least {end} bytes); need all; {SAVE_AGAIN}")


def pixels(file: tifffile.TiffFile, series: Any, path: Path) -> ArrayLike:
    """In memory if small, else mapped, else decoded window by window."""
    dtype = np.dtype(series.dtype)
    check_plausible(path, series.shape, dtype.itemsize)
    _check_codec(series.keyframe, path)
    if series.nbytes > IN_MEMORY and dtype.kind != "b" and not series.is_multifile:
        if series.dataoffset is not None:
            return Contiguous(path, series.dataoffset, tuple(series.shape), dtype.newbyteorder(file.byteorder))
        if lazily := Segments.of(file, series, path):
            return lazily
    found = series.asarray()
    if found.shape != tuple(series.shape):
        raise FormatError(f"{path}: found {found.shape} where the header says {series.shape}; {SAVE_AGAIN}")
    return np.ascontiguousarray(found, np.uint8 if dtype.kind == "b" else dtype.newbyteorder("="))


def _check_codec(keyframe: Any, path: Path) -> None:
    """Decoders are looked up once, before any work; most but deflate come with the package imagecodecs."""
    if keyframe.compression == 1:
        return
    try:
        tifffile.TIFF.DECOMPRESSORS[keyframe.compression]
        tifffile.TIFF.UNPREDICTORS[keyframe.predictor]
    except (KeyError, ValueError, ImportError) as error:
        name = getattr(keyframe.compression, "name", keyframe.compression)
        raise FormatError(
            f"{path}: found {name} compression, which needs the package imagecodecs; run pip install imagecodecs, or "
            "save the image without compression"
        ) from error


KEPT_BYTES = 256 * 2**20
"""Of decoded strips and tiles, for the next window: 64 pages of 2048 × 2048 bytes."""


class Recent:
    """What was decoded last, up to so many bytes; what was not needed for longest goes first."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[Any, Array] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Any, make: Callable[[], Array]) -> Array:
        """What `make` gives, now or at an earlier time."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = make()
        with self._lock:
            if key not in self._kept and found.nbytes <= self.limit:
                self._kept[key] = found
                self.bytes += found.nbytes
            while self.bytes > self.limit:
                self.bytes -= self._kept.popitem(last=False)[1].nbytes
        return found


RECENT = Recent()
"""Shared by all images, so that a hundred open ones need no more memory than one."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Compressed pages of which a window decodes only the strips or tiles it touches; nothing stays open.

    `pages` holds, page by page, the offsets and the byte counts of the segments, and JPEG tables if any. Segments of
    which a window takes a part are kept for the windows beside it.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pages: tuple[tuple[tuple[int, ...], tuple[int, ...], bytes | None], ...]
    keyframe: Any
    identity: object = field(default_factory=object)

    @classmethod
    def of(cls, file: tifffile.TiffFile, series: Any, path: Path) -> Segments | None:
        """None where pages are not simply one plane each after the other."""
        key, pages = series.keyframe, list(series.pages)
        lead = series.shape[: len(series.shape) - len(key.shape)]
        simple = tuple(series.shape) == (*lead, *key.shape) and len(pages) == int(np.prod(lead))
        if not simple or series.transform is not None or key.imagedepth != 1 or key.planarconfig != 1:
            return None
        rows = tuple((tuple(p.dataoffsets), tuple(p.databytecounts), p.jpegtables) for p in pages)
        return cls(path, tuple(series.shape), np.dtype(series.dtype).newbyteorder("="), rows, key)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process as the file's name: what tifffile knows of a page cannot be sent."""
        return _reopened, (self.path,)

    def __getitem__(self, key: Any) -> Array:
        read, then = window(key, self.shape)
        depth = len(self.shape) - len(self.keyframe.shape)
        lead, plane = read[:depth], read[depth:]
        out = np.empty(tuple(s.stop - s.start for s in read), self.dtype)
        with reading(self.path, "TIFF"), self.path.open("rb") as file:
            for place in product(*(range(s.stop - s.start) for s in lead)):
                at = tuple(p + s.start for p, s in zip(place, lead, strict=True))
                page = int(np.ravel_multi_index(at, self.shape[:depth])) if depth else 0
                self._read_page(file, page, plane, out[place])
        return out[then]

    def _read_page(self, file: Any, page: int, plane: tuple[slice, ...], out: Array) -> None:
        offsets, counts, tables = self.pages[page]
        rows, columns = plane[0], plane[1]
        for i, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
            _, (_, _, top, left, _), (_, height, width, _) = self.keyframe.decode(None, i)
            y0, y1 = max(rows.start, top), min(rows.stop, top + height)
            x0, x1 = max(columns.start, left), min(columns.stop, left + width)
            if y0 >= y1 or x0 >= x1:
                continue
            decode = partial(self._decoded, file, i, offset, count, tables)
            whole = y1 - y0 == height and x1 - x0 == width
            segment = decode() if whole else RECENT.get((self.identity, page, i), decode)
            part = segment[y0 - top : y1 - top, x0 - left : x1 - left]
            part = part[..., 0] if len(plane) == 2 else part[..., plane[2]]
            out[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = part

    def _decoded(self, file: Any, i: int, offset: int, count: int, tables: bytes | None) -> Array:
        file.seek(offset)
        segment: Array = self.keyframe.decode(file.read(count), i, jpegtables=tables)[0][0]
        return segment


def _reopened(path: Path) -> ArrayLike:
    with reading(path, "TIFF"), tifffile.TiffFile(path) as file:
        return pixels(file, main_series(file, path), path)
