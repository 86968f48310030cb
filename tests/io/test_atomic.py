import os

import pytest

from graticule.errors import FormatError
from graticule.io.atomic import replacing, replacing_folder


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "points.csv"
    with replacing(path) as aside:
        aside.write_text("half")
        assert not path.exists()
        assert aside.parent == tmp_path
        assert aside.suffix == ".csv"
    assert path.read_text() == "half"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="no number"), replacing(path) as aside:
        aside.write_text(str(int("no number")))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["points.csv"]


def test_missing_folders_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b" / "c.txt") as aside:
        aside.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_others_may_read_what_was_written(tmp_path):
    path, ordinary = tmp_path / "a.txt", tmp_path / "b.txt"
    with replacing(path) as aside:
        aside.write_text("x")
    ordinary.write_text("x")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError, match=r"file.a\.csv: could not be written"), replacing(tmp_path / "file" / "a.csv"):
        pass


def test_a_folder_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FormatError, match="could not be written"), replacing(tmp_path / "a.csv") as aside:
        aside.write_text("x")
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    folder = tmp_path / "new" / "a.zarr"
    with replacing_folder(folder) as aside:
        (aside / "voxels").write_text("half")
        assert not folder.exists()
    assert (folder / "voxels").read_text() == "half"
    with pytest.raises(FormatError, match=r"a\.zarr: found a folder with other things in it"), replacing_folder(folder):
        pass
    with replacing_folder(folder, replaceable=lambda old: (old / "voxels").exists()) as aside:
        (aside / "more").write_text("new")
    assert [p.name for p in folder.parent.rglob("*")] == ["a.zarr", "more"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FormatError, match="could not be written"), replacing_folder(tmp_path / "a") as aside:
        (aside / "voxels").write_text("half" + (tmp_path / "none").read_text())
    assert [p.name for p in tmp_path.rglob("*")] == ["a"]


def test_folders_made_for_nothing_are_removed(tmp_path):
    for opened in (replacing, replacing_folder):
        with pytest.raises(ZeroDivisionError), opened(tmp_path / "new" / "newer" / "a.zarr"):
            1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())
