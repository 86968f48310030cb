"""What all tests may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background, as by `make test &`: programs that
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests start would be deaf to Ctrl-C, too

# The machine's speed is no property of the code, and examples must be the same on every run.
hypothesis.settings.register_profile("graticule", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("graticule")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real micrographs beside the project, not part of it; mark tests that ask for them with `pytest.mark.real`."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory: pytest.TempPathFactory):
    """A small network that has learnt in seconds to find the dark discs of `tests.synthetic`, 6 nm and 12 nm across."""
    from graticule.tasks.beads import Beads
    from graticule.workflows.train import train
    from tests.synthetic import scattered

    task = Beads(
        width=0.25,
        neck_channels=32,
        neck_rounds=1,
        head_channels=16,
        patch_px=96,
        batch=4,
        steps=25,
        epochs=(8,),
        learning_rate=4e-3,
    )
    kinds = ("6nm", "12nm")
    kind = [0, 1] * 7
    examples = [
        scattered(
            seed, count=14, shape=(200, 200), gap_px=32, edge_px=0, kind=kind, kinds=kinds, diameter_px=(10.0, 20.0)
        )
        for seed in range(4)
    ]
    return train(task, examples, tmp_path_factory.mktemp("model") / "discs.safetensors", device="cpu")
