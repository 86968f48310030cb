"""Windows that several blocks need are computed once, whoever needs them first, and do not stay."""

import numpy as np
import pytest

from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.inference.run import run_block
from graticule.inference.windows import SharedWindows
from graticule.task import Grid

GRID = Grid((), (16, 16, 16), (6, 6, 6), rigid=True, blended=True)


def image(shape=(60, 70)):
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 255
    return Image(grey, "yx", (1.0, 1.0))


class Counted:
    """A network that gives back what it sees, and counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, batch):
        self.asked += 1
        return np.rint(batch * 255).astype(np.float32) / np.float32(255)


def test_every_window_is_computed_once_and_blocks_are_the_whole(tmp_path):
    shown, network = image(), Counted()
    plan = make_plan(shown, GRID.of(2), chunk=(16, 16))
    assert len(plan.blocks) > 12
    windows = SharedWindows(tmp_path / "windows", plan, ())
    whole = run(Counted(), lambda p: p[None], shown, plan).data
    for number, block in enumerate(plan.blocks):
        maps = run_block(network, lambda p: p[None], shown, plan, block, windows=windows.of)
        windows.finish(number)
        np.testing.assert_allclose(maps.data, whole[(slice(None), *block.write.slices())], atol=1e-6)
    assert network.asked == len(set(plan.tiles))
    assert not list((tmp_path / "windows").iterdir())


def test_after_a_kill_windows_that_are_there_are_not_computed_again(tmp_path):
    shown, network = image(), Counted()
    plan = make_plan(shown, GRID.of(2), chunk=(16, 16))
    for _ in range(2):
        windows = SharedWindows(tmp_path / "windows", plan, ())
        run_block(network, lambda p: p[None], shown, plan, plan.blocks[0], windows=windows.of)
    assert network.asked == len(plan.blocks[0].tiles)


def test_a_window_of_one_block_alone_is_not_kept(tmp_path):
    shown = image((16, 16))
    plan = make_plan(shown, GRID.of(2), chunk=(16, 16))
    windows = SharedWindows(tmp_path / "windows", plan, ())
    run_block(Counted(), lambda p: p[None], shown, plan, plan.blocks[0], windows=windows.of)
    assert not (tmp_path / "windows").exists()


@pytest.mark.parametrize("finished", [(), (0, 1, 2)])
def test_a_window_stays_until_the_last_block_that_needs_it(tmp_path, finished):
    shown = image()
    plan = make_plan(shown, GRID.of(2), chunk=(16, 16))
    windows = SharedWindows(tmp_path / "windows", plan, finished)
    tile = plan.blocks[0].tiles[0]
    windows.of(tile, lambda: np.zeros((1, *tile.read.shape), np.float32))
    for number in windows.blocks[tile]:
        assert len(list((tmp_path / "windows").iterdir())) == 1
        windows.finish(number)
        if windows.finished.issuperset(windows.blocks[tile]):
            break
    assert not list((tmp_path / "windows").iterdir())
