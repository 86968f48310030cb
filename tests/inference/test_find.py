"""Points of any size: blocks find what one pass finds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from graticule.arrays.peaks import find_peaks
from graticule.image import Image
from graticule.inference import make_plan
from graticule.inference.find import Finding, load, owned, save
from graticule.inference.gate import Gate
from graticule.inference.store import Store
from graticule.results import Points
from graticule.task import Grid

GRID = Grid(spacing_um=(), tile=(16, 16, 16), halo=(6, 6, 6))


class Peaks:
    """Tops of a blurred image."""

    calls = 0

    def forward(self, batch):
        Peaks.calls += 1
        return gaussian_filter(batch, (0, 0, *(1.0,) * (batch.ndim - 2)), truncate=3, mode="constant")

    def decode(self, maps):
        cells, heights = find_peaks(np.asarray(maps.data[0]), min_distance=1, threshold=0.02)
        return Points(maps.to_um(cells), heights.astype(float), np.zeros(len(cells), int), ("spot",))


def spots(shape, seed=0, count=30):
    rng = np.random.default_rng(seed)
    voxels = np.zeros(shape, np.float32)
    for place in zip(*(rng.integers(0, n, count) for n in shape), strict=True):
        voxels[place] = 1 + rng.random()
    return Image(voxels, "zyx"[-len(shape) :], (0.5,) * len(shape), (3.0,) * len(shape))


def finding(image, folder, tile=16, gate=None, resume=False):
    task = Peaks()
    grid = replace(GRID.of(image.ndim), tile=(tile,) * image.ndim)
    store = (Store.resume if resume else Store.begin)(folder, {})
    plan = make_plan(image, grid)
    return Finding(
        task=task, forward=task.forward, prepare=lambda p: p[None], image=image, plan=plan, store=store, gate=gate
    )


def in_order(points):
    return points.position_um[np.lexsort(points.position_um.T)]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.tuples(st.integers(3, 60), st.integers(3, 60)),
        st.tuples(st.integers(2, 24), st.integers(3, 30), st.integers(3, 40)),
    ),
    st.integers(0, 9),
)
def test_blocks_find_what_one_pass_finds(tmp_path, shape, seed):
    image = spots(shape, seed)
    tiled, _ = finding(image, tmp_path / "a").go()
    whole, _ = finding(image, tmp_path / "b", tile=999).go()
    np.testing.assert_array_equal(in_order(tiled), in_order(whole))


@given(st.integers(1, 50), st.integers(1, 20))
def test_every_place_is_owned_by_exactly_one_block(length, size):
    image = Image(np.zeros((length, 3)), "yx", (1.0, 1.0))
    plan = make_plan(image, Grid(spacing_um=(), tile=(1, size, 3), halo=(0, 1, 1)))
    along = np.append(np.linspace(-0.7, length - 0.3, 60), np.arange(length) + 0.5)
    places = np.stack([along, np.ones(len(along))], axis=1)
    owners = sum(owned(places, block.write, plan.shape).astype(int) for block in plan.blocks)
    assert (owners == 1).all()


def test_a_mask_spares_work_and_loses_nothing_inside_it(tmp_path):
    image = spots((64, 64), count=80)
    allowed = np.zeros(image.shape, np.uint8)
    allowed[:, :32] = 1
    everything, _ = finding(image, tmp_path / "all").go()
    Peaks.calls = 0
    found, work = finding(image, tmp_path / "masked", gate=Gate(replace(image, data=allowed), image)).go()
    assert (work.blocks, work.skipped, Peaks.calls) == (16, 8, 8)
    inside = everything[np.round(image.to_voxels(everything.position_um))[:, 1] < 32]
    np.testing.assert_array_equal(in_order(found), in_order(inside))


def test_nothing_at_all_is_a_result(tmp_path):
    image = spots((40, 40))
    found, work = finding(
        image, tmp_path / "run", gate=Gate(replace(image, data=np.zeros(image.shape, np.uint8)), image)
    ).go()
    assert len(found) == 0
    assert found.kinds == ("spot",)
    assert work.skipped == work.blocks


def test_a_run_that_was_stopped_goes_on_where_it_stopped(tmp_path):
    image = spots((48, 48))
    whole, _ = finding(image, tmp_path / "straight").go()
    job = finding(image, tmp_path / "stopped")
    (job.store.folder / "points").mkdir()
    for block in (0, 3, 4):
        job._compute(block)
    Peaks.calls = 0
    found, _ = finding(image, tmp_path / "stopped", resume=True).go()
    assert Peaks.calls == 9 - 3
    np.testing.assert_array_equal(found.position_um, whole.position_um)


@pytest.mark.parametrize("sized", [True, False])
def test_points_saved_and_loaded_are_the_same(tmp_path, sized):
    points = Points(np.ones((2, 3)), np.array([0.5, 1]), np.array([0, 1]), ("a", "b"), np.ones(2) if sized else None)
    save(points, tmp_path / "p.npz")
    again = load(tmp_path / "p.npz")
    assert again.kinds == points.kinds
    np.testing.assert_array_equal(again.position_um, points.position_um)
    assert (again.diameter_um is None) == (not sized)
