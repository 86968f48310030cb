import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import SpacingError
from graticule.image import Image

SIZES = st.floats(1e-4, 1e3)
PLACES = st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), max_size=5)


@given(PLACES, st.tuples(SIZES, SIZES, SIZES), st.tuples(*[st.floats(-10, 10)] * 3))
def test_um_and_voxels_are_inverse(places, spacing, origin):
    image = Image(np.zeros((4, 5, 6)), "zyx", spacing, origin)
    voxels = np.reshape(places, (-1, 3))
    assert np.allclose(image.to_voxels(image.to_um(voxels)), voxels, atol=1e-3 / min(spacing), rtol=1e-6)


def test_a_crop_stays_where_it_was():
    image = Image(np.arange(20).reshape(4, 5), "yx", (0.5, 2.0), (1.0, -3.0))
    crop = image.crop((1, 2), (3, 5))
    assert crop.data.tolist() == [[7, 8, 9], [12, 13, 14]]
    assert np.allclose(crop.to_um(np.array([[0, 0]])), image.to_um(np.array([[1, 2]])))


@pytest.mark.parametrize("spacing", [(1.0,), (0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_an_impossible_voxel_size_is_refused_with_the_way_out(spacing):
    with pytest.raises(SpacingError, match="--spacing-um"):
        Image(np.zeros((4, 5)), "yx", spacing)


def test_axes_must_name_every_dimension():
    with pytest.raises(ValueError, match="3 dimensions"):
        Image(np.zeros((4, 5)), "zyx", (1.0, 1.0, 1.0))


def test_channels_are_not_space():
    image = Image(np.zeros((3, 4, 5)), "cyx", (1.0, 1.0))
    assert (image.ndim, image.shape) == (2, (4, 5))
