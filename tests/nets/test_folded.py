import copy

import pytest
import torch
from torch import nn

from graticule.nets.attention_unet import AttentionUNet
from graticule.nets.centernet import CenterNet
from graticule.nets.folded import folded
from graticule.nets.unet import SectionBySection, UNet
from graticule.nets.windows import WindowNet

NETWORKS = {
    "planes": (lambda: UNet(2, dimensions=2, channels=(4, 8, 16)), (1, 1, 32, 32)),
    "volumes": (lambda: UNet(2, dimensions=3, channels=(4, 8, 16)), (1, 1, 16, 16, 16)),
    "sections": (lambda: SectionBySection(2, dimensions=2, channels=(4, 8), across=1.0), (1, 1, 3, 16, 16)),
    "attention": (lambda: AttentionUNet(1), (1, 2, 64, 64)),
    "centres": (lambda: CenterNet(1, encoder="resnet18", width=0.125, neck=16, rounds=2, head=8), (1, 1, 64, 64)),
    "windows": (lambda: WindowNet(dimensions=2, window=32), (1, 1, 48, 48)),
}


def learnt(network):
    """As after training: statistics and slopes are no longer those that a network begins with."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.7, 1.4)
            for values in (module.running_mean, module.bias.data):
                values.normal_(0, 0.1)
        elif isinstance(module, nn.PReLU):
            module.weight.data.uniform_(0.1, 0.5)
    return network.eval()


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules())


@pytest.mark.parametrize("kind", NETWORKS)
@torch.inference_mode()
def test_a_folded_network_answers_the_same(kind):
    make, shape = NETWORKS[kind]
    torch.manual_seed(0)
    network = learnt(make())
    pixels = torch.randn(shape)
    expected, kept = network(pixels), pixels.clone()
    quick = folded(copy.deepcopy(network))
    assert torch.allclose(quick(pixels), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert torch.equal(pixels, kept), "what it is given is not its own to change"


@pytest.mark.parametrize("kind", ["planes", "volumes", "windows"])
def test_no_norm_is_left_behind_a_convolution(kind):
    network = NETWORKS[kind][0]()
    assert norms(network)
    assert not norms(folded(network))


@pytest.mark.parametrize("first", [nn.PReLU(), nn.BatchNorm2d(2)])
@torch.inference_mode()
def test_what_a_sequence_is_given_is_not_overwritten(first):
    """It may be given to others, too: only what a convolution of the sequence gave is the sequence's own."""
    network = learnt(nn.Sequential(nn.Sequential(first), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))
    pixels = torch.randn(1, 2, 8, 8)
    expected, kept, before = network(pixels), pixels.clone(), norms(network)
    assert norms(folded(network)) == before - 1
    assert torch.allclose(network(pixels), expected, atol=1e-6) and torch.equal(pixels, kept)


@torch.inference_mode()
def test_an_activation_that_is_used_twice_parts_a_norm_from_the_convolution_before_it():
    act = nn.ReLU()
    network = learnt(nn.Sequential(nn.Conv2d(2, 2, 1), act, nn.Conv2d(2, 2, 1), act, nn.BatchNorm2d(2)))
    pixels = torch.randn(1, 2, 8, 8)
    expected = network(pixels)
    assert torch.allclose(folded(network)(pixels), expected, atol=1e-6)
