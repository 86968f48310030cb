import pytest
import torch

from graticule.nets.centernet import ENCODERS, BiFPNRound, CenterNet

SMALL = {"encoder": "resnet18", "width": 0.125, "neck": 16, "rounds": 2, "head": 8}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_maps_have_half_the_sides_and_a_channel_a_kind_two_for_the_offset_and_one_for_the_diameter(encoder):
    network = CenterNet(3, **{**SMALL, "encoder": encoder}, diameter=True, stem_skip=True).eval()
    assert network(torch.zeros(2, 1, 64, 96)).shape == (2, 6, 32, 48)


def test_the_published_configuration_has_its_size():
    network = CenterNet(2, encoder="resnet50", neck=128, rounds=2, head=64)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(24.4, abs=0.1)


def test_a_fresh_network_expects_almost_no_object():
    torch.manual_seed(0)
    heat = CenterNet(2, **SMALL).eval()(torch.randn(1, 1, 64, 64))[:, :2].sigmoid()
    assert heat.mean() < 0.1


def test_every_parameter_learns():
    network = CenterNet(2, **SMALL, diameter=True, stem_skip=True)
    network(torch.randn(2, 1, 64, 64)).square().sum().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert still == []


def test_the_pyramid_passes_what_is_coarse_to_what_is_fine_and_back():
    torch.manual_seed(0)
    once = BiFPNRound(3, 4, both_ways=True).eval()
    levels = [torch.randn(1, 4, 32 // 2**i, 32 // 2**i) for i in range(3)]
    before = once(levels)
    for changed in range(3):
        other = [level + (i == changed) for i, level in enumerate(levels)]
        assert all((a - b).abs().max() > 1e-5 for a, b in zip(before, once(other), strict=True))


def test_names_and_shapes_of_the_encoder_are_those_of_published_resnet50_weights():
    state = CenterNet(2, encoder="resnet50").encoder.state_dict()
    assert state["conv1.weight"].shape == (64, 1, 7, 7)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert state["layer1.0.downsample.1.running_var"].shape == (256,)
    assert len([k for k in state if not k.endswith("num_batches_tracked")]) == 265
