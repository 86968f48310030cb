"""What users may choose is their own, and what the server offers to all; nothing else can be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")

from graticule import io
from graticule.errors import GraticuleError
from graticule.image import Image
from tests.web.made import house_in, new_user, uploaded

ADA, BOB = new_user(), new_user()


def noise(seed: int = 0, shape: tuple[int, ...] = (80, 90)) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8), "yx", (0.01, 0.01))


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of the server with a dataset and a single image."""
    for number in range(3):
        folder = tmp_path / "root" / "beads" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        io.write(noise(number), folder / f"b{number}.tif")
    (tmp_path / "root" / "beads" / "points").mkdir()
    io.write(noise(9), tmp_path / "root" / "single.tif")
    return tmp_path / "root"


@pytest.fixture
def house(tmp_path, root):
    made = house_in(tmp_path / "work", root=root)
    yield made
    made.close()


def test_images_to_choose_are_ones_own_and_the_servers(house, tmp_path) -> None:
    uploaded(house, ADA, noise(), "mine.tif", tmp_path)
    assert "mine.tif" in house.offers.image_choices(ADA) and "mine.tif" not in house.offers.image_choices(BOB)
    assert {"single.tif (on the server)", "beads/images/b1.tif (on the server)"} <= house.offers.image_choices(
        BOB
    ).keys()


def test_a_folder_of_the_server_stands_for_its_images_each_once(house) -> None:
    choices = house.offers.image_choices(ADA)
    folder, single = choices["beads/images/ (all 3, on the server)"], choices["beads/images/b1.tif (on the server)"]
    names = [house.offers.file(ADA, choice).name for choice in house.offers.single([single, folder])]
    assert names == ["b1.tif", "b0.tif", "b2.tif"]


def test_no_choice_leaves_the_root_or_somebody_elses_folder(house, tmp_path) -> None:
    uploaded(house, ADA, noise(), "mine.tif", tmp_path)
    for choice in ("server:../work", "server:/etc/passwd", "mine:../../x", "mine:mine.tif", "folder:.."):
        with pytest.raises(GraticuleError):
            house.offers.file(BOB, choice) if not choice.startswith("folder") else house.offers.single([choice])


def test_what_an_image_says_is_known_of_uploads_and_of_the_servers(house, tmp_path) -> None:
    uploaded(house, ADA, noise(), "mine.tif", tmp_path)
    for choice in ("mine:mine.tif", "server:single.tif"):
        seen = house.offers.looked(ADA, choice)
        assert (seen.shape, seen.spacing_um) == ((80, 90), (0.01, 0.01))


def test_datasets_below_the_root_are_found(house, tmp_path) -> None:
    assert house.offers.datasets(ADA) == {"beads": "server:beads"}
    assert house.offers.dataset(ADA, "server:beads").name == "beads"
    bare = house_in(tmp_path / "bare")
    assert bare.offers.datasets(ADA) == {} and bare.offers.image_choices(ADA) == {}
    bare.close()


def test_models_are_only_those_that_are_listed(house, tmp_path) -> None:
    assert house.offers.model(ADA, "tissue-texture") == "tissue-texture"
    with pytest.raises(GraticuleError, match="no such model"):
        house.offers.model(ADA, str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("choice", ["corrected:beads", "corrected:../../outside", "server:../work"])
def test_a_dataset_that_is_not_offered_is_refused_and_nothing_is_written(house, tmp_path, choice) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GraticuleError):
        house.offers.dataset(ADA, choice)
    assert sorted(tmp_path.rglob("*")) == before
