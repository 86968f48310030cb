import pickle

import numpy as np
import zarr
from hypothesis import given
from hypothesis import strategies as st

from graticule.io.zarr_array import Stored

VOXELS = np.arange(6 * 7).reshape(6, 7)


@given(st.slices(6), st.one_of(st.integers(-7, 6), st.slices(7)))
def test_windows_are_those_of_the_array(rows, columns):
    store = Stored("a", zarr.array(VOXELS, chunks=(2, 3)))
    assert np.array_equal(store[rows, columns], VOXELS[rows, columns])


def test_it_can_be_sent_to_another_process(tmp_path):
    zarr.save(tmp_path / "a.zarr", VOXELS)
    store = Stored("a", zarr.open_array(tmp_path / "a.zarr", mode="r"))
    again = pickle.loads(pickle.dumps(store))
    assert np.array_equal(again[1:3], VOXELS[1:3])


def test_files_are_chunks_or_shards_of_them(tmp_path):
    plain = zarr.create_array(tmp_path / "a", shape=(8, 8), chunks=(2, 2), dtype="u1")
    sharded = zarr.create_array(tmp_path / "b", shape=(8, 8), chunks=(2, 2), shards=(4, 8), dtype="u1")
    assert (Stored("a", plain).files, Stored("b", sharded).files) == ((2, 2), (4, 8))
    sharded[:4] = 1
    assert Stored("b", sharded).missing() == (1, 2)
    assert Stored("a", plain).missing() == (16, 16)
    assert Stored("c", zarr.create_array("memory://x", shape=(8, 8), dtype="u1")).missing() is None
