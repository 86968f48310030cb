"""From what was typed and chosen to an order; what is missing is asked for in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the extra [web] is not installed")

from graticule.errors import SettingsError
from graticule.image import Image
from graticule.web.dashboard import analyse
from graticule.web.dashboard.analyse import results_of
from graticule.web.intake import Looked, take_in
from graticule.web.offers import MINE
from tests.web.made import done, house_in, new_user, uploaded

ADA = new_user()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("analyse")
    made = house_in(folder / "work")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 70)).astype(np.uint8)
    uploaded(made, ADA, Image(pixels, "yx", (0.2, 0.2)), "sized.tif", folder)
    uploaded(made, ADA, Image(np.stack([pixels] * 4), "zyx", (0.5, 0.2, 0.2)), "stack.tif", folder)
    file = folder / "sent" / "plain.npy"
    np.save(file, pixels)
    take_in(file, "plain.npy", made.workspace(ADA), look=made.looker)
    yield made
    made.close()


def ordered(house, *names: str, size: str = "", model: str | None = "tissue-texture"):
    return analyse._order(house, ADA, [f"{MINE}{name}" for name in names], size, None, "", model, None, False)


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        ("", None),
        ("  ", None),
        ("0.5", (0.5,)),
        ("0,5", (0.5,)),
        ("0.05 0.01 0.01", (0.05, 0.01, 0.01)),
        ("0.05, 0.01, 0.01 µm", (0.05, 0.01, 0.01)),
        ("0.05 × 0.01 x 0.01", (0.05, 0.01, 0.01)),
    ],
)
def test_pixel_sizes_are_read_as_people_write_them(words, sizes) -> None:
    assert analyse._sizes(words) == sizes


@pytest.mark.parametrize("words", ["a", "0", "-1", "1e9", "nan", "inf"])
def test_what_is_no_pixel_size_is_refused(words) -> None:
    with pytest.raises(SettingsError, match="found pixel size"):
        analyse._sizes(words)


def test_an_image_that_says_its_size_is_read_as_it_says(house) -> None:
    made = ordered(house, "sized.tif", size="0.2 0.2")
    assert made.reading[0].spacing_um is None and made.models == ("tissue-texture",)
    assert ordered(house, "sized.tif", size="0.3").reading[0].spacing_um == (0.3,)


def test_without_a_pixel_size_nothing_begins(house) -> None:
    with pytest.raises(SettingsError, match=r"plain\.npy: found no pixel size"):
        ordered(house, "plain.npy")
    assert ordered(house, "plain.npy", size="0.5").reading[0].spacing_um == (0.5,)


def test_without_an_image_or_a_model_nothing_begins(house) -> None:
    with pytest.raises(SettingsError, match="found no image"):
        ordered(house)
    with pytest.raises(SettingsError, match="found no model"):
        ordered(house, "sized.tif", model=None)


def test_a_channel_is_asked_for_where_there_are_several_and_has_to_be_one_of_them(house) -> None:
    seen = Looked(
        axes="cyx",
        shape=(2, 64, 70),
        dtype="uint16",
        spacing_um=(0.2, 0.2),
        sizing="",
        channels=("DAPI", "GFP"),
        bytes_decoded=1,
        notes=(),
        needs=("channel",),
    )
    assert analyse._channel("mine:a.tif", seen, "GFP") == "GFP"
    assert analyse._channel("mine:a.tif", replace(seen, needs=(), channels=()), "red") is None
    with pytest.raises(SettingsError, match=r"a\.tif: found channels DAPI, GFP, not red"):
        analyse._channel("mine:a.tif", seen, "red")


def test_what_is_known_of_images_is_told_in_a_table(house) -> None:
    both = {f"{MINE}{name}": house.offers.looked(ADA, f"{MINE}{name}") for name in ("sized.tif", "stack.tif")}
    told, size, channel, axes = analyse._about(both, ["bad.tif: found nothing"])
    assert "64 × 70 (yx)" in told and "4 × 64 × 70 (zyx)" in told and "bad.tif: found nothing" in told
    assert size["value"] == "" and size["placeholder"] == "as each image says"
    assert not channel["visible"] and not axes["visible"]
    _, size, *_ = analyse._about({"mine:plain.npy": house.offers.looked(ADA, "mine:plain.npy")}, [])
    assert size["placeholder"] == "not known: needed"


def test_results_are_listed_with_what_was_found(house) -> None:
    job = done(house, ADA, ordered(house, "sized.tif"))
    assert ("sized: ", f"{job} 0") in [(words[:7], key) for words, key in results_of(house, ADA)]
    assert results_of(house, new_user()) == []
    assert "1 of 1 done" in analyse._progress(house.jobs.get(ADA, job))
