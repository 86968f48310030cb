import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from graticule.io import dataset
from graticule.workflows.review import load_result, open_review
from tests.web.tables import write_outlined, write_points


@pytest.fixture
def run(tmp_path):
    """Results of points and of outlines, in ``out``."""
    write_points(tmp_path / "out")
    write_outlined(tmp_path / "out")
    return tmp_path / "out"


def decided(run, who, *, name="grid", right=range(1, 11), wrong=(11, 12)):
    reviewed = load_result(run / name)
    with open_review(reviewed, who=who, order=reviewed.order(audit=1.0)) as session:
        for number in right:
            session.accept(number)
        for number in wrong:
            session.reject(number)
        return session.add((30.0, 40.0), seen_um=session.queue.fields_um[0]) if not session.outlined else 0


def test_what_was_decided_is_told_by_image_and_reviewer(graticule, run):
    decided(run, "ada")
    decided(run, "bea", right=range(1, 12), wrong=(12,))
    ended = graticule("reviewed", run)
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["grid", "ada", "10", "2", "8", "1"] in rows and ["grid", "bea", "11", "1", "8", "1"] in rows
    assert "grid: ada and bea agree: kappa" in ended.out and "on 12 findings that both judged" in ended.out


def test_one_reviewer_s_share_can_be_asked_for(graticule, run):
    decided(run, "ada")
    decided(run, "bea")
    told = graticule("reviewed", run, "--who", "bea", "--json").json
    assert [(a["reviewer"], a["accepted"]) for one in told["images"] for a in one["accounts"]] == [("bea", 10)]
    assert told["out"] is None


def test_the_random_part_is_told_with_its_interval(graticule, run):
    reviewed = load_result(run / "grid")
    with open_review(reviewed, who="ada", order=reviewed.order(audit=1.0)) as session:
        for number in session.queue.audited[:10]:
            session.accept(number)
        session.look(session.queue.fields_um[0])
    ended = graticule("reviewed", run, "--json")
    assert "right" in ended.err and "100% (" in ended.err
    audit = ended.json["images"][0]["accounts"][0]["audit"]
    assert audit["precision"]["seen"] == 10 and audit["missed"]["value"] == 0 and 0 < audit["recall"]["low"] < 1


def test_a_dataset_is_made_to_learn_from(graticule, run, tmp_path):
    decided(run, "ada")
    decided(run, "ada", name="cells", right=(1,), wrong=(2, 3))
    ended = graticule("reviewed", run / "grid", "-o", "learn", "--json")
    [one] = ended.json["dataset"]
    assert one["image"] == "grid" and one["objects"] == 11 and 0 < one["known"] < 1
    assert len(dataset.load(tmp_path / "learn").examples[0].truth) == 11
    assert "something there already" in graticule("reviewed", run / "grid", "-o", "learn").complaint


def test_nothing_decided_is_said_in_one_line(graticule, run):
    assert "graticule review RUN" in graticule("reviewed", run).complaint
    decided(run, "ada")
    assert "no decision by eve" in graticule("reviewed", run, "--who", "eve").complaint
    assert "found no result" in graticule("reviewed").complaint
    assert "run.json" in graticule("reviewed", "nowhere").complaint


def test_a_review_needs_a_password_where_others_can_reach_it(graticule, run):
    pytest.importorskip("fastapi", reason="the extra [web] is not installed")
    assert "--password" in graticule("review", run, "--host", "0.0.0.0").complaint
    assert "--port" in graticule("review", run, "--port", "70000").complaint
    assert "run.json" in graticule("review", "nowhere").complaint
    assert "2 results" in graticule("review", run, "--image", "x.tif").complaint


def test_a_port_in_use_is_said_in_one_line(graticule, run):
    pytest.importorskip("fastapi", reason="the extra [web] is not installed")
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in graticule("review", run, "--port", taken.getsockname()[1]).complaint


@pytest.mark.parametrize(("words", "module", "extra"), [((), "fastapi", "web"), (("--napari",), "napari", "napari")])
def test_a_missing_extra_is_said_in_one_line(graticule, run, monkeypatch, words, module, extra):
    for name in [name for name in sys.modules if name.startswith(("graticule.web.", "graticule.napari.", module))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'graticule[{extra}]'" in graticule("review", run, *words).complaint


def test_a_review_in_napari_is_begun_as_it_is_asked_for(graticule, run, monkeypatch):
    opened = []
    launch = SimpleNamespace(open_window=lambda *given: opened.append(given))
    monkeypatch.setitem(sys.modules, "graticule.napari.launch", launch)
    monkeypatch.setitem(sys.modules, "napari", SimpleNamespace(run=lambda: opened.append("running")))
    ended = graticule("review", run / "grid", "--napari", "--who", "ada", "--audit", "0.5")
    assert ended.code == 0
    assert [str(given) for given in opened[0]] == [str(run / "grid"), "ada"] and opened[1] == "running"
    header = json.loads((run / "grid" / "review" / "ada.jsonl").read_text().splitlines()[0])
    assert header["order"]["audit"] == 0.5
    assert "--napari" in graticule("review", run / "grid", "--napari", "--image", "x.tif").complaint


def test_an_image_that_was_moved_can_be_named(graticule, run, tmp_path):
    decided(run, "ada")
    file = json.loads((run / "grid" / "run.json").read_text())["image"]["file"]
    moved = tmp_path / "elsewhere.tif"
    Path(file).rename(moved)
    assert graticule("reviewed", run / "grid").code == 2
    ended = graticule("reviewed", run / "grid", "--image", moved, "-o", tmp_path / "learn")
    assert ended.code == 0 and (tmp_path / "learn" / "images").is_dir()
    both = graticule("reviewed", run, "--image", moved)
    assert both.code == 2 and "single result" in both.err
