"""Regions of labelled voxels: dropped, filled, numbered and grown as one would by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import remove_small_holes, remove_small_objects

from graticule.arrays.regions import CORE, claimed, decide, grown, label_regions, take_census, tidy
from graticule.errors import SettingsError
from graticule.task import Regions

MASKS = st.one_of(arrays(np.uint8, (9, 11), elements=st.integers(0, 1)), arrays(bool, (4, 5, 6)))
CLASSES = arrays(np.uint8, (4, 6, 5), elements=st.integers(0, 3))
SPACING = (1.0, 1.0, 1.0)


def tidied(labels, **settings):
    return tidy(labels, Regions(**settings), SPACING[: labels.ndim])


@given(MASKS)
def test_untouched_where_nothing_is_asked(mask):
    np.testing.assert_array_equal(tidied(mask), mask)


@given(MASKS, st.integers(1, 12))
def test_small_regions_go_as_scikit_image_has_it(mask, least):
    expected = remove_small_objects(mask.astype(bool), max_size=least - 1, connectivity=1)
    np.testing.assert_array_equal(tidied(mask, min_voxels=least), expected)


@given(MASKS, st.integers(1, 12))
def test_small_holes_are_filled_as_scikit_image_has_it(mask, most):
    expected = remove_small_holes(mask.astype(bool), max_size=most, connectivity=1) if mask.any() else mask
    np.testing.assert_array_equal(tidied(mask, max_hole_voxels=most), expected)


@given(MASKS)
def test_all_holes_are_filled_as_scipy_has_it(mask):
    np.testing.assert_array_equal(tidied(mask, max_hole_voxels=None), ndimage.binary_fill_holes(mask))


@given(MASKS, st.integers(1, 8), st.integers(1, 20))
def test_what_is_dropped_inside_a_hole_is_part_of_the_hole(mask, least, most):
    dropped = tidied(mask, min_voxels=least)
    expected = tidied(dropped, max_hole_voxels=most)
    np.testing.assert_array_equal(tidied(mask, min_voxels=least, max_hole_voxels=most), expected)


@given(CLASSES, st.integers(0, 6))
def test_numbered_regions_are_those_of_each_class_from_one_on_in_the_order_they_begin(labels, least):
    numbered, classes = (tidied(labels, numbered=each, min_voxels=least) for each in (True, False))
    np.testing.assert_array_equal(numbered != 0, classes != 0)
    regions = sum(ndimage.label(classes == value)[1] for value in (1, 2, 3))
    firsts = [np.flatnonzero(numbered == number)[0] for number in range(1, regions + 1)]
    assert numbered.max() == regions
    assert firsts == sorted(firsts)
    assert all(len(np.unique(classes[numbered == number])) == 1 for number in range(1, regions + 1))


def test_what_is_numbered_cannot_grow_into_its_neighbours():
    with pytest.raises(SettingsError, match="which would touch"):
        Regions(numbered=True, grow_um=1.0)


@given(CLASSES)
def test_regions_of_one_class_are_those_of_its_mask(labels):
    ids = label_regions(labels)
    for value in np.unique(labels):
        mine, count = ndimage.label(labels == value)
        assert len(np.unique(ids[labels == value])) == count
        assert len(np.unique(np.stack([ids[labels == value], mine[labels == value]]), axis=1)[0]) == count


@given(arrays(np.int32, (5, 6), elements=st.integers(0, 40)))
def test_many_values_are_labelled_like_few(labels):
    few = label_regions((labels % 4).astype(np.uint8))
    many = label_regions(labels % 4 + 1000 * (labels % 4 > 0))
    both = np.unique(np.stack([few.ravel(), many.ravel()]), axis=1)
    assert both.shape[1] == few.max() + 1 == many.max() + 1


@given(CLASSES)
def test_a_census_counts_every_voxel_once(labels):
    ids = label_regions(labels)
    census = take_census(ids, labels)
    assert census.size.sum() == labels.size
    for region in range(len(census)):
        members = ids == region
        assert census.size[region] == members.sum()
        assert census.first[region] == np.flatnonzero(members)[0]
        assert set(labels[members]) == {census.value[region]}
        interior = members[1:-1, 1:-1, 1:-1].sum()
        assert census.at_edge[region] == (interior < members.sum())


def test_objects_are_numbered_in_the_order_of_their_first_voxels():
    labels = np.array([[0, 9, 0, 4], [4, 0, 0, 4], [4, 0, 7, 0]])
    np.testing.assert_array_equal(tidied(labels, objects=True), [[0, 1, 0, 2], [3, 0, 0, 2], [3, 0, 4, 0]])


def test_touching_objects_stay_two():
    np.testing.assert_array_equal(tidied(np.array([[5, 5, 3, 3]]), objects=True), [[1, 1, 2, 2]])


def test_the_largest_region_of_each_class_stays():
    labels = np.array([[1, 1, 0, 1, 2], [0, 0, 0, 0, 0], [2, 2, 0, 0, 0]])
    np.testing.assert_array_equal(tidied(labels, keep_largest=True), [[1, 1, 0, 0, 0], [0] * 5, [2, 2, 0, 0, 0]])


def test_a_hole_between_two_classes_belongs_to_neither():
    labels = np.array([[1, 1, 2], [1, 0, 2], [1, 1, 2]])
    np.testing.assert_array_equal(tidied(labels, max_hole_voxels=5), labels)


@given(MASKS, st.floats(0.5, 3))
def test_growing_takes_every_voxel_within_reach(mask, by):
    spacing = (2.0, 1.0, 1.0)[-mask.ndim :]
    expected = mask.astype(bool)
    if mask.any():
        expected = ndimage.distance_transform_edt(mask == 0, sampling=spacing) <= by
    np.testing.assert_array_equal(grown(mask.astype(np.uint8), by, spacing), expected)


@given(MASKS, st.floats(0.5, 3))
def test_shrinking_a_mask_grows_what_is_outside_it(mask, by):
    spacing = (2.0, 1.0, 1.0)[-mask.ndim :]
    mask = mask.astype(np.uint8)
    np.testing.assert_array_equal(grown(mask, -by, spacing), 1 - grown(1 - mask, by, spacing))


def test_growing_never_takes_from_another_class():
    labels = np.array([[1, 0, 0, 2, 2]], np.uint8)
    np.testing.assert_array_equal(grown(labels, 2.0, (1.0, 1.0)), [[1, 1, 1, 2, 2]])


def test_objects_cannot_be_grown():
    with pytest.raises(SettingsError, match="grow"):
        Regions(objects=True, grow_um=1.0)


def test_an_empty_mask_stays_empty():
    assert not tidied(np.zeros((3, 4), np.uint8), max_hole_voxels=None, keep_largest=True, min_voxels=3).any()


CORED = arrays(np.uint8, (7, 9), elements=st.integers(0, 2))
SETTINGS = {"numbered": True, "rims": True}


def bodies(raw):
    """What hangs together of cores and rims, with a core, numbered."""
    body = ndimage.label(raw != 0)[0]
    return np.where(np.isin(body, body[raw == CORE]), body, 0)


@given(CORED, st.integers(0, 4))
def test_with_rims_every_voxel_goes_to_an_object_of_its_own_body_and_cores_stay_whole(raw, least_core):
    found = tidied(raw, **SETTINGS, min_core_voxels=least_core)
    body = bodies(raw)
    np.testing.assert_array_equal(found != 0, body != 0)
    for number in range(1, found.max() + 1):
        assert len(np.unique(body[found == number])) == 1
    cores = ndimage.label(np.where(body != 0, raw, 0) == CORE)[0]
    assert all(len(np.unique(found[cores == core])) == 1 for core in range(1, cores.max() + 1))


@given(CORED)
def test_a_body_is_as_many_objects_as_it_has_cores_and_nothing_if_it_has_none(raw):
    found, body, cores = tidied(raw, **SETTINGS), ndimage.label(raw != 0)[0], ndimage.label(raw == CORE)[0]
    for number in range(1, body.max() + 1):
        inside = body == number
        assert len(set(np.unique(found[inside])) - {0}) == len(set(np.unique(cores[inside])) - {0})


@given(CORED)
def test_what_hangs_together_and_has_a_core_is_one_object_where_nothing_is_divided(raw):
    found, body = tidied(raw, **SETTINGS, divided=False), bodies(raw)
    np.testing.assert_array_equal(found != 0, body != 0)
    assert found.max(initial=0) == len(np.unique(body[body > 0]))
    assert all(len(np.unique(found[body == number])) == 1 for number in np.unique(body[body > 0]))


@given(CORED, st.integers(1, 12))
def test_bodies_smaller_than_asked_are_dropped_and_numbers_have_no_gaps(raw, least):
    found, body = tidied(raw, **SETTINGS, min_voxels=least), bodies(raw)
    large = np.bincount(body.ravel()) >= least
    large[0] = False
    np.testing.assert_array_equal(found != 0, large[body])
    assert set(np.unique(found)) - {0} == set(range(1, found.max() + 1))


def test_a_rim_between_two_cores_is_shared_out_by_steps_through_it():
    raw = np.array([[2, 1, 2, 2, 2, 2, 1], [2, 2, 2, 2, 2, 2, 2]], np.uint8)
    np.testing.assert_array_equal(tidied(raw, **SETTINGS), [[1, 1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2]])


@given(CORED, arrays(np.uint8, (7, 9)), st.sampled_from([0.2, 0.5, 0.8]))
def test_bodies_of_a_lower_mean_confidence_than_asked_are_dropped(raw, confidence, least):
    regions, body = Regions(**SETTINGS, min_confidence=least), bodies(raw)
    found = tidy(raw, regions, (1.0, 1.0), confidence)
    for number in np.unique(body[body > 0]):
        inside = body == number
        assert (found[inside] > 0).all() == (confidence[inside].sum(dtype=int) >= least * 255 * inside.sum())
        assert (found[inside] > 0).all() == (found[inside] > 0).any()


def test_nothing_is_dropped_for_confidences_that_are_not_there():
    with pytest.raises(ValueError, match="no confidences"):
        tidy(np.ones((3, 3), np.uint8), Regions(**SETTINGS, min_confidence=0.5), (1.0, 1.0))
    with pytest.raises(ValueError, match="cores and rims"):
        Regions(min_confidence=0.5)


def test_a_body_without_a_core_is_dropped_and_one_with_small_cores_only_is_one_object():
    raw = np.array([[2, 2, 2, 0, 2, 2, 2], [2, 2, 2, 0, 1, 2, 1], [2, 2, 2, 0, 2, 2, 2]], np.uint8)
    np.testing.assert_array_equal(tidied(raw, **SETTINGS, min_core_voxels=2), [[0, 0, 0, 0, 1, 1, 1]] * 3)
    around = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 2, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], np.uint8)
    assert (tidied(around, **SETTINGS, max_hole_voxels=None) == 1).all()


def test_what_lies_out_of_reach_goes_to_the_first_core_that_its_rim_touches():
    raw = np.array([[2, 2, 2, 2, 2, 1, 2, 2, 1]], np.uint8)
    np.testing.assert_array_equal(tidied(raw, **SETTINGS, reach_px=2), [[1, 1, 1, 1, 1, 1, 1, 2, 2]])


def test_a_small_core_among_larger_ones_does_not_count():
    raw = np.array([[1, 1, 2, 1, 2, 2, 1, 1]], np.uint8)
    np.testing.assert_array_equal(tidied(raw, **SETTINGS, min_core_voxels=2), [[1, 1, 1, 1, 2, 2, 2, 2]])


def test_a_hole_in_an_object_is_filled_and_one_among_several_is_shared_out():
    raw = np.array([[2, 2, 2, 0, 2, 2, 2, 2, 2], [2, 0, 2, 0, 1, 2, 0, 2, 1], [2, 1, 2, 0, 2, 2, 2, 2, 2]], np.uint8)
    found = tidied(raw, **SETTINGS, max_hole_voxels=None)
    np.testing.assert_array_equal(
        found, [[1, 1, 1, 0, 2, 2, 2, 3, 3], [1, 1, 1, 0, 2, 2, 2, 3, 3], [1, 1, 1, 0, 2, 2, 2, 3, 3]]
    )


@given(CORED, st.integers(1, 6), st.integers(0, 8))
def test_what_a_rim_becomes_depends_on_nothing_further_than_its_reach(raw, reach, start):
    census = take_census(label_regions(raw), raw)
    decided = decide(census, Regions(**SETTINGS))[label_regions(raw)]
    whole = claimed(decided, reach)
    low, high = max(0, start - reach), min(raw.shape[1], start + 1 + reach)
    np.testing.assert_array_equal(claimed(decided[:, low:high], reach)[:, start - low], whole[:, start])


def test_cores_and_rims_are_of_one_kind_and_numbered():
    for wrong in ({"rims": True}, {**SETTINGS, "kinds": ("a", "b")}, {**SETTINGS, "keep_largest": True}):
        with pytest.raises(ValueError, match="cores and rims"):
            Regions(**wrong)
