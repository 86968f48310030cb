"""Where cells meet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.cell_vertices import find_rosettes, find_vertices, meeting, numbered_rosettes
from graticule.arrays.cells import boundaries
from graticule.errors import SettingsError
from tests.arrays.test_cells import tissue, with_lines

SIDE = 81


def wheel(cells, *, inner=0.0, side=SIDE, turn=0.1):
    """So many cells as slices of one pie, round a small one of radius `inner`; numbers 10, 20 … and 5."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    slices = np.floor((np.arctan2(y, x) / (2 * np.pi) + turn) % 1 * cells).astype(int)
    return np.where(np.hypot(y, x) < inner, 5, 10 * (slices + 1))


@pytest.mark.parametrize("count", range(3, 10))
@pytest.mark.parametrize("lines", [False, True])
def test_cells_that_share_a_corner_meet_there_with_or_without_lines_between(count, lines):
    cells = wheel(count)
    found = find_vertices(with_lines(cells) if lines else cells, 5.0)
    assert found.cells == (tuple(range(10, 10 * count + 1, 10)),)
    assert np.abs(found.position_px - SIDE // 2).max() <= 2
    assert found.spread_px.max() <= 3


def test_a_small_cell_is_what_others_meet_round_and_a_larger_one_is_a_cell():
    small = find_vertices(wheel(6, inner=4), 5.0, at_least=5)
    assert (len(small.cells[0]), small.inner) == (6, ((5,),))
    large = find_vertices(wheel(6, inner=16), 5.0)
    assert set(map(len, large.cells)) == {3} and len(large) == 6
    assert all(5 in cells for cells in large.cells) and not any(large.inner)


def test_places_within_the_radius_count_together_and_those_beyond_do_not():
    cells = np.ones((60, 60), int)
    cells[30:] = 2
    cells[:30, 24:] = 3
    cells[30:, 32:] = 4  # two vertices of three, eight pixels apart
    assert sorted(map(len, find_vertices(cells, 3.0).cells)) == [3, 3]
    assert find_vertices(cells, 5.0).cells == ((1, 2, 3, 4),)


@settings(max_examples=6)
@given(seed=st.integers(0, 30), radius=st.sampled_from([1.5, 3.0, 5.0]))
def test_no_place_has_more_cells_nearby_than_the_vertices_say(seed, radius):
    cells = tissue(seed)
    found, reached = find_vertices(cells, radius), meeting(cells, radius)
    assert max(map(len, found.cells)) == reached.max()
    at = found.position_px.astype(int)
    assert [len(each) for each in found.cells] == reached[at[:, 0], at[:, 1]].tolist()
    assert (found.spread_px <= radius).all()


@settings(max_examples=6)
@given(seed=st.integers(0, 30))
def test_turning_mirroring_and_renumbering_cells_change_nothing(seed):
    cells = tissue(seed)
    names = np.random.default_rng(seed).permutation(cells.max() + 1) + 7
    expected = sorted(tuple(sorted(names[list(each)])) for each in find_vertices(cells, 3.0, at_least=4).cells)
    for other in (names[cells], names[cells][::-1], np.rot90(names[cells])):
        assert sorted(find_vertices(other, 3.0, at_least=4).cells) == expected


def test_every_corner_of_three_cells_is_near_a_vertex():
    cells = tissue(3)
    corners = np.stack([cells[:-1, :-1], cells[1:, :-1], cells[:-1, 1:], cells[1:, 1:]])
    ordered = np.sort(corners, axis=0)
    places = np.argwhere((ordered[1:] != ordered[:-1]).sum(axis=0) >= 2)
    found = find_vertices(cells, 3.0).position_px
    assert np.hypot(*(places[:, None] - found[None]).transpose(2, 0, 1)).min(axis=1).max() <= 6


def test_at_the_frame_and_at_the_edge_of_the_tissue_only_cells_count():
    half = wheel(8)[SIDE // 2 :]
    assert len(find_vertices(half, 4.0).cells[0]) == 5, "the frame cuts three of eight off"
    outside = np.where(wheel(8) > 40, 0, wheel(8))
    assert [len(each) for each in find_vertices(outside, 4.0).cells] == [4]


@pytest.mark.parametrize(
    "cells", [np.zeros((9, 9), int), np.ones((9, 9), int), np.ones((1, 1), int), np.eye(9, dtype=int)]
)
def test_where_there_are_no_three_cells_none_meet(cells):
    found = find_vertices(cells, 2.0)
    assert len(found) == 0 and found.position_px.shape == (0, 2)
    assert len(find_rosettes(cells, 2.0)) == 0
    assert not numbered_rosettes(cells, find_rosettes(cells, 2.0)).any()


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="radius of 0"):
        find_vertices(tissue(), 0)


def test_a_rosette_torn_into_two_places_is_one_with_all_its_cells():
    above = np.repeat([1, 2, 3, 4, 5], [20, 5, 5, 5, 20])
    cells = np.concatenate([np.tile(above, (30, 1)), np.full((30, 55), 6)])
    apart, once = find_vertices(cells, 6.0, at_least=5), find_rosettes(cells, 6.0)
    assert apart.cells == ((1, 2, 3, 4, 6), (2, 3, 4, 5, 6))
    assert once.cells == ((1, 2, 3, 4, 5, 6),)


def test_rosettes_are_numbered_and_a_cell_of_two_is_the_nearer_ones():
    two = np.concatenate([wheel(6), wheel(6) + 100], axis=1)
    rosettes = find_rosettes(two, 5.0)
    numbers = numbered_rosettes(two, rosettes)
    assert len(rosettes) == 2 and np.array_equal(numbers, np.where(two > 100, 2, 1))
    lines = numbered_rosettes(with_lines(two), find_rosettes(with_lines(two), 5.0))
    assert not lines[boundaries(two)[0] > 0].any() and set(np.unique(lines)) == {0, 1, 2}
