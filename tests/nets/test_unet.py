"""The U-Net: any size, one window as good as another, and the published network by its settings."""

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet as MonaiUNet
from scipy.ndimage import gaussian_filter1d

from graticule.nets.forward import choose_precision, weights_of
from graticule.nets.unet import SUREST, SectionBySection, UNet
from graticule.nets.weights import adapt

SMALL = {"channels": (4, 8, 8), "units": 1}


@pytest.mark.parametrize("shape", [(33, 20), (16, 16), (5, 7), (17, 9, 20), (8, 8, 8)])
def test_it_answers_for_every_voxel_of_any_size(shape):
    network = UNet(2, dimensions=len(shape), **SMALL).eval()
    assert network(torch.zeros(1, 1, *shape)).shape == (1, 2, *shape)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_with_instance_norm_it_is_monais_network_to_the_bit(dimensions):
    torch.manual_seed(0)
    ours = UNet(1, dimensions=dimensions, norm="instance")
    torch.manual_seed(0)
    published = MonaiUNet(dimensions, 1, 1, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    x = torch.randn(1, 1, *(32,) * dimensions)
    assert torch.equal(ours(x), published(x))


def test_with_batch_norm_what_lies_far_off_changes_nothing_and_with_instance_norm_everything():
    x = torch.zeros(1, 1, 32, 160)
    other = x.clone()
    other[..., 140:] = 5
    for norm, same in (("batch", True), ("instance", False)):
        torch.manual_seed(0)
        network = UNet(1, dimensions=2, norm=norm, channels=(4, 8), units=1).eval()
        with torch.no_grad():
            assert torch.equal(network(x)[..., :64], network(other)[..., :64]) is same


def test_zeros_beyond_the_far_edge_change_nothing_but_what_is_cut_off():
    torch.manual_seed(0)
    network = UNet(1, dimensions=2, **SMALL).eval()
    x = torch.randn(1, 1, 30, 32)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 2))
    with torch.no_grad():
        assert np.allclose(network(x), network(padded)[:, :, :30], atol=1e-6)


def test_narrow_networks_take_bf16_only_where_it_is_faster(monkeypatch):
    network = UNet(1, dimensions=2, **SMALL)
    for units, precision in ((("AVX512-BF16",), "fp32"), (("AMX", "AVX512-BF16"), "bf16"), ((), "fp32")):
        monkeypatch.setattr("graticule.nets.forward.bf16_units", lambda units=units: units)
        assert choose_precision("cpu", network) == precision


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_for_other_classes_begins_anew_only_where_classes_count(dimensions):
    start = weights_of(UNet(1, dimensions=dimensions, **SMALL))
    weights, fresh = adapt(lambda: UNet(2, dimensions=dimensions, **SMALL), start, 0, "a model")
    assert fresh
    assert all(name.startswith("body.model.2.") for name in fresh)
    assert all(np.array_equal(weights[name], start[name]) for name in weights if name not in fresh)


def test_levels_may_halve_some_axes_only_and_any_size_still_fits():
    network = UNet(2, dimensions=3, channels=(4, 8, 8), units=1, strides=((1, 2, 2), (2, 2, 2))).eval()
    assert network.multiple == (2, 4, 4)
    assert network(torch.zeros(1, 1, 3, 9, 10)).shape == (1, 2, 3, 9, 10)


def test_section_by_section_every_section_gets_the_answer_that_it_gets_alone():
    torch.manual_seed(0)
    plane = UNet(2, dimensions=2, **SMALL).eval()
    sections = SectionBySection(2, dimensions=2, **SMALL).eval()
    sections.load_state_dict(plane.state_dict())
    x = torch.randn(2, 1, 3, 20, 17)
    with torch.no_grad():
        volume = sections(x)
        alone = torch.stack([plane(x[:, :, z]) for z in range(3)], dim=2)
    assert volume.shape == (2, 2, 3, 20, 17)
    assert torch.allclose(volume, alone, atol=1e-6)


@pytest.mark.parametrize("coarser", [(2, 2), (1, 2, 2), (3, 1, 2)])
def test_a_network_that_sees_means_answers_between_what_it_answers_about_them(coarser):
    torch.manual_seed(0)
    dimensions = len(coarser)
    means = UNet(2, dimensions=dimensions, coarser=coarser, **SMALL).eval()
    plain = UNet(2, dimensions=dimensions, **SMALL).eval()
    plain.load_state_dict(means.state_dict())
    seen = torch.randn(1, 1, *(16,) * dimensions)
    x = seen
    for axis, n in enumerate(coarser, start=2):
        x = x.repeat_interleave(n, dim=axis)
    flicker = torch.ones(x.shape[-1])
    flicker[::2] = -1  # of no mean
    with torch.no_grad():
        answers = means(x + flicker)
        between = torch.nn.functional.interpolate(
            plain(seen), scale_factor=coarser, mode={2: "bilinear", 3: "trilinear"}[dimensions]
        )
        assert torch.allclose(answers, between, atol=1e-5)
        assert means(x[..., :-5]).shape == (1, 2, *x.shape[2:-1], x.shape[-1] - 5)
    assert means.multiple == tuple(4 * n for n in coarser)


def test_sections_are_averaged_by_a_gaussian_that_no_window_of_few_sections_escapes():
    torch.manual_seed(0)
    alone = SectionBySection(2, dimensions=2, **SMALL).eval()
    averaging = SectionBySection(2, dimensions=2, across=1.5, parts=3, **SMALL).eval()
    averaging.load_state_dict(alone.state_dict())
    x = torch.randn(2, 1, 9, 16, 16)
    with torch.no_grad():
        answers, single = averaging(x), alone(x)
        assert torch.allclose(averaging(x[:, :, :1]), single[:, :, :1], atol=1e-5)
    expected = gaussian_filter1d(single.numpy(), 1.5, axis=2, mode="nearest")
    np.testing.assert_allclose(answers.numpy(), expected, atol=1e-5)


def looks(network, x):
    """The answers about sections along each axis, none surer than is believed."""
    turned = [x.transpose(2, axis) for axis in (2, 3, 4)]
    return [network(one).transpose(2, axis).clamp(-SUREST, SUREST) for axis, one in zip((2, 3, 4), turned, strict=True)]


def pair_of_networks(**options):
    """One that looks along one axis, and one of the same weights that looks along three."""
    torch.manual_seed(0)
    one = SectionBySection(2, dimensions=2, **SMALL, **options).eval()
    three = SectionBySection(2, dimensions=2, deep=9, **SMALL, **options).eval()
    three.load_state_dict(one.state_dict())
    return one, three


@pytest.mark.parametrize("size", [(9, 12, 16), (17, 10, 11)])
@pytest.mark.parametrize("across", [0.0, 1.5])
def test_three_ways_are_a_mean_in_which_sections_along_z_count_double(size, across):
    one, three = pair_of_networks(across=across)
    x = torch.randn(1, 1, *size)
    with torch.no_grad():
        along_z, along_y, along_x = looks(one, x)
        assert torch.allclose(three(x), (2 * along_z + along_y + along_x) / 4, atol=1e-5)


def test_of_a_thin_volume_only_the_sections_along_z_are_seen():
    one, three = pair_of_networks()
    x = torch.randn(1, 1, 8, 16, 12)
    with torch.no_grad():
        assert torch.equal(three(x), one(x))
