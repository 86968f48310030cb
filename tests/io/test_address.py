from pathlib import Path

import pytest

from graticule.io.address import Address, image_name


@pytest.mark.parametrize(
    "root", ["a.zarr", "/data/a.ome.zarr", "https://host:80/b/a.zarr", "s3://bucket/a.zarr", "a.h5"]
)
@pytest.mark.parametrize("inner", ["1", "labels/mask"])
def test_a_place_inside_follows_a_colon_or_a_slash(root, inner):
    for between in (":", ":/", "/"):
        assert Address.of(f"{root}{between}{inner}") == Address(root, inner)
        assert Address.of(Path(f"{root}{between}{inner}/")) == Address(root, inner)
    assert Address.of(f"{root}/") == Address(root)


def test_a_path_does_not_spoil_the_slashes_of_an_address():
    assert Address.of(Path("https://host/a.zarr")).root == "https://host/a.zarr"
    assert Address.of(Path("file:///data/a.zarr")).root == "/data/a.zarr"
    assert not Address.of("C:/data/a.zarr").is_remote


def test_a_file_with_a_colon_in_its_name_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.h5:1").write_text("mine")
    assert Address.of("a.h5:1") == Address("a.h5:1")


def test_suffixes_say_the_format_and_marked_folders_need_none(tmp_path):
    assert Address.of("A.TIF").suffix == ".tif"
    assert Address.of("https://host/image").suffix == ".zarr"
    assert Address.of("https://host/image.tif").suffix == ".tif"
    (tmp_path / "volume").mkdir()
    assert Address.of(tmp_path / "volume").suffix == ""
    (tmp_path / "volume" / "zarr.json").touch()
    assert Address.of(tmp_path / "volume").suffix == ".zarr"


def test_images_inside_one_file_have_names_of_their_own():
    names = [image_name(f"https://host/a.ome.zarr{inner}") for inner in ("", ":1", ":/labels/mask")]
    assert names == ["a", "a_1", "a_labels_mask"]
