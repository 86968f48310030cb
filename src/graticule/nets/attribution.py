"""What a network's answer hangs on, by Captum (Kokhlikyan et al. 2020, arXiv:2009.07896): tensors in, tensors out.

The answer that is explained is one number, a weighted mean of logits: see `Answer`. Signs are kept: what raises the answer
is positive, what lowers it negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from graticule.errors import SettingsError

try:
    from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "captum":
        raise
    raise SettingsError(
        "found no package captum; need it to give reasons; run pip install 'graticule[explain]'"
    ) from error


OTHERWISE = 181_003_292
"""Trainings begin with weights drawn from small seeds."""


class Answer(nn.Module):
    """``(B, C, *space)`` to ``(B,)``: the mean of one channel of `network` over cells, by `weight` ``(*cells)``."""

    def __init__(self, network: nn.Module, channel: int, weight: Tensor) -> None:
        super().__init__()
        self.network, self.channel, self.weight = network, channel, weight / weight.sum()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)[:, self.channel]
        return (logits * self.weight).flatten(1).sum(dim=1)


def integrated_gradients(answer: nn.Module, x: Tensor, baseline: Tensor, *, steps: int = 32, batch: int = 4) -> Tensor:
    """``(1, C, *space)``: each voxel's part in how far the answer to `x` is from that to `baseline`, of the same shape.

    Sundararajan et al. 2017, arXiv:1703.01365. The parts add up to that difference, but for the error of an integral over
    `steps` points; `batch` of them are computed at once.
    """
    parts: Tensor = IntegratedGradients(answer).attribute(x, baseline, n_steps=steps, internal_batch_size=batch)
    return parts.detach()


def occlusion(
    answer: nn.Module, x: Tensor, baseline: Tensor, *, patch: Sequence[int], stride: Sequence[int], batch: int = 4
) -> Tensor:
    """``(1, 1, *space)``: by how much the answer falls when a patch of `x`, in all channels, is put to `baseline`.

    Zeiler and Fergus 2014, arXiv:1311.2901. Where patches overlap, the mean over those that cover a voxel.
    """
    channels = x.shape[1]
    with torch.no_grad():
        parts: Tensor = Occlusion(answer).attribute(
            x,
            sliding_window_shapes=(channels, *patch),
            strides=(channels, *stride),
            baselines=baseline,
            perturbations_per_eval=batch,
        )
    return parts[:, :1]


def grad_cam(answer: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """``(1, 1, *space)``, 0 or more: where features of `layer` speak for the answer; Selvaraju et al. 2017, arXiv:1610.02391.

    As coarse as the layer; brought to the size of `x` by linear interpolation.
    """
    coarse: Tensor = _stacked(LayerGradCam(answer, layer).attribute(x, relu_attributions=True), x)
    mode = "trilinear" if x.ndim == 5 else "bilinear"
    return functional.interpolate(coarse.detach(), size=x.shape[2:], mode=mode, align_corners=False)


# -- what there is to look at in a network -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Parts of a network, by what they do with an image.

    Attributes
    ----------
    first
        Convolutions that look at the image itself.
    early
        The part that ends the first layer: its features are as fine as that layer's.
    deepest
        The part that ends the coarsest layer: the bottleneck.
    """

    first: tuple[nn.Module, ...]
    early: nn.Module
    deepest: nn.Module


@dataclass(slots=True)
class _Trace:
    """Modules in the order in which they end, with the shapes of what they gave."""

    ended: list[tuple[nn.Module, torch.Size]] = field(default_factory=list)
    first: list[nn.Module] = field(default_factory=list)


def layers_of(network: nn.Module, x: Tensor) -> Layers:
    """The parts of `network` as they act on ``(1, C, *space)``."""
    trace = _traced(network, x)
    leaves = {module for module in network.modules() if not any(True for _ in module.children())}
    inner = [(m, shape) for m, shape in trace.ended if m in leaves][:-1]  # the last one is the answer itself
    sides = [tuple(shape[2:]) for _, shape in inner]
    # Of a single cell nothing could be seen: what squeezes an image to its mean is no bottleneck.
    coarsest = min(
        (side for side in sides if min(side) > 1), key=lambda side: torch.Size(side).numel(), default=sides[-1]
    )
    deepest = [m for m, shape in inner if tuple(shape[2:]) == coarsest][-1]
    return Layers(tuple(trace.first), _outermost(network, trace, trace.first[0]), _outermost(network, trace, deepest))


def _traced(network: nn.Module, x: Tensor) -> _Trace:
    trace, images = _Trace(), [x]

    def ended(module: nn.Module, given: tuple[Tensor, ...], out: Any) -> None:
        if module is network or isinstance(module, nn.Linear) or not isinstance(out, Tensor):
            return
        whole = _stacked(out, x)
        if whole.ndim != x.ndim:
            return
        trace.ended.append((module, whole.shape))
        means, looks = isinstance(module, nn.AvgPool2d | nn.AvgPool3d), isinstance(module, nn.Conv2d | nn.Conv3d)
        if not (means or looks) or not any(_is_image(given[0], image) for image in images):
            return
        if means:
            images.append(whole)
        else:
            trace.first.append(module)

    handles = [module.register_forward_hook(ended) for module in network.modules()]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return trace


def _stacked(part: Tensor, x: Tensor) -> Tensor:
    """``(1, K, z, *cells)`` of what is ``(z, K, *cells)``, as a network that sees every section by itself has it."""
    by_section = x.ndim == 5 and part.ndim == 4 and part.shape[0] == x.shape[2]
    return part.transpose(0, 1)[None] if by_section else part


def _is_image(given: Tensor, x: Tensor) -> bool:
    """Whether a layer is given the image itself, whole or section by section."""
    if given.numel() != x.numel() or x.shape[1] not in given.shape[1:2]:
        return False
    whole = _stacked(given, x)
    return whole.shape == x.shape and torch.equal(whole, x)


def _outermost(network: nn.Module, trace: _Trace, inner: nn.Module) -> nn.Module:
    """The largest part around `inner` that gives an output of the same shape: with its activation and what is added."""
    shapes = dict(trace.ended)
    around = [m for m in network.modules() if m in shapes and any(part is inner for part in m.modules())]
    alike = [m for m in around if shapes[m] == shapes[inner]]
    return max(alike, key=lambda m: sum(1 for _ in m.modules()))


def features(network: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """``(channels, *cells)``: what `layer` gives for ``(1, C, *space)``."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, out: kept.append(out.detach()))
    try:
        with torch.no_grad():
            network(x)
    finally:
        handle.remove()
    return _stacked(kept[-1], x)[0]


def unlearnt(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The same network with weights drawn at random, from `seed` alone, and not those that any training begins with.

    What was learnt stays like what it began with, and a map of that would resemble it for the wrong reason.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(OTHERWISE + seed)
        return settled(network())


def settled(network: nn.Module) -> nn.Module:
    """`network` as it answers, not as it learns; nothing in it is overwritten in passing, which gradients would miss."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()
