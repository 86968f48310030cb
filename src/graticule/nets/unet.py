"""A residual U-Net for planes and volumes (Ronneberger et al. 2015, Kerfoot et al. 2018), built from MONAI's."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from monai.networks.nets import UNet as MonaiUNet
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from graticule.nets.any_size import padded

CHANNELS = (16, 32, 64, 128, 256)
SUREST = 6.0  # a confidence of 0.9975: one look must not outvote two others
POOLS: dict[int, Any] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


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
        Between one level and the next, and so one fewer, for each axis. Empty: every level halves the resolution. What comes
        in is halved before anything else, and what goes out is doubled last.
    units
        Residual units per level.
    coarser
        Voxels, along each axis, of which the network sees the mean, and between which its answers are interpolated. Empty: it
        sees every voxel. Multiplies how much of the image it sees, and divides what a voxel costs.
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
        coarser: Sequence[int] = (),
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
        self.coarser = tuple(coarser) or (1,) * dimensions
        self.pool: nn.Module = POOLS[dimensions](self.coarser) if max(self.coarser) > 1 else nn.Identity()
        self.multiple = tuple(n * prod(step[axis] for step in steps) for axis, n in enumerate(self.coarser))

    def forward(self, x: Tensor) -> Tensor:
        return padded(self._every_voxel, x, self.multiple)

    def _every_voxel(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(self.pool(x))
        if max(self.coarser) > 1:
            out = interpolate(out, scale_factor=self.coarser, mode="bilinear" if out.ndim == 4 else "trilinear")
        return out


class SectionBySection(UNet):
    """A U-Net for planes, by the same weights, on volumes ``(B, C, z, y, x)``: every section is seen by itself.

    Parameters
    ----------
    across
        Standard deviation, in sections, of the Gaussian by which answers are averaged from section to section: what one
        section shows badly its neighbours show. Beyond the first and last section answers go on as they are there.
    parts
        In how many parts the sections are seen, one after the other: the answers are the same, in less memory.
    deep
        Volumes of so many sections, or more, are looked at along all three axes, as voxels that are cubes can be
        (orthoplanes: Conrad and Narayan, Cell Systems 2023, doi:10.1016/j.cels.2022.12.006). Logits are averaged; those along
        z, which are what was learnt from, count double, and none counts as surer than `SUREST`. 0: never. In thinner volumes
        planes along z show next to nothing.
    options
        Of `UNet`.
    """

    def __init__(self, classes: int, *, across: float = 0.0, parts: int = 1, deep: int = 0, **options: Any) -> None:
        super().__init__(classes, **options)
        self.across, self.parts, self.deep = across, parts, deep

    def forward(self, x: Tensor) -> Tensor:
        if not self.deep or x.shape[2] < self.deep:
            return self._sections(x)
        answer = 2 * self._sections(x).clamp(-SUREST, SUREST)
        for axis in (3, 4):
            answer = answer + self._sections(x.transpose(2, axis)).transpose(2, axis).clamp(-SUREST, SUREST)
        return answer / 4

    def _sections(self, x: Tensor) -> Tensor:
        """Those along the first axis in space."""
        sections = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        out = torch.cat([super(SectionBySection, self).forward(part) for part in sections.chunk(self.parts)])
        out = out.unflatten(0, (x.shape[0], x.shape[2]))
        return (self._averaged(out) if self.across and x.shape[2] > 1 else out).transpose(1, 2)

    def _averaged(self, out: Tensor) -> Tensor:
        """Of ``(B, z, K, y, x)``, along z."""
        weights = gaussian_filter1d(np.eye(out.shape[1]), self.across, axis=0, mode="nearest")
        averaged: Tensor = torch.einsum("ij,bjkyx->bikyx", torch.as_tensor(weights).to(out), out)
        return averaged
