"""The plain way: it finds what is plainly dark, tuned on examples, and tiles are the whole."""

from dataclasses import replace

import numpy as np

from graticule.arrays.intensity import levels
from graticule.checkpoint import Checkpoint
from graticule.inference import make_plan, run
from graticule.tasks import BASELINES
from graticule.tasks.mitochondria import Mitochondria
from graticule.tasks.mitochondria_dark import MitochondriaDark, baseline
from graticule.workflows.predict import predict
from tests.tasks.test_mitochondria import DISCS, discs


def inverted(example):
    return replace(example, image=replace(example.image, data=255 - example.image.data))


def test_dark_discs_are_found_by_the_side_and_threshold_that_fit_the_examples():
    for change, dark in ((lambda e: e, True), (inverted, False)):
        task = baseline(Mitochondria().resolve(DISCS), [change(one) for one in DISCS[:2]])
        unseen = change(discs(seed=7))
        found = predict(unseen.image, Checkpoint(task), device="cpu")
        assert task.dark is dark
        assert task.score([found], [unseen])["dice"] > 0.85


def test_it_stands_beside_every_figure():
    assert BASELINES["mitochondria"] is baseline


def test_tiles_are_the_whole_but_for_a_step_of_rounding():
    task, image = MitochondriaDark(reach_px=(0, 8, 8)), discs((90, 100)).image
    known, forward = levels(image), MitochondriaDark(reach_px=(0, 8, 8)).forward({}, "cpu")
    whole = forward(task.prepare(image.data, known)[None])[0]
    grid = replace(task.grid, tile=(1, 32, 32))
    tiled = run(forward, lambda p: task.prepare(p, known), image, make_plan(image, grid))
    assert np.abs(tiled.data - whole).max() <= 1.01 / 255


def test_an_ensemble_works_at_the_mean_threshold():
    tasks = [MitochondriaDark(thresholds=(t,)) for t in (0.4, 0.6)]
    assert tasks[0].averaged(tasks).thresholds == (0.5,)
