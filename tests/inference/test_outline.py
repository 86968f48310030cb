"""Labels of any size: blocks equal the whole bit for bit, killed or not."""

import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label, uniform_filter

from graticule.arrays.regions import tidy
from graticule.errors import StoreError
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.inference.gate import Gate
from graticule.inference.outline import Outlining
from graticule.inference.store import Store
from graticule.results import Labels
from graticule.task import Grid, Regions

CHUNK = (8, 8, 8)
MASK = Regions()
STRIPE = 8  # voxels: some stripes begin where blocks do
GRID = Grid(spacing_um=(), tile=(16, 16, 16), halo=(4, 4, 4), multiple=1, bytes_per_voxel=30, side_by_side=True)


@dataclass(frozen=True)
class Bright:
    """Tissue is what is bright after a blur; objects are its connected pieces, cut where a stripe begins."""

    regions: Regions = MASK
    grid: Grid = GRID
    stripes: bool = False

    def prepare(self, pixels):
        return pixels[None].astype(np.float32) / 255

    def forward(self, batch):
        return uniform_filter(batch, (1, 1, *(3,) * (batch.ndim - 2)), mode="constant")

    def decode(self, maps):
        data = np.asarray(maps.data)[0]
        mask = data > 0.5
        if self.regions.objects:
            start = round((maps.origin_um[-1] - 1.0) / maps.spacing_um[-1])
            stripe = (np.arange(data.shape[-1]) + start) // STRIPE if self.stripes else np.zeros(data.shape[-1], int)
            found = np.zeros(data.shape, np.int32)
            for number in np.unique(stripe):
                part, count = label(mask & (stripe == number))
                found[part > 0] = part[part > 0] + found.max()
            mask = found
        return Labels(
            replace(maps, data=mask.astype(np.int32 if self.regions.objects else np.uint8), axes=maps.axes[1:])
        )


