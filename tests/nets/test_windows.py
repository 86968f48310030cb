import pytest
import torch

from graticule.errors import SettingsError
from graticule.nets.windows import COARSE, STRIDE, WindowNet, coarse_windows, kernels_for


def network(dimensions, window=24, **more):
    torch.manual_seed(0)
    return WindowNet(dimensions=dimensions, window=window, channels=(4, 4, 6), **more).eval()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("window", [16, 24, 26])
def test_dense_scores_are_those_window_by_window(dimensions, window):
    net = network(dimensions, window)
    image = torch.randn(1, 1, *[window + 2 * STRIDE] * dimensions)
    with torch.inference_mode():
        dense = net(image)
        assert dense.shape[2:] == (3,) * dimensions
        for first in range(3):
            cut = tuple(slice(first * STRIDE, first * STRIDE + window) for _ in range(dimensions))
            alone = net(image[(..., *cut)])
            assert torch.allclose(dense[(..., *[slice(first, first + 1)] * dimensions)], alone, atol=1e-5)


def test_a_window_looks_at_all_its_voxels_and_at_no_other():
    net = network(2)
    image = torch.randn(1, 1, 28, 28, requires_grad=True)
    net(image)[0, 0, 1, 1].backward()
    seen = image.grad[0, 0] != 0
    assert seen[2:26, 2:26].float().mean() > 0.9
    assert seen[2].any() and seen[25].any() and seen[:, 2].any() and seen[:, 25].any()
    assert not seen[:2].any() and not seen[26:].any()


def test_windows_too_small_for_the_layers_are_refused():
    with pytest.raises(SettingsError, match="needs an even number from"):
        kernels_for(10, 5)
    assert kernels_for(24, 5) == (6, 3, 3, 3, 4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_picture_to_be_drawn_is_the_windows_own_in_blocks(dimensions):
    image = torch.randn(2, 1, *[28] * dimensions)
    blocks = coarse_windows(image, 24)
    assert blocks.shape == (2, 6**dimensions, *[3] * dimensions)
    cut = image[(..., *[slice(2, 26)] * dimensions)]
    pool = torch.nn.functional.avg_pool3d if dimensions == 3 else torch.nn.functional.avg_pool2d
    assert torch.allclose(blocks[(..., *[1] * dimensions)], pool(cut, COARSE).flatten(1), atol=1e-5)


def test_an_auto_encoder_says_in_training_how_badly_it_draws_and_learns_to():
    net = network(2, reconstruct=True).train()
    image = torch.randn(4, 1, 24, 24).repeat_interleave(1, 0)
    image = torch.nn.functional.avg_pool2d(image, 9, 1, 4) * 5
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    first = last = 0.0
    for step in range(60):
        out = net(image)
        assert out.shape == (4, 4, 1, 1)
        last = out[:, 1].mean()
        first = float(last.detach()) if step == 0 else first
        optimiser.zero_grad()
        last.backward()
        optimiser.step()
    assert float(last.detach()) < 0.7 * first
    assert net.eval()(image).shape == (4, 1, 1, 1)
