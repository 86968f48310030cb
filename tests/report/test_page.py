from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL.Image import open as open_picture

from graticule.image import Image
from graticule.report.confidence import calibration, draw_calibration, draw_confidences
from graticule.report.gallery import crops
from graticule.report.page import Copied, Gallery, Page, Picture, Section, Table, Text, Warnings, facts, render
from graticule.report.png import png, shrunk

DOT = Picture(png(np.zeros((4, 4), np.uint8)), "png", "a dot", "dot")


def page(*parts) -> str:
    return render(Page("A run", "Two beads.", (Section("What was found", parts),)))


def test_a_page_fetches_nothing_and_forbids_to() -> None:
    html = page(DOT, Gallery((DOT, DOT)), Text(("one", "two")))
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "default-src 'none'" in html and "<script" not in html


def test_what_stands_in_texts_is_shown_and_never_obeyed() -> None:
    evil = '<script>alert("x")</script>'
    for part in (
        Text((evil,)),
        Table((evil,), ((evil,),), evil),
        Warnings((evil,)),
        Copied(evil),
        Gallery((DOT,), evil),
    ):
        assert "<script" not in page(part)
    assert '"><script' not in render(Page(evil, evil, (Section(evil, (Picture(DOT.data, "png", evil, evil),)),)))


def test_numbers_stand_to_the_right_and_names_do_not() -> None:
    html = page(Table(("class", "objects"), (("6nm", "1,204"), ("12nm", "3.5 %"), ("", "-0.1e-3"))))
    assert re.findall(r'class="number">([^<]*)<', html) == ["1,204", "3.5 %", "-0.1e-3"]


def test_facts_that_are_empty_are_left_out() -> None:
    assert facts([("seed", 0), ("mask", None), ("device", ""), ("when", "now")]).rows == (
        ("seed", "0"),
        ("when", "now"),
    )


def test_large_pictures_are_averaged_down_and_small_ones_kept() -> None:
    large = png(np.tile(np.array([[0, 255]], np.uint8), (400, 200)))
    with open_picture(BytesIO(shrunk(large, 100))) as small:
        assert small.size == (100, 100) and 120 < np.asarray(small).mean() < 135
    assert shrunk(DOT.data, 100) is DOT.data


def test_a_crop_shows_the_object_in_its_middle_and_stays_on_the_image() -> None:
    pixels = np.zeros((60, 80), np.uint8)
    pixels[30, 40] = pixels[0, 0] = 255
    image = Image(pixels, "yx", (0.5, 0.5))
    middle, corner = crops(image, np.array([[15.0, 20.0], [0.0, 0.0]]), ["a", "b"], view_um=10.5)
    shown = [np.asarray(open_picture(BytesIO(each.data))) for each in (middle, corner)]
    assert shown[0].shape == (105, 105)
    assert np.argwhere(shown[0] > 0).mean(axis=0) == pytest.approx((52, 52), abs=1)
    assert shown[1][:5, :5].min() == 255 and middle.caption == "a"


def test_crops_of_a_volume_show_the_plane_the_object_lies_in() -> None:
    pixels = np.zeros((5, 20, 20), np.uint8)
    pixels[3] = 200
    image = Image(pixels, "zyx", (1.0, 1.0, 1.0))
    bright, dark = crops(image, np.array([[3.0, 10, 10], [1.0, 10, 10]]), ["", ""], view_um=6)
    assert np.asarray(open_picture(BytesIO(bright.data))).min() == 255
    assert np.asarray(open_picture(BytesIO(dark.data))).max() == 0


def test_crops_show_the_outlines_of_numbered_objects_in_colours() -> None:
    grey = Image(np.full((1, 20, 20), 100, np.uint8), "zyx", (1.0, 1.0, 1.0))
    found, true = (np.zeros((1, 20, 20), np.uint8) for _ in range(2))
    found[0, 5:15, 5:10], found[0, 5:15, 10:15], true[0, 2:18, 2:18] = 1, 2, 7
    outlines = [replace(grey, data=data) for data in (found, true)]
    [picture] = crops(grey, np.array([[0.0, 10, 10]]), [""], view_um=20, outlines=outlines)
    pixels = np.asarray(open_picture(BytesIO(picture.data))).astype(int)
    blue, orange = pixels[..., 2] > pixels[..., 0] + 50, pixels[..., 0] > pixels[..., 2] + 50
    times = pixels.shape[0] // 20
    assert blue[10 * times, [5 * times, 10 * times - 1, 10 * times]].all() and orange[2 * times, 10 * times]
    assert not (blue | orange)[10 * times, 7 * times] and not (blue | orange)[:times].any()


def test_a_method_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 20_000)
    found = calibration(confidence, rng.random(20_000) < confidence)
    assert found.error < 0.02 and found.count.sum() == 20_000
    assert ((found.low <= found.right) & (found.right <= found.high)).all()
    assert calibration(confidence, rng.random(20_000) < confidence**3).error > 0.15


def test_nothing_found_can_be_drawn_too() -> None:
    none = calibration(np.zeros(0), np.zeros(0, bool))
    assert np.isnan(none.error)
    for drawing in (
        draw_calibration(none),
        draw_confidences({"6nm": np.zeros(0)}, {"6nm": 0.5}),
        draw_confidences({}, {}),
    ):
        ElementTree.fromstring(drawing)


def test_the_same_figures_give_the_same_drawing() -> None:
    values = {"6nm": np.array([0.2, 0.7])}
    strip = re.compile(rb'(id|href|clip-path)="[^"]*"')
    first, second = (strip.sub(b"", draw_confidences(values, {"6nm": 0.5})) for _ in range(2))
    assert first == second
