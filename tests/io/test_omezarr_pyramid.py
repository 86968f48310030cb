import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.image import Image
from graticule.io import omezarr, omezarr_pyramid, read, write
from graticule.io.omezarr_pyramid import factors, levels, mean, mode

STEPS = st.tuples(*(st.integers(1, 2) for _ in range(3)))
BLOCKS = st.tuples(*(st.integers(1, 6) for _ in range(3)))


def one_by_one(block, step, reduce):
    shape = tuple(-(-n // f) for n, f in zip(block.shape, step, strict=True))
    out = np.empty(shape)
    for at in np.ndindex(shape):
        out[at] = reduce(block[tuple(slice(i * f, (i + 1) * f) for i, f in zip(at, step, strict=True))])
    return out


@given(BLOCKS, STEPS, st.integers(0, 99))
def test_coarse_voxels_are_means_of_the_fine_ones_in_them(shape, step, seed):
    block = np.random.default_rng(seed).normal(size=shape)
    expected = one_by_one(block[tuple(slice(n - n % f or n) for n, f in zip(shape, step, strict=True))], step, np.mean)
    inside = tuple(slice(n) for n in expected.shape)
    assert np.allclose(mean(block, step)[inside], expected)


@given(BLOCKS, STEPS, st.integers(0, 99))
def test_coarse_labels_are_among_the_most_frequent_of_the_fine_ones(shape, step, seed):
    block = np.random.default_rng(seed).integers(0, 3, shape)
    found = mode(block, step)
    for at in np.ndindex(found.shape):
        window = np.pad(block, [(0, -n % f) for n, f in zip(shape, step, strict=True)], mode="edge")[
            tuple(slice(i * f, (i + 1) * f) for i, f in zip(at, step, strict=True))
        ]
        counts = np.bincount(window.ravel(), minlength=3)
        assert counts[found[at]] == counts.max()


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i8", "f4", "f8"])
def test_the_mean_of_equal_voxels_is_that_value(dtype):
    top = np.finfo(dtype).max / 16 if dtype[0] == "f" else min(np.iinfo(dtype).max, 2**50)
    block = np.full((3, 3), top, dtype)
    assert (mean(block, (2, 2)) == block[0, 0]).all()
    assert mean(block, (2, 2)).dtype == dtype


def test_means_of_whole_numbers_are_rounded_not_cut():
    assert mean(np.array([[0, 1], [1, 1]], np.uint8), (2, 2)).tolist() == [[1]]
    assert mean(np.array([[-2, -1], [-2, -2]], np.int16), (2, 2)).tolist() == [[-2]]


def test_labels_are_elected():
    assert mode(np.array([[[3, 3], [5, 5]], [[7, 7], [5, 0]]]), (2, 2, 2)).tolist() == [[[5]]]
    assert mode(np.array([[4, 9], [9, 4]]), (2, 2)).tolist() == [[4]]


def test_voxels_become_cubes_before_they_become_coarser():
    assert levels("zyx", (200, 4000, 4000), (0.05, 0.01, 0.01)) == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert levels("zyx", (30, 256, 40), (1, 1, 1)) == []
    assert factors("czyx", (3, 1, 900, 900), (0.001, 1, 1)) == (1, 1, 2, 2)
    assert levels("zyx", (1000, 4, 4), (9, 1, 1))[-1] == (2, 1, 1)


def filled(folder, **more):
    voxels = np.random.default_rng(0).integers(0, 5, (20, 300, 610)).astype("u2")
    array = omezarr.create(
        folder, axes="zyx", shape=voxels.shape, dtype="u2", spacing_um=(2, 1, 1), name="same", **more
    )
    array[...] = voxels
    return folder


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_levels_lie_where_their_voxels_do(tmp_path):
    z, y, x = np.ogrid[:20, :300, :610]
    ramp = (0.1 * z + 0.2 * y + 0.3 * x).astype("f4")
    write(Image(ramp, "zyx", (0.2, 0.1, 0.1), (5, 6, 7)), tmp_path / "a.zarr")
    for level in (1, 2):
        image = read(f"{tmp_path / 'a.zarr'}:{level}")
        corner = image.to_um(np.array([[1, 2, 3]]))
        at = read(tmp_path / "a.zarr").to_voxels(corner)[0]
        assert image.data[1, 2, 3] == pytest.approx(at @ (0.1, 0.2, 0.3), abs=1e-3)


def test_blocks_give_what_the_whole_gives(tmp_path):
    folder = filled(tmp_path / "a.zarr")
    omezarr.add_pyramid(folder)
    first = read(f"{folder}:1").data[...]
    assert np.array_equal(first, mean(read(folder).data[...], (1, 2, 2)))


def test_after_a_kill_the_rest_is_done_to_the_same_bytes(tmp_path):
    class Killed(Exception):
        pass

    def kill(done, total):
        if done == 6:
            raise Killed

    whole, killed = filled(tmp_path / "a", labels=True), filled(tmp_path / "b", labels=True)
    seen = []
    omezarr.add_pyramid(whole, lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]
    with pytest.raises(Killed):
        omezarr.add_pyramid(killed, kill)
    listed = json.loads((killed / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]["datasets"]
    assert 1 <= len(listed) < len(omezarr_pyramid.levels("zyx", (20, 300, 610), (2, 1, 1))) + 1
    omezarr.add_pyramid(killed)
    assert content(whole) == content(killed)
    omezarr.add_pyramid(killed)
    assert content(whole) == content(killed)
