"""The five-minute version of benchmarks/gold_synapses.sh: one real micrograph held out."""

from dataclasses import replace

import numpy as np
import pytest

from graticule.io.dataset import load
from graticule.metrics.detection import match
from graticule.tasks.beads import Beads
from graticule.tasks.beads_log import baseline
from graticule.workflows.predict import predict
from graticule.workflows.train import train

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def gold():
    from tests.conftest import SHARED_DATA

    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return load(SHARED_DATA / "gold-synapses").examples


@pytest.fixture(scope="module")
def model(gold, tmp_path_factory):
    out = tmp_path_factory.mktemp("gold") / "gold.safetensors"
    return train(Beads(classes=("6nm", "12nm"), match_nm=(5.0, 8.4)), [e for e in gold if e.specimen != "S27"], out)


def test_a_micrograph_never_seen_is_read_right(gold, model):
    unseen = next(e for e in gold if e.specimen == "S27")
    scores = model.task.score([predict(unseen.image, model)], [unseen])
    assert scores["f1"] >= 0.88


def test_tiles_find_on_a_real_micrograph_what_one_pass_finds(gold, model):
    image = gold[0].image
    whole = predict(image, model)

    class Tiled(type(model.task)):
        @property
        def grid(self):
            return replace(super().grid, tile=(512, 512))

    from graticule.settings import from_plain, to_plain

    tiled = predict(image, replace(model, task=from_plain(Tiled, to_plain(model.task))))
    i, _ = match(tiled.position_um, whole.position_um, within_um=0.5 * image.spacing_um[0])
    assert len(i) >= 0.98 * max(len(tiled), len(whole))


def test_the_classical_baseline_is_a_serious_one(gold):
    inside, outside = [e for e in gold if e.specimen != "S8"], [e for e in gold if e.specimen == "S8"]
    task = Beads(classes=("6nm", "12nm"), match_nm=(5.0, 8.4)).resolve(inside)
    classical = baseline(task, inside)
    from graticule.checkpoint import Checkpoint

    found = [predict(e.image, Checkpoint(classical)) for e in outside]
    assert task.score(found, outside)["f1"] > 0.8
    assert np.isfinite(found[0].confidence).all()
