"""Files that are not what they say, each with what has to be said about it: for the intake, and for a running server."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import PIL.Image
import tifffile
from safetensors.numpy import save_file

from graticule.checkpoint import Checkpoint
from graticule.nets.forward import weights_of
from graticule.tasks import Beads

MB = 2**20
IMAGE_BYTES = 64 * MB
LOOK_BYTES = 256 * MB
"""Limits under which the bombs below are ones."""


@dataclass(frozen=True)
class Bad:
    """A file to be refused: its name, who makes it, and words (a regular expression) of the line about it."""

    name: str
    make: Callable[[Path], None]
    said: str
    kind: str = "images"

    def __str__(self) -> str:
        return f"{self.make.__name__.lstrip('_')}-{self.name.rpartition('.')[2]}"


def picture(shape=(40, 50), seed: int = 0) -> np.ndarray:
    """Something to save."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("Sample 7, fixed on Tuesday\n" * 20)


def _web_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")


def _png_inside(path: Path) -> None:
    PIL.Image.fromarray(picture()).save(path, format="PNG")


def _cut_in_half(path: Path) -> None:
    save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _two_gigabyte_header(path: Path) -> None:
    """A TIFF, an NPY or an MRC whose header tells of gigabytes, with a few bytes behind it."""
    if path.suffix == ".tif":
        tags = ((256, 50_000), (257, 50_000), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 50_000))
        path.write_bytes(_tiff([*tags, (279, 2_500_000_000)]) + bytes(200))
    elif path.suffix == ".npy":
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (50_000, 50_000)}
            )
    else:
        with mrcfile.new(path) as file:
            file.set_data(picture().astype(np.int16))
        with path.open("r+b") as file:
            file.write(struct.pack("<3i", 30_000, 30_000, 30_000))


def _tiff(tags: list[tuple[int, int]]) -> bytes:
    """The head of a little-endian TIFF with one page, padded to 200 bytes."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0")


def _declares_a_lot(path: Path) -> None:
    """It is what it says: 12 000 × 12 000 zeros, in the space of a stamp."""
    tifffile.imwrite(path, np.zeros((12_000, 12_000), np.uint8), compression="zlib", tile=(1024, 1024))


def _inflates_to_a_lot(path: Path) -> None:
    """It says 100 × 100, and inflates to 400 MB."""
    deflate = zlib.compressobj(1)
    block = bytes(16 * MB)
    strip = b"".join(deflate.compress(block) for _ in range(25)) + deflate.flush()
    tags = ((256, 100), (257, 100), (258, 8), (259, 8), (262, 1), (273, 200), (277, 1), (278, 100))
    path.write_bytes(_tiff([*tags, (279, len(strip))]) + strip)


def _pages_in_a_circle(path: Path) -> None:
    content = bytearray(_tiff([(256, 10), (257, 10), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (279, 100)]))
    content[8 + 2 + 8 * 12 : 8 + 2 + 8 * 12 + 4] = struct.pack("<I", 8)
    path.write_bytes(bytes(content) + bytes(100))


def _png_bomb(path: Path) -> None:
    """100 million pixels of one bit in a few thousand bytes."""
    row = b"\0" + bytes(1250)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 10_000)),
        (b"IEND", b""),
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _png_with_a_long_comment(path: Path) -> None:
    """A comment that inflates to 300 MB."""
    PIL.Image.fromarray(picture()).save(path)
    content = path.read_bytes()
    comment = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(300 * MB), 1))
    path.write_bytes(content[:33] + comment + content[33:])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _different_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        for shape in ((40, 50), (41, 50), (40, 52)):
            file.write(picture(shape), metadata=None)


def _nan(path: Path) -> None:
    pixels = picture().astype(np.float32)
    pixels[7, 8] = np.nan
    tifffile.imwrite(path, pixels)


def _complex(path: Path) -> None:
    tifffile.imwrite(path, picture().astype(np.complex64))


def _pickle(path: Path) -> None:
    np.save(path, np.array([[{"a": 1}, print]], dtype=object), allow_pickle=True)


def _no_pixels(path: Path) -> None:
    np.save(path, np.zeros((0, 5), np.uint8))


def _a_line(path: Path) -> None:
    np.save(path, np.zeros(50, np.uint8))


def _nothing_inside(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = 3


def _two_inside(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = picture(), picture()


def _a_terabyte_unwritten(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (1_000_000, 1_000_000), np.uint8, chunks=(100, 100))


def _bytes_of_another_file(path: Path) -> None:
    """HDF5's external storage: the pixels are whatever lies in a file of the server."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4, 5), np.uint8, external=[("/etc/passwd", 0, 20)])


def _link_to_another_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["b"] = picture()
        file["inner/a"] = h5py.ExternalLink("/somewhere/secret.h5", "/a")


