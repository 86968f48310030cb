from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from graticule.errors import SettingsError
from graticule.losses.positive_unlabelled import (
    binomial_expectation,
    non_negative_risk,
    poisson_binomial,
    supervised,
)


def by_recursion(probability) -> np.ndarray:
    """One trial after the other."""
    mass = np.ones(1)
    for p in probability:
        mass = np.convolve(mass, [1 - p, p])
    return mass


@settings(max_examples=50)
@given(probability=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_number_of_successes_is_distributed_as_trial_by_trial(probability: list) -> None:
    mass = poisson_binomial(torch.tensor(probability, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(mass, by_recursion(probability), atol=1e-12)


def test_alike_trials_are_binomial_also_in_large_batches() -> None:
    mass = poisson_binomial(torch.full((1000,), 0.013, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(mass, binom.pmf(np.arange(1001), 1000, 0.013), atol=1e-12)


def logits(probability) -> torch.Tensor:
    return torch.logit(torch.as_tensor(probability, dtype=torch.float64))


@pytest.mark.parametrize("prior", [0.02, 0.1, 0.4])
def test_as_many_as_the_prior_says_cost_least(prior: float) -> None:
    sure, unlabelled = logits([0.999]), 200
    counts = np.arange(0, 150)
    costs = []
    for count in counts:
        probability = torch.full((unlabelled,), 1e-6, dtype=torch.float64)
        probability[:count] = 1 - 1e-6
        costs.append(binomial_expectation(sure, logits(probability), prior).item())
    assert abs(int(np.argmin(costs)) - prior * unlabelled) <= 1


def test_the_penalty_does_not_grow_with_the_batch() -> None:
    sure = logits([0.999])
    small, large = (binomial_expectation(sure, logits([0.1] * n), 0.1).item() for n in (100, 800))
    assert large < small < 0.1


def test_positives_are_pulled_up_and_unlabelled_ones_towards_the_prior() -> None:
    positive = torch.zeros(3, requires_grad=True)
    many, few = torch.full((50,), 1.0, requires_grad=True), torch.full((50,), -6.0, requires_grad=True)
    (binomial_expectation(positive, many, 0.1) + binomial_expectation(positive, few, 0.1)).backward()
    assert (positive.grad < 0).all() and (many.grad > 0).all() and (few.grad < 0).all()


@pytest.mark.parametrize("loss", [binomial_expectation, non_negative_risk])
def test_gradients_are_those_of_the_value(loss) -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    unlabelled = torch.randn(12, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, u: loss(p, u, 0.3), (positive, unlabelled))


def test_the_risk_is_that_of_full_labels_in_expectation() -> None:
    generator = torch.Generator().manual_seed(1)
    positive = torch.randn(40_000, generator=generator, dtype=torch.float64) + 1
    negative = torch.randn(60_000, generator=generator, dtype=torch.float64) - 1
    marked, rest = positive[:20_000], torch.cat([positive[20_000:], negative[:30_000]])
    prior = 20_000 / 50_000
    truth = cross_entropy(rest, torch.cat([torch.ones(20_000), torch.zeros(30_000)]).double())
    assert non_negative_risk(marked, rest, prior).item() == pytest.approx(truth.item(), abs=0.01)


def test_what_was_learnt_by_heart_is_unlearnt() -> None:
    positive = torch.full((10,), 5.0, requires_grad=True)
    unlabelled = torch.full((50,), -8.0, requires_grad=True)
    risk = non_negative_risk(positive, unlabelled, 0.3)
    risk.backward()
    assert risk.item() >= -1e-6
    assert (unlabelled.grad < 0).all()  # a step down the gradient raises what was pushed down too far


def test_the_supervised_loss_weighs_both_classes_alike_whatever_their_numbers() -> None:
    positive, unlabelled = torch.tensor([0.3]), torch.tensor([-0.2])
    few = supervised(positive, unlabelled)
    many = supervised(positive, unlabelled.expand(500))
    assert few.item() == pytest.approx(many.item())


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_an_impossible_prior_is_refused(prior: float) -> None:
    for loss in (binomial_expectation, non_negative_risk):
        with pytest.raises(SettingsError, match="above 0 and below 1"):
            loss(torch.zeros(1), torch.zeros(5), prior)


def test_a_batch_without_positives_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="0 positives"):
        binomial_expectation(torch.zeros(0), torch.zeros(5), 0.1)