def blobs(shape, seed=0, sigma=2.0):
    """Bytes with as much bright as dark, in blobs a few voxels wide."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return (255 * (smooth > 0)).astype(np.uint8)


def image_of(voxels):
    return Image(voxels, "zyx"[-voxels.ndim :], (0.5,) * voxels.ndim, (1.0,) * voxels.ndim)


def outlining(task, image, folder, *, gate=None, workers=2, tile=None, resume=False, identity=None):
    grid = task.grid.of(image.ndim)
    grid = replace(grid, tile=tile or grid.tile, spacing_um=())
    plan = make_plan(image, grid, chunk=CHUNK[-image.ndim :], workers=workers)
    begin = Store.resume if resume else Store.begin
    return Outlining(
        task=task,
        regions=task.regions,
        forward=task.forward,
        prepare=task.prepare,
        image=image,
        plan=plan,
        store=begin(folder, identity or {"blocks": len(plan.blocks)}),
        chunk=CHUNK[-image.ndim :],
        gate=gate,
    )


def blocks(task, image, folder, **how):
    job = outlining(task, image, folder, **how)
    job.go()
    return np.asarray(job.labels.image.data[...]), np.asarray(job.confidence.data[...])


def whole(task, image, allowed=None):
    maps = run(
        task.forward, task.prepare, image, make_plan(image, replace(task.grid.of(image.ndim), tile=(999,) * image.ndim))
    )
    raw = np.asarray(task.decode(maps).image.data)
    confidence = np.round(maps.data[0] * 255).astype(np.uint8)
    if allowed is None:
        return tidy(raw, task.regions, image.spacing_um), confidence
    found = tidy(np.where(allowed, raw, 0), task.regions, image.spacing_um)
    return np.where(allowed, found, 0), np.where(allowed, confidence, 0)


SHAPES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 24), st.integers(1, 40), st.integers(1, 20)),
)
ASKED = st.builds(
    Regions,
    min_voxels=st.sampled_from([0, 1, 5, 40]),
    max_hole_voxels=st.sampled_from([0, 3, 60, None]),
    keep_largest=st.booleans(),
    grow_um=st.sampled_from([0.0, 0.0, 0.5, 1.2, -0.5]),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, ASKED, st.integers(0, 5), st.sampled_from([0.7, 2.0]))
def test_blocks_equal_the_whole_bit_for_bit(tmp_path, shape, asked, seed, sigma):
    task, image = Bright(asked), image_of(blobs(shape, seed, sigma))
    for ours, theirs in zip(blocks(task, image, tmp_path / "run"), whole(task, image), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, st.integers(0, 5), st.booleans(), st.sampled_from([0, 6]), st.sampled_from([0, 8]))
def test_objects_in_blocks_are_those_of_the_whole_with_the_same_numbers(tmp_path, shape, seed, stripes, least, holes):
    asked = Regions(objects=True, min_voxels=least, max_hole_voxels=holes)
    task, image = Bright(asked, stripes=stripes), image_of(blobs(shape, seed))
    ours, _ = blocks(task, image, tmp_path / "run")
    theirs, _ = whole(task, image)
    np.testing.assert_array_equal(ours, theirs)
    assert set(np.unique(ours)) - {0} == set(range(1, ours.max() + 1))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, st.integers(0, 5), st.booleans(), st.sampled_from([0, 6]), st.sampled_from([0, 8, None]))
def test_regions_numbered_in_blocks_are_those_of_the_whole_with_the_same_numbers(
    tmp_path, shape, seed, rigid, least, holes
):
    asked = Regions(numbered=True, min_voxels=least, max_hole_voxels=holes)
    task, image = Bright(asked, replace(GRID, rigid=rigid)), image_of(blobs(shape, seed))
    job = outlining(task, image, tmp_path / "run")
    job.go()
    ours = np.asarray(job.labels.image.data[...])
    np.testing.assert_array_equal(ours, whole(task, image)[0])
    assert set(np.unique(ours)) - {0} == set(range(1, ours.max() + 1))
    assert job.labelled == {"object": ours.max()}


@dataclass(frozen=True)
class TwoKinds(Bright):
    """Where a stripe is odd, what is bright is of the second kind."""

    def decode(self, maps):
        mask = super().decode(maps).image
        start = round((maps.origin_um[-1] - 1.0) / maps.spacing_um[-1])
        stripe = (np.arange(mask.shape[-1]) + start) // STRIPE % 2
        return Labels(replace(mask, data=(mask.data * (1 + stripe)).astype(np.uint8)))


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, st.integers(0, 5), st.sampled_from([0, 6]))
def test_every_numbered_region_is_of_one_kind_and_that_is_known(tmp_path, shape, seed, least):
    asked = Regions(numbered=True, min_voxels=least, kinds=("even", "odd"))
    task, image = TwoKinds(asked), image_of(blobs(shape, seed))
    job = outlining(task, image, tmp_path / "run")
    job.go()
    ours = np.asarray(job.labels.image.data[...])
    stripe = np.broadcast_to(np.arange(shape[-1]) // STRIPE % 2, shape)
    expected = {number: 1 + int(stripe[ours == number].max()) for number in range(1, ours.max() + 1)}
    assert job.kind_of == expected
    assert job.labelled == {"even": [*expected.values()].count(1), "odd": [*expected.values()].count(2)}


def test_two_objects_that_touch_at_the_face_of_a_block_stay_two(tmp_path):
    voxels = np.full((24, 4 * STRIPE), 255, np.uint8)
    task = Bright(Regions(objects=True), stripes=True)
    ours, _ = blocks(task, image_of(voxels), tmp_path / "run", tile=(24, 2 * STRIPE))
    assert ours.max() == 4


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ASKED, st.integers(0, 9))
def test_a_mask_clips_blocks_as_it_clips_the_whole(tmp_path, asked, seed):
    asked = replace(asked, grow_um=0.0)
    task, image = Bright(asked), image_of(blobs((12, 40, 36), seed))
    allowed = np.zeros(image.shape, bool)
    allowed[:, 3:20, 5:30] = True
    gate = Gate(replace(image, data=allowed.astype(np.uint8)), image)
    for ours, theirs in zip(blocks(task, image, tmp_path / "run", gate=gate), whole(task, image, allowed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.booleans(), st.integers(0, 9), st.sampled_from([0.4, 0.8, 1.2]))
def test_only_as_much_is_computed_as_the_mask_needs_and_to_the_same_bits(tmp_path, objects, rigid, seed, sparse):
    asked = Regions(objects=objects and not rigid, min_voxels=3, max_hole_voxels=4)
    task, image = (
        Bright(asked, replace(GRID, rigid=rigid, tile=(4, 8, 8) if rigid else (16, 32, 32))),
        image_of(blobs((12, 40, 36), seed)),
    )
    allowed = gaussian_filter(np.random.default_rng(seed).normal(size=image.shape), 3) > sparse * 0.05
    if not allowed.any():
        return
    gate = Gate(replace(image, data=allowed.astype(np.uint8)), image)
    for ours, theirs in zip(blocks(task, image, tmp_path / "run", gate=gate), whole(task, image, allowed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_corner_of_a_block_costs_a_corner_of_the_work(tmp_path):
    seen = []

    class Counts(Bright):
        def forward(self, batch):
            seen.append(batch.size)
            return super().forward(batch)

    task, image = Counts(MASK, replace(GRID, tile=(16, 64, 64))), image_of(blobs((16, 64, 64)))
    allowed = np.zeros(image.shape, np.uint8)
    allowed[:, 40:60, 10:30] = 1
    blocks(task, image, tmp_path / "run", gate=Gate(replace(image, data=allowed), image))
    assert seen == [16 * 28 * 28]


def test_blocks_without_any_mask_are_skipped_and_said(tmp_path):
    task, image = Bright(), image_of(blobs((16, 64, 64)))
    allowed = np.zeros(image.shape, np.uint8)
    allowed[:, :, :32] = 1
    job = outlining(task, image, tmp_path / "run", gate=Gate(replace(image, data=allowed), image))
    work = job.go()
    assert (work.blocks, work.skipped) == (16, 8)
    assert work.saved_seconds > 0
    assert job.labelled["object"] == int(np.count_nonzero(job.labels.image.data[...]))


def test_growing_stays_inside_the_mask(tmp_path):
    task, image = Bright(Regions(grow_um=1.5)), image_of(blobs((12, 40, 36)))
    allowed = np.zeros(image.shape, np.uint8)
    allowed[:, 4:30, 4:30] = 1
    ours, _ = blocks(task, image, tmp_path / "run", gate=Gate(replace(image, data=allowed), image))
    assert not ours[allowed == 0].any()
    assert ours.any()


@pytest.mark.parametrize("cored", [False, True])
def test_a_hole_in_the_mask_is_not_filled_and_not_counted(tmp_path, cored):
    image = image_of(np.full((40, 40), 255, np.uint8))
    task = Cored(replace(CORED, max_hole_voxels=None)) if cored else Bright(Regions(max_hole_voxels=None))
    allowed = np.ones(image.shape, np.uint8)
    allowed[10:30, 12:28] = 0
    job = outlining(task, image, tmp_path / "run", gate=Gate(replace(image, data=allowed), image))
    job.go()
    found = np.asarray(job.labels.image.data[...]) != 0
    np.testing.assert_array_equal(found[3:-3, 3:-3], allowed[3:-3, 3:-3] != 0)
    assert job.labelled == {"object": 1 if cored else int(found.sum())}


# -- killed and resumed ------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def stopping(task, after):
    """The same task; the run is cut off at the given step."""
    calls = []

    class Stops(type(task)):
        def decode(self, maps):
            calls.append(1)
            if len(calls) > after:
                raise Stopped
            return super().decode(maps)

    return Stops(task.regions)


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path, after):
    task, image = Bright(Regions(min_voxels=5, max_hole_voxels=9, grow_um=0.5)), image_of(blobs((20, 33, 40)))
    blocks(task, image, tmp_path / "straight")
    with pytest.raises(Stopped):
        blocks(stopping(task, after), image, tmp_path / "stopped", workers=1)
    seen = []
    job = outlining(task, image, tmp_path / "stopped", resume=True, workers=1)
    before = len(job.store.finished("maps"))
    assert before == after
    job.go(lambda done, total: seen.append((done, total)))
    first = max(after, 1)
    assert [done for done, _ in seen[:2]] == [first, first + 1]
    assert tree(tmp_path / "straight") == tree(tmp_path / "stopped")


def tree(folder):
    """All files of the result by name, with their bytes; the ledger's times differ."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.suffix not in (".jsonl",)}


