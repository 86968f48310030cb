"""Killed in the middle of a review, napari has lost nothing that it showed; `benchmarks/review_kill.py` does it 50 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.review_kill import acknowledgements, journal, kill_once, missing
from graticule.workflows.review import load_result, open_review
from tests.napari.results import write_result

LINES = [
    {"what": "accept", "ids": [3]},
    {"what": "look"},
    {"what": "relabel", "ids": [4], "kind": "6nm"},
    {"what": "undo"},
    {"what": "reject", "ids": [4]},
]


def test_what_is_painted_twice_or_is_no_decision_is_not_counted_twice() -> None:
    painted = [" ", "opened a", "accepted 3", "accepted 3", "found a field in front …", "skipped 7", "rejected 4"]
    assert acknowledgements(painted) == ["accepted 3", "rejected 4"]


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        (["accepted 3", "checked this field", "took back: relabel 4", "rejected 4"], []),
        (["accepted 3", "accepted 5"], ["accepted 5"]),
        (["rejected 3"], ["rejected 3"]),
        (["labelled 4 as 6nm", "accepted 3"], ["accepted 3"]),
        ([], []),
    ],
)
def test_an_acknowledgement_without_its_line_is_noticed(said: list[str], lost: list[str]) -> None:
    assert missing(said, LINES) == lost


def test_nothing_that_was_acknowledged_on_screen_is_lost_when_napari_is_killed(
    display: dict[str, str], tmp_path: Path
) -> None:
    folder = write_result(tmp_path, number=400, shape=(500, 500))
    environment = {**display, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = [kill_once(folder, environment, seed, longest_s=0.5) for seed in range(3)]
    assert sum(killed.acknowledged for killed in done) >= 3
    with open_review(load_result(folder), who="ada") as session:
        assert len(journal(folder)) == sum(killed.written for killed in done)
        assert session.progress.decided > 0
