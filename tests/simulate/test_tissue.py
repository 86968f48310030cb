"""Simulated tissue: the truth is exact, and what is called tissue looks unlike resin in every domain."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from graticule.errors import SettingsError
from graticule.simulate import SCENES
from graticule.simulate.tissue import DOMAINS, TissueScenes

PLANE = TissueScenes(dimensions=2, shape_px=(160, 144))
VOLUME = TissueScenes(shape_px=(32, 48, 40))


def truth(example):
    return np.asarray(example.truth.image.data)


@pytest.mark.parametrize("scene", [PLANE, VOLUME])
def test_the_same_seed_draws_the_same_image_and_another_another(scene):
    once, again, other = scene.draw(1), scene.draw(1), scene.draw(2)
    assert np.array_equal(once.image.data, again.image.data)
    assert np.array_equal(truth(once), truth(again))
    assert not np.array_equal(truth(once), truth(other))


def test_the_first_images_are_the_same_however_many_there_are():
    one, *_ = PLANE.examples(3, seed=5)
    (alone,) = PLANE.examples(1, seed=5)
    assert np.array_equal(one.image.data, alone.image.data)
    assert len({example.specimen for example in PLANE.examples(3)}) == 3


@pytest.mark.parametrize("scene", [PLANE, VOLUME])
def test_labels_lie_on_the_image_and_hold_about_as_much_tissue_as_asked_for(scene):
    for example in scene.examples(4):
        assert example.image.shape == truth(example).shape == scene.shape_px
        assert example.image.spacing_um == example.truth.image.spacing_um
        assert 0.15 < truth(example).mean() < 0.7
        assert set(np.unique(truth(example))) == {0, 1}


@pytest.mark.parametrize("domain", DOMAINS)
def test_tissue_has_more_texture_than_resin_in_every_domain(domain):
    ratios = []
    for example in replace(PLANE, domain=domain).examples(3, seed=1):
        grey = ndimage.gaussian_filter(example.image.data.astype(float), 1)
        spread = np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 9) - ndimage.uniform_filter(grey, 9) ** 2, 0))
        inside, outside = (
            ndimage.binary_erosion(part, iterations=6) for part in (truth(example) == 1, truth(example) == 0)
        )
        ratios.append(np.median(spread[inside]) / np.median(spread[outside]))
    assert np.median(ratios) > 1.5


def test_tissue_is_darker_than_resin_unless_the_domain_is_inverted():
    for domain, sign in (("block-face", -1), ("inverted", 1)):
        example = replace(PLANE, domain=domain).draw(3)
        inside, outside = (float(np.median(example.image.data[truth(example) == number])) for number in (1, 0))
        assert sign * (inside - outside) > 20


def test_tracheae_are_background_unless_they_are_a_class():
    scene = replace(VOLUME, classes=("tissue", "trachea"))
    both, mask = scene.draw(3), VOLUME.draw(3)
    assert np.array_equal(both.image.data, mask.image.data)
    assert np.array_equal(truth(both) == 1, truth(mask) == 1)
    assert (truth(both) == 2).any()
    assert not truth(mask)[truth(both) == 2].any()


def test_a_trachea_has_a_wall_of_tissue():
    both = truth(replace(VOLUME, classes=("tissue", "trachea")).draw(3))
    around = ndimage.binary_dilation(both == 2) & (both != 2)
    assert (both[around] == 1).mean() > 0.5


def test_planes_and_volumes_have_their_usual_sizes_unless_told_and_others_are_refused():
    assert TissueScenes().shape_px == (96, 96, 96)
    assert TissueScenes(dimensions=2).shape_px == (384, 384)
    assert TissueScenes(shape_px=(64, 64)).dimensions == 2
    assert SCENES["tissue"] is TissueScenes
    for wrong in ({"dimensions": 4}, {"shape_px": (8,)}, {"domain": "moon"}, {"classes": ("cell",)}):
        with pytest.raises(SettingsError, match="found"):
            TissueScenes(**wrong)
