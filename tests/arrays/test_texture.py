"""Filters, windows and what is measured; whole masks are tested in tests/tasks/test_tissue_texture.py."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from graticule.arrays import texture
from graticule.arrays.texture import ALL_TISSUE, NO_TISSUE, Scales
from graticule.errors import SettingsError
from graticule.image import Image
from tests.sections import curtains, grain, section

NOISE = np.random.default_rng(0).standard_normal((203, 310), np.float32)
SCALES = Scales()


def evidence(plane, scales=SCALES):
    return texture.evidence(texture.pool(np.asarray(plane, np.float32), scales), scales)[0]


def plane_of(seed=0, **changes):
    """A section as it is prepared: its noise has standard deviation 1."""
    grey, truth = section(seed, **changes)
    return ((grey.astype(np.float32) - 160) / 4).astype(np.float32), truth


# -- filters -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_blur_is_a_gaussian(sigma):
    reach = texture.radius(sigma)
    expected = ndimage.gaussian_filter(NOISE, sigma, radius=reach)[reach:-reach, reach:-reach]
    assert texture.blur(NOISE, sigma) == pytest.approx(expected, abs=1e-6)


def test_cells_hold_means_over_their_pixels():
    cells = texture.pool(NOISE, SCALES)
    blocks = NOISE[:200, :308].reshape(50, 4, 77, 4)
    assert cells.grey.shape == (51, 78)
    assert cells.grey[:50, :77] == pytest.approx(blocks.mean(axis=(1, 3)), abs=1e-5)
    assert cells.variance[:50, :77] == pytest.approx(blocks.var(axis=(1, 3)), abs=1e-5)


def test_a_cell_that_the_plane_only_part_fills_is_filled_with_edge_pixels():
    cells = texture.pool(NOISE, SCALES)
    assert cells.grey[0, -1] == pytest.approx(np.pad(NOISE, ((0, 0), (0, 2)), mode="edge")[:4, 308:].mean(), abs=1e-5)


def test_gradients_are_those_along_rows_and_columns_of_the_plane():
    y, x = np.mgrid[:80, :80].astype(np.float32)
    cells = texture.pool(3 * y + x, SCALES)
    inner = (slice(4, -4),) * 2
    assert cells.yy[inner] == pytest.approx(36, rel=1e-4)
    assert cells.xx[inner] == pytest.approx(4, rel=1e-4)
    assert cells.xy[inner] == pytest.approx(12, rel=1e-4)


@settings(max_examples=15)
@given(top=st.integers(0, 20), left=st.integers(0, 20), height=st.integers(40, 60), width=st.integers(40, 60))
def test_a_window_that_starts_at_a_cell_gives_the_bits_of_the_whole_but_for_its_margin(top, left, height, width):
    whole = texture.pool(NOISE, SCALES)
    window = NOISE[4 * top : 4 * (top + height), 4 * left : 4 * (left + width)]
    part = texture.pool(np.ascontiguousarray(window), SCALES)
    rows, columns = slice(2, part.grey.shape[0] - 2), slice(2, part.grey.shape[1] - 2)
    for name in ("grey", "variance", "dog", "down", "across", "yy", "xx", "xy"):
        there = getattr(whole, name)[top : top + part.grey.shape[0], left : left + part.grey.shape[1]]
        assert np.array_equal(getattr(part, name)[rows, columns], there[rows, columns])


@pytest.mark.parametrize("scales", [SCALES, Scales(block_size=30, texture_sigma=2.0, edge_sigma=1.1)])
def test_nothing_is_seen_further_away_than_is_said_nor_much_less_far(scales, monkeypatch):
    monkeypatch.setattr(
        texture, "STEPS", np.float32(2**22)
    )  # as good as no rounding, which hides the faintest influence
    plane, _ = plane_of(shape=(600, 600))
    resin = texture.measure([plane], scales)
    assert resin.contrast, "or the widest window of all would not count"
    soft = replace(resin, width=2.0)  # so that no confidence is quite 0 or 1
    changed = plane.copy()
    changed[:, 300:] = 9 * np.random.default_rng(1).standard_normal((600, 300))
    before, after = (texture.confidence(p, soft, scales) for p in (plane, changed))
    first = int(np.flatnonzero((before != after).any(axis=0))[0])
    assert 300 - scales.reach_px <= first <= 300 - scales.reach_px + 4 * texture.CELL


# -- evidence ------------------------------------------------------------------------------------------------------------


def test_the_tensor_is_smoothed_noise_has_no_direction_and_stripes_have():
    only = Scales(terms=("tensor",))
    stripes = curtains(np.random.default_rng(0))
    assert np.median(evidence(grain(np.random.default_rng(0), 0), only)) > np.log(0.6)
    assert np.median(evidence(stripes, only)) < np.log(0.1)


def test_a_ramp_of_grey_is_no_texture():
    ramp = 3 * np.arange(310, dtype=np.float32)
    inner = (slice(8, -8),) * 2
    assert evidence(NOISE + ramp)[inner] == pytest.approx(evidence(NOISE)[inner], abs=0.02)


def test_evidence_grows_with_what_there_is_to_see():
    rng = np.random.default_rng(0)
    noise, structure = grain(rng, 0), grain(rng, 1.5)
    levels = [float(np.median(evidence(noise + share * structure))) for share in (0, 0.5, 1, 2)]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 1


def test_blank_margins_do_not_count():
    framed = np.zeros((303, 410), np.float32)
    framed[50:253, 50:360] = NOISE + 10
    seen = evidence(framed)
    assert np.isneginf(seen[:8]).all()
    assert np.isfinite(seen[16:60, 16:86]).all()


# -- what is measured ----------------------------------------------------------------------------------------------------


def test_the_limit_lies_between_resin_and_tissue():
    plane, truth = plane_of()
    resin = texture.measure([plane], SCALES)
    seen = evidence(plane)
    inside, outside = (ndimage.binary_erosion(m, iterations=30)[2::4, 2::4] for m in (truth, ~truth))
    assert np.percentile(seen[outside], 90) < resin.limit < np.percentile(seen[inside], 2)


def test_resin_is_brighter_than_tissue_or_darker():
    plane, _ = plane_of()
    bright, dark = texture.measure([plane], SCALES), texture.measure([-plane], SCALES)
    assert bright.contrast == pytest.approx(-dark.contrast, rel=1e-3)
    assert bright.contrast == pytest.approx((180 - 135) / 4, rel=0.3)


def test_where_greys_are_alike_they_do_not_count():
    rng = np.random.default_rng(0)
    _, truth = section()
    plane = (grain(rng, 0) + np.where(truth, 3 * grain(rng, 1.5), 0)).astype(np.float32)
    resin = texture.measure([plane], SCALES)
    assert resin.contrast == 0
    assert np.isfinite(resin.limit)


def test_noise_alone_is_resin_and_a_constant_is_no_tissue():
    assert np.isfinite(texture.measure([NOISE], SCALES).limit)
    assert texture.measure([np.full((100, 100), 3.0, np.float32)], SCALES) == NO_TISSUE


def test_where_all_is_structure_all_is_tissue():
    rng = np.random.default_rng(0)
    plane = (grain(rng, 0) + 5 * grain(rng, 6)).astype(np.float32)
    assert texture.measure([plane], SCALES) == ALL_TISSUE


def test_without_variance_smooth_structure_would_pass_for_noise():
    rng = np.random.default_rng(0)
    plane = (grain(rng, 0) + 5 * grain(rng, 8)).astype(np.float32)
    assert texture.measure([plane], SCALES) == ALL_TISSUE
    assert texture.measure([plane], replace(SCALES, terms=("texture", "tensor", "edges"))) != ALL_TISSUE


GATES = ({"contrast": 0.0}, {"contrast": 0.0, "variance": 0.0})


def test_a_block_that_varies_no_more_than_resin_holds_no_tissue():
    plane, truth = plane_of()
    resin = texture.measure([plane], SCALES)
    quiet = ndimage.binary_erosion(~truth, iterations=60)
    low = float(np.median(evidence(plane)[quiet[2::4, 2::4]]))  # half of all noise passes for texture
    gated, free = (texture.confidence(plane, replace(resin, limit=low, **more), SCALES)[quiet] for more in GATES)
    assert gated.mean() < 0.2 * free.mean()


@given(values=st.lists(st.integers(0, 50), min_size=2, max_size=60))
def test_otsu_parts_the_groups_that_lie_farthest_apart(values):
    ours = texture.otsu(np.array(values, float))

    def apart(threshold):
        low, high = ([v for v in values if (v <= threshold) is side] for side in (True, False))
        return len(low) * len(high) * (np.mean(low) - np.mean(high)) ** 2 if low and high else 0.0

    assert apart(ours) == pytest.approx(max(apart(v) for v in values))


# -- sampling ------------------------------------------------------------------------------------------------------------


class Counting:
    """An array of any size that says how much of it was read."""

    def __init__(self, shape):
        self.shape, self.dtype, self.read = shape, np.dtype(np.uint8), 0

    def __getitem__(self, key):
        out = np.zeros(
            [len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True) if isinstance(k, slice)]
        )
        self.read += out.size
        return out


def test_all_of_a_small_image_is_measured_and_a_part_of_a_large_one():
    assert sum(w.size for w in texture.sampled(Image(np.zeros((5, 600, 700)), "zyx", (1.0,) * 3))) == 5 * 600 * 700
    large = Counting((2000, 50_000, 50_000))
    windows = list(texture.sampled(Image(large, "zyx", (1.0,) * 3)))
    assert large.read <= texture.MOST_WINDOWS * texture.WINDOW**2
    assert len(windows) > texture.MOST_WINDOWS / 8


# -- settings ------------------------------------------------------------------------------------------------------------


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match="block_size 8"):
        Scales(block_size=8)
    with pytest.raises(SettingsError, match="not variance alone"):
        Scales(terms=("variance",))
    with pytest.raises(SettingsError, match="found terms"):
        Scales(terms=("texture", "colour"))
