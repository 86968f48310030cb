from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.statistics import intervals


@pytest.mark.parametrize("mean", [0.5, 3.0, 20.0])
def test_a_poisson_interval_holds_the_mean_at_least_as_often_as_it_says(mean: float) -> None:
    counts = np.random.default_rng(0).poisson(mean, 2000)
    ends = {int(n): intervals.poisson(int(n)) for n in np.unique(counts)}
    held = np.mean([ends[int(n)][0] <= mean <= ends[int(n)][1] for n in counts])
    assert held >= 0.94


@given(seen=st.integers(1, 500), data=st.data())
def test_a_share_lies_in_its_interval_and_more_seen_narrows_it(seen: int, data) -> None:
    hits = data.draw(st.integers(0, seen))
    low, high = intervals.share(hits, seen)
    assert 0 <= low <= hits / seen <= high <= 1
    wider = intervals.share(hits, seen, level=0.99)
    assert wider[0] <= low and high <= wider[1]
    more = intervals.share(10 * hits, 10 * seen)
    assert more[1] - more[0] < high - low


def test_nothing_seen_says_nothing_of_a_share() -> None:
    assert intervals.share(0, 0) == (0.0, 1.0)
