import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.peaks import find_peaks, suppress


def test_a_flat_top_counts_once_at_its_centre():
    heat = np.zeros((20, 20), np.float32)
    heat[4:6, 7:9] = 1
    positions, heights = find_peaks(heat, min_distance=3, threshold=0.5)
    assert positions.tolist() == [[4.5, 7.5]]
    assert heights.tolist() == [1]


def test_a_flat_top_of_two_cells_that_point_at_one_place_lies_at_that_place():
    heat = np.zeros((5, 8), np.float32)
    heat[2, 3:5] = 0.8
    offset = np.zeros((2, 5, 8), np.float32)
    offset[1, 2, 3], offset[1, 2, 4] = 0.5, -0.5
    positions, _ = find_peaks(heat, min_distance=1, threshold=0.5, offset=offset)
    assert np.allclose(positions, [[2, 3.5]])


def test_a_peak_lies_where_its_offset_says():
    heat = np.zeros((5, 8), np.float32)
    heat[2, 3] = 0.8
    offset = np.zeros((2, 5, 8), np.float32)
    offset[:, 2, 3] = 0.25, -0.4
    positions, _ = find_peaks(heat, min_distance=1, threshold=0.5, offset=offset)
    assert np.allclose(positions, [[2.25, 2.6]])


def test_peaks_in_corners_and_on_edges_count():
    heat = np.zeros((9, 9), np.float32)
    for place in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 0)):
        heat[place] = 1
    positions, _ = find_peaks(heat, min_distance=1, threshold=0.5)
    assert len(positions) == 5


def test_nothing_above_threshold_is_no_peaks():
    positions, heights = find_peaks(np.zeros((5, 6, 7), np.float32), min_distance=1, threshold=0.5)
    assert positions.shape == (0, 3)
    assert heights.shape == (0,)


def test_peaks_come_highest_first():
    heat = np.zeros((3, 20), np.float32)
    heat[1, [2, 8, 14]] = 0.3, 0.9, 0.6
    _, heights = find_peaks(heat, min_distance=1, threshold=0.1)
    assert heights.tolist() == sorted(heights.tolist(), reverse=True)


PLACES = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20), st.floats(0.01, 1)), min_size=1, max_size=25)


@settings(deadline=None)
@given(PLACES, st.floats(0.5, 5))
def test_what_is_kept_is_apart_and_what_is_not_lies_near_something_higher(places, radius):
    places = np.array(places)
    positions, heights, radii = places[:, :2], places[:, 2], np.full(len(places), radius)
    kept = suppress(positions, heights, radii)
    gaps = np.linalg.norm(positions[kept][:, None] - positions[kept][None], axis=2)
    assert (gaps[~np.eye(len(kept), dtype=bool)] >= radius).all()
    for lost in set(range(len(places))) - set(kept.tolist()):
        near = np.linalg.norm(positions[kept] - positions[lost], axis=1) < radius
        assert (heights[kept][near] >= heights[lost]).any()


def test_a_large_bead_silences_small_ones_further_away_than_small_beads_do():
    positions = np.array([[0.0, 0.0], [0.0, 4.0], [0.0, 8.0]])
    kept = suppress(positions, np.array([0.9, 0.8, 0.7]), np.array([8.0, 2.0, 2.0]))
    assert kept.tolist() == [0, 2]