def test_a_half_written_line_in_the_ledger_does_not_count(tmp_path):
    task, image = Bright(), image_of(blobs((20, 33, 40)))
    with pytest.raises(Stopped):
        blocks(stopping(task, 3), image, tmp_path / "run", workers=1)
    with (tmp_path / "run" / "ledger.jsonl").open("a") as file:
        file.write('{"stage": "maps", "block": 7, "fac')
    job = outlining(task, image, tmp_path / "run", resume=True)
    assert set(job.store.finished("maps")) == {0, 1, 2}
    job.go()
    np.testing.assert_array_equal(job.labels.image.data[...], whole(task, image)[0])


def test_a_finished_pass_is_not_done_again(tmp_path):
    task, image = Bright(), image_of(blobs((20, 33, 40)))
    blocks(task, image, tmp_path / "run")
    job, seen = outlining(stopping(task, 0), image, tmp_path / "run", resume=True), []
    job.go(lambda done, total: seen.append(done == total))
    assert seen[-1], "whoever looks has to see that it is over"
    assert job.labelled == {"object": int(whole(task, image)[0].sum())}


def test_a_run_begun_otherwise_is_not_resumed(tmp_path):
    task, image = Bright(), image_of(blobs((20, 33, 40)))
    outlining(task, image, tmp_path / "run", identity={"settings": {"block": 1}, "image": "a"})
    with pytest.raises(StoreError, match="another settings"):
        outlining(task, image, tmp_path / "run", resume=True, identity={"settings": {"block": 2}, "image": "a"})


