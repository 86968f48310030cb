from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import FormatError
from graticule.web.places import Entry, Root

PIXELS = np.zeros((4, 5), np.uint8)

HOSTILE = (
    "..",
    "../secret.tif",
    "stacks/../../secret.tif",
    "stacks/..",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    ".",
    "./S1.tif",
    "stacks//S2.tif",
    "stacks/",
    "S1.tif\0.png",
    "S1.tif\n",
    "..\\secret.tif",
    "stacks\\S2.tif",
    "C:\\secret.tif",
    ".hidden.tif",
    "stacks/.hidden/S3.tif",
    "… /..",
    "%2e%2e/secret.tif",
    "\u2024\u2024/secret.tif",
    "..\uff0fsecret.tif",
    "\ud800",
    "leads-out.tif",
    "leads-out/secret.tif",
    "in-a-circle",
    "https://example.org/a.zarr",
    "file:///etc/passwd",
    "a" * 5000,
    "/".join("a" * 1000),
    "users",
    "users/someone/S4.tif",
    "a.zarr:/../../secret.tif",
    "a.h5:/../x",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with files, and things around it that are nobody's business."""
    around = tmp_path_factory.mktemp("around")
    tifffile.imwrite(around / "secret.tif", PIXELS)
    root = around / "root"
    for name in ("S1.tif", "stacks/S2.tif", ".hidden.tif", "stacks/.hidden/S3.tif", "users/someone/S4.tif"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / name, PIXELS)
    (root / "a.zarr").mkdir()
    (root / "a.zarr" / "zarr.json").write_text("{}")
    (root / "a.h5").write_bytes(b"\x89HDF")
    (root / "notes.txt").write_text("of no use here")
    (root / "leads-out.tif").symlink_to(around / "secret.tif")
    (root / "leads-out").symlink_to(around)
    (root / "leads-in.tif").symlink_to(root / "S1.tif")
    (root / "in-a-circle").symlink_to(root / "in-a-circle")
    return root


@pytest.fixture(scope="module")
def root(folder: Path) -> Root:
    return Root(folder, without=[folder / "users"])


@pytest.mark.parametrize("relative", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_no_path_leaves_the_root(root: Root, relative: str) -> None:
    for ask in (root.resolve, root.listing):
        with pytest.raises(FormatError) as refused:
            ask(relative)
        said = str(refused.value)
        assert said.isprintable()
        assert len(said) < 400
        assert "around" not in said  # where the root lies is not told


@given(
    st.lists(st.sampled_from(["..", ".", "", "stacks", "S2.tif", "leads-out", "secret.tif", "root", "~", "a.zarr:"]))
)
def test_whatever_is_found_lies_below_the_root(root: Root, folder: Path, parts: list[str]) -> None:
    try:
        found = root.resolve("/".join(parts))
    except FormatError:
        return
    assert found.is_relative_to(folder.resolve())
    assert "users" not in found.parts


def test_what_is_listed_can_be_pointed_at_and_nothing_else_is_listed(root: Root, folder: Path) -> None:
    listed = root.listing()
    assert [entry.name for entry in listed] == ["stacks", "a.h5", "a.zarr", "leads-in.tif", "notes.txt", "S1.tif"]
    assert all(root.resolve(entry.name).exists() for entry in listed)
    assert root.listing("stacks") == [Entry("S2.tif", False, True, (folder / "stacks" / "S2.tif").stat().st_size)]


def test_a_zarr_is_one_image_and_no_folder(root: Root) -> None:
    (zarr,) = (entry for entry in root.listing() if entry.name == "a.zarr")
    assert zarr == Entry("a.zarr", False, True, 0)
    with pytest.raises(FormatError, match=r"a\.zarr: found no folder"):
        root.listing("a.zarr")


def test_a_place_inside_a_file_can_be_pointed_at(root: Root, folder: Path) -> None:
    assert root.resolve("a.h5:/data/raw") == Path(f"{folder.resolve()}/a.h5:/data/raw")


def test_a_name_that_is_no_text_is_left_out(folder: Path) -> None:
    odd = folder / "odd"
    odd.mkdir()
    (odd / "S\n1.tif").touch()
    (odd / "S\udcff1.tif").touch()
    (odd / "Größe µm.tif").touch()
    assert [entry.name for entry in Root(odd).listing()] == ["Größe µm.tif"]
    odd.rename(folder.parent / "odd")


def test_without_a_root_there_is_nothing_to_point_at() -> None:
    closed = Root(None)
    assert not closed.is_open
    for relative in ("", "S1.tif", "/etc/passwd"):
        with pytest.raises(FormatError, match="no folder on this server"):
            closed.resolve(relative)


def test_a_root_that_is_no_folder_is_refused(folder: Path) -> None:
    with pytest.raises(FormatError, match="no such folder for --root"):
        Root(folder / "S1.tif")
