import numpy as np
import pytest
import torch

from graticule.errors import SettingsError
from graticule.nets.centernet import CenterNet
from graticule.nets.forward import as_forward, choose_device, choose_precision, weights_of

SMALL = {"encoder": "resnet18", "width": 0.125, "neck": 16, "rounds": 1, "head": 8}


def maps(precision):
    torch.manual_seed(0)
    network = CenterNet(1, **SMALL)
    forward = as_forward(CenterNet(1, **SMALL), weights_of(network), "cpu", torch.Tensor.sigmoid, precision)
    return forward(np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype(np.float32))


def test_half_precision_agrees_with_full():
    full, half = maps("fp32"), maps("bf16")
    assert full.dtype == half.dtype == np.float32
    assert np.abs(full - half).max() < 0.02


def test_weights_are_copies():
    network = CenterNet(1, **SMALL)
    weights = weights_of(network)
    before = weights["heatmap.0.weight"].copy()
    with torch.no_grad():
        network.heatmap[0].weight.add_(1)
    assert np.array_equal(weights["heatmap.0.weight"], before)


def test_auto_is_a_device_this_machine_has():
    assert choose_device("auto") in ("cpu", "cuda", "mps")
    assert choose_precision("cpu") in ("bf16", "fp32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SettingsError, match="cpu"):
        choose_device("cuda")
