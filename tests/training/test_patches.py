from dataclasses import replace

import numpy as np
from scipy.ndimage import center_of_mass

from graticule.results import Points
from graticule.task import Levels
from graticule.tasks.beads import Beads
from graticule.training.patches import _coarsen, cut, draw_patch, make_source, paste
from tests.synthetic import scattered

LEVELS = Levels(180.0, 20.0)
TASK = Beads(classes=("6nm",), diameters_nm=(6.0,), working_nm=0.6, patch_px=64)


def source(seed=0, **more):
    example = scattered(seed, shape=(160, 160), count=20, noise=0.0, **more)
    return make_source(example, TASK.prepare(np.asarray(example.image.data), LEVELS))


def dark_at(pixels, places):
    inside = [p for p in np.round(places).astype(int) if ((p >= 2) & (p < np.array(pixels.shape[1:]) - 2)).all()]
    return [float(pixels[0][tuple(p)]) for p in inside]


def test_truth_stays_on_its_beads_through_turns_and_bends():
    rng = np.random.default_rng(0)
    from graticule.training.augment import draw_warp

    for _ in range(20):
        warp = draw_warp((64, 64), rng.uniform(40, 120, 2), TASK.recipe.augment, (0.0006, 0.0006), rng)
        pixels, _, truth = cut(source(), warp)
        assert all(value < -4 for value in dark_at(pixels, truth.position_um))


def test_the_same_key_draws_the_same_patch_and_another_another():
    sources = [source()]
    one, same, other = (draw_patch(sources, TASK, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.target, same.target)
    assert not np.array_equal(one.pixels, other.pixels)


def test_a_patch_that_reaches_beyond_the_image_knows_nothing_there():
    from graticule.training.augment import Warp

    _, known, _ = cut(source(), Warp((64, 64), np.array([0.0, 80.0]), np.eye(2)))
    assert known[:31].max() == 0
    assert known[33:].min() == 1


def test_cells_are_known_only_where_all_their_pixels_are():
    complete = np.zeros((160, 160), bool)
    complete[:, :81] = True
    sources = [source(complete=complete)]
    patches = [draw_patch(sources, replace(TASK, mining=0.0), np.random.default_rng(seed)) for seed in range(10)]
    shares = [float(p.known.mean()) for p in patches]
    assert all(p.known.shape == (1, 32, 32) for p in patches)
    assert min(shares) < 1
    assert max(shares) > 0.4


def test_a_cell_of_which_one_pixel_is_unknown_is_unknown():
    known = np.ones((4, 6), np.float32)
    known[1, 3] = 0
    assert _coarsen(known, 2).tolist() == [[1, 0, 1], [1, 1, 1]]


def test_most_patches_hold_a_bead_when_mining():
    sparse = make_source(scattered(1, shape=(400, 400), count=1), np.zeros((1, 400, 400), np.float32))
    mined = replace(TASK, mining=0.7, paste=0.0)
    rng = np.random.default_rng(0)
    hits = np.mean([draw_patch([sparse], mined, rng).target[0].max() == 1 for _ in range(60)])
    assert 0.5 < hits < 0.95


def test_pasted_beads_look_like_beads_and_are_in_the_truth():
    sources = [source()]
    rng = np.random.default_rng(0)
    empty = np.zeros((1, 64, 64), np.float32)
    pasted = 0
    for _ in range(20):
        pixels, truth = paste(empty, np.ones((64, 64), np.float32), Points.none(2, ("6nm",)), sources, (0.006,), rng)
        assert all(value < -3 for value in dark_at(pixels, truth.position_um))
        assert empty.max() == 0
        pasted += len(truth)
    assert pasted > 20


def test_the_truth_of_a_pasted_bead_is_at_its_centre_of_mass_whichever_way_it_is_turned():
    example = scattered(4, shape=(160, 160), count=1, edge_px=60, noise=0.0)
    off_centre = make_source(example, TASK.prepare(np.asarray(example.image.data), LEVELS))
    for seed in range(12):
        rng = np.random.default_rng(seed)
        pixels, truth = paste(
            np.zeros((1, 64, 64), np.float32),
            np.ones((64, 64), np.float32),
            Points.none(2, ("6nm",)),
            [off_centre],
            (0.006,),
            rng,
        )
        weight = -pixels[0]
        label_of = np.argmin(
            np.stack([np.hypot(*(np.indices((64, 64)) - p.reshape(2, 1, 1))) for p in truth.position_um]), axis=0
        )
        for number, place in enumerate(truth.position_um):
            own = np.where(label_of == number, weight, 0)
            assert np.abs(np.array(center_of_mass(own)) - place).max() < 0.2


def test_nothing_is_pasted_where_the_annotation_is_silent():
    nowhere = np.zeros((64, 64), np.float32)
    _, truth = paste(
        np.zeros((1, 64, 64), np.float32),
        nowhere,
        Points.none(2, ("6nm",)),
        [source()],
        (0.006,),
        np.random.default_rng(0),
    )
    assert len(truth) == 0


def test_rare_classes_are_seen_as_often_as_common_ones():
    rng = np.random.default_rng(0)
    kind = np.array([0] * 19 + [1])
    example = scattered(
        2, shape=(240, 240), count=20, gap_px=30, kind=kind, kinds=("6nm", "12nm"), diameter_px=(10.0, 20.0)
    )
    task = replace(TASK, classes=("6nm", "12nm"), diameters_nm=(6.0, 12.0), paste=0.0, mining=1.0)
    sources = [make_source(example, np.zeros((1, 240, 240), np.float32))]
    targets = [draw_patch(sources, task, rng).target for _ in range(80)]
    assert np.mean([t[1].max() == 1 for t in targets]) > 0.3
