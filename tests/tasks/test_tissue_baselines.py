import numpy as np
import pytest

from graticule.errors import SettingsError
from graticule.tasks.tissue_baselines import TissueDog, TissueOtsu
from tests.sections import section
from tests.tasks.test_tissue_texture import dice, maps


def mask(task, pixels):
    return np.asarray(task.decode(maps(task, pixels)).image.data)


@pytest.mark.parametrize("invert", [False, True])
def test_grey_levels_tell_tissue_from_even_resin_whichever_is_brighter(invert):
    grey, truth = section()
    assert dice(mask(TissueOtsu(), 255 - grey if invert else grey), truth) > 0.9


def test_grey_levels_do_not_where_resin_is_shaded():
    grey, truth = section()
    assert dice(mask(TissueOtsu(), grey - np.linspace(0, 120, grey.shape[1], dtype=np.float32)), truth) < 0.85


def test_a_difference_of_gaussians_finds_tissue_but_not_its_outline():
    grey, truth = section()
    assert 0.7 < dice(mask(TissueDog(), grey), truth) < 0.97


@pytest.mark.parametrize("task", [TissueOtsu(), TissueDog()])
def test_a_constant_holds_no_tissue(task):
    assert not mask(task, np.full((50, 60), 7, np.uint8)).any()


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match="smooth_sigma 0"):
        TissueOtsu(smooth_sigma=0)
    with pytest.raises(SettingsError, match="block_size 0"):
        TissueDog(block_size=0)
