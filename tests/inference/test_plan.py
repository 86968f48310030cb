import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.errors import FormatError, MemoryLimitError
from graticule.image import Image
from graticule.inference import make_plan
from graticule.task import Grid

GRID = Grid(spacing_um=(1.0, 1.0), tile=(32, 32), halo=(8, 8))
ANY = Grid(spacing_um=(), tile=(64, 512, 512), halo=(0, 16, 16), multiple=16, side_by_side=True, bytes_per_voxel=40)
RIGID = Grid(spacing_um=(1.0,) * 3, tile=(48, 48, 48), halo=(8, 8, 8), multiple=8, rigid=True, bytes_per_voxel=100)


def volume(*shape):
    return Image(np.broadcast_to(np.uint8(0), shape), "zyx"[-len(shape) :], (1.0,) * len(shape))


def test_a_plan_says_what_a_run_will_do():
    assert str(make_plan(Image(np.zeros((40, 60)), "yx", (1.0, 1.0)), GRID)).startswith("4 tile(s)")


def test_a_volume_is_refused_by_a_model_made_for_planes():
    with pytest.raises(FormatError, match="this model is for planes; choose one plane"):
        make_plan(Image(np.zeros((3, 40, 60)), "zyx", (1.0, 1.0, 1.0)), GRID)


def test_a_plane_is_refused_by_a_model_made_for_volumes():
    with pytest.raises(FormatError, match="this model is for volumes; give the whole stack"):
        make_plan(Image(np.zeros((40, 60)), "yx", (1.0, 1.0)), RIGID)


def test_several_channels_are_refused():
    with pytest.raises(FormatError, match="--channel"):
        make_plan(Image(np.zeros((3, 40, 60)), "cyx", (1.0, 1.0)), GRID)


def test_a_grid_without_spacing_takes_planes_and_volumes():
    assert make_plan(volume(700, 700), ANY).tiles[0].read.shape == (368, 368)
    assert make_plan(volume(30, 700, 700), ANY).tiles[0].read.shape == (32, 368, 368)


@settings(deadline=None)
@given(st.tuples(st.integers(1, 200), st.integers(1, 900), st.integers(1, 900)), st.sampled_from([ANY, RIGID]))
def test_blocks_begin_at_chunks_and_cover_every_voxel_once(shape, grid):
    chunk = (48, 96, 96) if grid.rigid else (64, 128, 128)
    plan = make_plan(volume(*shape), grid, chunk=chunk, memory=2 * 10**9, workers=2)
    voxels = 0
    for block in plan.blocks:
        assert all(a % c == 0 for a, c in zip(block.write.start, chunk, strict=True))
        assert sum(np.prod(tile.write.shape) for tile in block.tiles) == np.prod(block.write.shape)
        voxels += np.prod(block.write.shape)
    assert voxels == np.prod(shape)


def test_less_memory_means_fewer_blocks_at_once_then_smaller_ones():
    image = volume(64, 2048, 2048)
    free = make_plan(image, ANY, chunk=(64, 128, 128), workers=2)
    assert (free.workers, len(free.blocks)) == (2, 16)
    one = make_plan(image, ANY, chunk=(64, 128, 128), memory=int(free.peak_bytes * 0.6), workers=2)
    assert (one.workers, one.blocks) == (1, free.blocks)
    small = make_plan(image, ANY, chunk=(64, 128, 128), memory=free.peak_bytes // 5, workers=2)
    assert len(small.blocks) > len(free.blocks)
    assert small.peak_bytes <= free.peak_bytes // 5


@given(st.integers(120 * 10**6, 4 * 10**9), st.tuples(st.integers(1, 300), st.integers(1, 5000), st.integers(1, 5000)))
def test_a_plan_never_takes_more_than_it_may(memory, shape):
    assert make_plan(volume(*shape), ANY, chunk=(64, 128, 128), memory=memory, workers=4).peak_bytes <= memory


def test_too_little_memory_is_refused_with_what_is_needed():
    with pytest.raises(MemoryLimitError, match=r"needs .* MB"):
        make_plan(volume(64, 2048, 2048), ANY, chunk=(64, 128, 128), memory=10**6)


def test_a_rigid_lattice_stays_where_it_is_whatever_memory_there_is():
    image = volume(100, 300, 200)
    plans = [make_plan(image, RIGID, chunk=(48, 96, 96), memory=m) for m in (None, 200 * 10**6)]
    tiles = [sorted(plan.tiles, key=lambda t: t.write.start) for plan in plans]
    assert tiles[0] == tiles[1]
    assert all(a % 48 == 0 for tile in tiles[0] for a in tile.write.start)
