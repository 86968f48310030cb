"""Who is let in."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from starlette.testclient import TestClient

from graticule.errors import SettingsError
from graticule.web import guard
from graticule.web.app import review_app
from graticule.web.guard import Access, key_from, new_key
from graticule.web.serve import Where
from tests.web.tables import write_points

HOME = "http://127.0.0.1:7861"
BEGIN = "/api/results/grid/reviews"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_points(tmp_path / "out")


def guarded(folder: Path, access: Access, base: str = HOME) -> TestClient:
    return TestClient(review_app([folder], access=access), base_url=base, follow_redirects=False)


def test_without_the_key_nothing_is_told(folder) -> None:
    client = guarded(folder, Access("secret"))
    assert client.get("/").status_code == 401 and "holds the key" in client.get("/").text
    for answer in (
        client.get("/api/results"),
        client.post(BEGIN, json={"who": "eve"}),
        client.get("/api/results?key=no"),
    ):
        assert answer.status_code == 401 and "grid" not in answer.text
    assert client.get("/page/review.js").status_code == 401
    assert not (folder / "review").exists()


def test_the_key_in_the_address_becomes_a_cookie_that_scripts_cannot_read(folder) -> None:
    client = guarded(folder, Access("secret"))
    entered = client.get("/?key=secret")
    assert entered.status_code == 303 and entered.headers["location"] == "/"
    assert "HttpOnly" in entered.headers["set-cookie"] and "SameSite=Lax" in entered.headers["set-cookie"]
    assert client.get("/").status_code == 200 and client.get("/api/results").status_code == 200


def test_a_password_lets_in_and_a_wrong_one_does_not(folder, monkeypatch) -> None:
    monkeypatch.setattr(guard, "WRONG_KEY_S", 0)
    client = guarded(folder, Access(key_from("open sesame"), password=True))
    assert "password" in client.get("/").text
    assert client.post("/enter", data={"password": "open"}).status_code == 401
    assert client.get("/api/results").status_code == 401
    assert client.post("/enter", data={"password": "open sesame"}).status_code == 303
    assert client.get("/api/results").status_code == 200


def test_passwords_cannot_be_tried_one_after_the_other(folder) -> None:
    client = guarded(folder, Access(key_from("open sesame"), password=True))
    client.post("/enter", data={"password": "wrong"})
    assert client.post("/enter", data={"password": "open sesame"}).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7861", "127.0.0.1.evil.example", "", "[", "192.168.1.5:7861"]
)
def test_another_name_for_this_machine_is_refused(folder, host) -> None:
    client = guarded(folder, Access(""))
    refused = client.get("/api/results", headers={"host": host})
    assert refused.status_code == 403 and "grid" not in refused.text and "\n" not in refused.json()["error"]


@pytest.mark.parametrize("host", ["localhost:7861", "127.0.0.1:9", "[::1]:7861"])
def test_this_machine_s_own_names_are_fine(folder, host) -> None:
    assert guarded(folder, Access("")).get("/api/results", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8888"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_cannot_decide_anything(folder, headers) -> None:
    client = guarded(folder, Access("secret"))
    client.get("/?key=secret")
    refused = client.post(BEGIN, json={"who": "eve"}, headers=headers)
    assert refused.status_code == 403 and not (folder / "review").exists()
    ours = {"origin": HOME, "sec-fetch-site": "same-origin"}
    assert client.post(BEGIN, json={"who": "ada"}, headers=ours).status_code == 200


def test_requests_that_are_too_large_are_not_read(folder) -> None:
    client = guarded(folder, Access(""))
    assert client.post(BEGIN, content=b"x" * (guard.MOST_BYTES + 1)).status_code == 413
    assert client.post(BEGIN, content=iter([b"{}"])).status_code == 413


def test_the_page_may_load_nothing_from_elsewhere(folder) -> None:
    told = guarded(folder, Access("")).get("/").headers
    assert "default-src 'none'" in told["content-security-policy"] and told["x-content-type-options"] == "nosniff"


def test_keys_differ_from_start_to_start_and_those_of_a_password_do_not() -> None:
    assert new_key() != new_key() and len(new_key()) >= 32
    assert key_from("a") == key_from("a") != key_from("b")


def test_others_are_let_in_only_with_a_password() -> None:
    with pytest.raises(SettingsError, match="need one; add --password"):
        Where(host="0.0.0.0")
    assert Where(host="0.0.0.0", password="p").access().hosts == ()
    assert Where().access().hosts == guard.LOOPBACK and Where().access().key
