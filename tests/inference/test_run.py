import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from graticule.box import Box, cover
from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference import Plan, make_plan, run
from graticule.inference.plan import Block
from graticule.inference.run import read_prepared
from graticule.task import Grid


def blur(batch):
    """A network that looks 3 voxels far."""
    return uniform_filter(batch, size=(1, 1, *(7,) * (batch.ndim - 2)), mode="constant")


def coarse_blur(batch):
    """The same, on cells of 2 x 2 voxels."""
    b, c, *space = batch.shape
    return blur(batch).reshape(b, c, space[0] // 2, 2, space[1] // 2, 2).mean(axis=(3, 5))


def plan_of(image, tile, halo, multiple=1, stride=1):
    n = image.ndim
    tiles = cover(image.shape, (tile,) * n, (halo,) * n, multiple)
    blocks = tuple(Block(tile.write, (tile,)) for tile in tiles)
    grid = Grid(image.spacing_um, (tile,) * n, (halo,) * n, multiple, stride)
    return Plan(image.shape, image.spacing_um, image.origin_um, blocks, grid)


def noise(shape):
    return Image(np.random.default_rng(0).random(shape).astype(np.float32), "zyx"[-len(shape) :], (1.0,) * len(shape))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 70), min_size=2, max_size=3))
def test_tiles_equal_one_pass_when_the_halo_covers_what_a_voxel_sees(shape):
    image = noise(tuple(shape[:2]) if max(shape) > 40 else tuple(shape))
    tiled = run(blur, lambda p: p[None], image, plan_of(image, 16, 3))
    whole = run(blur, lambda p: p[None], image, plan_of(image, 512, 3))
    assert np.allclose(tiled.data, whole.data, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 150), st.integers(1, 150))
def test_strided_tiles_equal_one_pass_for_any_size(height, width):
    image = noise((height, width))
    tiled = run(coarse_blur, lambda p: p[None], image, plan_of(image, 32, 4, 8, 2))
    whole = run(coarse_blur, lambda p: p[None], image, plan_of(image, 512, 4, 8, 2))
    assert tiled.shape == (-(-height // 2), -(-width // 2))
    assert np.allclose(tiled.data, whole.data, atol=1e-5)


def test_a_halo_too_small_would_show():
    image = noise((60, 60))
    tiled = run(blur, lambda p: p[None], image, plan_of(image, 16, 1))
    whole = run(blur, lambda p: p[None], image, plan_of(image, 512, 1))
    assert not np.allclose(tiled.data, whole.data, atol=1e-5)


def test_maps_lie_where_the_image_lies_cell_centres_between_voxels():
    image = Image(np.zeros((8, 8), np.float32), "yx", (0.5, 0.5), origin_um=(3.0, -2.0))
    plan = make_plan(image, Grid(spacing_um=(0.5, 0.5), tile=(4, 4), halo=(2, 2), multiple=2, stride=2))
    maps = run(coarse_blur, lambda p: p[None], image, plan)
    assert maps.spacing_um == (1.0, 1.0)
    assert np.allclose(maps.to_um(np.array([[0, 0]])), image.to_um(np.array([[0.5, 0.5]])))


def test_beyond_the_image_there_is_nothing_also_after_preparing():
    image = Image(np.arange(6.0).reshape(2, 3), "yx", (1.0, 1.0))
    assert read_prepared(image, Box((0, 0), (2, 4)), lambda p: p[None] + 1).tolist() == [[[1, 2, 3, 0], [4, 5, 6, 0]]]


def test_progress_is_told_tile_by_tile():
    image, told = noise((20, 20)), []
    run(blur, lambda p: p[None], image, plan_of(image, 10, 3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_pixels_that_are_not_numbers_are_refused():
    image = noise((10, 10))
    image.data[4, 4] = np.nan
    with pytest.raises(FormatError, match="NaN"):
        run(blur, lambda p: p[None], image, plan_of(image, 16, 3))


BLENDED = Grid((), (16, 16, 16), (6, 6, 6), rigid=True, blended=True)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 70), min_size=2, max_size=3))
def test_weights_of_blended_windows_add_up_to_one_everywhere(shape):
    image = noise(tuple(shape[:2]) if max(shape) > 40 else tuple(shape))
    ones = run(np.ones_like, lambda p: p[None], image, make_plan(image, BLENDED.of(image.ndim)))
    assert ones.shape == image.shape
    assert np.allclose(ones.data, 1, atol=1e-6)


def test_blended_windows_that_agree_are_one_pass_and_those_that_differ_meet_half_way():
    image, grid = noise((16, 64)), BLENDED.of(2)
    same = run(lambda b: b, lambda p: p[None], image, make_plan(image, grid))
    assert np.allclose(same.data[0], image.data, atol=1e-6)
    seen = iter(range(9))
    told = run(lambda b: np.full_like(b, next(seen)), lambda p: p[None], image, make_plan(image, grid)).data[0, 8]
    assert (np.diff(told) >= 0).all()
    assert (told[7], told[24], told[40]) == (0, 1, 2)
    assert told[15:17].mean() == pytest.approx(0.5, abs=1e-5)


def test_a_rest_of_a_tile_at_the_end_is_blended_too():
    image = noise((8, 35))
    ones = run(np.ones_like, lambda p: p[None], image, make_plan(image, BLENDED.of(2)))
    assert np.allclose(ones.data, 1, atol=1e-6)


def test_windows_narrower_than_what_they_share_cannot_be_blended():
    with pytest.raises(ValueError, match="cannot be blended"):
        Grid((), (8, 8), (6, 6), rigid=True, blended=True)
