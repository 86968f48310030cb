"""A residual U-Net for planes and volumes (Ronneberger et al. 2015, Kerfoot et al. 2018), built from MONAI's."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from monai.networks.nets import UNet as MonaiUNet
from torch import Tensor, nn

from graticule.nets.any_size import padded

CHANNELS = (16, 32, 64, 128, 256)


class UNet(nn.Module):
    """``(B, inputs, *space)`` to ``(B, classes, *space)`` logits, for any size.

    Parameters
    ----------
    classes
        Logits per voxel; the background has none.
    dimensions
        2 or 3.
    channels
        Of each level.
    strides
        Between one level and the next, and so one fewer: one number, or one for each axis. Empty: every level halves the
        resolution. What comes in is halved before anything else, and what goes out is doubled last.
    units
        Residual units per level.
    norm
        ``"batch"``: tiles give what one pass gives, but for the context they lack. ``"instance"`` (MONAI's own choice)
        standardises each window by itself: what a voxel is called then depends on what else the window shows.
    """

    narrow = True
    """Its 16 channels keep no bf16 unit busy but AMX: with AVX512-BF16 a pass takes 1.5 times as long as in fp32."""

    def __init__(
        self,
        classes: int,
        *,
        dimensions: int,
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[Sequence[int]] = (),
        units: int = 2,
        norm: str = "batch",
        inputs: int = 1,
    ) -> None:
        super().__init__()
        steps = [tuple(step) for step in strides] or [(2,) * dimensions] * (len(channels) - 1)
        self.body = MonaiUNet(
            spatial_dims=dimensions,
            in_channels=inputs,
            out_channels=classes,
            channels=tuple(channels),
            strides=steps,
            num_res_units=units,
            norm=norm,
        )
        self.multiple = tuple(prod(step[axis] for step in steps) for axis in range(dimensions))

    def forward(self, x: Tensor) -> Tensor:
        return padded(self.body, x, self.multiple)


class SectionBySection(UNet):
    """A U-Net for planes, by the same weights, on volumes ``(B, C, z, y, x)``: every section is seen by itself."""

    def forward(self, x: Tensor) -> Tensor:
        sections = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        out: Tensor = super().forward(sections).unflatten(0, (x.shape[0], x.shape[2]))
        return out.transpose(1, 2)
