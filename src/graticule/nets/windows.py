"""Classifiers of windows that answer for every window of an image in one pass, because nothing in them is padded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from graticule.errors import SettingsError

STRIDE = 2
STEM = 6
"""Voxels a side of the first kernel: with a stride of 2, it and even windows have one middle."""

KERNEL = 3
COARSE = 4
"""Voxels of the image per voxel of the picture that the auto-encoder draws."""

CHANNELS = (16, 32, 32, 32, 64)


class WindowNet(nn.Module):
    """``(B, 1, *space)`` to ``(B, 1, *cells)`` logits: one for each window of `window` voxels, `STRIDE` apart.

    There are ``(n - window) / STRIDE + 1`` cells along an axis of n voxels: of a single window one. In training, with
    `reconstruct`, four channels: the logit, how badly the window was drawn again from its features (mean square), and the
    logarithms of two variances, of the classification and of the drawing, which are learnt (Kendall et al. 2018,
    doi:10.1109/CVPR.2018.00781).

    Parameters
    ----------
    dimensions
        2 or 3.
    window
        Voxels a side, even.
    channels
        Of every layer: the stem's, those of kernels of three, and that of the kernel that takes what is left.
    dropout
        Share of the features that are left out in training.
    reconstruct
        Whether windows are also drawn again from their features (Bepler et al. 2019).
    """

    narrow = True
    """Too few channels for bf16 units but AMX."""

    def __init__(
        self,
        *,
        dimensions: int,
        window: int,
        channels: Sequence[int] = CHANNELS,
        dropout: float = 0.2,
        reconstruct: bool = False,
    ) -> None:
        super().__init__()
        kernels = kernels_for(window, len(channels))
        conv = nn.Conv3d if dimensions == 3 else nn.Conv2d
        norm = nn.BatchNorm3d if dimensions == 3 else nn.BatchNorm2d
        layers: list[nn.Module] = []
        entering = 1
        for number, (kernel, leaving) in enumerate(zip(kernels, channels, strict=True)):
            stride = STRIDE if number == 0 else 1
            layers += [conv(entering, leaving, kernel, stride, bias=False), norm(leaving), nn.ReLU(inplace=True)]
            entering = leaving
        self.window, self.dimensions = window, dimensions
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout3d(dropout) if dimensions == 3 else nn.Dropout2d(dropout)
        self.head = conv(entering, 1, 1)
        self.decoder = conv(entering, (window // COARSE) ** dimensions, 1) if reconstruct else None
        self.log_variance = nn.Parameter(torch.zeros(2)) if reconstruct else None
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        logit: Tensor = self.head(self.dropout(features))
        if self.decoder is None or self.log_variance is None or not self.training:
            return logit
        missed = (self.decoder(features) - coarse_windows(x, self.window)).square().mean(dim=1, keepdim=True)
        scales = self.log_variance.view(1, 2, *[1] * self.dimensions).expand(len(x), 2, *logit.shape[2:])
        return torch.cat([logit, missed, scales], dim=1)


def kernels_for(window: int, layers: int) -> tuple[int, ...]:
    """Sides of the kernels of so many layers that leave one cell of a window."""
    left = (window - STEM) // STRIDE + 1 - (layers - 2) * (KERNEL - 1)
    if window % 2 or left < 1:
        smallest = STEM + STRIDE * (layers - 2) * (KERNEL - 1)
        raise SettingsError(
            f"window_px is {window}; a network of {layers} layers needs an even number from {smallest + smallest % 2} on"
        )
    return (STEM, *[KERNEL] * (layers - 2), left)


def at(places: Iterable[slice]) -> Any:
    """The index of `places` along the last axes of an array."""
    return (..., *places)


def coarse_windows(x: Tensor, window: int) -> Tensor:
    """``(B, coarse voxels, *cells)``: every window of ``(B, 1, *space)`` in blocks of `COARSE` voxels."""
    dimensions = x.ndim - 2
    pool = functional.avg_pool3d if dimensions == 3 else functional.avg_pool2d
    blocks = pool(x, COARSE, STRIDE)[:, 0]
    step = COARSE // STRIDE
    across = (window // COARSE - 1) * step + 1
    for axis in range(1, dimensions + 1):
        blocks = blocks.unfold(axis, across, 1)
    blocks = blocks[at([slice(None, None, step)] * dimensions)]
    flat = blocks.flatten(start_dim=1 + dimensions)
    return flat.movedim(-1, 1)
