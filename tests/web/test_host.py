"""Everything under one address: who somebody is, and which application answers what."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from starlette.testclient import TestClient

from graticule.errors import SettingsError
from graticule.image import Image
from graticule.web.dashboard.shell import POLICY
from graticule.web.guard import Access
from graticule.web.host import dashboard, dashboard_app
from graticule.web.house import COOKIE
from graticule.web.limits import Limits
from graticule.web.orders import PredictOrder
from tests.web.made import done, house_in, uploaded


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The whole application, with everybody let in; and its house."""
    house = house_in(tmp_path_factory.mktemp("host") / "work")
    app = dashboard_app(house, Access("", (), policies={"/": POLICY, "/view/": "default-src 'none'"}))
    with TestClient(app) as client:
        yield client, house


@pytest.fixture
def visitors(served):
    """Two browsers."""
    return [TestClient(served[0].app, raise_server_exceptions=False) for _ in range(2)]


def test_everybody_is_somebody_else_and_stays_so(visitors) -> None:
    names = []
    for visitor in visitors:
        assert "Graticule" in visitor.get("/").text
        names.append(visitor.cookies[COOKIE])
        assert COOKIE not in visitor.get("/").headers.get("set-cookie", "")
    assert names[0] != names[1]


def test_the_first_request_already_has_a_name(visitors) -> None:
    answer = visitors[0].get("/review/api/results")
    assert answer.status_code == 200 and answer.json()["results"] == []


def test_a_made_up_name_is_replaced(visitors) -> None:
    visitor = visitors[0]
    visitor.cookies.set(COOKIE, "../../etc")
    assert "set-cookie" in visitor.get("/view/").headers


def test_reviews_are_of_ones_own_results_only(served, visitors, tmp_path) -> None:
    _, house = served
    ada, bob = visitors
    for visitor in visitors:
        visitor.get("/view/")
    rng = np.random.default_rng(0)
    image = Image(rng.integers(0, 255, (60, 60)).astype(np.uint8), "yx", (0.2, 0.2))
    user = ada.cookies[COOKIE]
    job = done(
        house,
        user,
        PredictOrder(images=(uploaded(house, user, image, "a.tif", tmp_path),), models=("rosettes-vertices",)),
    )
    name = house.look(user, job, 0).begin_review()
    assert [one["name"] for one in ada.get("/review/api/results").json()["results"]] == [name]
    assert bob.get("/review/api/results").json()["results"] == []
    assert bob.post(f"/review/api/results/{name}/reviews", json={"who": "bob"}).status_code == 404


def test_pages_may_do_what_they_need_and_no_page_may_ask_elsewhere(served) -> None:
    client, _ = served
    for path in ("/", "/view/"):
        policy = client.get(path).headers["content-security-policy"]
        assert "http" not in policy and "*" not in policy
    assert "unsafe-eval" in client.get("/").headers["content-security-policy"]
    assert "unsafe-eval" not in client.get("/view/").headers["content-security-policy"]


def test_errors_are_lines_also_from_the_house(visitors) -> None:
    answer = visitors[0].get("/view/api/looks/ffffffffffffffff/0/items")
    assert answer.status_code in (400, 404) and "found no" in answer.json()["error"]


def test_a_folder_of_models_has_to_be_there(tmp_path) -> None:
    with pytest.raises(SettingsError, match="no such folder for --models"):
        dashboard(tmp_path / "work", Limits(), models=tmp_path / "none")
