"""Of the files beside the code only those of a page are given."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from fastapi import FastAPI
from starlette.testclient import TestClient

from graticule.web.parts import FILES, PAGE, page_routes


@pytest.mark.parametrize("name", ["review.html", "view.html"])
def test_every_part_a_page_names_is_given(name) -> None:
    app = FastAPI()
    app.include_router(page_routes(name))
    client = TestClient(app)
    page = client.get("/").text
    named = {part for part in FILES if f"page/{part}" in page or f"./{part}" in _scripts()}
    assert named
    for part in named:
        assert client.get(f"/page/{part}").content == (PAGE / part).read_bytes()
    for other in ("review.html", "../app.py", "..%2Fapp.py", "dashboard.css", ""):
        assert client.get(f"/page/{other}").status_code == 404


def _scripts() -> str:
    return "".join((PAGE / part).read_text(encoding="utf-8") for part in FILES if part.endswith(".js"))


def test_every_part_is_a_file() -> None:
    assert all((PAGE / part).is_file() for part in FILES)
