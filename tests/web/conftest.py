from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from fastapi import FastAPI
from starlette.testclient import TestClient

from graticule.web.app import review_app
from graticule.web.desk import Desk, Laid
from tests.web.tables import Review, write_outlined, write_points


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two results: points on ``grid``, outlines on ``cells``."""
    write_points(tmp_path / "out")
    write_outlined(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def app(out: Path) -> FastAPI:
    return review_app(Desk([out], laid=Laid(audit=0.5)))


@pytest.fixture
def client(app: FastAPI) -> Iterator[Any]:
    with TestClient(app, raise_server_exceptions=False) as opened:
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
