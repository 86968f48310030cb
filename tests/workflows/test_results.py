import pytest

from graticule.errors import FormatError
from graticule.workflows.results import check_new_folder, check_result_folder, check_writable, result_folder


def test_a_result_appears_whole(tmp_path):
    with result_folder(tmp_path / "a" / "b") as aside:
        (aside / "run.json").write_text("{}")
        assert not (tmp_path / "a" / "b").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b" / "run.json").exists()


def test_nothing_is_left_of_a_result_that_fails(tmp_path):
    def fails():
        with result_folder(tmp_path / "a" / "b") as aside:
            (aside / "run.json").write_text("{}")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fails()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_stays_until_the_new_one_is_whole(tmp_path):
    for text in ("first", "second"):
        with result_folder(tmp_path / "a") as aside:
            (aside / "run.json").write_text(text)
            (aside / f"{text}.txt").write_text(text)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"run.json", "second.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_parents_that_hold_something_else_are_not_removed(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyboardInterrupt), result_folder(tmp_path / "a" / "b" / "c"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert list((tmp_path / "a").iterdir()) == []


def test_files_and_folders_of_others_are_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("")
    for check in (check_result_folder, check_new_folder):
        for place in ("file", "folder", "file/inside"):
            with pytest.raises(FormatError, match="choose another"):
                check(tmp_path / place)
        check(tmp_path / "new" / "deep")
    with pytest.raises(FormatError, match="found a folder"):
        check_writable(tmp_path / "folder")
    check_writable(tmp_path / "file")


def test_an_earlier_result_may_be_replaced_but_is_not_new(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    check_result_folder(tmp_path)
    with pytest.raises(FormatError):
        check_new_folder(tmp_path)
