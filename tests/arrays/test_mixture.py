import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.mixture import two_gaussians


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    rare=st.sampled_from([0.01, 0.05, 0.3]),
    apart=st.sampled_from([8.0, 15.0]),
    offset=st.sampled_from([-50.0, 0.0, 1e4]),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_two_populations_are_told_apart_however_rare_and_in_whatever_unit(seed, rare, apart, offset, scale):
    rng = np.random.default_rng(seed)
    bright = rng.random(40_000) < rare
    values = offset + scale * np.where(bright, rng.normal(apart, 1.5, bright.size), rng.normal(0, 1, bright.size))
    found = two_gaussians(values)
    assert found is not None
    assert found.share[1] == pytest.approx(rare, rel=0.15)
    assert found.mean == pytest.approx((offset, offset + scale * apart), abs=0.3 * scale)
    wrong = (values > found.threshold) != bright
    assert wrong.mean() < 0.3 * rare


def test_the_threshold_lies_between_the_means_also_where_the_bright_are_spread_wide():
    """A wide population also claims what is darker than anything: that is no foreground."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 0.1, 50_000), rng.normal(0.5, 0.8, 3_000)])
    found = two_gaussians(values)
    assert found is not None
    assert found.mean[0] < found.threshold < 1.0


def test_the_same_values_in_any_order_give_the_same_mixture():
    values = np.random.default_rng(1).gamma(2.0, 3.0, 5_000)
    assert two_gaussians(values) == two_gaussians(values[::-1]) == two_gaussians(values.reshape(50, 100))


def test_values_that_are_all_alike_have_no_two_populations():
    assert two_gaussians(np.full((4, 5), 7.0)) is None
