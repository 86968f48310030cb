"""Kept maps are those that were computed, and are computed once."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.box import Box
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.inference.maps import Graded, KeptMaps
from graticule.inference.run import known, run_block
from graticule.task import Grid
from tests.inference.test_find import finding, in_order, spots

GRID = Grid(spacing_um=(), tile=(16, 16), halo=(4, 4), multiple=4, stride=2)


def halved(batch):
    """Two maps on cells of two by two pixels, whatever lies around."""
    top = batch[..., ::2, ::2]
    return np.concatenate([top, 1 - top], axis=1).astype(np.float32)


def image_of(shape, seed=0):
    pixels = np.random.default_rng(seed).random(shape).astype(np.float32)
    return Image(pixels, "yx", (0.5, 0.5), (3.0, 4.0))


def kept(image, folder):
    """Maps of all blocks, as a run leaves them."""
    plan, maps = make_plan(image, GRID), KeptMaps(folder)
    for number, block in enumerate(plan.blocks):
        maps.of(number, plan, known(plan, block, True), lambda b=block: computed(image, plan, b))
    return plan, maps


def computed(image, plan, block):
    return run_block(halved, lambda pixels: pixels[None], image, plan, block, context=True)


def refused():
    raise AssertionError("maps that are kept are not computed again")


@pytest.mark.parametrize("shape", [(40, 50), (7, 33)])
def test_what_comes_from_the_folder_is_what_was_computed_place_and_all(tmp_path, shape):
    image = image_of(shape)
    plan, maps = kept(image, tmp_path)
    for number, block in enumerate(plan.blocks):
        fresh = computed(image, plan, block)
        again = maps.of(number, plan, known(plan, block, True), refused)
        np.testing.assert_array_equal(again.data, fresh.data)
        assert (again.axes, again.spacing_um, again.origin_um) == (fresh.axes, fresh.spacing_um, fresh.origin_um)
        assert again.data.dtype == fresh.data.dtype


def test_of_a_smaller_box_the_same_maps_are_cut(tmp_path):
    image = image_of((40, 50))
    plan, maps = kept(image, tmp_path)
    box = Box((4, 8), (12, 16))
    part = maps.of(0, plan, box, refused)
    np.testing.assert_array_equal(part.data, halved(np.asarray(image.data)[None, None])[0][:, 2:6, 4:8])
    np.testing.assert_allclose(part.origin_um, (3 + 4.5 * 0.5, 4 + 8.5 * 0.5))


def test_of_a_larger_box_maps_are_computed_and_kept_in_their_place(tmp_path):
    image = image_of((40, 50))
    plan, maps = make_plan(image, GRID), KeptMaps(tmp_path)
    small, block = Box((0, 0), (8, 8)), plan.blocks[0]
    maps.of(0, plan, small, lambda: replace(image, data=np.zeros((2, 4, 4), np.float32), axes="cyx"))
    assert maps.where(0) == small
    maps.of(0, plan, known(plan, block, True), lambda: computed(image, plan, block))
    assert maps.where(0) == known(plan, block, True)
    assert maps.of(0, plan, small, refused).data.any()


def test_maps_that_were_being_written_when_a_run_was_killed_are_not_there(tmp_path):
    image = image_of((40, 50))
    plan, maps = kept(image, tmp_path)
    (tmp_path / "0.npy").unlink()  # the place is written before the array
    assert maps.where(0) is None and (tmp_path / "0.json").exists()
    asked = []
    maps.of(
        0, plan, known(plan, plan.blocks[0], True), lambda: asked.append(0) or computed(image, plan, plan.blocks[0])
    )
    assert asked == [0]


@settings(max_examples=30)
@given(st.data())
def test_any_window_of_all_maps_is_that_of_one_pass_in_255ths(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    image = image_of(shape)
    plan, maps = kept(image, tmp_path_factory.mktemp("maps"))
    whole = run(halved, lambda pixels: pixels[None], image, plan).data
    graded = Graded(maps, plan, 2)
    assert graded.shape == whole.shape
    key = tuple(data.draw(st.slices(n)) for n in graded.shape)
    np.testing.assert_array_equal(graded[key], np.round(whole * 255).astype(np.uint8)[key])
    np.testing.assert_array_equal(graded[1, ..., 0], np.round(whole * 255).astype(np.uint8)[1, ..., 0])


def test_where_nothing_was_computed_confidence_is_0(tmp_path):
    image = image_of((40, 50))
    plan, maps = kept(image, tmp_path)
    (tmp_path / "1.npy").unlink()
    graded = Graded(maps, plan, 2)[...]
    spared = plan.blocks[1].write.slices()
    assert not graded[:, *(slice(s.start // 2, s.stop // 2) for s in spared)].any() and graded.any()


def test_how_many_maps_there_are_is_asked_once_and_only_if_none_are_kept(tmp_path):
    asked = []
    for _ in range(2):
        assert KeptMaps(tmp_path / "none").channels(lambda: asked.append(0) or 5) == 5
    assert asked == [0]
    _, maps = kept(image_of((8, 8)), tmp_path / "some")
    assert maps.channels(refused) == 2


def test_a_search_with_maps_of_an_earlier_one_finds_the_same_without_asking_the_network(tmp_path):
    image = spots((48, 40))
    job = replace(finding(image, tmp_path / "run"), maps=KeptMaps(tmp_path / "maps"))
    first, _ = job.go()
    silent = replace(job, forward=lambda batch: refused(), prepare=lambda pixels: refused())
    np.testing.assert_array_equal(silent.points().position_um, first.position_um)
    plain, _ = finding(image, tmp_path / "plain").go()
    np.testing.assert_array_equal(in_order(plain), in_order(first))
