"""An attention U-Net (Oktay et al. 2018, arXiv:1804.03999) for planes and volumes, built from MONAI's."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import AttentionUnet as MonaiAttentionUnet
from torch import Tensor, nn

from graticule.nets.any_size import padded

CHANNELS = (16, 32, 64, 128)


class AttentionUNet(nn.Module):
    """``(B, inputs, *space)`` to ``(B, classes, *space)`` logits, for any size.

    Every level above the lowest has an additive gate: what comes up from below is added to the level's own features, and
    the sigmoid of their sum says how much of these is passed on. The features passed on are those of the level's full
    resolution, from before the strided convolution that leads down; so 64 … 1024 has four gates, the topmost at the
    resolution of the image.

    Parameters
    ----------
    classes
        Logits per voxel; the background has none.
    dimensions
        2 or 3.
    channels
        Of each level; every level below the first halves the resolution.
    inputs
        Channels of the image.
    """

    narrow = True
    """Few channels at full resolution: see `UNet`."""

    def __init__(
        self, classes: int, *, dimensions: int = 2, channels: Sequence[int] = CHANNELS, inputs: int = 2
    ) -> None:
        super().__init__()
        self.body = MonaiAttentionUnet(
            spatial_dims=dimensions,
            in_channels=inputs,
            out_channels=classes,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
        )
        _norm_by_batch(self.body)
        self.multiple = 2 ** (len(channels) - 1)

    def forward(self, x: Tensor) -> Tensor:
        return padded(self.body, x, self.multiple)


def _norm_by_batch(network: nn.Module) -> None:
    """Batch norm everywhere, as in the paper: MONAI 1.5 standardises each window by itself where gate and path are merged.

    With that, what a place is called depends on what else the window happens to show.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                setattr(parent, name, nn.BatchNorm2d(child.num_features))
            elif isinstance(child, nn.InstanceNorm3d):
                setattr(parent, name, nn.BatchNorm3d(child.num_features))
