import numpy as np
import pytest
import torch

pytest.importorskip("captum")

from graticule.nets.explainer import Effort, Explainer, blurred
from graticule.nets.forward import weights_of
from graticule.nets.unet import UNet


def make():
    return UNet(2, dimensions=2, channels=(4, 8, 8))


@pytest.fixture(scope="module")
def explainer():
    torch.manual_seed(0)
    return Explainer(make, {**weights_of(make()), "measured.level": np.array(1.0)}, "cpu")


PIXELS = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
CELLS = np.zeros((32, 32), bool)
CELLS[12:18, 12:18] = True


def test_the_answer_is_the_mean_logit_over_the_cells(explainer):
    reasons = explainer.why(PIXELS, 1, CELLS, Effort(steps=32))
    assert reasons.answer == pytest.approx(float(explainer.logits(PIXELS)[1][CELLS].mean()), abs=1e-5)
    assert reasons.without == pytest.approx(float(explainer.logits(0 * PIXELS)[1][CELLS].mean()), abs=1e-5)
    assert float(reasons.gradients.sum()) == pytest.approx(reasons.answer - reasons.without, rel=0.05, abs=1e-3)


def test_maps_have_the_size_of_the_window(explainer):
    reasons = explainer.why(PIXELS, 0, CELLS, Effort(steps=4, patch=8))
    assert reasons.patch == (8, 8)
    for values in (reasons.gradients, reasons.occluded, reasons.cam, reasons.gradients_unlearnt, reasons.cam_unlearnt):
        assert values.shape == (32, 32) and np.isfinite(values).all()


def test_what_was_learnt_makes_another_map_than_random_weights(explainer):
    reasons = explainer.why(PIXELS, 0, CELLS, Effort(steps=4))
    assert np.corrcoef(reasons.gradients.ravel(), reasons.gradients_unlearnt.ravel())[0, 1] < 0.9


def test_another_baseline_is_another_question(explainer):
    plain, other = (explainer.why(PIXELS, 0, CELLS, Effort(steps=4, baseline=b)) for b in ("zero", "blurred"))
    assert plain.answer == other.answer
    assert plain.without != other.without


def test_to_blur_what_is_the_same_everywhere_changes_nothing():
    flat = torch.full((1, 2, 12, 40), 3.0)
    assert torch.allclose(blurred(flat), flat, atol=1e-5)
    spot = torch.zeros((1, 1, 101, 101))
    spot[..., 50, 50] = 1
    assert float(blurred(spot).sum()) == pytest.approx(1, abs=1e-3)
    assert torch.allclose(blurred(spot), blurred(spot).transpose(-1, -2), atol=1e-8)


def test_filters_and_features_are_there_to_look_at(explainer):
    filters = explainer.filters(PIXELS)
    early, deepest = explainer.features(PIXELS)
    assert filters.shape[1:] == (1, 3, 3)
    assert early.shape == (4, 16, 16) and deepest.shape == (8, 8, 8)
