"""The attention U-Net: any size, gates that add, paths of full resolution, and nothing that depends on the window."""

import pytest
import torch
from monai.networks.nets.attentionunet import AttentionBlock, AttentionLayer
from torch import nn

from graticule.nets.attention_unet import AttentionUNet

SMALL = (4, 8, 16)


def shapes_at(network, kind, size):
    """What enters every layer of a kind, in one pass."""
    seen = []
    hooks = [
        module.register_forward_pre_hook(lambda _, args, kw: seen.append([*args, *kw.values()]), with_kwargs=True)
        for module in network.modules()
        if isinstance(module, kind)
    ]
    network(torch.rand(2, 2, *size))
    for hook in hooks:
        hook.remove()
    return [[tuple(part.shape[2:]) for part in parts] for parts in seen]


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 41), (1, 1)])
def test_any_size_comes_back_as_it_went_in(size):
    assert AttentionUNet(1, channels=SMALL).eval()(torch.rand(2, 2, *size)).shape == (2, 1, *size)


def test_volumes_too():
    network = AttentionUNet(2, dimensions=3, channels=SMALL, inputs=1).eval()
    assert network(torch.rand(1, 1, 9, 8, 7)).shape == (1, 2, 9, 8, 7)


def test_the_published_channels_give_four_gates_the_topmost_at_the_resolution_of_the_image():
    network = AttentionUNet(1, channels=(64, 128, 256, 512, 1024)).eval()
    gates = shapes_at(network, AttentionBlock, (32, 32))
    # What comes from below and what is passed on meet at the same resolution, from 4 px up to all 32.
    assert gates == [[(side, side)] * 2 for side in (4, 8, 16, 32)]


def test_what_is_passed_on_is_from_before_the_way_down():
    assert shapes_at(AttentionUNet(1, channels=SMALL).eval(), AttentionLayer, (32, 32)) == [[(32, 32)], [(16, 16)]]


def test_a_gate_adds_what_comes_from_below_and_passes_on_a_share():
    gate = next(m for m in AttentionUNet(1, channels=SMALL).eval().modules() if isinstance(m, AttentionBlock))
    below, own = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8)
    share = gate.psi(torch.relu(gate.W_g(below) + gate.W_x(own)))
    assert share.shape == (1, 1, 8, 8)
    assert 0 < share.min() and share.max() < 1
    torch.testing.assert_close(gate(g=below, x=own), own * share)


def test_nothing_is_standardised_by_the_window_it_lies_in():
    kinds = {type(module) for module in AttentionUNet(1, channels=SMALL).modules()}
    assert nn.BatchNorm2d in kinds
    assert not any(issubclass(kind, nn.modules.instancenorm._InstanceNorm) for kind in kinds)


def test_far_away_makes_no_difference():
    torch.manual_seed(0)
    network = AttentionUNet(1, channels=SMALL).eval()
    image = torch.rand(1, 2, 96, 96)
    other = image.clone()
    other[..., 64:] = torch.rand(1, 2, 96, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(image)[..., :24], network(other)[..., :24])
