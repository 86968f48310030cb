from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.io.placing import on_image

PATH = Path("a.csv")
IMAGE = Image(np.zeros((30, 40), np.uint8), "yx", (0.1, 0.2))
SHIFTED = Image(np.zeros((30, 40), np.uint8), "yx", (0.1, 0.2), (100.0, -7.0))


def place(places, unit="px", image=IMAGE):
    places = np.array(places, float)
    return on_image(places, image, unit, PATH, [f"row {i + 2}" for i in range(len(places))])


@given(arrays(float, (5, 2), elements=st.floats(0, 29)), st.sampled_from([IMAGE, SHIFTED]))
def test_units_mean_the_same_place(voxels, image):
    um = image.to_um(voxels)
    assert np.allclose(place(voxels, "px", image), um)
    assert np.allclose(place(um, "um", image), um)
    assert np.allclose(place(um * 1000, "nm", image), um)


def test_the_centre_of_the_first_pixel_is_the_origin():
    assert place([[0, 0]]).tolist() == [[0, 0]]
    assert place([[0, 0]], image=SHIFTED).tolist() == [[100, -7]]


@given(arrays(float, (1, 2), elements=st.floats(-1.49, 1.49)), st.sampled_from([0, 1]))
def test_what_rounding_pushed_over_the_edge_is_moved_onto_it(offset, corner):
    voxel = offset + corner * np.array([[29, 39]])
    on = IMAGE.to_voxels(place(voxel))
    assert (np.rint(on) >= 0).all()
    assert (np.rint(on) <= [29, 39]).all()
    assert np.abs(on - voxel).max() < 1.01


def test_points_outside_are_refused_with_number_worst_and_extent():
    with pytest.raises(
        AnnotationError,
        match=r"a\.csv: found 2 of 3 points outside the image, the furthest in row 3 at x 500, y 5 px; need x -0\.5 to "
        r"39\.5, y -0\.5 to 29\.5 px; is the unit or the pixel size \(0\.1 × 0\.2 µm\) wrong",
    ):
        place([[1, 1], [5, 500], [5, 50]])


def test_the_extent_is_told_in_the_unit_of_the_points():
    with pytest.raises(AnnotationError, match=r"x -100 to 7900, y -50 to 2950 nm"):
        place([[4000, 0]], "nm")


def test_no_points_lie_nowhere():
    assert place(np.zeros((0, 2))).shape == (0, 2)
