import pickle

import numpy as np
import pytest
import torch

from graticule.errors import CheckpointError
from graticule.nets.centernet import CenterNet
from graticule.nets.forward import weights_of
from graticule.nets.weights import adapt, encoder_from_checkpoint


def network(kinds=2, encoder="resnet50"):
    return CenterNet(kinds, encoder=encoder, width=0.125, neck=16, rounds=1, head=8)


def moco(path, change=lambda state: None, colours=3):
    """A small file laid out as CEM500K's: MoCo's two encoders, its queue, and the optimiser's leavings."""
    torch.manual_seed(7)
    state = {}
    for name, tensor in network().encoder.state_dict().items():
        value = (
            torch.randn(tensor.shape[0], colours, *tensor.shape[2:])
            if name == "conv1.weight"
            else torch.randn_like(tensor.float())
        )
        state[f"module.encoder_q.{name}"] = value
        state[f"module.encoder_k.{name}"] = -value
    state["module.encoder_q.fc.0.weight"] = torch.randn(4, 4)
    state["module.queue"] = torch.randn(4, 8)
    change(state)
    torch.save(
        {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, path
    )
    return state


def test_an_encoder_pretrained_the_moco_way_is_loaded_whole(tmp_path):
    state = moco(tmp_path / "cem.pth.tar")
    weights = encoder_from_checkpoint(network, tmp_path / "cem.pth.tar", seed=0)
    assert np.allclose(weights["encoder.conv1.weight"], state["module.encoder_q.conv1.weight"].mean(1, keepdim=True))
    for name, value in weights.items():
        if name.startswith("encoder.") and not name.endswith(("num_batches_tracked", "conv1.weight")):
            assert np.allclose(value, state[f"module.encoder_q.{name.removeprefix('encoder.')}"]), name
    network().load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})


def test_weights_for_one_channel_are_taken_as_they_are(tmp_path):
    state = moco(tmp_path / "grey.pth", colours=1)
    weights = encoder_from_checkpoint(network, tmp_path / "grey.pth", seed=0)
    assert np.allclose(weights["encoder.conv1.weight"], state["module.encoder_q.conv1.weight"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.pop("module.encoder_q.layer2.0.conv1.weight"), r"layer2\.0\.conv1\.weight is missing"),
        (lambda s: s.update({"module.encoder_q.bn1.weight": torch.zeros(3)}), r"bn1\.weight is \(3,\), need \(8,\)"),
        (lambda s: s.update({"module.encoder_q.layer9.weight": torch.zeros(3)}), r"layer9\.weight"),
        (
            lambda s: [s.pop(k) for k in list(s) if k.startswith("module.encoder_q.")],
            "none of the .* tensors begins with",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_begun_at_random(tmp_path, change, complaint):
    moco(tmp_path / "bad.pth", change)
    with pytest.raises(CheckpointError, match=complaint):
        encoder_from_checkpoint(network, tmp_path / "bad.pth", seed=0)


def test_another_encoder_is_refused(tmp_path):
    moco(tmp_path / "cem.pth")
    with pytest.raises(CheckpointError, match="does not fit"):
        encoder_from_checkpoint(lambda: network(encoder="resnet18"), tmp_path / "cem.pth", seed=0)


class Bomb:
    def __reduce__(self):
        import os

        return os.mkdir, ("bomb",)


def test_no_code_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Bomb()}, "evil.pth")
    with open("plain.pkl", "wb") as file:
        pickle.dump(Bomb(), file)
    for name in ("evil.pth", "plain.pkl"):
        with pytest.raises(CheckpointError, match="plain tensors"):
            encoder_from_checkpoint(network, tmp_path / name, seed=0)
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04broken"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(CheckpointError):
        encoder_from_checkpoint(network, tmp_path / "bad.pth", seed=0)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        encoder_from_checkpoint(network, tmp_path / "none.pth", seed=0)


def test_a_model_for_two_classes_starts_one_for_three_all_but_its_heatmap():
    start = weights_of(network(2))
    weights, fresh = adapt(lambda: network(3), start, 0, "start")
    assert set(fresh) == {"heatmap.2.weight", "heatmap.2.bias"}
    assert np.array_equal(weights["encoder.conv1.weight"], start["encoder.conv1.weight"])


def test_a_model_with_another_body_is_no_start():
    with pytest.raises(CheckpointError, match="does not fit this network"):
        adapt(network, weights_of(network(encoder="resnet18")), 0, "start")
