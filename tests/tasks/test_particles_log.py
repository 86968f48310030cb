"""The classical method beside `particles`: as much is told to it, and it is tuned on the same clicks."""

from dataclasses import replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import SettingsError
from graticule.image import Image
from graticule.metrics.detection import scores
from graticule.simulate.particles import ParticleScenes
from graticule.tasks import BASELINES
from graticule.tasks.particles import Particles
from graticule.tasks.particles_log import LogParticles, baseline
from graticule.workflows.predict import predict

SPOTS = {"template": "spot", "length_um": 0.8, "shrink": 0.0, "paired": 0.0, "smears": 0.0, "particles": (12, 12)}
SCENES = {
    2: ParticleScenes(dimensions=2, shape_px=(128, 128), **SPOTS),
    3: ParticleScenes(shape_px=(24, 96, 96), **SPOTS),
}


def task(dimensions, **more):
    return Particles(
        classes=("spot",),
        diameters_nm=(800.0,),
        match_nm=(400.0,),
        dimensions=dimensions,
        polarity="bright",
        count=12,
        prior=0.05,
        window_nm=1066.0,
        **more,
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_spots_are_found_in_planes_and_volumes_from_a_few_clicks(dimensions):
    example, other = (SCENES[dimensions].draw(seed) for seed in (1, 2))
    method = baseline(task(dimensions), [replace(example, truth=example.truth[:5])])
    found = predict(other.image, Checkpoint(method), device="cpu")
    assert scores([found], [other], method.match_um)["f1"] > 0.8


def test_as_many_are_found_as_there_are():
    example = SCENES[2].draw(1)
    for count in (5, 12):
        method = baseline(replace(task(2), count=count), [replace(example, truth=example.truth[:5])])
        assert len(predict(example.image, Checkpoint(method), device="cpu")) == pytest.approx(count, abs=1)


def test_complete_annotation_decides_by_f1():
    example = SCENES[2].draw(1)
    whole = replace(example, complete=replace(example.image, data=np.ones(example.image.shape, np.uint8)))
    method = baseline(replace(task(2), count=99), [whole])
    assert len(predict(example.image, Checkpoint(method), device="cpu")) <= 16, (
        "the count that was told does not matter"
    )


def test_dark_particles_are_found_too():
    example = SCENES[2].draw(1)
    dark = replace(example, image=replace(example.image, data=60_000 - example.image.data))
    method = baseline(replace(task(2), polarity="dark"), [dark])
    assert scores([predict(dark.image, Checkpoint(method), device="cpu")], [dark], method.match_um)["f1"] > 0.8


def test_it_works_no_finer_than_the_image():
    assert baseline(task(2), [SCENES[2].draw(1)]).working_nm >= 100.0 - 1e-9


def test_it_is_the_baseline_and_needs_its_sizes():
    assert BASELINES["particles"] is baseline
    with pytest.raises(SettingsError, match="a blob_nm and a working_nm"):
        LogParticles()


def test_nothing_to_see_finds_nothing():
    method = LogParticles(
        classes=("spot",), dimensions=2, diameters_nm=(800.0,), match_nm=(400.0,), blob_nm=400.0, working_nm=100.0
    )
    blank = Image(np.full((64, 64), 9, np.uint16), "yx", (0.1, 0.1))
    assert len(predict(blank, Checkpoint(replace(method, thresholds=(0.5,))), device="cpu")) == 0
