"""Counts and densities have units and intervals, also of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from graticule.image import Image
from graticule.results import Points
from graticule.workflows.tally import size_of, tally_points, tally_voxels, unit_of


def test_densities_are_counts_over_the_whole_image() -> None:
    image = Image(np.zeros((100, 200), np.uint8), "yx", (0.1, 0.2))
    found = Points.marked(np.ones((3, 2)), np.array([0, 0, 2]), ("a", "b", "c"))
    rows = tally_points(found, image)
    assert [(row.kind, row.count) for row in rows] == [("a", 2), ("b", 0), ("c", 1)]
    assert size_of(image) == pytest.approx(10 * 40) and unit_of(image) == "µm²"
    assert rows[0].amount == pytest.approx(2 / 400)
    assert rows[0].low < rows[0].amount < rows[0].high
    assert rows[1].low == 0 < rows[1].high


def test_a_masks_amount_is_its_size() -> None:
    labels = Image(np.zeros((10, 10, 10), np.uint8), "zyx", (0.2, 0.1, 0.1))
    (row,) = tally_voxels({"tissue": 250}, labels)
    assert (row.amount, row.share) == (pytest.approx(250 * 0.002), 0.25)
    assert unit_of(labels) == "µm³"
