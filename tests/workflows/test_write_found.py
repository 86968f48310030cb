"""Objects that have outlines have a table, too, and it fits the picture of them."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from graticule.arrays.resample import with_shape
from graticule.checkpoint import Checkpoint
from graticule.image import Image
from graticule.io import read, read_points
from graticule.io.omezarr import open_level
from graticule.io.table import Table
from graticule.results import Labels
from graticule.task import Description, Grid, Regions
from graticule.workflows.predict_files import Job, predict_image


@dataclass(frozen=True, kw_only=True)
class Bright:
    """Everything that is bright, number by number."""

    name: ClassVar[str] = "bright"
    kinds: tuple[str, ...] = ("spot",)
    side_px: int = 512

    @property
    def grid(self):
        return Grid(spacing_um=(), tile=(self.side_px,) * 3, halo=(0, 0, 0), rigid=True)

    @property
    def regions(self):
        return Regions(numbered=True, min_voxels=3, kinds=self.kinds, confidences=len(self.kinds))

    def prepare(self, pixels, levels):
        return pixels[None].astype(np.float32) / 255

    def forward(self, weights, device):
        return lambda batch: np.repeat(batch, len(self.kinds), axis=1) if len(self.kinds) > 1 else batch

    def decode(self, maps):
        bright = (np.asarray(maps.data)[0] > 0.5).astype(np.uint8)
        if len(self.kinds) > 1:
            bright += bright * (np.asarray(maps.data)[0] > 0.9).astype(np.uint8)
        return Labels(replace(maps, data=bright, axes=maps.axes[1:]))


def spots(shape=(60, 80), seed=0, bright=200):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return Image(np.where(smooth > 0.08, bright, 10).astype(np.uint8), "zyx"[-len(shape) :], (0.5,) * len(shape))


def predicted(task, image, folder):
    folder.mkdir(exist_ok=True)
    (folder / "model").write_text("")
    job = Job(models=(Checkpoint(task),), files=(folder / "model",), out=folder / "out", device="cpu")
    return predict_image(image, job, "a")


@pytest.mark.parametrize("side", [512, 25])
def test_the_table_of_a_plane_fits_its_labels_and_can_be_read_as_points(tmp_path, side):
    image = spots()
    done = predicted(Bright(side_px=side), image, tmp_path)
    labels = np.asarray(read(done.folder / "objects.tif", spacing_um=(0.5, 0.5)).data)
    points, table = read_points(done.folder / "objects.csv", image), Table.read(done.folder / "objects.csv")
    numbers = table.numbers("particle_id").astype(int)
    assert numbers.tolist() == list(range(1, labels.max() + 1)) and done.counts == {"spot": len(points)}
    for row, number in enumerate(numbers):
        mask = labels == number
        np.testing.assert_allclose(points.position_um[row], 0.5 * np.argwhere(mask).mean(axis=0), atol=1e-4)
        assert table.numbers("area_um2")[row] == pytest.approx(0.25 * mask.sum())
        assert points.confidence[row] == pytest.approx(200 / 255, abs=1e-3)


def test_the_table_of_a_volume_holds_volumes(tmp_path):
    image = spots((12, 40, 50))
    done = predicted(Bright(side_px=16), image, tmp_path)
    labels = np.asarray(open_level(done.folder / "confidence.ome.zarr" / "labels" / "objects")[...])
    table = Table.read(done.folder / "objects.csv")
    sizes = np.bincount(labels.ravel())[1:]
    np.testing.assert_allclose(table.numbers("volume_um3"), 0.125 * sizes, rtol=1e-5)
    assert len(read_points(done.folder / "objects.csv", image)) == len(sizes) == done.counts["spot"]


def test_every_object_has_its_own_class(tmp_path):
    image = spots()
    image.data[:, 40:] = np.where(image.data[:, 40:] > 100, 240, 10)
    done = predicted(Bright(kinds=("left", "right")), image, tmp_path)
    points = read_points(done.folder / "objects.csv", image)
    sides = np.array(points.kinds)[points.kind]
    np.testing.assert_array_equal(sides == "right", points.position_um[:, 1] > 0.5 * 39.5)
    assert done.counts == {"left": int((sides == "left").sum()), "right": int((sides == "right").sum())}


def test_nothing_found_is_an_empty_table(tmp_path):
    image = spots(bright=20)
    done = predicted(Bright(), image, tmp_path)
    assert len(read_points(done.folder / "objects.csv", image)) == 0 and done.counts == {"spot": 0}


class Talkative(Bright):
    """Says how large objects are, in pixels, and where the image is bright."""

    def describe(self, image, objects):
        numbers = np.asarray(objects.image.data)
        mask = replace(image, data=(np.asarray(image.data) > 100).astype(np.uint8))
        return Description({"pixels": np.bincount(numbers.ravel())[1:].tolist()}, {"bright": mask}, {"asked": True})


def test_a_task_may_add_columns_pictures_and_facts(tmp_path):
    image = spots()
    done = predicted(Talkative(), image, tmp_path)
    table = Table.read(done.folder / "objects.csv")
    np.testing.assert_allclose(table.numbers("pixels") * 0.25, table.numbers("area_um2"))
    assert json.loads((done.folder / "run.json").read_text())["asked"] is True
    bright = read(done.folder / "bright.tif", spacing_um=(0.5, 0.5)).data
    np.testing.assert_array_equal(np.asarray(bright), np.asarray(image.data) > 100)


class Finer(Bright):
    """Looks at the image drawn on pixels a third as wide."""

    def view(self, image):
        return with_shape(image, tuple(3 * n for n in image.shape), order=0)

    @property
    def regions(self):
        return replace(super().regions, min_voxels=9 * super().regions.min_voxels)


def test_what_is_found_on_another_grid_is_written_on_the_images_own_pixels(tmp_path):
    image = spots()
    own, finer = (predicted(task, image, tmp_path / name) for task, name in ((Bright(), "own"), (Finer(), "finer")))
    for name in ("objects.tif", "confidence.tif"):
        one, other = (np.asarray(read(done.folder / name, spacing_um=(0.5,)).data) for done in (own, finer))
        assert other.shape == image.shape
        np.testing.assert_array_equal(one, other)
    one, other = ((done.folder / "objects.csv").read_text() for done in (own, finer))
    assert one == other
