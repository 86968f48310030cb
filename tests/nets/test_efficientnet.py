import pytest
import torch
from monai.networks.nets.efficientnet import MBConvBlock

from graticule.nets.efficientnet import COARSEST, STRIDE, EfficientWindows, WindowSqueeze, difference


@pytest.fixture(scope="module")
def network():
    """With batch norms that have seen something, or all scores would be alike."""
    torch.manual_seed(0)
    net = EfficientWindows(dimensions=2, window=24)
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(16, 1, 24, 24) + torch.randn(16, 1, 1, 1))
    torch.nn.init.normal_(net.body._fc.weight, std=0.05)
    return net.eval()


def test_two_strides_less_leave_small_windows_something_to_look_at(network):
    strides = [network.body._conv_stem.stride[0]]
    strides += [int(max(m._depthwise_conv.stride)) for m in network.modules() if isinstance(m, MBConvBlock)]
    assert torch.tensor(strides).prod() == COARSEST
    with torch.inference_mode():
        assert network(torch.randn(2, 1, 24, 24)).shape == (2, 1, 1, 1)
        assert network(torch.randn(1, 1, 44, 36)).shape == (1, 1, (44 - 24) // STRIDE + 1, (36 - 24) // STRIDE + 1)


def test_dense_scores_are_near_those_window_by_window_and_rank_alike(network):
    """Padding and squeezing differ between a window alone and one amid an image; this bounds by how much."""
    torch.manual_seed(1)
    image = torch.nn.functional.avg_pool2d(torch.randn(1, 1, 44, 44), 5, 1, 2) * 4
    with torch.inference_mode():
        apart, scores = difference(network, image), network(image).sigmoid()
    assert float(scores.std()) > 0.002, "scores differ from place to place"
    assert float(apart.mean()) < 0.1 and float(apart.max()) < 0.25


def test_a_squeeze_of_a_single_window_is_its_mean_and_of_an_image_a_mean_around_each_place():
    squeeze = WindowSqueeze(3, 2)
    alone, image = torch.randn(1, 2, 3, 3), torch.randn(1, 2, 9, 9)
    assert torch.allclose(squeeze(alone), alone.mean(dim=(2, 3), keepdim=True))
    assert torch.allclose(squeeze(image)[..., 4, 4], image[..., 3:6, 3:6].mean(dim=(2, 3)))


@pytest.mark.parametrize("cells", [3, 6])
def test_a_squeeze_along_one_axis_after_the_other_is_the_mean_over_what_there_is_of_the_whole_window(cells):
    x = torch.rand(2, 3, 7, 8, 9)
    odd = cells + 1 - cells % 2
    whole = torch.nn.functional.avg_pool3d(x, odd, 1, odd // 2, count_include_pad=False)
    assert torch.allclose(WindowSqueeze(cells, 3)(x), whole, atol=1e-6)


def test_dropped_blocks_are_as_many_as_asked():
    rates = [
        m.drop_connect_rate
        for m in EfficientWindows(dimensions=2, window=16, drop_connect=0.5).modules()
        if isinstance(m, MBConvBlock)
    ]
    assert rates == sorted(rates) and rates[0] == 0 and 0.4 < rates[-1] <= 0.5


def test_windows_that_halving_cannot_divide_are_refused():
    with pytest.raises(ValueError, match="no multiple of 8"):
        EfficientWindows(dimensions=2, window=20)
