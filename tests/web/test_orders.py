from __future__ import annotations

import json
from pathlib import Path

import pytest

from graticule.web.orders import JobError, PredictOrder, ReadAs, TrainOrder, from_plain, lane_of, to_plain

ORDERS = (
    PredictOrder(images=(Path("/a/S1.tif"),), models=("tissue-texture",)),
    PredictOrder(
        images=(Path("/a/S1.tif"), Path("/b/v.h5:/data")),
        models=("/m/1.safetensors", "/m/2.safetensors"),
        reading=(ReadAs(spacing_um=(0.1, 0.2)), ReadAs(channel="red", axes="zyx")),
        thresholds=(0.25, 0.5),
        settings=("grow_um=0.2",),
        mask=Path("/a/mask.tif"),
        mask_margin_nm=20.0,
        tta=True,
        seed=3,
    ),
    TrainOrder(task="beads", dataset=Path("/d"), name="beads"),
    TrainOrder(
        task="beads",
        dataset=Path("/d"),
        name="beads",
        preset="quick",
        settings={"classes": ["6nm", "12nm"], "epochs": [3]},
        seed=5,
        start=Path("/m/1.safetensors"),
        spacing_um=(0.0006,),
        channel="0",
    ),
)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_comes_back_from_its_file_as_it_was(order) -> None:
    plain = json.loads(json.dumps(to_plain(order)))
    assert from_plain(lane_of(order), plain) == order


def test_one_reading_counts_for_all_images_or_each_has_its_own() -> None:
    images = (Path("/a/S1.tif"), Path("/a/S2.tif"))
    shared = PredictOrder(images=images, models=("m",), reading=(ReadAs(channel="red"),))
    assert [shared.reading_of(place).channel for place in (0, 1)] == ["red", "red"]
    each = PredictOrder(images=images, models=("m",), reading=(ReadAs(channel="red"), ReadAs(channel="blue")))
    assert [each.reading_of(place).channel for place in (0, 1)] == ["red", "blue"]
    with pytest.raises(JobError, match="found 3 pixel sizes for 2 images"):
        PredictOrder(images=images, models=("m",), reading=(ReadAs(),) * 3)


@pytest.mark.parametrize(("images", "models"), [((), ("m",)), ((Path("/a/S1.tif"),), ())])
def test_an_order_for_nothing_is_none(images, models) -> None:
    with pytest.raises(JobError, match="found no image or no model in the order"):
        PredictOrder(images=images, models=models)