def _made_of_another_file(path: Path) -> None:
    layout = h5py.VirtualLayout((40, 50), np.uint8)
    layout[...] = h5py.VirtualSource("/somewhere/secret.h5", "a", (40, 50))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("a", layout)


def _slice_of_another_file(path: Path) -> None:
    """An OME-TIFF that says that its second plane lies in another file of the folder."""
    other = path.with_name("secret.ome.tif")
    for file in (other, path):
        tifffile.imwrite(file, picture((2, 40, 50)), ome=True, metadata={"axes": "ZYX"})
    ids = [f"urn:uuid:{n * 8}-0000-0000-0000-000000000000" for n in "ab"]
    for file, own, both in ((other, ids[1], ids[1:] * 2), (path, ids[0], ids)):
        planes = "".join(
            f'<TiffData IFD="{i}" FirstZ="{i}" PlaneCount="1"><UUID FileName="{name}">{id}</UUID></TiffData>'
            for i, (name, id) in enumerate(zip(("this.ome.tif", "../images/secret.ome.tif"), both, strict=True))
        )
        said = tifffile.tiffcomment(file)
        head, tail = said.split("<TiffData", 1)[0], "</Pixels>" + said.split("</Pixels>", 1)[1]
        head = head.replace("<OME ", f'<OME UUID="{own}" ', 1) if "UUID=" not in head else _with_uuid(head, own)
        tifffile.tiffcomment(file, (head + planes + tail).encode())


def _with_uuid(head: str, uuid: str) -> str:
    before, after = head.split('UUID="', 1)
    return f'{before}UUID="{uuid}"{after.split(chr(34), 1)[1]}'


def _channels_and_colours(path: Path) -> None:
    tifffile.imwrite(path, picture((2, 40, 50, 3)), photometric="rgb", metadata={"axes": "CYXS"})


def _time_and_all_else(path: Path) -> None:
    tifffile.imwrite(path, picture((2, 3, 4, 20, 30)), imagej=True, metadata={"axes": "TZCYX"})


def _no_model(path: Path) -> None:
    save_file({"weight": np.ones(3, np.float32)}, path)


def _card(path: Path, card: object) -> None:
    save_file({"weight": np.ones(3, np.float32)}, path, {"graticule": json.dumps(card)})


def _another_task(path: Path) -> None:
    _card(path, {"format": 1, "task": "weather", "settings": {}, "made_by": {}})


def _odd_card(path: Path) -> None:
    _card(path, ["no", "card"])


def _no_settings(path: Path) -> None:
    _card(path, {"format": 1, "task": "beads", "settings": None, "made_by": {}})


def _weights_of_another(path: Path) -> None:
    """… and a network that would take more memory than there is in the world."""
    settings = {"classes": ["6nm"], "diameters_nm": [6.0], "width": 1000.0}
    _card(path, {"format": 1, "task": "beads", "settings": settings, "made_by": {}})


