"""Pictures are the image's own pixels, all with one contrast."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pil

from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.io import read
from graticule.web import pictures
from graticule.web.pictures import Pictures, Window, contrast, eight_bits, read_window


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Pil.open(BytesIO(png)))


def picture(seed: int = 0, shape: tuple[int, ...] = (90, 130), axes: str = "yx") -> Image:
    spacing = (1.0,) * len(axes.strip("c"))
    return Image(np.random.default_rng(seed).gamma(2, 100, shape).astype(np.float32), axes, spacing)


def test_a_picture_is_the_image_s_pixels_under_the_stated_contrast(client, out) -> None:
    image = np.asarray(read(out.parent / "grid.tif").data, float)
    low, high = np.percentile(image, (0.5, 99.5))
    grey = np.round(np.clip((image - low) / (high - low), 0, 1) * 255)
    for y, x, height, width in ((0, 0, 300, 420), (17, 33, 64, 50), (290, 400, 256, 256)):
        answer = client.get("/api/results/grid/picture", params={"y": y, "x": x, "height": height, "width": width})
        assert answer.headers["content-type"] == "image/png"
        shown = pixels_of(answer.content).astype(float)
        assert np.abs(shown - grey[y : y + height, x : x + width]).max() <= 1  # float32 may round another way


def test_neighbouring_windows_fit_together_at_any_zoom() -> None:
    made = Pictures(picture())
    for step in (1, 2, 7):
        whole = pixels_of(made.png(Window(0, 0, 130, 130, step)))
        size = 3
        rows = [
            np.hstack([pixels_of(made.png(Window(y, x, size, size, step))) for x in range(0, 130, size * step)])
            for y in range(0, 90, size * step)
        ]
        np.testing.assert_array_equal(np.vstack(rows), whole)


def test_a_coarse_picture_is_made_of_means_also_at_the_edge() -> None:
    image = picture(shape=(10, 11))
    coarse = read_window(image, Window(0, 0, 9, 9, 4))
    assert coarse.shape == (3, 3)
    assert coarse[0, 0] == pytest.approx(np.asarray(image.data)[:4, :4].mean(), rel=1e-5)
    assert coarse[2, 2] == pytest.approx(np.asarray(image.data)[8:, 8:].mean(), rel=1e-5)


def test_of_large_blocks_an_even_sample_is_averaged() -> None:
    image = picture(shape=(64, 96))
    coarse = read_window(image, Window(0, 32, 2, 2, 32))
    assert coarse[1, 0] == pytest.approx(np.asarray(image.data)[32:64:4, 32:64:4].mean(), rel=1e-5)
    odd = read_window(image, Window(0, 0, 2, 2, 20))
    assert odd[0, 1] == pytest.approx(np.asarray(image.data)[:20, 20:40].mean(), rel=1e-5)


def test_large_windows_are_averaged_in_strips_to_the_same(monkeypatch) -> None:
    image = picture()
    whole = read_window(image, Window(0, 0, 90, 130, 3))
    monkeypatch.setattr(pictures, "READ_AT_ONCE", 500)
    np.testing.assert_allclose(read_window(image, Window(0, 0, 90, 130, 3)), whole, rtol=1e-6)


def test_a_volume_is_shown_plane_by_plane_and_channels_as_their_mean() -> None:
    image = picture(shape=(2, 4, 30, 40), axes="czyx")
    plane = read_window(image, Window(0, 0, 30, 40, z=2))
    np.testing.assert_allclose(plane, np.asarray(image.data)[:, 2].mean(axis=0), rtol=1e-6)


def test_the_contrast_of_a_large_image_is_taken_of_a_sample(monkeypatch) -> None:
    image = picture(shape=(5, 700, 900), axes="zyx")
    whole = contrast(image)
    monkeypatch.setattr(pictures, "SAMPLE", 300_000)
    assert contrast(image) == pytest.approx(whole, rel=0.05)


def test_a_flat_image_is_grey_and_not_an_error() -> None:
    flat = Image(np.full((8, 8), 7, np.uint8), "yx", (1.0, 1.0))
    assert set(eight_bits(read_window(flat, Window(0, 0, 8, 8)), contrast(flat)).ravel()) == {128}


def test_kept_pictures_do_not_grow_without_end(monkeypatch) -> None:
    monkeypatch.setattr(pictures, "KEPT", 3000)
    made = Pictures(picture())
    for y in range(60):
        made.png(Window(y, 0, 30, 30))
    assert sum(map(len, made._made.values())) <= 3000


@pytest.mark.parametrize(
    "window", [Window(90, 0, 1, 1), Window(0, 0, 0, 5), Window(0, 0, 5, 5, 0), Window(-1, 0, 5, 5)]
)
def test_a_window_off_the_image_is_refused(window) -> None:
    with pytest.raises(AnnotationError, match="need one on the image"):
        read_window(picture(), window)
