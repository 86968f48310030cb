"""What the picture asks for, and what it is answered; only to whom it belongs."""

from __future__ import annotations

from io import BytesIO
from uuid import uuid4

import numpy as np
import pytest
from PIL.Image import open as open_picture

pytest.importorskip("fastapi", reason="the extra [web] is not installed")
pytest.importorskip("httpx2", reason="httpx2, which Starlette's test client needs, is not installed")

from fastapi import FastAPI
from starlette.testclient import TestClient

from graticule.web.app import speak_plainly
from graticule.web.house import COOKIE, user_of
from graticule.web.looking import looking_routes
from graticule.web.orders import PredictOrder
from tests.synthetic import scattered
from tests.web.made import done, house_in, new_user, uploaded

ADA, BOB = new_user(), new_user()


@pytest.fixture(scope="module")
def served(tmp_path_factory, disc_model):
    """An application where ada has a result of discs, and her job's address."""
    folder = tmp_path_factory.mktemp("looking")
    (folder / "models").mkdir()
    disc_model.save(folder / "models" / "discs.safetensors")
    house = house_in(folder / "work", models=folder / "models")
    image = scattered(
        3, count=12, shape=(220, 200), gap_px=26, diameter_px=(10, 20), kind=[0, 1] * 6, kinds=("6nm", "12nm")
    )
    file = uploaded(house, ADA, image.image, "discs.tif", folder)
    job = done(house, ADA, PredictOrder(images=(file,), models=(house.offers.model_choices(ADA)["discs"],)))
    app = FastAPI()
    app.include_router(looking_routes(lambda request, job, place: house.look(user_of(request.cookies), job, place)))
    speak_plainly(app)
    yield app, f"/looks/{job}/0", house.look(ADA, job, 0)
    house.close()


@pytest.fixture
def ada(served):
    with TestClient(served[0], cookies={COOKIE: ADA}, raise_server_exceptions=False) as client:
        yield client


def decide(client: TestClient, at: str, what: str, **more: object) -> dict:
    answer = client.post(f"{at}/decisions", json={"request": str(uuid4()), "what": what, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_picture_is_told_everything_of_one_version(served, ada) -> None:
    told = ada.get(f"{served[1]}/items").json()
    sheet = told["sheet"]
    assert len(told["items"]) == 12 and sheet["shape"] == [220, 200] and sheet["kinds"] == ["6nm", "12nm"]
    assert sheet["correctable"] and not sheet["outlined"] and sheet["heat"] == ["6nm", "12nm"]
    served[2].move({"thresholds.0": 1.0})
    fewer = ada.get(f"{served[1]}/items").json()
    assert fewer["sheet"]["version"] > sheet["version"] and len(fewer["items"]) < 12
    served[2].move({"thresholds.0": 0.3})


def test_image_and_map_are_given_window_by_window(served, ada) -> None:
    where = {"y": 128, "x": 64, "height": 256, "width": 100, "step": 1}
    for what, more in (("picture", {}), ("heat", {"kind": 1})):
        answer = ada.get(f"{served[1]}/{what}", params={**where, **more})
        assert answer.headers["content-type"] == "image/png"
        assert np.asarray(open_picture(BytesIO(answer.content))).shape[:2] == (92, 100)
    assert ada.get(f"{served[1]}/heat", params={**where, "kind": 7}).status_code == 400
    assert ada.get(f"{served[1]}/picture", params={**where, "y": 10_000}).status_code == 400


def test_a_correction_is_answered_with_what_it_changed_and_can_be_taken_back(served, ada) -> None:
    at = served[1]
    answer = decide(ada, at, "add", at_um=[[0.01, 0.02]], kind="6nm")
    assert answer["items"][0]["origin"] == "added"
    assert ada.get(f"{at}/items").json()["sheet"]["can_undo"]
    assert decide(ada, at, "undo")["gone"] == [answer["items"][0]["id"]]
    refused = ada.post(
        f"{at}/decisions", json={"request": str(uuid4()), "what": "add", "at_um": [[0.01, 0.02]], "kind": "9nm"}
    )
    assert refused.status_code == 400 and "need one of 6nm, 12nm" in refused.json()["error"]


def test_files_are_handed_out_under_their_names(served, ada) -> None:
    answer = ada.get(f"{served[1]}/file/csv")
    assert answer.status_code == 200 and answer.text.startswith("particle_id")
    assert "discs" in answer.headers["content-disposition"] and ".csv" in answer.headers["content-disposition"]
    assert ada.get(f"{served[1]}/file/labels").status_code == 400
    assert ada.get(f"{served[1]}/file/passwd").status_code == 422


@pytest.mark.parametrize(
    "what", ["items", "outlines?y=0&x=0&height=9&width=9", "picture?y=0&x=0&height=9&width=9", "file/csv"]
)
def test_nobody_else_is_told_anything(served, what) -> None:
    with TestClient(served[0], cookies={COOKIE: BOB}, raise_server_exceptions=False) as bob:
        told = bob.get(f"{served[1]}/{what}")
        assert 400 <= told.status_code < 500 and "discs" not in told.text
    with TestClient(served[0], raise_server_exceptions=False) as nobody:
        assert 400 <= nobody.get(f"{served[1]}/{what}").status_code < 500


def test_what_is_no_place_of_a_job_is_unknown(ada, served) -> None:
    for at in ("/looks/ffffffffffffffff/0", served[1][:-1] + "5", served[1][:-1] + "-1", "/looks/..%2F..%2Fetc/0"):
        assert 400 <= ada.get(f"{at}/items").status_code < 500
