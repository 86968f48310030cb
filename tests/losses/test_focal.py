import pytest
import torch

from graticule.losses.focal import centre_focal, smooth_l1_at


def case():
    heat = torch.zeros(1, 1, 5, 5)
    heat[0, 0, 2, 2] = 1.0
    heat[0, 0, 2, 3] = 0.6
    return heat, torch.ones(1, 1, 5, 5)


def test_it_is_cornernets_formula():
    heat, known = case()
    logits = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.sigmoid()
    expected = 0.0
    for y in range(5):
        for x in range(5):
            h, q = float(heat[0, 0, y, x]), p[0, 0, y, x]
            expected -= (1 - q) ** 2 * q.log() if h == 1 else (1 - h) ** 4 * q**2 * (1 - q).log()
    assert float(centre_focal(logits, heat.double(), known.double())) == pytest.approx(float(expected), rel=1e-5)


def test_only_a_peak_of_exactly_one_is_a_centre():
    """The published bug: peaks of 0.93 gave no positive signal at all."""
    heat, known = case()
    sure = torch.full((1, 1, 5, 5), -8.0)
    sure[0, 0, 2, 2] = 8.0
    assert centre_focal(sure, heat, known) < 1e-3
    blurred = heat.clone()
    blurred[0, 0, 2, 2] = 0.93
    missed = torch.full((1, 1, 5, 5), -8.0)
    assert centre_focal(missed, heat, known) > 1
    assert centre_focal(missed, blurred, known) < 1e-3


def test_what_is_unknown_teaches_nothing():
    heat, known = case()
    known[0, 0, 0] = 0
    logits = torch.zeros(1, 1, 5, 5, requires_grad=True)
    centre_focal(logits, heat, known).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0, 0] == 0).all()
    assert (logits.grad[0, 0, 1:] != 0).all()


def test_extreme_scores_stay_finite():
    heat, known = case()
    logits = torch.full((1, 1, 5, 5), 200.0, requires_grad=True)
    loss = centre_focal(logits, heat, known)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_patch_without_any_object_still_teaches_background():
    assert centre_focal(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5)) > 0


def test_offsets_count_only_at_centres_and_by_their_number():
    where = torch.zeros(1, 1, 4, 4)
    where[0, 0, 1, 1] = where[0, 0, 2, 2] = 1
    wanted = torch.zeros(1, 2, 4, 4)
    predicted = torch.full((1, 2, 4, 4), 5.0)
    predicted[:, :, 1, 1] = 0.0
    one = smooth_l1_at(predicted, wanted, where)
    assert one == pytest.approx((5 - 0.05) / 2, rel=1e-4)
    assert smooth_l1_at(predicted, wanted, torch.zeros_like(where)) == 0
