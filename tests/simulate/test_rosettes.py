"""Simulated epithelia: rosettes are where five cells meet, and nowhere else do as many."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from graticule.arrays.cell_vertices import MEET_DIAMETERS, ROSETTE_CELLS, find_vertices, meeting
from graticule.arrays.cells import cell_diameter_px, looks_like_cells
from graticule.errors import SettingsError
from graticule.simulate import SCENES
from graticule.simulate.epithelium import Seeds, lone, ring, settled
from graticule.simulate.rosettes import RosetteScenes

SCENE = RosetteScenes(shape_px=(256, 256), rosettes=(8, 16), empty=0.0, segmentation_errors=0.0)
SMALL = replace(SCENE, shape_px=(128, 144))
SEEDS = range(4)


def truth(example):
    return np.asarray(example.truth.image.data)


def shown(example):
    return np.asarray(example.image.data)


@pytest.fixture(scope="module")
def exact():
    """Cells as they are, and which rosette each pixel belongs to."""
    examples = [SCENE.draw(seed) for seed in SEEDS]
    return [(shown(example), truth(example)) for example in examples]


def test_every_rosette_is_where_five_cells_or_more_meet_and_no_other_place_is(exact):
    for cells, numbers in exact:
        crowded = meeting(cells, MEET_DIAMETERS * cell_diameter_px(cells)) >= ROSETTE_CELLS
        places, count = ndimage.label(crowded, np.ones((3, 3)))
        met = [set(np.unique(numbers[places == place])) - {0} for place in range(1, count + 1)]
        assert all(met), "a place that five cells reach is part of a rosette"
        assert set.union(set(), *met) == set(range(1, numbers.max() + 1)), "every rosette has such a place"


def test_a_rosette_is_the_union_of_its_cells_five_or_more_but_for_those_shared(exact):
    for cells, numbers in exact:
        for cell in np.unique(cells[cells > 0]):
            assert len(np.unique(numbers[cells == cell])) == 1
        sizes = [len(np.unique(cells[numbers == number])) for number in range(1, numbers.max() + 1)]
        assert (
            all(size >= ROSETTE_CELLS - 2 for size in sizes)
            and np.mean([size >= ROSETTE_CELLS for size in sizes]) > 0.8
        )
        assert not numbers[cells == 0].any()


def test_there_are_rosettes_of_many_sizes_some_round_a_small_cell_and_places_of_four(exact):
    sizes, inner, fours = [], 0, 0
    for cells, _ in exact:
        found = find_vertices(cells, MEET_DIAMETERS * cell_diameter_px(cells), at_least=4)
        sizes += [len(each) for each in found.cells if len(each) >= ROSETTE_CELLS]
        inner += sum(map(bool, found.inner))
        fours += sum(len(each) == 4 for each in found.cells)
    assert len(set(sizes)) >= 3 and inner >= 1 and fours > 20


def test_the_same_seed_draws_the_same_image_and_another_another():
    for scene in (SMALL, replace(SMALL, show="membranes"), replace(SMALL, segmentation_errors=0.5)):
        once, again, other = scene.draw(1), scene.draw(1), scene.draw(2)
        assert np.array_equal(shown(once), shown(again)) and np.array_equal(truth(once), truth(again))
        assert not np.array_equal(shown(once), shown(other))


def test_the_first_images_are_the_same_however_many_there_are():
    one, *_ = SMALL.examples(2, seed=5)
    (alone,) = SMALL.examples(1, seed=5)
    assert np.array_equal(one.image.data, alone.image.data)
    assert len({example.specimen for example in SMALL.examples(2)}) == 2


def test_membranes_cells_and_cells_with_errors_show_the_same_tissue(exact):
    cells, numbers = exact[1]
    membranes = replace(SCENE, show="membranes").draw(1)
    errors = replace(SCENE, segmentation_errors=0.5).draw(1)
    assert np.array_equal(truth(membranes), numbers) and np.array_equal(truth(errors), numbers)
    assert looks_like_cells(cells) and looks_like_cells(shown(errors)) and not looks_like_cells(shown(membranes))
    lines = ndimage.grey_dilation(cells, 3) != cells
    depth = ndimage.distance_transform_edt(~lines)
    grey = shown(membranes).astype(float)
    assert grey[lines].mean() > 1.3 * grey[(depth > 4) & (cells > 0)].mean()


def test_errors_of_a_segmentation_grow_with_the_setting(exact):
    cells, _ = exact[2]
    wrong = []
    for errors in (0.2, 1.0):
        found = shown(replace(SCENE, segmentation_errors=errors).draw(2))
        pairs = np.unique(np.stack([cells.ravel(), found.ravel()]), axis=1, return_counts=True)[1]
        wrong.append(1 - np.sort(pairs)[::-1][: cells.max()].sum() / cells.size)
    assert wrong[0] < wrong[1]


def test_some_images_have_no_rosettes_all_if_asked_for():
    few = replace(SCENE, shape_px=(128, 128), empty=1.0, near_misses=(0, 0))
    assert sum(truth(few.draw(seed)).max() for seed in range(4)) <= 1, "but for chance"


def test_cells_are_as_large_as_asked_for_whatever_the_pixel():
    for scene in (replace(SMALL, spacing_um=0.3), replace(SMALL, spacing_um=0.5)):
        cells = shown(scene.draw(1))
        assert abs(cell_diameter_px(cells) * scene.spacing_um / scene.cell_um - 1) < 0.15
        assert scene.draw(1).image.spacing_um == (scene.spacing_um,) * 2


def test_what_cannot_be_drawn_is_refused():
    assert SCENES["rosettes"] is RosetteScenes
    for wrong in (
        {"shape_px": (0, 9)},
        {"spacing_um": 0.0},
        {"cell_um": 1.0},
        {"rosettes": (3, 2)},
        {"near_misses": (-1, 2)},
        {"empty": 1.5},
        {"segmentation_errors": -1.0},
    ):
        with pytest.raises(SettingsError, match="found"):
            RosetteScenes(**wrong)


# -- seeds ---------------------------------------------------------------------------------------------------------------


def test_a_seed_without_weight_owns_what_is_nearest_and_weight_adds_to_that():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 5, (500, 2))
    plain = Seeds(rng.uniform(0, 5, (20, 2)), np.zeros(20), np.ones(20, bool))
    away = ((places[:, None] - plain.place) ** 2).sum(axis=2)
    assert np.array_equal(plain.nearest(places), away.argmin(axis=1))
    weight = rng.uniform(-1, 1, 20)
    assert np.array_equal(replace(plain, weight=weight).nearest(places), (away - weight).argmin(axis=1))


@pytest.mark.parametrize("inner", [0.0, 0.09, 0.3])
@pytest.mark.parametrize("cells", [4, 5, 9])
def test_cells_of_a_ring_meet_at_its_middle_or_round_a_cell_of_the_radius_asked_for(cells, inner):
    group = ring(np.random.default_rng(cells), cells, inner=inner)
    seeds = Seeds(group.place, group.weight, np.zeros(len(group.place), bool))
    turn = np.linspace(0, 2 * np.pi, 720)
    circle = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    assert len(np.unique(seeds.nearest(circle * (inner * 3 + 0.01)))) == cells
    if inner:
        assert set(seeds.nearest(circle * inner * 0.98)) == {cells}


def test_settled_seeds_leave_groups_alone_and_are_more_even_than_drawn_at_random():
    rng = np.random.default_rng(0)
    group = lone(rng, 0.9)
    low, high = np.zeros(2), np.full(2, 12.0)
    samples = np.stack(np.meshgrid(*[np.arange(2, 10, 0.1)] * 2, indexing="ij"), -1)
    spread = []
    for rounds in (0, 8):
        seeds = settled(np.random.default_rng(1), low, high, [(np.full(2, 6.0), group)], rounds=rounds)
        assert np.array_equal(seeds.place[~seeds.free], [[6.0, 6.0]])
        area = np.bincount(seeds.nearest(samples).ravel())
        assert area[-1] > 1.5 * np.median(area[area > 0]), "the heavy cell is large"
        spread.append(np.std(area[:-1][area[:-1] > 0]))
    assert spread[1] < 0.8 * spread[0]
