"""Losses for heatmaps of centres."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def centre_focal(logits: Tensor, heat: Tensor, known: Tensor, *, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """CornerNet's focal loss (Law & Deng 2018, eq. 1), summed and divided by the number of centres.

    Parameters
    ----------
    logits, heat
        ``(B, K, *cells)``; `heat` is exactly 1 at each centre's own cell and falls off around it: cells near a centre
        are punished less for a high score.
    known
        ``(B, 1 or K, *cells)``; where it is 0 nothing is learnt.
    """
    centre = (heat == 1).to(logits.dtype) * known
    log_p = functional.logsigmoid(logits)
    log_not_p = functional.logsigmoid(-logits)
    p = torch.sigmoid(logits)
    found = (1 - p).pow(alpha) * log_p * centre
    false = (1 - heat).pow(beta) * p.pow(alpha) * log_not_p * known * (1 - centre)
    return -(found.sum() + false.sum()) / centre.sum().clamp(min=1)


def smooth_l1_at(predicted: Tensor, wanted: Tensor, where: Tensor) -> Tensor:
    """Smooth L1 (Girshick 2015) between ``(B, C, *cells)`` tensors, averaged over the cells where ``(B, 1, *cells)`` is 1."""
    each = functional.smooth_l1_loss(predicted, wanted, reduction="none", beta=0.1) * where
    return each.sum() / (where.sum() * predicted.shape[1]).clamp(min=1)
