"""Particles cut out for averaging."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.cli.app import run
from graticule.errors import SettingsError
from graticule.image import Image
from graticule.tasks import LogBeads
from graticule.workflows.predict_files import Job, predict_file
from graticule.workflows.subvolumes import TABLE, cut_around, subvolumes
from tests.synthetic import scattered

METHOD = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=0.6, thresholds=(0.3,))


def ball(centre_um, shape=(20, 40, 44), spacing=(0.2, 0.1, 0.1), sigma=0.3) -> Image:
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    squares = sum((axis - c) ** 2 for axis, c in zip(axes, centre_um, strict=True))
    return Image((1000 * np.exp(-squares / (2 * sigma**2))).astype(np.float32), "zyx", spacing)


@pytest.mark.parametrize("centre", [(2.0, 2.0, 2.2), (1.87, 2.04, 1.71)])
def test_the_particle_is_in_the_middle_of_alike_voxels_wherever_it_lay(centre):
    cut = cut_around(ball(centre), np.array(centre), 17, 0.1)
    assert cut.shape == (17, 17, 17) and cut.spacing_um == (0.1, 0.1, 0.1)
    light = np.asarray(cut.data)
    mean = [
        np.average(np.arange(17), weights=light.sum(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)
    ]
    assert np.allclose(mean, 8, atol=0.05)
    assert cut.to_um(np.array([[8, 8, 8]]))[0] == pytest.approx(centre)


def test_of_an_even_side_the_particle_is_where_relion_has_its_origin():
    centre = (1.87, 2.04, 1.71)
    cut = cut_around(ball(centre), np.array(centre), 16, 0.1)
    assert cut.shape == (16, 16, 16)
    assert np.unravel_index(np.asarray(cut.data).argmax(), cut.shape) == (8, 8, 8)
    assert cut.to_um(np.array([[8, 8, 8]]))[0] == pytest.approx(centre)


def test_what_lies_beyond_the_image_is_neither_bright_nor_dark():
    image = replace(ball((0, 0, 0)), data=np.full((20, 40, 44), 7.0, np.float32))
    cut = cut_around(image, np.array([0.0, 0.0, 0.0]), 11, 0.1)
    assert (np.asarray(cut.data) == 7).all()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("found")
    io.write(scattered(4, shape=(160, 192)).image, folder / "grid.tif")
    predict_file(folder / "grid.tif", Job(models=(Checkpoint(METHOD),), files=(Path("beads-log"),), out=folder / "out"))
    return folder / "out" / "grid"


def test_every_object_of_a_result_gets_a_file_and_a_row(result, tmp_path):
    count = subvolumes(result, tmp_path / "cut", side_um=0.012, suffix=".tif")
    rows = list(csv.DictReader((tmp_path / "cut" / TABLE).read_text().splitlines()))
    assert count == len(rows) == 12
    middle = []
    for row in rows:
        cut = io.read(tmp_path / "cut" / row["file"])
        pixels = np.asarray(cut.data, float)
        assert pixels.shape == (20, 20), "as many as were asked for"
        assert cut.spacing_um == pytest.approx((0.0006, 0.0006), rel=1e-3)
        middle.append(pixels[tuple(n // 2 for n in pixels.shape)] - np.median(pixels))
    assert max(middle) < -40, "the beads are dark, and in the middle"


def test_cubes_of_no_voxel_or_of_too_many_and_other_formats_are_refused(result, tmp_path):
    with pytest.raises(SettingsError, match="need sides no longer"):
        subvolumes(result, tmp_path / "cut", side_um=0.25)
    for side in (0.0, 1e-5, 1e3):
        with pytest.raises(SettingsError, match="need more than two voxels"):
            subvolumes(result, tmp_path / "cut", side_um=side)
    with pytest.raises(SettingsError, match=r"need \.mrc or \.tif"):
        subvolumes(result, tmp_path / "cut", side_um=0.01, suffix=".png")
    assert not (tmp_path / "cut").exists()


def test_it_can_be_typed(result, tmp_path, capsys):
    assert run(["subvolumes", str(result), "--side-um", "0.012", "-o", str(tmp_path / "cut"), "--json"]) == 0
    assert '"particles": 12' in capsys.readouterr().out
    assert len(list((tmp_path / "cut").glob("*.mrc"))) == 12
