from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graticule.workflows.review import journal_of
from tests.web import browsing
from tests.web.serving import Server
from tests.web.tables import Review, lines_of, write_outlined, write_points


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two results: points on ``grid``, outlines on ``cells``."""
    write_points(tmp_path / "out")
    write_outlined(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def client(out: Path) -> Iterator[Any]:
    """Asks an application that has these results."""
    pytest.importorskip("fastapi", reason="the extra [web] is not installed")
    pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")
    from starlette.testclient import TestClient

    from graticule.web.app import review_app
    from graticule.web.desk import Desk, Laid

    with TestClient(review_app(Desk([out], laid=Laid(audit=0.5))), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def points(client) -> Review:
    review = Review(client, "grid")
    review.begin()
    return review


@pytest.fixture
def outlined(client) -> Review:
    review = Review(client, "cells")
    review.begin()
    return review


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; the tests that need one are skipped by name where there is none."""
    pytest.importorskip("fastapi", reason="the extra [web] is not installed")
    pytest.importorskip("playwright", reason="Playwright's Python package is not installed")
    if browsing.chromium() is None:
        pytest.skip("Debian's chromium is not installed")
    with browsing.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Server]:
    """One for all tests of a module: each reviews under a name of its own."""
    out = tmp_path_factory.mktemp("page") / "out"
    write_points(out)
    write_outlined(out)
    with Server(out, "--audit", "0.5") as started:
        yield started


@pytest.fixture
def at(chromium: Any, server: Server, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens the page at a result, as a reviewer who is new; no script may have failed on it."""
    who = re.sub(r"\W+", "-", request.node.name)[:60]
    pages = []

    def opening(result: str = "grid", **size: int) -> Any:
        page = browsing.open_page(chromium, server.address, result, who, **size)
        page.journal = lambda: lines_of(journal_of(server.run / result, who))
        pages.append(page)
        browsing.ready(page)
        return page

    yield opening
    for page in pages:
        assert page.faults == []
        page.context.close()
