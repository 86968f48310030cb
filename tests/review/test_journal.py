from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import FormatError, StoreError
from graticule.review.journal import Journal

ABOUT = {"image": {"sha256": "abc"}, "who": "ada"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review" / "ada.jsonl"


def written(path: Path, count: int = 3) -> None:
    journal = Journal.open(path, ABOUT)
    for number in range(count):
        journal.append({"what": "accept", "ids": [number]})
    journal.close()


def test_what_is_appended_is_there_when_it_is_opened_again(path: Path) -> None:
    written(path)
    journal = Journal.open(path, ABOUT)
    assert [line["ids"] for line in journal.lines] == [[0], [1], [2]]
    assert journal.header["who"] == "ada" and not journal.recovered


def test_a_line_is_on_the_disk_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(path, ABOUT)
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(path.read_bytes()))
    journal.append({"what": "accept", "ids": [7]})
    assert flushed and flushed[-1].endswith(b'"ids": [7]}\n')


@given(cut=st.integers(1, 200))
def test_a_journal_torn_anywhere_in_its_last_line_loses_that_line_only(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "ada.jsonl"
    written(path)
    text = path.read_bytes()
    last = text.rfind(b"\n", 0, -1) + 1
    path.write_bytes(text[: last + 1 + cut % (len(text) - last - 1)])
    journal = Journal.open(path, ABOUT)
    assert [line["ids"] for line in journal.lines] == [[0], [1]]
    assert "cut off" in journal.recovered and path.with_name("ada.jsonl.torn").is_file()
    journal.append({"what": "reject", "ids": [2]})
    journal.close()
    assert [line["n"] for line in Journal.open(path, ABOUT).lines] == [1, 2, 3]


def test_a_last_line_of_zeros_after_a_power_cut_is_recovered_too(path: Path) -> None:
    written(path, 2)
    with path.open("ab") as file:
        file.write(b"\0" * 40 + b"\n")
    journal = Journal.open(path, ABOUT)
    assert len(journal.lines) == 2 and journal.recovered


def test_a_damaged_line_among_good_ones_is_refused_by_its_number(path: Path) -> None:
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{damaged\n", *lines[3:]]))
    with pytest.raises(FormatError, match="line 3"):
        Journal.open(path, ABOUT)


def test_a_missing_line_is_noticed(path: Path) -> None:
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(FormatError, match="no decision 2"):
        Journal.open(path, ABOUT)


def test_decisions_on_another_image_are_refused(path: Path) -> None:
    written(path)
    with pytest.raises(FormatError, match="another image"):
        Journal.open(path, {**ABOUT, "image": {"sha256": "xyz"}})


def test_only_one_can_write_at_a_time_and_others_may_look(path: Path) -> None:
    first = Journal.open(path, ABOUT)
    first.append({"what": "accept", "ids": [1]})
    with pytest.raises(StoreError, match="in use"):
        Journal.open(path, ABOUT)
    assert len(Journal.read(path, ABOUT).lines) == 1
    first.close()
    Journal.open(path, ABOUT).close()


def test_a_line_that_cannot_be_flushed_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(path, ABOUT)
    journal.append({"what": "accept", "ids": [1]})
    before = path.read_bytes()

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="does not count"):
        journal.append({"what": "accept", "ids": [2]})
    assert path.read_bytes() == before
    monkeypatch.undo()
    journal.append({"what": "reject", "ids": [2]})
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()[1:]] == [1, 2]


def test_a_file_that_is_no_journal_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"some": "settings"}\n')
    with pytest.raises(FormatError, match="no journal"):
        Journal.open(path, ABOUT)
    assert path.read_text() == '{"some": "settings"}\n'
