import pytest
import torch
from torch import nn

pytest.importorskip("captum")

from graticule.nets.attention_unet import AttentionUNet
from graticule.nets.attribution import (
    Answer,
    features,
    grad_cam,
    integrated_gradients,
    layers_of,
    occlusion,
    settled,
    unlearnt,
)
from graticule.nets.centernet import CenterNet
from graticule.nets.unet import SectionBySection, UNet
from graticule.nets.windows import WindowNet

SIDE = 24
MIDDLE = SIDE // 2
REACH = 3
"""Voxels that a cell of `small` sees on every side: three kernels of three."""


def small(dimensions=2, seed=0):
    """Three convolutions without padding's tricks: what a cell sees is known."""
    torch.manual_seed(seed)
    conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
    layers = [conv(1, 4, 3, padding=1), nn.Tanh(), conv(4, 4, 3, padding=1), nn.Tanh(), conv(4, 2, 3, padding=1)]
    return settled(nn.Sequential(*layers))


def window(dimensions=2, side=SIDE, seed=1):
    return torch.randn((1, 1) + (side,) * dimensions, generator=torch.Generator().manual_seed(seed))


def one_cell(network, dimensions=2, side=SIDE, channel=1):
    weight = torch.zeros((side,) * dimensions)
    weight[(side // 2,) * dimensions] = 1
    return Answer(network, channel, weight)


def beyond(values, dimensions=2):
    """The same, with what the cell in the middle sees put to 0."""
    values = values.clone()
    values[(0, 0) + (slice(MIDDLE - REACH, MIDDLE + REACH + 1),) * dimensions] = 0
    return values


@pytest.mark.parametrize("dimensions", [2, 3])
def test_integrated_gradients_add_up_to_the_difference_of_the_answers(dimensions):
    side = 32 if dimensions == 2 else 16
    torch.manual_seed(3)
    network = settled(UNet(1, dimensions=dimensions, channels=(4, 8, 8)))
    x = window(dimensions, side)
    answer = Answer(network, 0, torch.ones((side,) * dimensions))
    parts = integrated_gradients(answer, x, torch.zeros_like(x), steps=64)
    difference = float(answer(x) - answer(torch.zeros_like(x)))
    assert abs(difference) > 1e-3
    assert float(parts.sum()) == pytest.approx(difference, rel=0.02, abs=1e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_a_cell_does_not_see_has_no_part_in_its_answer(dimensions):
    answer, x = one_cell(small(dimensions), dimensions), window(dimensions)
    parts = integrated_gradients(answer, x, torch.zeros_like(x), steps=8)
    assert parts.abs().sum() > 0
    assert not beyond(parts, dimensions).any()
    side = 2 if dimensions == 2 else 6
    hidden = occlusion(
        answer, x, torch.zeros_like(x), patch=(side,) * dimensions, stride=(side,) * dimensions, batch=32
    )
    assert hidden.abs().sum() > 0
    touched = slice(MIDDLE - REACH - side + 1, MIDDLE + REACH + side)  # by patches of which a part is seen
    hidden[(0, 0) + (touched,) * dimensions] = 0
    assert hidden.abs().max() < 1e-6


def test_a_network_that_reads_one_voxel_is_explained_by_that_voxel():
    network = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        network.weight.zero_()
        network.weight[0, 0, 0, 2] = 3.0  # the neighbour above, to the right
    answer, x = one_cell(settled(network), channel=0), window()
    for parts in (
        integrated_gradients(answer, x, torch.zeros_like(x)),
        occlusion(answer, x, torch.zeros_like(x), patch=(1, 1), stride=(1, 1), batch=64),
    ):
        assert torch.nonzero(parts[0, 0].abs() > 1e-6).tolist() == [[MIDDLE - 1, MIDDLE + 1]]
        assert float(parts.sum()) == pytest.approx(3 * float(x[0, 0, MIDDLE - 1, MIDDLE + 1]), rel=1e-4)


def test_to_occlude_everything_is_to_answer_for_the_baseline():
    answer, x = one_cell(small()), window()
    before = torch.full_like(x, 0.3)
    parts = occlusion(answer, x, before, patch=(SIDE, SIDE), stride=(SIDE, SIDE))
    assert torch.allclose(parts, (answer(x) - answer(before)).expand_as(parts), atol=1e-6)


def test_all_channels_of_a_patch_are_taken_away_together():
    network = nn.Conv2d(2, 1, 1, bias=False)
    nn.init.ones_(network.weight)
    x = torch.cat([window(seed=1), window(seed=2)], dim=1)
    parts = occlusion(
        one_cell(settled(network), channel=0), x, torch.zeros_like(x), patch=(1, 1), stride=(1, 1), batch=64
    )
    assert float(parts[0, 0, MIDDLE, MIDDLE]) == pytest.approx(float(x[0, :, MIDDLE, MIDDLE].sum()), rel=1e-4)


def test_the_same_question_has_the_same_answer_twice():
    torch.manual_seed(0)
    network, x = settled(UNet(1, dimensions=2, channels=(4, 8, 8))), window(side=32)
    answer = one_cell(network, side=32, channel=0)
    before = torch.zeros_like(x)
    for ask in (
        lambda: integrated_gradients(answer, x, before, steps=8),
        lambda: grad_cam(answer, layers_of(network, x).deepest, x),
    ):
        assert torch.equal(ask(), ask())


def test_asking_changes_nothing_in_the_network():
    torch.manual_seed(0)
    network, x = settled(UNet(1, dimensions=2, channels=(4, 8, 8))), window(side=32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    answer = one_cell(network, side=32, channel=0)
    integrated_gradients(answer, x, torch.zeros_like(x), steps=4)
    grad_cam(answer, layers_of(network, x).deepest, x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "sides", "stride"),
    [
        (lambda: UNet(1, dimensions=2, channels=(4, 8, 16)), (1, 1, 32, 32), 4),
        (lambda: UNet(2, dimensions=3, channels=(4, 8, 16)), (1, 1, 16, 16, 16), 4),
        (lambda: UNet(1, dimensions=2, channels=(4, 8, 16), coarser=(2, 2)), (1, 1, 64, 64), 8),
        (lambda: SectionBySection(2, dimensions=2, channels=(4, 8, 16)), (1, 1, 5, 16, 16), (1, 4, 4)),
        (
            lambda: SectionBySection(2, dimensions=2, channels=(4, 8, 16), coarser=(2, 2), across=1.5),
            (1, 1, 5, 32, 32),
            (1, 8, 8),
        ),
        (lambda: AttentionUNet(1, channels=(4, 8, 16), inputs=2), (1, 2, 32, 32), 4),
        (lambda: CenterNet(1, encoder="resnet18", width=0.125, neck=8, rounds=1, head=8), (1, 1, 64, 64), 32),
        (lambda: WindowNet(dimensions=3, window=16, channels=(4, 4, 4)), (1, 1, 24, 24, 24), None),
    ],
)
def test_every_network_has_a_first_layer_and_a_bottleneck_to_look_at(network, sides, stride):
    network = unlearnt(network, 0)
    x = torch.randn(sides, generator=torch.Generator().manual_seed(0))
    layers = layers_of(network, x)
    assert layers.first and all(module.in_channels == sides[1] for module in layers.first)
    deepest = features(network, layers.deepest, x)
    if stride is not None:
        steps = stride if isinstance(stride, tuple) else (stride,) * (len(sides) - 2)
        assert tuple(deepest.shape[1:]) == tuple(n // step for n, step in zip(sides[2:], steps, strict=True))
    assert deepest.shape[0] > 1
    out = network(x)
    cam = grad_cam(Answer(network, 0, torch.ones(out.shape[2:])), layers.deepest, x)
    assert cam.shape == (1, 1, *sides[2:]) and cam.min() >= 0


def test_a_network_that_learnt_nothing_is_none_that_a_training_begins_with():
    make = lambda: UNet(1, dimensions=2, channels=(4, 8))  # noqa: E731
    torch.manual_seed(0)
    begun, drawn = make().state_dict(), unlearnt(make, 0).state_dict()
    assert not torch.equal(begun["body.model.0.conv.unit0.conv.weight"], drawn["body.model.0.conv.unit0.conv.weight"])


def test_a_network_that_learnt_nothing_depends_on_its_seed_alone():
    make = lambda: UNet(1, dimensions=2, channels=(4, 8))  # noqa: E731
    one, other = unlearnt(make, 5).state_dict(), unlearnt(make, 6).state_dict()
    torch.manual_seed(99)
    same = unlearnt(make, 5).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
