"""Random fields have the mean, variance and grain they promise."""

import numpy as np
import pytest

from graticule.simulate.fields import band_field, smooth_field


@pytest.mark.parametrize("shape", [(256, 256), (255, 301), (40, 50, 60)])
def test_fields_have_mean_zero_and_variance_one(shape):
    rng = np.random.default_rng(0)
    many = [band_field(rng, shape, frequency=0.08, width=0.05) for _ in range(3)]
    assert np.mean(many) == pytest.approx(0, abs=1e-3)
    assert np.var(many) == pytest.approx(1, rel=0.05)


def test_a_smooth_field_forgets_after_twice_its_correlation_length():
    rng = np.random.default_rng(0)
    field = smooth_field(rng, (512, 512), correlation_px=10)
    lagged = [np.mean(field * np.roll(field, lag, axis=0)) for lag in (2, 20)]
    assert lagged[0] > 0.9
    assert abs(lagged[1]) < 0.15


def test_a_band_has_its_power_where_it_was_asked_for():
    field = band_field(np.random.default_rng(0), (512, 512), frequency=0.2, width=0.02)
    power = np.abs(np.fft.fft2(field)) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    assert power[np.abs(radius - 0.2) < 0.04].sum() > 0.95 * power.sum()
