"""What a browser may ask of a review, and what becomes of it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from fastapi import FastAPI
from starlette.testclient import TestClient

from graticule.review import Region
from graticule.web.app import review_app
from graticule.web.guard import Access
from graticule.workflows.review import journal_of, load_result, open_review
from tests.web.tables import Review, lines_of, write_points


def journal(out: Path, result: str = "grid", who: str = "ada") -> list[dict]:
    return lines_of(journal_of(out / result, who))


def test_results_are_listed_with_their_reviewers(client, points) -> None:
    told = client.get("/api/results").json()
    assert [(r["name"], r["task"], r["reviewers"]) for r in told["results"]] == [
        ("cells", "beads", []),
        ("grid", "beads", ["ada"]),
    ]


def test_a_review_says_what_is_looked_at_and_where_it_stands(points) -> None:
    sheet = points.get()
    assert (sheet["shape"], sheet["spacing_um"], sheet["kinds"]) == ([300, 420], [0.5, 0.25], ["6nm", "12nm"])
    assert sheet["items"] == 20 and sheet["standing"]["open"] == 20 and not sheet["outlined"]
    assert sheet["standing"]["upcoming"][0]["item"] in points.items
    assert points.get("turns")[:12] == sheet["standing"]["upcoming"]


def test_items_come_in_pages(points) -> None:
    first, rest = points.get("items", count=15), points.get("items", start=15)
    assert first["total"] == 20
    assert sorted(i["id"] for i in first["items"] + rest["items"]) == list(range(1, 21))


def test_every_decision_about_points_is_told_back_and_is_in_the_journal(out, points) -> None:
    seen = [[0.0, 0.0], [20.0, 20.0]]
    assert points.decide("accept", ids=[1], seen_um=seen, stream="queue")["items"][0]["status"] == "accepted"
    points.decide("reject", ids=[2, 3])
    assert points.decide("reopen", ids=[3])["items"][0]["status"] == "open"
    assert points.decide("relabel", ids=[4], kind="12nm")["items"][0]["kind"] == "12nm"
    assert points.decide("move", ids=[5], at_um=[[10.5, 20.25]])["items"][0]["position_um"] == [10.5, 20.25]
    added = points.decide("add", at_um=[[30.0, 40.0]], kind="6nm", diameter_um=2.0)
    assert added["items"][0] | {"id": 0} == {
        "id": 0,
        "position_um": [30.0, 40.0],
        "kind": "6nm",
        "confidence": 1.0,
        "diameter_um": 2.0,
        "status": "accepted",
        "origin": "added",
    }
    assert points.decide("merge", ids=[6, 7])["gone"] == [7]
    split = points.decide("split", ids=[8], at_um=[[1.0, 1.0], [2.0, 2.0]])
    assert [i["position_um"] for i in split["items"]] == [[1.0, 1.0], [2.0, 2.0]]
    field = next(t["field_um"] for t in points.get("turns") if t["field_um"])
    points.decide("look", seen_um=field, stream="audit")
    assert points.decide("complete")["standing"]["complete"]
    assert not points.decide("undo")["standing"]["complete"]
    lines = journal(out)
    assert [line["what"] for line in lines] == [
        *("accept", "reject", "reopen", "relabel", "move", "add", "merge", "split", "look", "complete", "undo")
    ]
    assert lines[0]["seen_um"] == seen and lines[0]["stream"] == "queue" and lines[0]["who"] == "ada"
    assert all(line["request"] for line in lines)
    assert points.get("audit")["missed"]["seen"] == 1


def test_taking_back_tells_what_is_again_and_what_is_gone(points) -> None:
    new = points.decide("add", at_um=[[30.0, 40.0]], kind="6nm")["items"][0]["id"]
    assert points.decide("undo")["gone"] == [new]
    points.decide("merge", ids=[6, 7])
    assert [i["id"] for i in points.decide("undo")["items"]] == [6, 7]


def test_outlines_are_added_reshaped_divided_and_joined(outlined) -> None:
    square = [[45.0, 5.0], [45.0, 20.0], [55.0, 20.0], [55.0, 5.0]]
    new = outlined.decide("add", outline_um=square, kind="rosette")
    assert new["outlines"]
    number = new["items"][0]["id"]
    assert new["items"][0]["position_um"] == pytest.approx([50.0, 12.5])
    mask = Region.of(np.ones((4, 4), bool), (12, 12)).to_plain()
    outlined.decide("reshape", ids=[1], mask=mask)
    outlined.decide("merge", ids=[number, 2])
    parts = outlined.decide("split", ids=[3], at_um=[[35.0, 34.0], [35.0, 48.0]])["items"]
    rings = outlined.get("outlines", y=0, x=0, height=120, width=160)["rings"]
    assert sorted(map(int, rings)) == sorted([1, number, 3, parts[1]["id"]])
    assert len(rings[str(number)]) == 2
    [ring] = rings["1"]
    assert np.array(ring).min(axis=0) == pytest.approx([11.5, 11.5])
    assert np.array(ring).max(axis=0) == pytest.approx([15.5, 15.5])


def test_outlines_of_a_window_lie_where_those_of_the_whole_do(outlined) -> None:
    whole = outlined.get("outlines", y=0, x=0, height=120, width=160)["rings"]
    window = outlined.get("outlines", y=55, x=50, height=40, width=70)["rings"]
    assert window == {"3": whole["3"]}


def test_the_same_request_is_applied_once(out, points) -> None:
    request = str(uuid4())
    first = points.decide("accept", ids=[1], request=request)
    again = points.decide("accept", ids=[1], request=request)
    assert not first["repeated"] and again["repeated"]
    assert first["standing"] == again["standing"] and len(journal(out)) == 1
    points.decide("undo")
    assert points.decide("accept", ids=[1], request=request)["repeated"]
    assert points.items[1]["status"] == "open"


def test_the_same_request_is_applied_once_also_after_the_server_was_started_anew(out, points, client) -> None:
    request = str(uuid4())
    points.decide("add", at_um=[[30.0, 40.0]], kind="6nm", request=request)
    client.post(f"{points.at}/leave")
    with TestClient(review_app([out])) as anew:
        review = Review(anew, "grid")
        assert review.decide("add", at_um=[[30.0, 40.0]], kind="6nm", request=request)["repeated"]
        assert len(review.items) == 21 and len(journal(out)) == 1


def test_an_answer_comes_when_the_decision_is_on_the_disk_and_not_before(out, points, monkeypatch) -> None:
    flushed = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (sync(file), flushed.append(len(journal(out)))))
    for number in range(1, 6):
        points.decide("accept", ids=[number])
        assert flushed == list(range(1, number + 1)) and len(journal(out)) == number


def test_what_the_disk_refuses_is_not_acknowledged(out, points, monkeypatch) -> None:
    request = str(uuid4())

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused = points.post("accept", ids=[1], request=request)
    assert refused.status_code == 409 and "No space left" in refused.json()["error"]
    assert points.items[1]["status"] == "open"
    monkeypatch.undo()
    assert not points.decide("accept", ids=[1], request=request)["repeated"]
    assert [line["n"] for line in journal(out)] == [1]


def test_two_sessions_never_mix(out, client) -> None:
    ada, bea, cells = Review(client, "grid"), Review(client, "grid", "bea"), Review(client, "cells")
    for review in (ada, bea, cells):
        review.begin()
    ada.decide("accept", ids=[1])
    bea.decide("reject", ids=[1])
    cells.decide("reject", ids=[2])
    assert (ada.items[1]["status"], bea.items[1]["status"], cells.items[1]["status"]) == (
        "accepted",
        "rejected",
        "open",
    )
    assert [journal(out, r.result, r.who)[0]["who"] for r in (ada, bea, cells)] == ["ada", "bea", "ada"]
    assert [len(journal(out, r.result, r.who)) for r in (ada, bea, cells)] == [1, 1, 1]


def test_many_at_once_leave_the_journal_whole(out, points) -> None:
    def press(n: int) -> int:
        what = "undo" if n % 7 == 6 else "add"
        more = {} if what == "undo" else {"at_um": [[n / 2, n / 3]], "kind": "6nm"}
        return points.post(what, **more).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(press, range(60)))
    lines = journal(out)
    assert [line["n"] for line in lines] == list(range(1, codes.count(200) + 1))
    left = len(points.items)
    reviewed = load_result(out / "grid")
    points.client.post(f"{points.at}/leave")
    with open_review(reviewed, who="ada") as session:
        assert len(session.items) == left == 20 + sum(1 if line["what"] == "add" else -1 for line in lines)


def test_a_review_that_was_left_can_be_gone_on_with_elsewhere(out, points, client) -> None:
    points.decide("accept", ids=[1])
    assert client.post(f"{points.at}/leave").json() == {"left": True}
    with open_review(load_result(out / "grid"), who="ada") as session:
        session.reject(2)
        assert points.client.get(points.at).status_code == 409
    assert points.items[2]["status"] == "rejected"


@pytest.mark.parametrize(
    ("what", "more", "status", "words"),
    [
        ("accept", {"ids": [99]}, 400, "no object 99"),
        ("accept", {}, 400, "no object to accept"),
        ("accept", {"ids": ["one"]}, 422, "ids"),
        ("move", {"ids": [1], "at_um": [[1e6, 0]]}, 400, "outside the image"),
        ("move", {"ids": [1, 2], "at_um": [[1, 1]]}, 400, "exactly one"),
        ("move", {"ids": [1]}, 400, "0 places"),
        ("move", {"ids": [1], "at_um": [["NaN", 0]]}, 422, "at_um"),
        ("add", {"at_um": [[1, 1]], "kind": "huge"}, 400, "class 'huge'"),
        ("relabel", {"ids": [1], "kind": "huge"}, 400, "class 'huge'"),
        ("look", {}, 400, "no field"),
        ("reshape", {"ids": [1], "outline_um": [[1, 1], [2, 2], [1, 2]]}, 400, "move it instead"),
        ("undo", {}, 400, "decide something first"),
        ("explode", {}, 422, "what"),
        ("accept", {"ids": [1], "who": "eve"}, 422, "who"),
        ("accept", {"ids": [1], "request": "1"}, 422, "request"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(out, points, what, more, status, words) -> None:
    refused = points.post(what, **more)
    assert refused.status_code == status
    assert list(refused.json()) == ["error"] and words in refused.json()["error"]
    assert "\n" not in refused.json()["error"] and not journal(out)


@pytest.mark.parametrize("bits", ["", "eJzT0yMAAGTvBe8=", "not base64"])
def test_a_mask_that_is_not_what_it_says_is_refused(outlined, bits) -> None:
    refused = outlined.post("add", mask={"start": [0, 0], "shape": [4000, 4000], "bits": bits})
    assert refused.status_code == 400 and "mask of 4000 × 4000" in refused.json()["error"]
    assert outlined.post("add", mask={"start": [0, 0], "shape": [10**6, 10**6], "bits": bits}).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/results/nothing/picture?y=0&x=0&height=9&width=9", 404),
        ("/api/results/..%2F..%2Fetc/picture?y=0&x=0&height=9&width=9", 404),
        ("/api/results/grid/reviews/nobody", 404),
        ("/api/results/grid/reviews/..%2Fada/items", 404),
        ("/api/results/grid/picture?y=0&x=5000&height=9&width=9", 400),
        ("/api/results/grid/picture?y=0&x=0&height=99999&width=9", 422),
        ("/api/results/grid/picture?y=0&x=0&height=9&width=9&z=3", 400),
        ("/api/nowhere", 404),
        ("/page/..%2Fapp.py", 404),
        ("/page/app.py", 404),
    ],
)
def test_what_is_not_there_is_said_in_one_line(client, path, status) -> None:
    refused = client.get(path)
    assert refused.status_code == status
    assert "\n" not in refused.json()["error"]


def test_a_reviewer_s_name_is_no_path(out, client) -> None:
    for who in ("../../../eve", "..", "a\\b", "a/b", " ", "a\nb", "e" * 65):
        refused = client.post("/api/results/grid/reviews", json={"who": who})
        assert refused.status_code == 422 and "who" in refused.json()["error"]
    assert not (out / "grid" / "review").exists()
    for who in ("Ada Lovelace", "Zoë", "a.b", "100 %", "what?", "#1"):
        Review(client, "grid", quote(who)).client.post("/api/results/grid/reviews", json={"who": who})
        assert Review(client, "grid", quote(who)).get()["who"] == who
    assert len(list((out / "grid" / "review").iterdir())) == 6


def test_our_own_fault_is_one_line_without_its_traceback(points, monkeypatch) -> None:
    monkeypatch.setattr("graticule.web.app.standing", lambda *_: 1 / 0)
    broken = points.client.get(points.at)
    assert broken.status_code == 500
    assert broken.json()["error"].startswith("this is our fault") and "Traceback" not in broken.text


def test_an_image_that_was_moved_is_said_in_one_line(tmp_path) -> None:
    write_points(tmp_path / "out")
    (tmp_path / "grid.tif").rename(tmp_path / "moved.tif")
    with TestClient(review_app([tmp_path / "out"])) as client:
        refused = client.post("/api/results/grid/reviews", json={"who": "ada"})
        assert refused.status_code == 400 and "which is not there" in refused.json()["error"]


def test_the_page_and_its_parts_are_served(client) -> None:
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for name in ("review.js", "draw.js", "review.css", "icon.svg"):
        assert f"page/{name}" in page.text or name == "draw.js"
        assert client.get(f"/page/{name}").status_code == 200
    assert "http://" not in page.text.replace("http://www.w3.org", "") and "https://" not in page.text


def test_another_application_can_mount_it_under_any_path(out) -> None:
    dashboard = FastAPI()
    dashboard.mount("/review", review_app([out], access=Access("secret")))
    with TestClient(dashboard, base_url="http://127.0.0.1:7860", follow_redirects=False) as client:
        entered = client.get("/review/?key=secret")
        assert (entered.status_code, entered.headers["location"]) == (303, "/review/")
        assert client.get("/review/page/review.js").status_code == 200
        assert client.get("/review/api/results").json()["results"][1]["name"] == "grid"
        begun = client.post("/review/api/results/grid/reviews", json={"who": "ada"})
        assert begun.json()["standing"]["open"] == 20


def test_results_of_the_same_name_are_told_apart(tmp_path) -> None:
    for run in ("a", "b"):
        write_points(tmp_path / run / "out", seed=len(run))
    with TestClient(review_app([tmp_path / "a" / "out", tmp_path / "b" / "out"])) as client:
        names = [result["name"] for result in client.get("/api/results").json()["results"]]
        assert names == ["grid", "grid (2)"]
        client.post("/api/results/grid (2)/reviews", json={"who": "ada"})
    assert not (tmp_path / "a" / "out" / "grid" / "review").exists()
    assert (tmp_path / "b" / "out" / "grid" / "review" / "ada.jsonl").exists()
