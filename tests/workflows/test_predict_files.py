"""Models as they are asked for."""

from pathlib import Path

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import SettingsError
from graticule.tasks.mitochondria import Mitochondria
from graticule.workflows.predict_files import load_models


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1])
def test_a_single_threshold_at_which_nothing_is_decided_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="need a number above 0, up to 1"):
        load_models([Path("tissue-otsu")], [threshold])


def test_a_single_threshold_takes_the_place_of_the_methods_own() -> None:
    (model,) = load_models([Path("tissue-otsu")], [1.0])
    assert model.task.threshold == 1.0


def test_the_threshold_of_whole_objects_follows_that_of_voxels_unless_it_is_given(tmp_path: Path) -> None:
    task = Mitochondria(
        classes=("mito",),
        dimensions=2,
        working_nm=(10.0, 10.0),
        thresholds=(0.6,),
        core_threshold=0.5,
        object_threshold=0.8,
    )
    Checkpoint(task, {"weight": np.zeros(1, np.float32)}).save(tmp_path / "m.safetensors")
    (lower,) = load_models([tmp_path / "m.safetensors"], [0.2])
    assert (lower.task.thresholds, lower.task.object_threshold) == ((0.2,), 0.6)
    (given,) = load_models([tmp_path / "m.safetensors"], [0.2], ["object_threshold=0.9"])
    assert (given.task.thresholds, given.task.object_threshold) == ((0.2,), 0.9)
