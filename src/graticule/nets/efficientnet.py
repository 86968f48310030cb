"""EfficientNet-b0 (Tan and Le 2019, arXiv:1905.11946), from MONAI, for small windows of planes and volumes, and densely."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from monai.networks.nets.efficientnet import EfficientNetBN, MBConvBlock
from torch import Tensor, nn
from torch.nn import functional

from graticule.nets.windows import at

COARSEST = 8
"""Voxels per cell of the last features: the published strides come to 32; the first two are 1 here."""

STRIDE = 4
"""Voxels per cell that is answered for: passes over shifted images are stitched."""


class EfficientWindows(nn.Module):
    """``(B, 1, *space)`` to ``(B, 1, *cells)`` logits: one for each window of `window` voxels, `STRIDE` apart.

    Of a single window it is EfficientNet-b0 as published, but for two strides: small windows would be gone after half of
    its layers. Of an image every window is answered for without being cut out: squeeze and pooling take their means over
    a window's size around each place. Windows are not padded there as they are when they are alone, so scores differ
    a little from those window by window.

    Parameters
    ----------
    dimensions
        2 or 3.
    window
        Voxels a side, a multiple of 8.
    drop_connect
        Share of the blocks that are left out in training, rising with depth.
    """

    def __init__(self, *, dimensions: int, window: int, drop_connect: float = 0.2) -> None:
        super().__init__()
        if window % COARSEST:
            raise ValueError(f"windows of {window} voxels are no multiple of {COARSEST}")
        self.window, self.dimensions = window, dimensions
        # MONAI types its class loosely.
        body: Any = EfficientNetBN(
            "efficientnet-b0", pretrained=False, spatial_dims=dimensions, in_channels=1, num_classes=1
        )
        for block in _blocks(body):
            block.drop_connect_rate = drop_connect * (block.drop_connect_rate or 0.0) / 0.2
        _keep_small(body)
        _pad_evenly(body)
        _squeeze_windows(body, window, dimensions)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        if all(n == self.window for n in x.shape[2:]):
            return self._pass(x)
        # Cell 0 of a shifted image is the window that begins so many voxels in.
        shifts = list(product(range(0, COARSEST, STRIDE), repeat=self.dimensions))
        ways = COARSEST // STRIDE
        cells = [(n - self.window) // STRIDE + 1 for n in x.shape[2:]]
        padded = functional.pad(x, [amount for n in reversed(x.shape[2:]) for amount in (0, -n % COARSEST + COARSEST)])
        out = x.new_zeros((len(x), 1, *[-(-n // ways) * ways for n in cells]))
        for shift in shifts:
            moved = padded[at(slice(s, None) for s in shift)]
            moved = moved[at(slice(n // COARSEST * COARSEST) for n in moved.shape[2:])]
            places = tuple(slice(s // STRIDE, None, ways) for s in shift)
            part = out[at(places)]
            part.copy_(self._pass(moved)[at(slice(n) for n in part.shape[2:])])
        return out[at(slice(n) for n in cells)]

    def _pass(self, x: Tensor) -> Tensor:
        """Cells `COARSEST` voxels apart."""
        body = self.body
        features = body._swish(body._bn0(body._conv_stem(x)))
        features = body._swish(body._bn1(body._conv_head(body._blocks(features))))
        pool = functional.avg_pool3d if self.dimensions == 3 else functional.avg_pool2d
        pooled = body._dropout(pool(features, self.window // COARSEST, 1))
        logits: Tensor = body._fc(pooled.movedim(1, -1)).movedim(-1, 1)
        return logits


class WindowSqueeze(nn.Module):
    """The mean over a window of features; of an image, around each place, over as much of the window as there is."""

    def __init__(self, cells: int, dimensions: int) -> None:
        super().__init__()
        self.cells, self.dimensions = cells, dimensions

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(2, x.ndim))
        if all(n == self.cells for n in x.shape[2:]):
            return x.mean(dim=axes, keepdim=True)
        pool = functional.avg_pool3d if self.dimensions == 3 else functional.avg_pool2d
        odd = self.cells + 1 - self.cells % 2
        for axis in range(self.dimensions):  # one after the other: the mean of means, for a fraction of the sums
            kernel, reach = [1] * self.dimensions, [0] * self.dimensions
            kernel[axis], reach[axis] = odd, odd // 2
            x = pool(x, kernel, 1, reach, count_include_pad=False)
        return x


def _blocks(body: Any) -> list[MBConvBlock]:
    return [module for module in body.modules() if isinstance(module, MBConvBlock)]


def _keep_small(body: Any) -> None:
    """The first two strides become 1."""
    first = next(block for block in _blocks(body) if block.stride != 1)
    body._conv_stem.stride = (1,) * len(body._conv_stem.stride)
    first.stride = 1
    first._depthwise_conv.stride = (1,) * len(first._depthwise_conv.stride)


def _pad_evenly(body: Any) -> None:
    """As much on both sides: MONAI's padding is worked out for images of 224 pixels and other strides."""
    for name, module in list(body.named_modules()):
        if name.endswith("_padding"):
            parent = body.get_submodule(name.rpartition(".")[0]) if "." in name else body
            setattr(parent, name.rpartition(".")[2], nn.Identity())
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            module.padding = tuple(k // 2 for k in module.kernel_size)


def _squeeze_windows(body: Any, window: int, dimensions: int) -> None:
    cells = window
    for block in _blocks(body):
        stride = block.stride if isinstance(block.stride, int) else max(block.stride)
        cells //= stride
        block._se_adaptpool = WindowSqueeze(cells, dimensions)


def difference(network: EfficientWindows, x: Tensor) -> Tensor:
    """``(B, 1, *cells)``: how far dense probabilities are from those of windows that were cut out one by one."""
    dense = network(x).sigmoid()
    apart = torch.zeros_like(dense)
    for place in product(*(range(n) for n in dense.shape[2:])):
        window = x[at(slice(p * STRIDE, p * STRIDE + network.window) for p in place)]
        apart[at(slice(p, p + 1) for p in place)] = network(window).sigmoid()
    away: Tensor = (dense - apart).abs()
    return away
