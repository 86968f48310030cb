import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.resample import Resampled, to_spacing
from graticule.image import Image


@pytest.mark.parametrize("spacing_um", [0.25, 0.4, 0.5, 0.7, 1.0, 2.0, 3.3])
def test_resampling_moves_nothing(spacing_um):
    """A ramp whose value is its own position must stay so."""
    ramp = Image(np.arange(97, dtype=float)[None] * np.ones((8, 1)), "yx", (1.0, 1.0))
    resampled = to_spacing(ramp, (1.0, spacing_um))
    row = resampled.data[0]
    columns = np.arange(len(row))
    where = resampled.to_um(np.stack([np.zeros_like(columns), columns], axis=1))[:, 1]
    middle = slice(len(row) // 4, -len(row) // 4)
    assert np.allclose(row[middle], where[middle], atol=0.02)


def test_the_same_spacing_costs_nothing():
    image = Image(np.zeros((4, 4)), "yx", (0.5, 0.5))
    assert to_spacing(image, (0.5, 0.50001)) is image


def test_integers_keep_their_type_and_never_wrap():
    image = Image(np.full((8, 8), 65535, np.uint16), "yx", (1.0, 1.0))
    resampled = to_spacing(image, (0.3, 0.3))
    assert resampled.data.dtype == np.uint16
    assert (resampled.data == 65535).all()


def test_a_mask_stays_a_mask():
    mask = Image((np.indices((30, 30)).sum(axis=0) % 7 == 0).astype(np.uint8), "yx", (1.0, 1.0))
    assert set(np.unique(to_spacing(mask, (1.7, 0.6), order=0).data)) <= {0, 1}


def test_coarsening_averages_instead_of_aliasing():
    """Alternating black and white must become grey, not black or white."""
    stripes = Image((np.indices((60, 60))[1] % 2 * 100.0).astype(np.float32), "yx", (1.0, 1.0))
    coarse = np.asarray(to_spacing(stripes, (4.0, 4.0)).data)
    assert np.abs(coarse - 50).max() < 15


def test_channels_are_not_mixed():
    image = Image(np.stack([np.zeros((6, 6)), np.ones((6, 6))]), "cyx", (1.0, 1.0))
    resampled = to_spacing(image, (0.5, 0.5))
    assert (resampled.data[0] == 0).all()
    assert np.allclose(resampled.data[1], 1)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 9), st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from([0, 1]),
    st.data(),
)
def test_a_window_equals_the_whole_bit_for_bit(shape, space, order, data):
    voxels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    view = Resampled(voxels, space, order)
    start = [data.draw(st.integers(0, n - 1)) for n in space]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, space, strict=True)]
    here = tuple(map(slice, start, stop))
    assert np.array_equal(view[here], view[...][here])


def test_floats_too_are_the_same_in_a_window():
    voxels = np.random.default_rng(0).normal(size=(200, 300)).astype(np.float32)
    view = Resampled(voxels, (67, 91))
    assert np.array_equal(view[20:40, 33:80], view[...][20:40, 33:80])


def test_what_is_not_in_memory_is_read_in_part():
    class Watched:
        shape, dtype, most = (64, 1000, 1000), np.dtype(np.uint8), 0

        def __getitem__(self, key):
            self.most = max(self.most, int(np.prod([k.stop - k.start for k in key])))
            return np.zeros([k.stop - k.start for k in key], np.uint8)

    source = Watched()
    coarse = to_spacing(Image(source, "zyx", (1.0, 1.0, 1.0)), (4.0, 4.0, 4.0))
    assert coarse.shape == (16, 250, 250)
    assert source.most == 0
    assert coarse.data[4:8, 10:20, 10:20].shape == (4, 10, 10)
    assert 0 < source.most < 200_000
