"""What is typed to hand a result on."""

from __future__ import annotations

import pytest

from graticule.workflows.review import load_result, open_review
from tests.web.tables import write_outlined, write_points


@pytest.fixture
def run(tmp_path):
    """Results of points and of outlines, in ``out``."""
    write_points(tmp_path / "out")
    write_outlined(tmp_path / "out")
    return tmp_path / "out"


def test_every_result_becomes_a_file_called_after_its_image(graticule, run, tmp_path):
    ended = graticule("export", run, "--to", "csv", "-o", "tables", "--json")
    assert ended.code == 0 and ended.json["to"] == "csv" and ended.json["who"] is None
    assert [one["file"] for one in ended.json["exported"]] == ["tables/cells-objects.csv", "tables/grid-objects.csv"]
    for name in ("cells", "grid"):
        table = (tmp_path / "tables" / f"{name}-objects.csv").read_bytes()
        assert table == (run / name / "objects.csv").read_bytes()


def test_one_result_becomes_the_file_that_is_named(graticule, run, tmp_path):
    ended = graticule("export", run / "grid", "--to", "star", "-o", "picked.star")
    assert ended.code == 0 and ended.out == "picked.star\n"
    assert "_rlnCoordinateX" in (tmp_path / "picked.star").read_text()


def test_a_reviewer_s_decisions_count_when_asked_for(graticule, run, tmp_path):
    with open_review(load_result(run / "grid"), who="ada") as session:
        session.reject(1, 2)
    graticule("export", run / "grid", "--to", "csv", "-o", "a.csv")
    graticule("export", run / "grid", "--to", "csv", "-o", "b.csv", "--who", "ada")
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("a.csv", "b.csv"))
    assert after == [before[0], *before[3:]]


def test_what_does_not_fit_is_one_line_and_nothing_is_written(graticule, run, tmp_path):
    for where in (run / "cells", run):  # of which one could be exported
        assert "need one of csv, star, geojson" in graticule("export", where, "--to", "roi", "-o", "new").complaint
    (run / "cells").rename(run / "last")
    assert "need one of csv, star, geojson" in graticule("export", run, "--to", "roi", "-o", "new").complaint
    assert "2 results for all.csv" in graticule("export", run, "--to", "csv", "-o", "all.csv").complaint
    assert "no result here" in graticule("export", tmp_path / "none", "--to", "csv", "-o", "new").complaint
    assert "name some" in graticule("export", "--to", "csv", "-o", "new").complaint
    assert "no decisions of bo" in graticule("export", run, "--to", "csv", "-o", "new", "--who", "bo").complaint
    assert "need one" in graticule("export", run, "--to", "csv", "-o", "new", "--image", "x.tif").complaint
    assert "xlsx" in graticule("export", run, "--to", "xlsx", "-o", "new").complaint
    assert not (tmp_path / "new").exists() and not (tmp_path / "all.csv").exists()
