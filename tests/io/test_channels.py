from pathlib import Path

import numpy as np
import pytest

from graticule.errors import FormatError
from graticule.io.channels import select

PATH = Path("a.tif")
RGB = np.stack([np.full((4, 5), value, np.uint8) for value in (10, 20, 60)], axis=-1)
RGBA = np.concatenate([RGB, np.full((4, 5, 1), 255, np.uint8)], axis=-1)


def test_a_grey_image_passes():
    data, axes = select(RGB[..., 0], "yx", (), None, PATH)
    assert axes == "yx"
    assert data.shape == (4, 5)


@pytest.mark.parametrize("pixels", [RGB, RGBA])
def test_colours_are_asked_for(pixels):
    with pytest.raises(
        FormatError, match=r"a\.tif: found an RGB image with 3 colours.*--channel red\|green\|blue\|mean"
    ):
        select(pixels, "yxs", (), None, PATH)


@pytest.mark.parametrize("pixels", [RGB, RGBA])
@pytest.mark.parametrize(("channel", "value"), [("red", 10), ("Green", 20), (2, 60), ("1", 20), ("mean", 30)])
def test_a_colour_is_chosen_by_name_or_number_and_alpha_is_none(pixels, channel, value):
    data, axes = select(pixels, "yxs", (), channel, PATH)
    assert axes == "yx"
    assert (np.asarray(data) == value).all()


def test_alpha_cannot_be_chosen():
    with pytest.raises(FormatError, match="found no channel '3'"):
        select(RGBA, "yxs", (), 3, PATH)


def test_three_equal_colours_are_grey():
    grey = np.repeat(RGB[..., :1], 3, axis=-1)
    data, axes = select(grey, "yxs", (), None, PATH)
    assert axes == "yx"
    assert (np.asarray(data) == 10).all()


def test_grey_with_alpha_is_grey():
    assert select(RGB[..., :2], "yxs", (), None, PATH)[1] == "yx"


def test_channels_are_asked_for_by_number_and_name():
    stack = np.zeros((2, 4, 5), np.uint8)
    with pytest.raises(FormatError, match=r"found 2 channels.*--channel N with N among 0 \(DAPI\), 1 \(GFP\)"):
        select(stack, "cyx", ("DAPI", "GFP"), None, PATH)
    assert select(stack, "cyx", ("DAPI", "GFP"), "gfp", PATH)[1] == "yx"
    with pytest.raises(FormatError, match=r"found no channel 'rfp'.*change --channel"):
        select(stack, "cyx", ("DAPI", "GFP"), "RFP", PATH)


def test_all_channels_may_be_kept():
    data, axes = select(RGBA, "yxs", (), "all", PATH)
    assert axes == "yxc"
    assert data.shape == (4, 5, 3)


def test_a_choice_among_one_is_a_mistake():
    with pytest.raises(FormatError, match="found a single channel, not '2'"):
        select(RGB[..., 0], "yx", (), "2", PATH)
