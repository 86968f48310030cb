"""A task that draws its own view of an image: results, truth and plans fit the image all the same."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from graticule.arrays.resample import with_shape
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Labels
from graticule.task import DRAWN, Grid, Regions
from graticule.tasks import LogBeads
from graticule.workflows.predict import plan, predict, set_up
from graticule.workflows.ready import ready
from graticule.workflows.working import on_grid

FINER = 3


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Looks at what is bright, and at what is not, drawn on pixels a third as wide."""

    name: ClassVar[str] = "drawn"
    side_px: int = 512
    numbered: bool = True

    @property
    def grid(self):
        return Grid(spacing_um=(), tile=(self.side_px,) * 2, halo=(0, 0), channels=2, rigid=True)

    @property
    def regions(self):
        return Regions(numbered=self.numbered)

    def view(self, image):
        finer = with_shape(image, tuple(FINER * n for n in image.shape), order=0)
        return replace(finer, data=np.stack([finer.data > 0, finer.data == 0]).astype(np.float32), axes="cyx")

    def prepare(self, pixels, levels):
        assert levels == DRAWN
        return pixels

    def forward(self, weights, device):
        return lambda batch: batch[:, :1] * (1 - batch[:, 1:])

    def decode(self, maps):
        return Labels(replace(maps, data=(np.asarray(maps.data)[0] > 0.5).astype(np.uint8), axes="yx"))


def spots(shape=(90, 110), seed=0):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return Image(np.where(smooth > 0.08, 200, 0).astype(np.uint8), "yx", (0.5, 0.5), (1.0, 2.0))


@pytest.mark.parametrize(("spacing_um", "refused"), [((0.1, 0.1), True), ((0.09, 0.009), False), ((5.0, 5.0), True)])
def test_an_image_far_coarser_than_a_task_works_on_is_refused_before_it_fills_the_memory(spacing_um, refused):
    """A unit was mistaken for another, or a model for another one."""
    task = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=8.0, thresholds=(0.1,))
    image = Image(np.zeros((40, 50), np.uint8), "yx", spacing_um)
    if not refused:
        assert on_grid(task, image).shape == (450, 56)
        return
    with pytest.raises(FormatError, match=r"this model works on 0\.008 µm, more than 10 times as fine.*--spacing-um"):
        on_grid(task, image)


@pytest.mark.parametrize("side", [512, 64, 30])
def test_results_lie_on_the_images_own_voxels_however_it_was_tiled(side):
    image = spots()
    found = predict(image, Checkpoint(Drawn(side_px=side)), device="cpu").image
    assert (found.shape, found.spacing_um, found.origin_um) == (image.shape, image.spacing_um, image.origin_um)
    np.testing.assert_array_equal(np.asarray(found.data) != 0, np.asarray(image.data) != 0)
    assert set(np.unique(found.data)) == set(range(int(found.data.max()) + 1))


def test_a_plan_is_that_of_the_view():
    image, model = spots(), Checkpoint(Drawn(side_px=64))
    assert plan(image, [model]).shape == set_up(image, [model]).plan(stored=True).shape == (270, 330)


def test_truth_and_where_it_is_complete_go_to_the_views_voxels():
    image = spots()
    truth = np.arange(image.shape[0] * image.shape[1], dtype=np.int32).reshape(image.shape)
    complete = np.ones(image.shape, np.uint8)
    example = Example("a", image, Labels(replace(image, data=truth)), replace(image, data=complete))
    one = ready(Drawn(), example)
    assert one.levels == DRAWN
    assert one.example.image.data.shape == (2, 270, 330)
    for brought, own in ((one.example.truth.image, truth), (one.example.complete, complete)):
        np.testing.assert_array_equal(brought.data, own.repeat(FINER, 0).repeat(FINER, 1))


def test_a_part_that_is_annotated_is_cut_from_the_view_with_its_context():
    image = spots()
    complete = np.zeros(image.shape, np.uint8)
    complete[20:40, 30:70] = 1
    example = Example("a", image, Labels(image), replace(image, data=complete))
    one = ready(Drawn(), example).example
    assert one.image.shape == one.truth.image.shape == one.complete.shape == (20 * FINER, 40 * FINER)
    np.testing.assert_array_equal(one.image.data[0], np.asarray(one.truth.image.data) != 0)


def test_channels_that_a_task_did_not_ask_for_are_refused():
    class Grey(Drawn):
        def view(self, image):
            return replace(image, data=np.stack([image.data] * 3), axes="cyx")

    with pytest.raises(FormatError, match="several channels"):
        predict(spots(), Checkpoint(Grey()), device="cpu")
