"""A residual U-Net for planes and volumes (Ronneberger et al. 2015, Kerfoot et al. 2018), built from MONAI's."""

from __future__ import annotations

from collections.abc import Sequence

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
        Of each level; every level below the first halves the resolution.
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
        units: int = 2,
        norm: str = "batch",
        inputs: int = 1,
    ) -> None:
        super().__init__()
        self.body = MonaiUNet(
            spatial_dims=dimensions,
            in_channels=inputs,
            out_channels=classes,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=units,
            norm=norm,
        )
        self.multiple = 2 ** (len(channels) - 1)

    def forward(self, x: Tensor) -> Tensor:
        return padded(self.body, x, self.multiple)
