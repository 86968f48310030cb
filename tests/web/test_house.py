"""Whose is what: users see their own uploads, jobs and results, and what the server offers to all."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")

from graticule.errors import GraticuleError, SettingsError
from graticule.image import Image
from graticule.io import dataset
from graticule.web import house as houses
from graticule.web.decisions import Asked
from graticule.web.house import House, user_of
from graticule.web.orders import PredictOrder
from graticule.web.workspace import UnknownUserError
from tests.synthetic import scattered
from tests.web.made import done, house_in, new_user, uploaded

ADA, BOB = new_user(), new_user()


def noise(seed: int = 0, shape: tuple[int, ...] = (80, 90)) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8), "yx", (0.01, 0.01))


@pytest.fixture
def house(tmp_path):
    made = house_in(tmp_path / "work")
    yield made
    made.close()


@pytest.fixture(scope="module")
def found(tmp_path_factory, disc_model):
    """A house where ada has a result of discs."""
    folder = tmp_path_factory.mktemp("found")
    (folder / "models").mkdir()
    disc_model.save(folder / "models" / "discs.safetensors")
    made = house_in(folder / "work", models=folder / "models")
    image = scattered(
        3, count=12, shape=(200, 200), gap_px=26, diameter_px=(10, 20), kind=[0, 1] * 6, kinds=("6nm", "12nm")
    )
    file = uploaded(made, ADA, image.image, "discs.tif", folder)
    model = made.offers.model_choices(ADA)["discs"]
    job = done(made, ADA, PredictOrder(images=(file,), models=(made.offers.model(ADA, model),)))
    yield made, job
    made.close()


def test_a_cookie_that_is_none_of_ours_is_nobody() -> None:
    for value in ("", "../x", "a" * 8):
        with pytest.raises(UnknownUserError):
            user_of({houses.COOKIE: value})
    assert user_of({houses.COOKIE: ADA}) == ADA


def test_a_result_is_opened_once_for_its_user_and_for_nobody_else(found) -> None:
    house, job = found
    assert house.look(ADA, job, 0) is house.look(ADA, job, 0)
    assert len(house.look(ADA, job, 0).items) == 12
    for user, which, place in ((BOB, job, 0), (ADA, "0" * 16, 0), (ADA, job, 1), (ADA, job, -1)):
        with pytest.raises(GraticuleError):
            house.look(user, which, place)


def test_what_is_idle_is_closed_and_opened_again_as_it_was(found, monkeypatch) -> None:
    house, job = found
    before = house.look(ADA, job, 0)
    gone = next(iter(before.items))
    before.decide(Asked(request=uuid4(), what="reject", ids=[gone]))
    monkeypatch.setattr(houses, "MOST_OPEN", 0)
    house.look(ADA, job, 0)
    assert not house.desks(ADA).looks
    monkeypatch.undo()
    after = house.look(ADA, job, 0)
    assert after is not before and after.items[gone].status == "rejected"


def test_what_was_corrected_is_a_dataset_complete_only_where_somebody_looked(found) -> None:
    house, job = found
    look = house.look(ADA, job, 0)
    kept = [item.id for item in look.items.values() if item.status != "rejected"][:3]
    look.decide(Asked(request=uuid4(), what="accept", ids=kept))
    (choice,) = house.offers.datasets(ADA).values()
    assert house.offers.datasets(BOB) == {}
    read = dataset.load(house.offers.dataset(ADA, choice))
    (example,) = read.examples
    assert len(example.truth) == 3 and example.truth.kinds == ("6nm", "12nm")
    share = float(np.mean(np.asarray(example.complete.data[...])))
    assert 0 < share < 0.2


def test_a_name_is_kept_and_signs_what_is_corrected_from_then_on(house) -> None:
    assert house.who(ADA) == "me"
    house.call(ADA, "Ada L.")
    assert (house.who(ADA), house.who(BOB)) == ("Ada L.", "me")
    with pytest.raises(SettingsError, match="without / and"):
        house.call(ADA, "../bob")


def test_a_job_that_is_forgotten_takes_its_results_along(house, tmp_path) -> None:
    file = uploaded(house, ADA, noise(), "mine.tif", tmp_path)
    job = done(house, ADA, PredictOrder(images=(file,), models=("tissue-texture",)))
    folder = house.look(ADA, job, 0).folder
    assert folder.is_dir()
    house.forget(ADA, job)
    assert not folder.exists() and not house.desks(ADA).looks


def test_who_does_not_come_back_is_forgotten_with_all_there_was(tmp_path) -> None:
    house: House = house_in(tmp_path / "work", keep_days=1e-9)
    uploaded(house, ADA, noise(), "mine.tif", tmp_path)
    house.desks(ADA)
    house.clean()
    assert house.workspace(ADA).listing("images") == []
    house.close()
