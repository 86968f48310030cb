from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.intensity import levels
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.task import LabelFree, Outlining
from graticule.tasks import LABEL_FREE
from tests.sections import section


def as_image(pixels):
    return Image(pixels, "zyx"[-pixels.ndim :], (0.01,) * pixels.ndim)


def maps(task, pixels, tile=None):
    """The whole way from pixels to maps, in tiles of a given size."""
    image = as_image(pixels)
    forward = task.forward(task.measure(image), "cpu")
    grid = replace(task.grid, tile=tile) if tile else task.grid
    return np.asarray(run(forward, partial(task.prepare, levels=levels(image)), image, make_plan(image, grid)).data)


@pytest.mark.parametrize("name", LABEL_FREE)
def test_is_a_label_free_task_whose_results_are_labels(name):
    task: LabelFree = LABEL_FREE[name]()
    outlining: Outlining = LABEL_FREE[name]()
    assert task.name == name
    assert outlining.regions.kinds == ("tissue",)


@pytest.mark.parametrize("name", LABEL_FREE)
@settings(max_examples=10)
@given(height=st.integers(1, 330), width=st.integers(1, 330), depth=st.sampled_from([0, 3]), tile=st.integers(20, 200))
def test_tiles_give_the_bits_of_the_whole(name, height, width, depth, tile):
    grey, _ = section(seed=1, shape=(330, 330))
    plane = grey[:height, :width]
    pixels = np.stack([plane, plane[::-1], plane[:, ::-1]]) if depth else plane
    task = LABEL_FREE[name]()
    assert np.array_equal(maps(task, pixels, (2, tile, tile)), maps(task, pixels))
