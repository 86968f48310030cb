"""What a network saw lies where the image is, at any zoom."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL.Image import open as open_picture

from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.web.heat import heat_png
from graticule.web.pictures import Window


def shown(heat: Image, on: Image, window: Window, kind: int = 0) -> np.ndarray:
    return np.asarray(open_picture(BytesIO(heat_png(heat, kind, on, window))))


def hot(shape: tuple[int, ...], at: tuple[int, ...], spacing: tuple[float, ...], origin: tuple[float, ...]) -> Image:
    data = np.zeros((1, *shape), np.uint8)
    data[(0, *at)] = 255
    return Image(data, "c" + "zyx"[-len(shape) :], spacing, origin)


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_cell_covers_the_pixels_it_stands_for(step) -> None:
    image = Image(np.zeros((64, 48), np.uint8), "yx", (0.5, 0.5))
    heat = hot((32, 24), (10, 6), (1.0, 1.0), (0.25, 0.25))  # cells of two by two pixels
    colours = shown(heat, image, Window(0, 0, 64 // step, 48 // step, step))
    opaque = np.argwhere(colours[..., 3] > 0) * step
    assert opaque.min(axis=0) // 2 == pytest.approx([10, 6]) and (opaque.max(axis=0)) // 2 == pytest.approx([10, 6])


def test_windows_of_it_are_parts_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    image = Image(np.zeros((50, 70), np.uint8), "yx", (0.5, 0.5))
    heat = Image(rng.integers(0, 255, (2, 25, 35)).astype(np.uint8), "cyx", (1.0, 1.0), (0.25, 0.25))
    whole = shown(heat, image, Window(0, 0, 50, 70), kind=1)
    assert whole.shape == (50, 70, 4)
    assert np.array_equal(shown(heat, image, Window(13, 21, 20, 20), kind=1), whole[13:33, 21:41])
    assert shown(heat, image, Window(40, 60, 256, 256), kind=1).shape == (10, 10, 4)


def test_of_a_volume_it_is_the_plane_that_is_looked_at() -> None:
    image = Image(np.zeros((6, 16, 16), np.uint8), "zyx", (2.0, 0.5, 0.5))
    heat = hot((6, 16, 16), (4, 8, 8), (2.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    assert shown(heat, image, Window(0, 0, 16, 16, z=4))[8, 8, 3] == 255
    assert shown(heat, image, Window(0, 0, 16, 16, z=3))[..., 3].max() == 0


def test_a_map_that_there_is_not_is_refused() -> None:
    image = Image(np.zeros((8, 8), np.uint8), "yx", (1.0, 1.0))
    for heat in (None, hot((8, 8), (0, 0), (1.0, 1.0), (0.0, 0.0))):
        with pytest.raises(AnnotationError):
            heat_png(heat, 1, image, Window(0, 0, 8, 8))
    with pytest.raises(AnnotationError):
        shown(hot((8, 8), (0, 0), (1.0, 1.0), (0.0, 0.0)), image, Window(9, 0, 4, 4))