def _header_without_end(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")


DAMAGED = "damaged|unsupported|truncated"

BAD = (
    *(Bad(f"S1{suffix}", _empty, r"empty file \(0 bytes\)") for suffix in (".tif", ".png", ".h5", ".mrc", ".npy")),
    Bad("m.safetensors", _empty, r"empty file \(0 bytes\)", "models"),
    *(Bad(f"S1{suffix}", _text, rf"found no {what} inside") for suffix, what in ((".tif", "TIFF"), (".png", "PNG"))),
    *(Bad(f"S1{suffix}", _text, rf"found no {what} inside") for suffix, what in ((".npy", "NPY"), (".h5", "HDF5"))),
    Bad("S1.mrc", _text, "MRC"),
    Bad("S1.jpg", _text, "found no JPEG inside"),
    Bad("m.safetensors", _text, "not a Graticule model, or is damaged", "models"),
    Bad("S1.tif", _web_page, "found a web page inside; need a TIFF"),
    Bad("S1.tif", _png_inside, "found a PNG inside; need a TIFF"),
    Bad("S1.jpeg", _png_inside, "found a PNG inside; need a JPEG"),
    *(Bad(f"S1{suffix}", _cut_in_half, DAMAGED) for suffix in (".tif", ".png", ".jpg", ".h5", ".mrc", ".npy")),
    Bad("S1.tif", _two_gigabyte_header, f"{DAMAGED}|found a header that claims"),
    Bad("S1.npy", _two_gigabyte_header, DAMAGED),
    Bad("S1.mrc", _two_gigabyte_header, DAMAGED),
    Bad("S1.tif", _declares_a_lot, r"found an image of 144 MB; need at most 67\.1 MB"),
    Bad("S1.tif", _inflates_to_a_lot, "memory|damaged"),
    Bad("S1.tif", _pages_in_a_circle, DAMAGED),
    Bad("S1.png", _png_bomb, r"found an image of 100 MB; need at most 67\.1 MB|claims"),
    Bad("S1.png", _png_with_a_long_comment, DAMAGED),
    Bad("S1.tif", _different_pages, r"found 3 images \(40 × 52; 41 × 50; 40 × 50 …\); need one; save each"),
    Bad("S1.tif", _nan, "not finite|NaN|no numbers"),
    Bad("S1.tif", _complex, "found complex numbers"),
    Bad("S1.npy", _pickle, "found pickled Python objects"),
    Bad("S1.npy", _no_pixels, "found an image without pixels|damaged"),
    Bad("S1.npy", _a_line, "need at least two dimensions"),
    Bad("S1.h5", _nothing_inside, "found 0 datasets that can be images"),
    Bad("S1.h5", _two_inside, "found 2 datasets that can be images"),
    Bad("S1.hdf5", _a_terabyte_unwritten, "found an image of 1e\\+03 GB; need at most"),
    Bad("S1.h5", _bytes_of_another_file, "parts of the image in other files"),
    Bad("S1.h5", _link_to_another_file, "parts of the image in other files"),
    Bad("S1.h5", _made_of_another_file, "parts of the image in other files"),
    Bad("this.ome.tif", _slice_of_another_file, "in other(, missing)? files"),
    Bad("S1.tif", _channels_and_colours, "found channels and colours"),
    Bad("S1.tif", _time_and_all_else, "found 2 time points"),
    Bad("m.safetensors", _no_model, "not a Graticule model", "models"),
    Bad("m.safetensors", _another_task, "is for task 'weather'", "models"),
    Bad("m.safetensors", _odd_card, "found no Graticule model", "models"),
    Bad("m.safetensors", _no_settings, "found no Graticule model", "models"),
    Bad("m.safetensors", _weights_of_another, "weights of another network", "models"),
    Bad("m.safetensors", _header_without_end, "not a Graticule model, or is damaged", "models"),
    Bad("S1.exe", _text, r"found suffix '\.exe'; need one of \.tif"),
    Bad("S1", _text, "found suffix ''; need one of"),
    Bad("S1.tif.exe", _text, r"found suffix '\.exe'"),
    Bad("S1.zarr", _text, "found a Zarr, which is a folder"),
    Bad("m.safetensors", _no_model, "found a model where an image is needed"),
    Bad("m.pt", _text, r"found suffix '\.pt'; need \.safetensors; give a model made by training", "models"),
)
"""Where a server has the limits above."""


def tiny_model() -> Checkpoint:
    """A network for beads that has learnt nothing."""
    task = Beads(classes=("6nm",), diameters_nm=(6.0,), width=0.25, neck_channels=16, neck_rounds=1, head_channels=16)
    return Checkpoint(task, weights_of(task.network()))


def save(path: Path) -> None:
    """A small good image, in the format of its name."""
    pixels = picture((64, 70))
    match path.suffix:
        case ".tif":
            tifffile.imwrite(path, pixels, compression="zlib", rowsperstrip=16)
        case ".tiff":
            tifffile.imwrite(
                path, pixels, ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            )
        case ".png" | ".jpg":
            PIL.Image.fromarray(pixels).save(path)
        case ".h5":
            with h5py.File(path, "w") as file:
                file.create_dataset("a", data=pixels, chunks=(16, 16), compression="gzip")
        case ".mrc":
            with mrcfile.new(path) as file:
                file.set_data(pixels.astype(np.int16))
        case ".npy":
            np.save(path, pixels)


GOOD = (".tif", ".tiff", ".png", ".jpg", ".h5", ".mrc", ".npy")
"""Suffixes that `save` knows."""


def damaged(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    """`content` hurt at random: bytes turned, a piece cut off, taken out, put in or blotted out, mostly near the head."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        bytes_ = bytearray(content)
        for _ in range(int(rng.integers(1, 4))):
            size = len(bytes_)
            at = int(rng.integers(0, min(size, 512) if rng.random() < 0.6 else size))
            length = int(rng.integers(1, 64))
            match int(rng.integers(0, 5)):
                case 0:
                    bytes_[at] ^= int(rng.integers(1, 256))
                case 1:
                    del bytes_[at + 1 :]
                case 2:
                    del bytes_[at : at + length]
                case 3:
                    bytes_[at:at] = rng.bytes(length)
                case _:
                    bytes_[at : at + length] = (b"\xff" if rng.random() < 0.5 else b"\0") * len(
                        bytes_[at : at + length]
                    )
            if len(bytes_) < 2:
                break
        yield bytes(bytes_)
