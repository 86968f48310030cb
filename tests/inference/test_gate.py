"""A mask seen on another image's voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from graticule.arrays.resample import with_shape
from graticule.box import Box
from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference.gate import Gate


def image_of(voxels, spacing=1.0):
    return Image(voxels, "zyx"[-voxels.ndim :], (spacing,) * voxels.ndim)


def random_mask(shape, seed=0):
    return (np.random.default_rng(seed).random(shape) > 0.7).astype(np.uint8)


@settings(deadline=None)
@given(st.tuples(st.integers(2, 20), st.integers(2, 20)), st.floats(0, 4), st.data())
def test_a_box_sees_what_the_whole_sees(shape, margin, data):
    mask = random_mask(shape)
    gate = Gate(image_of(mask), image_of(np.zeros(shape)), margin)
    expected = mask != 0
    if margin and expected.any():
        expected = distance_transform_edt(mask == 0) <= margin
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    box = Box(start, stop)
    np.testing.assert_array_equal(gate.on(box), expected[box.slices()])


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_coarser_mask_counts_for_all_voxels_it_covers(factor):
    mask = random_mask((6, 7, 8))
    coarse = Image(mask, "zyx", (float(factor),) * 3, ((factor - 1) / 2,) * 3)
    fine = np.zeros(tuple(n * factor for n in mask.shape), np.uint8)
    seen = Gate(coarse, image_of(fine)).on(Box((0, 0, 0), fine.shape))
    np.testing.assert_array_equal(seen, np.kron(mask, np.ones((factor,) * 3)) != 0)


def test_a_mask_made_on_a_resampled_image_fits_the_image():
    image = image_of(np.zeros((50, 61), np.uint8), 0.013)
    working = with_shape(image, (20, 24))
    mask = Image(np.ones(working.shape, np.uint8), "yx", working.spacing_um, working.origin_um)
    assert Gate(mask, image).on(Box((0, 0), image.shape)).all()


def test_a_mask_of_another_piece_of_the_world_is_refused():
    with pytest.raises(FormatError, match="must show the same"):
        Gate(image_of(np.ones((10, 10))), image_of(np.zeros((10, 40))))


def test_a_plane_is_no_mask_of_a_volume():
    with pytest.raises(FormatError, match="axes"):
        Gate(image_of(np.ones((10, 10))), image_of(np.zeros((4, 10, 10))))


def test_only_the_window_of_the_mask_is_read():
    class Watched:
        shape, dtype, read = (100, 100), np.dtype(np.uint8), []

        def __getitem__(self, key):
            self.read.append(key)
            return np.ones([k.stop - k.start for k in key], np.uint8)

    watched = Watched()
    Gate(Image(watched, "yx", (1.0, 1.0)), image_of(np.zeros((100, 100)))).on(Box((10, 20), (14, 30)))
    assert watched.read == [(slice(10, 14), slice(20, 30))]
