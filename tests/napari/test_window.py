from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graticule.box import Box
from graticule.image import Image
from graticule.napari.window import contrast, voxels_of, window_for

WIDE = Image(np.broadcast_to(np.uint8(0), (5000, 7000)), "yx", (0.5, 0.25), (10.0, 0.0))
NONE = Box((0, 0), (0, 0))


def test_a_small_image_is_held_whole() -> None:
    frame = voxels_of(((10, 0), (11, 1)), WIDE)
    assert frame == Box((0, 0), (2, 4))
    assert window_for(frame, WIDE.shape, NONE, whole=10**9, part=10) == Box((0, 0), (5000, 7000))


@given(y=st.floats(10, 2500), x=st.floats(0, 1740), side=st.floats(0.1, 200))
def test_a_window_holds_its_frame_and_stays_while_it_does(y: float, x: float, side: float) -> None:
    inner = voxels_of(((y, x), (y + side, x + side)), WIDE)
    box = window_for(inner, WIDE.shape, NONE, whole=1000, part=10**6)
    assert all(a <= b for a, b in zip(box.start, inner.start, strict=True))
    assert all(a >= b for a, b in zip(box.stop, inner.stop, strict=True))
    assert np.prod(box.shape) <= max(1.3e6, np.prod(inner.shape))
    assert window_for(inner, WIDE.shape, box, whole=1000, part=10**6) is box


def test_contrast_leaves_out_the_extremes_and_what_is_no_number() -> None:
    values = np.concatenate([np.linspace(0, 100, 10_001), [np.nan, np.inf, 1e9]])
    low, high = contrast(values)
    assert 0 < low < 1 and 99 < high < 100.1
    assert contrast(np.full((4, 4), 7)) == (7.0, 8.0)
    assert contrast(np.full(3, np.nan)) == (0.0, 1.0)
    assert contrast(np.zeros((5, 5), bool)) == (0.0, 1.0)
