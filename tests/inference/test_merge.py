"""Regions of blocks joined to regions of the image."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.arrays.regions import label_regions, take_census
from graticule.box import cover
from graticule.inference.merge import Part, join

LABELS = arrays(np.uint8, (5, 9, 8), elements=st.integers(0, 2))
CONFIDENCE = np.random.default_rng(1).integers(0, 256, (5, 9, 8)).astype(np.uint8)


def parts_of(labels, size):
    boxes = [tile.write for tile in cover(labels.shape, size, (0, 0, 0))]
    ids = [label_regions(labels[box.slices()]) for box in boxes]
    census = [
        take_census(own, labels[box.slices()], box.start, labels.shape, CONFIDENCE[box.slices()])
        for own, box in zip(ids, boxes, strict=True)
    ]
    return boxes, ids, [Part.of(own, one) for own, one in zip(ids, census, strict=True)]


@settings(deadline=None)
@given(LABELS, st.tuples(st.integers(2, 5), st.integers(2, 9), st.integers(2, 8)))
def test_the_joined_census_is_that_of_the_whole(labels, size):
    boxes, ids, parts = parts_of(labels, size)
    joined = join(boxes, parts)
    whole_ids = label_regions(labels)
    whole = take_census(whole_ids, labels, confidence=CONFIDENCE)
    stitched = np.empty(labels.shape, int)
    for box, own, numbers in zip(boxes, ids, joined.numbers, strict=True):
        stitched[box.slices()] = numbers[own]
    pairs = np.unique(np.stack([stitched.ravel(), whole_ids.ravel()]), axis=1)
    assert pairs.shape[1] == len(whole) == len(joined.census)
    ours, theirs = pairs
    for name in ("value", "size", "first", "at_edge", "confidence"):
        np.testing.assert_array_equal(getattr(joined.census, name)[ours], getattr(whole, name)[theirs])
    to_theirs = dict(zip(ours, theirs, strict=True))
    named = {frozenset((to_theirs[a], to_theirs[b])) for a, b in joined.census.touching}
    assert named == {frozenset((int(a), int(b))) for a, b in whole.touching}


def test_a_part_saved_and_loaded_is_the_same(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (4, 6, 5)).astype(np.uint8)
    _, _, (part, *_) = parts_of(labels, (4, 3, 5))
    part.save(tmp_path / "part.npz")
    again = Part.load(tmp_path / "part.npz")
    for axis in range(3):
        np.testing.assert_array_equal(part.low[axis], again.low[axis])
        np.testing.assert_array_equal(part.high[axis], again.high[axis])
    for name in ("value", "size", "first", "at_edge", "touching"):
        np.testing.assert_array_equal(getattr(part.census, name), getattr(again.census, name))
    assert not again.beyond
    assert list(again.low) == [0, 1, 2]
