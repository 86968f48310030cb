import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graticule.io.blocks import Slabs, Watched, blocks, copy, stored_chunks
from graticule.io.lazy import Arranged, Finite, Taken

VOXELS = np.arange(2 * 10 * 7 * 6).reshape(2, 10, 7, 6)


class Recorder:
    """An array that remembers what it was asked for."""

    dtype, shape, chunks = VOXELS.dtype, VOXELS.shape, (1, 4, 3, 3)

    def __init__(self):
        self.asked = []

    def __getitem__(self, key):
        self.asked.append(key)
        return VOXELS[key]


SIDES = st.lists(st.integers(1, 20), min_size=1, max_size=4)


@given(st.data(), SIDES, st.integers(1, 4000))
def test_blocks_cover_every_voxel_once_along_chunks_and_below_the_limit(data, shape, limit):
    chunks = [data.draw(st.integers(1, n)) for n in shape]
    seen = np.zeros(shape, int)
    for block in blocks(shape, chunks, 1, limit):
        seen[block] += 1
        assert all(s.start % c == 0 for s, c in zip(block, chunks, strict=True))
        size = np.prod([s.stop - s.start for s in block])
        assert size <= max(limit, np.prod(chunks))
    assert (seen == 1).all()


def test_a_copy_is_equal():
    target = np.zeros_like(VOXELS)
    copy(Recorder(), target, (1, 4, 4, 4))
    assert np.array_equal(target, VOXELS)


def test_views_know_the_chunks_of_what_they_show():
    data = Recorder()
    assert stored_chunks(VOXELS) is None
    assert stored_chunks(Taken(data, 0, 1)) == (4, 3, 3)
    assert stored_chunks(Finite(Arranged(data, (1, 0, 2, 3)), "a")) == (4, 1, 3, 3)


@given(st.data())
def test_planes_from_slabs_are_planes(data):
    slabs = Slabs.of(Recorder(), "czyx")
    for _ in range(5):
        key = (data.draw(st.integers(0, 1)), data.draw(st.one_of(st.integers(0, 9), st.slices(10))))
        if isinstance(key[1], slice):
            key = (key[0], slice(key[1].start, key[1].stop))
        assert np.array_equal(slabs[key], VOXELS[key])


def test_each_chunk_is_read_once_by_who_goes_plane_by_plane():
    data = Recorder()
    slabs = Slabs.of(data, "czyx")
    for z in range(10):
        for c in range(2):
            slabs[c, z]
    assert len(data.asked) == 3


def test_what_is_read_is_counted():
    seen = []
    data = Watched(VOXELS, lambda done, total: seen.append((done, total)))
    data[0]
    data[1]
    assert seen == [(VOXELS.size // 2, VOXELS.size), (VOXELS.size, VOXELS.size)]
