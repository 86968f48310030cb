"""CenterNet for small objects: a residual encoder, a bidirectional feature pyramid, and heads at stride 2.

Zhou et al. 2019 (objects as points), Tan et al. 2020 (EfficientDet's BiFPN), He et al. 2016 (ResNet, from MONAI).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 2
COARSEST = 32
PRIOR = 0.01  # expected share of cells that hold an object: keeps the first steps from drowning in background (Lin et al. 2017)

ENCODERS: dict[str, tuple[str, list[int], int]] = {
    "resnet18": ("basic", [2, 2, 2, 2], 1),
    "resnet34": ("basic", [3, 4, 6, 3], 1),
    "resnet50": ("bottleneck", [3, 4, 6, 3], 4),
}
"""Block, blocks per level, and how much wider a block leaves than it enters."""


class CenterNet(nn.Module):
    """``(B, 1, H, W)`` to ``(B, kinds + 2 [+ 1], H / 2, W / 2)``; H and W are multiples of 32.

    Channels: one logit per kind; the offset (y, x) of the object's centre from the cell's, in cells; and, where
    `diameter` is true, the logarithm of the object's diameter in cells.

    `width` scales the encoder (1: as published), `neck` is the pyramid's channels, `rounds` how often it is passed.
    With `stem_skip` the decoder also sees the encoder's first, stride-2, features, which places small objects better.
    """

    def __init__(
        self,
        kinds: int,
        *,
        encoder: str = "resnet50",
        width: float = 1.0,
        neck: int = 128,
        rounds: int = 2,
        head: int = 64,
        diameter: bool = False,
        stem_skip: bool = False,
    ) -> None:
        super().__init__()
        block, layers, expansion = ENCODERS[encoder]
        planes = [int(64 * 2**level * width) for level in range(4)]
        self.encoder = ResNet(
            block,
            layers,
            planes,
            spatial_dims=2,
            n_input_channels=1,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.neck = BiFPN([p * expansion for p in planes], neck, rounds)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(neck, head, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(head),
            nn.ReLU(inplace=True),
        )
        self.skip = nn.Conv2d(planes[0], head, kernel_size=1) if stem_skip else None
        self.heatmap = _head(head, kinds)
        self.offset = _head(head, 2)
        self.diameter = _head(head, 1) if diameter else None
        nn.init.constant_(self.heatmap[-1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        encoder = self.encoder
        stem = encoder.act(encoder.bn1(encoder.conv1(x)))  # (B, 64, H/2, W/2)
        levels = []
        level = encoder.maxpool(stem)
        for layer in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
            level = layer(level)
            levels.append(level)  # strides 4, 8, 16, 32
        fine = self.up(self.neck(levels))  # (B, head, H/2, W/2)
        if self.skip is not None:
            fine = fine + self.skip(stem)
        heads = [self.heatmap, self.offset] + ([] if self.diameter is None else [self.diameter])
        return torch.cat([head(fine) for head in heads], dim=1)


def _head(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, out, kernel_size=1),
    )


class BiFPN(nn.Module):
    """Feature maps at strides 4, 8, 16 … to the finest one in `channels` channels, mixed up and down `rounds` times.

    The last round only leads down to the finest level: nobody reads the others.
    """

    def __init__(self, incoming: Sequence[int], channels: int, rounds: int) -> None:
        super().__init__()
        self.inlets = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, channels, kernel_size=1, bias=False), nn.BatchNorm2d(channels)) for c in incoming
        )
        last = rounds - 1
        self.rounds = nn.ModuleList(BiFPNRound(len(incoming), channels, both_ways=i < last) for i in range(rounds))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        mixed = [inlet(level) for inlet, level in zip(self.inlets, levels, strict=True)]
        for once in self.rounds:
            mixed = once(mixed)
        finest: Tensor = mixed[0]
        return finest


class BiFPNRound(nn.Module):
    """Coarse to fine, then fine to coarse; every level ends with its input, its way down, and its finer neighbour."""

    def __init__(self, levels: int, channels: int, *, both_ways: bool) -> None:
        super().__init__()
        self.down = nn.ModuleList(Fuse(2, channels) for _ in range(levels - 1))
        climbs = levels - 1 if both_ways else 0
        self.up = nn.ModuleList(Fuse(3 if level < levels - 2 else 2, channels) for level in range(climbs))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        descent = [levels[-1]]
        for level, fuse in zip(reversed(levels[:-1]), self.down, strict=True):
            coarser = functional.interpolate(descent[-1], size=level.shape[-2:], mode="nearest")
            descent.append(fuse(level, coarser))
        descent.reverse()  # finest first
        ascent = [descent[0]]
        for level, way_down, fuse in zip(levels[1:], descent[1:], self.up, strict=False):
            finer = functional.max_pool2d(ascent[-1], kernel_size=3, stride=2, padding=1)
            at_coarsest = way_down is level
            ascent.append(fuse(level, finer) if at_coarsest else fuse(level, way_down, finer))
        return ascent


class Fuse(nn.Module):
    """Weighted mean with weights that are learnt, positive and fast to normalise; then a depthwise-separable convolution."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))
        self.mix = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        weight = functional.relu(self.weight)
        weight = weight / (weight.sum() + 1e-4)
        total = inputs[0] * weight[0]
        for tensor, share in zip(inputs[1:], weight[1:], strict=True):
            total = total + tensor * share
        mixed: Tensor = self.mix(total)
        return mixed
