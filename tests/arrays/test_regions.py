"""Regions of labelled voxels: dropped, filled, numbered and grown as one would by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import remove_small_holes, remove_small_objects

from graticule.arrays.regions import grown, label_regions, take_census, tidy
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
