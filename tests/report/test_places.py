"""Where objects lie: µm, y downwards as in the image."""

from __future__ import annotations

import numpy as np
import pytest

from graticule.image import Image
from graticule.report.places import MANY, draw_places
from graticule.results import Points


@pytest.mark.parametrize("count", [0, 1, MANY + 1])
def test_any_number_of_places_can_be_drawn(count) -> None:
    image = Image(np.zeros((30, 40), np.uint8), "yx", (0.5, 0.5))
    at = np.random.default_rng(0).uniform(0, 15, (count, 2))
    drawn = draw_places(Points.marked(at, np.arange(count) % 2, ("6nm", "12nm")), image).decode()
    assert drawn.startswith("<?xml") and len(drawn) < 2_000_000


def test_a_volume_is_seen_along_z_and_the_same_picture_is_the_same_file() -> None:
    image = Image(np.zeros((5, 30, 40), np.uint8), "zyx", (2.0, 0.5, 0.5))
    found = Points.marked(np.array([[1.0, 3.0, 4.0], [7.0, 3.0, 4.0]]))
    assert draw_places(found, image) == draw_places(found, image)
