"""Dice and cross-entropy: by hand, against MONAI, and silent where the annotation is."""

import math

import pytest
import torch
from monai.losses import DiceCELoss, DiceLoss

from graticule.losses.overlap import (
    cross_entropy,
    dice_bce,
    dice_cross_entropy,
    focal_tversky,
    log_shares,
    shares,
    soft_dice,
)

SHAPES = [(2, 1, 6, 8), (2, 1, 4, 6, 8)]


def drawn(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, requires_grad=True)
    return logits, (torch.rand(shape, generator=generator) < 0.4).float()


@pytest.mark.parametrize("shape", SHAPES)
def test_for_one_class_it_is_monais_dice_ce_loss_with_a_sigmoid(shape):
    logits, target = drawn(shape)
    monai = DiceLoss(sigmoid=True, batch=True)(logits, target)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert dice_cross_entropy(logits, target, torch.ones_like(target)).item() == pytest.approx(
        (monai + entropy).item(), rel=1e-4
    )


def test_for_several_classes_it_is_monais_with_a_softmax_and_the_background_left_out_of_dice():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 2, 5, 6), generator=generator)
    number = torch.randint(0, 3, (2, 1, 5, 6), generator=generator)
    target = torch.cat([number == 1, number == 2], dim=1).float()
    whole = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
    monai = DiceCELoss(softmax=True, to_onehot_y=True, include_background=True, batch=True)
    dice = DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)(whole, number)
    entropy = monai.ce(whole, number)
    found = dice_cross_entropy(logits, target, torch.ones_like(target[:, :1])).item()
    assert found == pytest.approx((dice + entropy).item(), rel=1e-4)


def test_dice_of_two_voxels_by_hand():
    p, target = torch.tensor([[[0.8, 0.3]]]), torch.tensor([[[1.0, 0.0]]])
    assert soft_dice(p, target, torch.ones(1, 1, 2)).item() == pytest.approx(1 - 1.6 / 2.1, abs=1e-4)


def test_cross_entropy_of_two_voxels_by_hand():
    log_p = log_shares(torch.tensor([[[math.log(3.0), 0.0]]]))  # probabilities 3/4 and 1/2
    target = torch.tensor([[[1.0, 0.0]]])
    assert cross_entropy(log_p, target, torch.ones(1, 1, 2)).item() == pytest.approx(
        (math.log(4 / 3) + math.log(2)) / 2, rel=1e-5
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_learnt_where_nothing_is_known(shape):
    logits, target = drawn(shape)
    known = torch.ones_like(target)
    known[..., ::2] = 0
    dice_cross_entropy(logits, target, known).backward()
    assert logits.grad[..., ::2].abs().max() == 0
    assert logits.grad[..., 1::2].abs().min() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_what_lies_in_unknown_voxels_changes_nothing(shape):
    logits, target = drawn(shape)
    known = torch.ones_like(target)
    known[..., ::2] = 0
    other = torch.where(known == 0, 1 - target, target)
    assert dice_cross_entropy(logits, target, known).item() == dice_cross_entropy(logits, other, known).item()


def test_a_batch_of_which_nothing_is_known_costs_nothing_and_teaches_nothing():
    logits, target = drawn((1, 1, 4, 4))
    loss = dice_cross_entropy(logits, target, torch.zeros_like(target))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() == 0


def test_the_right_answer_costs_nothing():
    _, target = drawn((2, 1, 6, 6))
    assert dice_cross_entropy((2 * target - 1) * 50, target, torch.ones_like(target)).item() == pytest.approx(
        0, abs=1e-5
    )


def test_shares_of_classes_and_background_add_up_to_one():
    logits = torch.randn((2, 3, 5, 5))
    assert torch.allclose(shares(logits).sum(1) + log_shares(logits)[:, 0].exp(), torch.ones(2, 5, 5))
    assert torch.allclose(shares(logits[:, :1]), torch.sigmoid(logits[:, :1]))


@pytest.mark.parametrize("seed", range(3))
def test_half_of_it_is_half_binary_cross_entropy_and_half_soft_dice_where_the_truth_is_known(seed):
    torch.manual_seed(seed)
    logits, target, known = torch.randn(2, 1, 6, 7), (torch.rand(2, 1, 6, 7) > 0.6).float(), torch.ones(2, 1, 6, 7)
    known[1, :, 2:] = 0
    where = known.bool()
    p, t = torch.sigmoid(logits[where]), target[where]
    binary = torch.nn.functional.binary_cross_entropy(p, t)
    dice = 1 - 2 * (p * t).sum() / (p.sum() + t.sum())
    torch.testing.assert_close(
        0.5 * dice_cross_entropy(logits, target, known), 0.5 * binary + 0.5 * dice, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 2, 6, 8), (2, 2, 4, 6, 8)])
def test_maps_that_do_not_exclude_one_another_are_each_a_loss_of_their_own(shape):
    logits, target = drawn(shape)
    known = torch.ones_like(target[:, :1])
    each = [dice_cross_entropy(logits[:, k : k + 1], target[:, k : k + 1], known).item() for k in range(2)]
    assert dice_bce(logits, target, known).item() == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_with_misses_and_errors_alike_focal_tversky_is_dice_to_a_power(shape):
    logits, target = drawn(shape)
    known = torch.ones_like(target[:, :1])
    dice = soft_dice(logits.sigmoid(), target, known).item()
    assert focal_tversky(logits, target, known, missed=0.5, gamma=0.75).item() == pytest.approx(dice**0.75, rel=1e-3)


def test_focal_tversky_minds_a_miss_more_than_an_error_and_is_silent_where_nothing_is_known():
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    known = torch.ones(1, 1, 4)
    missed, error = torch.tensor([[[20.0, -20.0, -20.0, -20.0]]]), torch.tensor([[[20.0, 20.0, 20.0, -20.0]]])
    assert focal_tversky(missed, target, known) > focal_tversky(error, target, known)
    unknown = known.clone()
    unknown[..., 1] = 0
    assert focal_tversky(missed, target, unknown).item() == pytest.approx(0, abs=1e-3)


def test_the_slope_of_focal_tversky_is_finite_at_a_perfect_answer():
    logits = torch.tensor([[[60.0, -60.0]]], requires_grad=True)
    focal_tversky(logits, torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, 2)).backward()
    assert torch.isfinite(logits.grad).all()
