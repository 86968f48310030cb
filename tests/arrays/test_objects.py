"""Objects measured box by box are those measured at once, and as one would by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from graticule.arrays.objects import measure_objects
from graticule.box import Box, cover

NUMBERS = st.one_of(
    arrays(np.uint32, (9, 11), elements=st.integers(0, 5)), arrays(np.uint16, (4, 5, 6), elements=st.integers(0, 5))
)


def boxes(shape, side=4):
    return [tile.write for tile in cover(shape, (side,) * len(shape), (0,) * len(shape), 1, (side,) * len(shape))]


@given(NUMBERS, st.integers(0, 99))
def test_boxes_give_what_the_whole_gives_and_scipy_too(labels, seed):
    confidence = np.random.default_rng(seed).integers(0, 256, labels.shape).astype(np.uint8)
    whole = measure_objects(labels, confidence, [Box((0,) * labels.ndim, labels.shape)])
    parts = measure_objects(labels, confidence, boxes(labels.shape))
    present = np.unique(labels[labels > 0])
    for found in (whole, parts):
        np.testing.assert_array_equal(found.number, present)
        np.testing.assert_array_equal(found.size, [(labels == n).sum() for n in present])
        if len(present):
            np.testing.assert_allclose(found.centre, ndimage.center_of_mass(labels > 0, labels, present))
            np.testing.assert_allclose(found.confidence, ndimage.mean(confidence, labels, present) / 255)


def test_of_several_kinds_the_confidence_is_the_objects_own():
    labels = np.array([[1, 1, 0, 2]])
    confidence = np.array([[[255, 255, 9, 0]], [[0, 51, 9, 102]]])
    found = measure_objects(labels, confidence, boxes(labels.shape, 2), kind_of={1: 1, 2: 2})
    np.testing.assert_allclose(found.confidence, [1.0, 0.4])


def test_no_object_is_an_empty_table():
    assert len(measure_objects(np.zeros((3, 3), int), np.zeros((3, 3)), boxes((3, 3)))) == 0
