"""Losses for outlined voxels: soft Dice and cross-entropy, where the annotation is known.

The network gives one logit for each class; the background's is 0. Softmax over them is then, for a single class, the
sigmoid: masks and many classes are one case.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMOOTH = 1e-5
"""Keeps Dice from 0 / 0: a batch with nothing to find, where nothing is found, costs nothing."""

TINY = 1e-6


def log_shares(logits: Tensor) -> Tensor:
    """``(B, K, *space)`` logits to ``(B, 1 + K, *space)`` log-probabilities, the background first."""
    return functional.log_softmax(torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1), dim=1)


def shares(logits: Tensor) -> Tensor:
    """``(B, K, *space)`` logits to the probability of each class; with the background's they add up to 1."""
    return log_shares(logits)[:, 1:].exp()


def dice_cross_entropy(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The sum of `soft_dice` and `cross_entropy`, each between 0 and about 1 for a network that knows nothing.

    Parameters
    ----------
    logits, target
        ``(B, K, *space)``; `target` is 1 in the class's voxels, else 0.
    known
        ``(B, 1, *space)``; where it is 0 nothing is learnt.
    """
    log_p = log_shares(logits)
    return soft_dice(log_p[:, 1:].exp(), target, known) + cross_entropy(log_p, target, known)


def soft_dice(p: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 - 2 Σ p t / (Σ p + Σ t), the mean over classes (Milletari et al. 2016, with sums in place of sums of squares).

    Sums run over the whole batch: a patch without a class would by itself ask for confidence 0 at any price.
    """
    everywhere = [0, *range(2, p.ndim)]
    both = (p * target * known).sum(everywhere)
    each = (p * known).sum(everywhere) + (target * known).sum(everywhere)
    return (1 - (2 * both + SMOOTH) / (each + SMOOTH)).mean()


def cross_entropy(log_p: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Mean over known voxels of minus the log-probability ``(B, 1 + K, *space)`` of the right class."""
    right = torch.cat([1 - target.sum(dim=1, keepdim=True), target], dim=1)
    each = -(right * log_p).sum(dim=1, keepdim=True) * known
    return each.sum() / known.sum().clamp(min=1)


def dice_bce(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """As `dice_cross_entropy`, for maps ``(B, K, *space)`` that do not exclude one another: the mean over them."""
    weight = (known / known.sum().clamp(min=1) / logits.shape[1]).expand_as(logits)
    wrong = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return soft_dice(logits.sigmoid(), target, known) + wrong


def focal_tversky(logits: Tensor, target: Tensor, known: Tensor, *, missed: float = 0.7, gamma: float = 0.75) -> Tensor:
    """(1 - T)^gamma, the mean over independent maps ``(B, K, *space)`` (Abraham and Khan 2019, arXiv:1810.07842).

    T, of Tversky, is Σ p t over Σ p t + `missed` Σ (1 - p) t + (1 - `missed`) Σ p (1 - t): with `missed` above a half, a
    voxel that is missed costs more than one found wrongly. Sums run over the whole batch, where it is `known`.
    """
    p, everywhere = logits.sigmoid(), [0, *range(2, logits.ndim)]
    both = (p * target * known).sum(everywhere)
    only_true = ((1 - p) * target * known).sum(everywhere)
    only_found = (p * (1 - target) * known).sum(everywhere)
    index = (both + SMOOTH) / (both + missed * only_true + (1 - missed) * only_found + SMOOTH)
    lost: Tensor = ((1 - index).clamp(min=0) + TINY).pow(gamma)  # its slope at 0 would be infinite
    return lost.mean()
