import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, SettingsError
from graticule.tasks.beads import Beads

MODEL = Checkpoint(
    Beads(classes=("6nm",), diameters_nm=(6.0,), thresholds=(0.31,)),
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)},
    {"seed": 1, "history": [{"loss": 0.5}]},
)


def test_save_and_load_are_inverse(tmp_path):
    MODEL.save(tmp_path / "m.safetensors")
    loaded = Checkpoint.load(tmp_path / "m.safetensors")
    assert loaded.task == MODEL.task
    assert loaded.made_by == MODEL.made_by
    assert loaded.weights.keys() == MODEL.weights.keys()
    assert all(np.array_equal(loaded.weights[k], MODEL.weights[k]) for k in MODEL.weights)


def test_a_model_carries_its_threshold(tmp_path):
    MODEL.save(tmp_path / "m.safetensors")
    assert Checkpoint.load(tmp_path / "m.safetensors").task.thresholds == (0.31,)


def write(path, card):
    save_file({"a": np.zeros(1)}, path, metadata={"graticule": json.dumps(card)})


@pytest.mark.parametrize(
    ("card", "complaint"),
    [({"format": 99}, "format 99"), ({"format": 1, "task": "cats", "settings": {}, "made_by": {}}, "cats")],
)
def test_a_model_from_another_world_is_refused(tmp_path, card, complaint):
    write(tmp_path / "m.safetensors", card)
    with pytest.raises(CheckpointError, match=complaint):
        Checkpoint.load(tmp_path / "m.safetensors")


def test_a_model_with_unknown_settings_is_refused(tmp_path):
    write(tmp_path / "m.safetensors", {"format": 1, "task": "beads", "settings": {"diametres_nm": [6]}, "made_by": {}})
    with pytest.raises(SettingsError, match="diameters_nm"):
        Checkpoint.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PK\x03\x04", b'{"a": 1}'])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="graticule train"):
        Checkpoint.load(tmp_path / "m.safetensors")


def test_a_cut_off_model_is_refused(tmp_path):
    MODEL.save(tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(whole[: len(whole) - 8])
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.load(tmp_path / "m.safetensors")


def test_a_missing_model_is_refused_and_a_task_that_needs_training_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        Checkpoint.load(tmp_path / "none.safetensors")
