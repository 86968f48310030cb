import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.box import Box, cover, round_up

SIDES = st.lists(st.integers(1, 40), min_size=1, max_size=3)


@settings(deadline=None)
@given(SIDES, st.integers(1, 17), st.integers(0, 9), st.sampled_from([1, 2, 4, 8]))
def test_write_boxes_cover_every_voxel_once_and_lie_inside_what_is_read(shape, size, halo, multiple):
    n = len(shape)
    count = np.zeros(shape, int)
    for tile in cover(tuple(shape), (size,) * n, (halo,) * n, multiple):
        count[tile.write.slices()] += 1
        for low, a, b, high in zip(tile.read.start, tile.write.start, tile.write.stop, tile.read.stop, strict=True):
            assert 0 <= low <= a <= b <= high
    assert (count == 1).all()


@settings(deadline=None)
@given(SIDES, st.integers(1, 17), st.integers(0, 9), st.sampled_from([1, 2, 4, 8]))
def test_strided_networks_lay_their_cells_alike_in_every_tile(shape, size, halo, multiple):
    n = len(shape)
    for tile in cover(tuple(shape), (size,) * n, (halo,) * n, multiple):
        assert all(start % multiple == 0 for start in (*tile.read.start, *tile.write.start))
        assert all(side % multiple == 0 for side in tile.read.shape)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(8, 64), st.integers(0, 20))
def test_context_is_read_on_both_sides_as_far_as_the_image_goes(length, size, halo):
    for tile in cover((length,), (size,), (halo,), 4):
        assert tile.read.start[0] <= max(0, tile.write.start[0] - halo)
        assert tile.read.stop[0] >= min(length, tile.write.stop[0] + halo)


def test_an_image_just_larger_than_a_tile_is_cut_in_halves_not_in_a_tile_and_a_sliver():
    assert [tile.write.shape for tile in cover((130,), (128,), (0,), 2)] == [(66,), (64,)]


def test_a_box_knows_its_place_in_another():
    assert Box((5, 8), (9, 12)).relative_to((4, 4)) == Box((1, 4), (5, 8))


def test_a_box_cannot_stop_before_it_starts():
    with pytest.raises(ValueError, match="before it starts"):
        Box((3,), (2,))


def test_rounding_up_to_a_multiple():
    assert [round_up(n, 32) for n in (0, 1, 32, 33)] == [0, 32, 32, 64]


@settings(deadline=None)
@given(SIDES, st.integers(1, 17), st.integers(0, 9), st.sampled_from([1, 2, 4]), st.sampled_from([4, 8, 12]))
def test_aligned_write_boxes_start_at_multiples_and_read_no_more_than_their_halo(shape, size, halo, multiple, align):
    n = len(shape)
    count = np.zeros(shape, int)
    for tile in cover(tuple(shape), (size,) * n, (halo,) * n, multiple, (align,) * n):
        count[tile.write.slices()] += 1
        assert all(start % align == 0 for start in tile.write.start)
        assert all(side % multiple == 0 for side in tile.read.shape)
        assert all(
            a - low <= round_up(halo, multiple) for low, a in zip(tile.read.start, tile.write.start, strict=True)
        )
    assert (count == 1).all()