def test_there_has_to_be_something_to_resume(tmp_path):
    with pytest.raises(StoreError, match="leave out --resume"):
        Store.resume(tmp_path / "nothing", {})


def test_a_full_disk_is_said_in_one_line_and_the_run_goes_on_later(tmp_path, monkeypatch):
    task, image = Bright(), image_of(blobs((20, 33, 40)))
    job = outlining(task, image, tmp_path / "run", workers=1)
    keep, calls = Outlining._keep_regions, []

    def full(self, *args):
        calls.append(1)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        keep(self, *args)

    monkeypatch.setattr(Outlining, "_keep_regions", full)
    with pytest.raises(StoreError, match=r"disk is full.*--resume"):
        job.go()
    monkeypatch.undo()
    again = outlining(task, image, tmp_path / "run", resume=True)
    again.go()
    np.testing.assert_array_equal(again.labels.image.data[...], whole(task, image)[0])


def test_nothing_is_left_of_the_scratch(tmp_path):
    task, image = Bright(), image_of(blobs((20, 33, 40)))
    blocks(task, image, tmp_path / "run")
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"confidence.ome.zarr", "identity.json", "ledger.jsonl"}
    shutil.rmtree(tmp_path / "run")


CORED = Regions(numbered=True, rims=True)
BLENDED = replace(GRID, rigid=True, blended=True)


@dataclass(frozen=True)
class Cored(Bright):
    """Objects are bright, their cores brighter; windows are blended."""

    regions: Regions = CORED
    grid: Grid = BLENDED

    def forward(self, batch):
        return (np.rint(Bright.forward(self, batch) * 255) / 255).astype(np.float32)

    def decode(self, maps):
        bright = np.asarray(maps.data)[0]
        raw = np.where(bright > 0.85, 1, np.where(bright > 0.4, 2, 0)).astype(np.uint8)
        return Labels(replace(maps, data=raw, axes=maps.axes[1:]))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    SHAPES,
    st.integers(0, 5),
    st.sampled_from([0, 30]),
    st.sampled_from([0, 4]),
    st.sampled_from([0, 60, None]),
    st.sampled_from([0.0, 0.7]),
    st.booleans(),
)
def test_objects_of_cores_and_rims_in_blocks_are_those_of_the_whole(
    tmp_path, shape, seed, least, core, holes, sure, divided
):
    asked = replace(
        CORED,
        min_voxels=least,
        min_core_voxels=core,
        max_hole_voxels=holes,
        reach_px=5,
        min_confidence=sure,
        divided=divided,
    )
    task, image = Cored(asked), image_of(blobs(shape, seed, 1.2))
    ours, _ = blocks(task, image, tmp_path / "run")
    plan = make_plan(image, task.grid.of(image.ndim))
    maps = run(task.forward, task.prepare, image, plan)
    raw, graded = np.asarray(task.decode(maps).image.data), np.round(maps.data[0] * 255).astype(np.uint8)
    np.testing.assert_array_equal(ours, tidy(raw, asked, image.spacing_um, graded))


def test_blended_confidences_in_blocks_are_those_of_the_whole_to_a_step_of_255(tmp_path):
    task, image = Cored(), image_of(blobs((40, 52), 3))
    _, ours = blocks(task, image, tmp_path / "run")
    whole = run(task.forward, task.prepare, image, make_plan(image, task.grid.of(2)))
    assert np.abs(ours.astype(int) - np.round(whole.data[0] * 255)).max() <= 1
