"""The replica: flat ground transmits 1, and what stands out casts light and shade along the light."""

import numpy as np
import pytest

from graticule.simulate.replica import Replica, islands, places

SHAPE = (120, 140)


def replica(**changes):
    flat = {
        "shape": SHAPE,
        "nm_per_px": 0.56,
        "light_rad": 0.0,
        "islands": np.ones(SHAPE, np.float32),
        "bumps_per_um2": 0.0,
        "edges": 0,
        "blots": 0,
    }
    return Replica(**(flat | changes))


def test_places_are_as_thick_as_their_share_says():
    share = np.zeros(SHAPE, np.float32)
    share[:, :70] = 1
    share[:60, :70] = 3
    found = places(np.random.default_rng(0), share, 4000)
    assert found[:, 1].max() <= 69.5
    assert np.mean(found[:, 0] < 59.5) == pytest.approx(0.75, abs=0.03)


def test_islands_cover_about_the_share_asked_for():
    patches = islands(np.random.default_rng(1), (300, 300), correlation_px=30, cover=0.4)
    assert 0 <= patches.min() <= patches.max() <= 1
    assert np.mean(patches > 0.5) == pytest.approx(0.4, abs=0.05)


def test_ground_without_relief_is_near_one_everywhere():
    seen = replica().transmission(np.random.default_rng(0))
    assert seen.shape == SHAPE
    assert np.median(seen) == pytest.approx(1, abs=0.1)


def test_bumps_are_bright_on_one_side_and_dark_on_the_other():
    """With platinum from the right, brightness leads darkness along the last axis and not along the first."""
    seen = replica(bumps_per_um2=2000.0).transmission(np.random.default_rng(0)) - 1
    along = np.mean(np.roll(seen, 14, axis=1) * seen)
    beside = np.mean(np.roll(seen, 14, axis=0) * seen)
    assert seen.max() > 0.1
    assert along < beside


@pytest.mark.parametrize("changes", [{"bumps_per_um2": 1000.0}, {"edges": 3}, {"blots": 4}])
def test_every_kind_of_relief_changes_the_picture_and_stays_finite(changes):
    plain = replica().transmission(np.random.default_rng(3))
    marked = replica(**changes).transmission(np.random.default_rng(3))
    assert np.isfinite(marked).all()
    assert (marked > 0).all()
    assert np.abs(marked - plain).max() > 0.05
