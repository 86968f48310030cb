"""A trained network made ready to answer: the same function, with fewer passes over its maps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Convolution = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d
Norm = nn.BatchNorm2d | nn.BatchNorm3d


def folded(network: nn.Module) -> nn.Module:
    """`network` itself, changed: for answers only, from here on.

    Of modules in a sequence: a batch norm directly behind a convolution scales and shifts what that gives by constants,
    once training is over: it becomes part of the convolution's weights. A PReLU of a single slope behind both is a leaky
    ReLU, and what it is given is nobody else's: it overwrites that. Answers agree but for rounding.
    """
    for chain in _chains(network):
        before: nn.Module | None = None
        for parent, name, module in chain:
            if isinstance(module, Norm) and isinstance(before, Convolution):
                _fold(module, before)
                setattr(parent, name, nn.Identity())
            elif isinstance(module, nn.PReLU) and module.num_parameters == 1 and isinstance(before, Convolution):
                setattr(parent, name, nn.LeakyReLU(module.weight.item(), inplace=True))
                before = module
            elif not isinstance(module, nn.Identity | nn.Dropout | nn.Dropout2d | nn.Dropout3d):  # these change nothing
                before = module
    return network


Place = tuple[nn.Module, str, nn.Module]
"""A module, what holds it, and under which name."""


def _chains(network: nn.Module) -> Iterator[list[Place]]:
    """Modules of which each is given what the one before gives: a sequence, with those that lie in it."""
    inner = {child for module in network.modules() if isinstance(module, nn.Sequential) for child in module.children()}
    for module in network.modules():
        if isinstance(module, nn.Sequential) and module not in inner:
            yield list(_in_turn(module))


def _in_turn(sequence: nn.Sequential) -> Iterator[Place]:
    for name, module in sequence._modules.items():  # one that is used twice is named twice
        if module is None:
            continue
        if isinstance(module, nn.Sequential):
            yield from _in_turn(module)
        else:
            yield sequence, name, module


@torch.no_grad()
def _fold(norm: Norm, convolution: Convolution) -> None:
    assert norm.running_mean is not None and norm.running_var is not None, "its norms keep statistics"
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(convolution, nn.ConvTranspose2d | nn.ConvTranspose3d),
    )
