"""Learning from a few marked positives and much that nobody looked at.

Unmarked windows are not negatives: a share `prior` of them is positive, only nobody said which. Both losses here need that
share, and neither ever takes a marked positive for an unlabelled one: the two come as separate logits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from graticule.errors import SettingsError


def binomial_expectation(positive: Tensor, unlabelled: Tensor, prior: float, *, weight: float = 1.0) -> Tensor:
    """GE-binomial: positives shall be called so, and of the unlabelled as many as the prior says (Bepler et al. 2019).

    ``mean(-log p) over the positives - weight * sum_k q(k) log b(k)``: q is the distribution of the number of positives
    among the unlabelled windows that the network's probabilities imply, b the binomial that the prior implies; the sum is
    their cross-entropy (generalised expectation criteria, Mann and McCallum 2010; doi:10.1038/s41592-019-0575-8). The
    published code takes a normal distribution for q; here it is the exact Poisson-binomial one, so that few or very sure
    windows count right, too.

    Parameters
    ----------
    positive, unlabelled
        Logits ``(P,)`` and ``(U,)``, at least one of each.
    prior
        Share of the unlabelled that is positive, between 0 and 1.
    weight
        Lambda of the paper's equation 1.
    """
    _check(positive, unlabelled, prior)
    count, unlabelled = unlabelled.numel(), _where_doubles_are(unlabelled)
    k = torch.arange(count + 1, dtype=torch.float64, device=unlabelled.device)
    total = torch.tensor(float(count), dtype=torch.float64, device=unlabelled.device)
    choose = torch.lgamma(total + 1) - torch.lgamma(k + 1) - torch.lgamma(total - k + 1)
    expected = choose + k * torch.log(torch.tensor(prior)) + (total - k) * torch.log1p(torch.tensor(-prior))
    implied = poisson_binomial(unlabelled.double().sigmoid())
    # Per window, so that the weight means the same whatever the size of the batch.
    penalty = -(implied * expected).sum() / count
    return -logsigmoid(positive).mean() + weight * penalty.to(positive)


def _where_doubles_are(values: Tensor) -> Tensor:
    """Apple's GPUs have no double precision; so few numbers are soon elsewhere."""
    return values.cpu() if values.device.type == "mps" else values


def poisson_binomial(probability: Tensor) -> Tensor:
    """``(N + 1,)``: how probable each number of successes is in independent trials of probabilities ``(N,)``.

    By the discrete Fourier transform of its characteristic function (Fernandez and Williams 2010,
    doi:10.1109/TAES.2010.5461658); in double precision exact to about 1e-14.
    """
    count = probability.numel()
    turns = torch.arange(count + 1, dtype=torch.float64, device=probability.device) * (2 * torch.pi / (count + 1))
    turned = torch.polar(torch.ones_like(turns), turns)
    factors = 1 + probability.double()[None, :] * (turned[:, None] - 1)
    spectrum = factors.prod(dim=1)
    mass: Tensor = torch.fft.fft(spectrum).real / (count + 1)
    return mass.clamp_min(0)


def non_negative_risk(positive: Tensor, unlabelled: Tensor, prior: float, *, slack: float = 0.0) -> Tensor:
    """The non-negative risk of positive and unlabelled data (Kiryo et al. 2017, arXiv:1703.00593), logistic loss.

    ``prior * R(P as positive) + max(0, R(U as negative) - prior * R(P as negative))``; where the second term falls below
    ``-slack`` its gradient is turned round, so that the network unlearns what it learnt by heart.

    Parameters
    ----------
    positive, unlabelled
        Logits ``(P,)`` and ``(U,)``, at least one of each; `unlabelled` holds no marked positive.
    prior
        Share of the unlabelled that is positive, between 0 and 1.
    slack
        Beta of the paper: how negative the estimate may become by chance.
    """
    _check(positive, unlabelled, prior)
    as_positive = softplus(-positive).mean()
    negative = softplus(unlabelled).mean() - prior * softplus(positive).mean()
    if negative.item() < -slack:
        # The value of the risk as it is bounded below, the gradient of minus the part that is out of bounds.
        return prior * as_positive.detach() - slack - (negative - negative.detach())
    return prior * as_positive + negative


def supervised(positive: Tensor, unlabelled: Tensor) -> Tensor:
    """Cross-entropy with everything unmarked taken for negative: what both are compared with; classes weigh alike."""
    return (softplus(-positive).mean() + softplus(unlabelled).mean()) / 2


def _check(positive: Tensor, unlabelled: Tensor, prior: float) -> None:
    if not 0 < prior < 1:
        raise SettingsError(
            f"found a prior of {prior:g}; need the share of unlabelled windows that are positive, above 0 and below 1; give a "
            "count of particles, or let it be estimated"
        )
    if not positive.numel() or not unlabelled.numel():
        raise ValueError(
            f"a batch of {positive.numel()} positives and {unlabelled.numel()} unlabelled; need some of each"
        )
