import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from graticule.box import window
from graticule.errors import FormatError
from graticule.io.lazy import Arranged, Contiguous, Finite, Mean, Taken

VOXELS = np.arange(4 * 3 * 5 * 6, dtype=np.float32).reshape(4, 3, 5, 6)


def keys(shape):
    return basic_indices(shape, allow_newaxis=False)


class OnDisk:
    """Gives copies of what is asked for, and only understands slices and numbers, as zarr does."""

    def __init__(self, data):
        self.data, self.shape, self.dtype = data, data.shape, data.dtype

    def __getitem__(self, key):
        return self.data[key].copy()


@given(keys(VOXELS.shape))
def test_a_window_is_what_indexing_gives(key):
    read, then = window(key, VOXELS.shape)
    assert np.array_equal(VOXELS[read][then], VOXELS[key])


@pytest.mark.parametrize("key", [4, (0, 0, 0, 0, 0), (0, -4)])
def test_an_index_out_of_range_is_an_error(key):
    with pytest.raises(IndexError):
        window(key, VOXELS.shape)


@given(st.data(), st.integers(0, 3))
def test_taking_a_position_is_indexing_it(data, axis):
    taken = Taken(OnDisk(VOXELS), axis, 2)
    expected = VOXELS.take(2, axis)
    assert taken.shape == expected.shape
    key = data.draw(keys(expected.shape))
    assert np.array_equal(taken[key], expected[key])


@given(st.data(), st.permutations(range(4)))
def test_arranging_is_transposing(data, order):
    arranged = Arranged(OnDisk(VOXELS), tuple(order))
    expected = VOXELS.transpose(order)
    assert arranged.shape == expected.shape
    key = data.draw(keys(expected.shape))
    assert np.array_equal(arranged[key], expected[key])


@given(keys((4, 5, 6)))
def test_a_mean_leaves_out_what_is_beyond_its_count(key):
    mean = Mean(OnDisk(VOXELS), 1, 2)
    assert mean.dtype == np.float32
    assert np.array_equal(mean[key], VOXELS[:, :2].mean(axis=1)[key])


@given(st.data(), st.sampled_from(["<u2", ">u2", ">f4", "u1"]))
def test_mapped_voxels_are_those_in_the_file_in_native_order(tmp_path_factory, data, stored):
    path = tmp_path_factory.mktemp("lazy") / "raw"
    voxels = (VOXELS % 200).astype(stored)
    path.write_bytes(b"header" + voxels.tobytes())
    mapped = Contiguous(path, 6, voxels.shape, np.dtype(stored))
    key = data.draw(keys(voxels.shape))
    assert np.array_equal(mapped[key], voxels[key])
    assert np.asarray(mapped[...]).dtype.isnative


def test_windows_without_nan_are_read_and_others_refused_with_the_place():
    data = np.ones((10, 20), np.float32)
    data[3, 4], data[5, 7] = np.nan, np.inf
    guarded = Finite(OnDisk(data), "a.tif")
    assert guarded[:3].shape == (3, 20)
    with pytest.raises(FormatError, match=r"a\.tif: found 1 NaN and 1 infinite pixels of 160 \(at 3–5, 4–7"):
        guarded[2:]
