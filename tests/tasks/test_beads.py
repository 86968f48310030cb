from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.errors import AnnotationError, SettingsError
from graticule.image import Image
from graticule.results import Points
from graticule.task import Levels
from graticule.tasks.beads import PRESETS, REACH, Beads
from tests.synthetic import discs, scattered

TASK = Beads(classes=("6nm", "12nm"), diameters_nm=(6.0, 12.0), match_nm=(5.0, 8.4), working_nm=0.5)
CELLS = Image(np.zeros((40, 50)), "yx", (0.001, 0.001), (0.00025, 0.00025))
TRUTH = Points.marked(np.array([[0.0101, 0.0204], [0.03, 0.0407], [0.0002, 0.0494]]), np.array([0, 1, 0]), TASK.classes)


def test_peaks_are_exactly_one_in_the_cell_that_holds_the_centre():
    target = TASK.target(TRUTH, CELLS)
    cells = np.round(CELLS.to_voxels(TRUTH.position_um)).astype(int)
    for cell, kind in zip(cells, TRUTH.kind, strict=True):
        assert target[(kind, *cell)] == 1.0
    assert (target[:2] == 1).sum() == 3


def test_target_and_decode_are_inverse():
    """Maps as they should have been give back the truth, to a fraction of a pixel, in both classes."""
    found = TASK.decode(replace(CELLS, data=TASK.target(TRUTH, CELLS), axes="cyx"))
    order = np.lexsort(found.position_um.T)
    expected = np.lexsort(TRUTH.position_um.T)
    assert np.allclose(found.position_um[order], TRUTH.position_um[expected], atol=1e-8)
    assert found.kind[order].tolist() == TRUTH.kind[expected].tolist()


def test_beads_just_outside_a_patch_still_warm_its_edge():
    outside = Points.marked(np.array([[-0.0008, 0.02]]), kinds=("6nm", "12nm"))
    target = TASK.target(outside, CELLS)
    assert 0 < target[0].max() < 1


def test_the_cells_around_a_centre_point_at_it_and_between_two_at_the_nearer():
    pair = Points.marked(np.array([[0.0101, 0.0204], [0.0101, 0.0226]]), kinds=TASK.classes)
    target = TASK.target(pair, CELLS)
    for cell in ((9, 20), (11, 19), (10, 23), (10, 21)):
        pointed = CELLS.to_um(np.array([cell + target[(slice(2, 4), *cell)]]))
        assert np.abs(pair.position_um - pointed).sum(axis=1).min() < 1e-8


def test_measured_diameters_come_back():
    task = replace(TASK, measure_diameter=True)
    sized = replace(TRUTH, diameter_um=np.array([0.0055, 0.0131, 0.007]))
    found = task.decode(replace(CELLS, data=task.target(sized, CELLS), axes="cyx"))
    assert found.diameter_um is not None
    assert sorted(found.diameter_um) == pytest.approx(sorted(sized.diameter_um), rel=1e-5)


def maps_of(*beads):
    """Maps with a bead of (kind, y, x in nm, confidence) each."""
    heat = np.zeros((4, 40, 50), np.float32)
    for kind, y, x, confidence in beads:
        heat[kind, y, x] = confidence
    return replace(CELLS, data=heat, axes="cyx")


def test_one_bead_is_not_found_in_two_classes():
    found = TASK.decode(maps_of((0, 20, 20, 0.6), (1, 20, 22, 0.9)))
    assert [found.kinds[k] for k in found.kind] == ["12nm"]


def test_touching_beads_are_two():
    found = TASK.decode(maps_of((0, 20, 20, 0.6), (0, 20, 26, 0.9), (1, 30, 20, 0.5)))
    assert len(found) == 3


def test_beads_in_the_corners_are_found():
    corners = [(0, 0, 0, 0.9), (0, 0, 49, 0.9), (0, 39, 0, 0.9), (0, 39, 49, 0.9)]
    assert len(TASK.decode(maps_of(*corners))) == 4


def test_a_threshold_is_a_class_s_own():
    task = replace(TASK, thresholds=(0.7, 0.3))
    found = task.decode(maps_of((0, 5, 5, 0.6), (0, 20, 5, 0.8), (1, 20, 30, 0.4)))
    assert sorted(found.confidence) == pytest.approx([0.4, 0.8])


def test_keeping_candidates_equals_decoding_at_the_threshold():
    maps = maps_of((0, 5, 5, 0.6), (0, 20, 5, 0.8), (1, 20, 30, 0.4), (1, 21, 33, 0.2))
    task = replace(TASK, thresholds=(0.7, 0.3))
    kept = task.keep(task.permissive().decode(maps))
    assert np.array_equal(kept.position_um, task.decode(maps).position_um)


def test_what_is_left_open_is_read_from_the_names_of_classes():
    example = scattered(0, kind=[0, 1] * 6, kinds=("6nm", "gold 12 nm"))
    task = Beads().resolve([example])
    assert task.classes == ("6nm", "gold 12 nm")
    assert task.diameters_nm == (6.0, 12.0)
    assert task.match_nm == (5.0, 8.0)
    assert task.working_nm == pytest.approx(0.6)


def test_a_size_nobody_states_is_measured_on_the_annotated_spots():
    example = scattered(0, shape=(200, 200), gap_px=30, kinds=("gold",), diameter_px=12.0)
    (diameter,) = Beads().resolve([example]).diameters_nm
    assert diameter == pytest.approx(12 * 0.6, rel=0.2)


def test_a_size_that_cannot_be_known_is_asked_for():
    with pytest.raises(AnnotationError, match="--diameters-nm"):
        Beads().resolve([discs([], kinds=("gold",))])


def test_fine_images_are_worked_on_coarser_and_coarse_ones_as_they_are():
    assert Beads().resolve([scattered(0, spacing_um=0.0001)]).working_nm == pytest.approx(0.6)
    assert Beads().resolve([scattered(0, spacing_um=0.002)]).working_nm == pytest.approx(2.0)


def test_an_eighteen_nm_class_is_one_more_name():
    task = Beads(
        classes=("6nm", "12nm", "18nm"), diameters_nm=(6.0, 12.0, 18.0), working_nm=0.6, width=0.125, neck_channels=16
    )
    assert task.network()(torch.zeros(1, 1, 64, 64)).shape == (1, 5, 32, 32)


def test_a_bead_outside_the_finished_region_still_teaches_and_background_there_does_not():
    target = torch.from_numpy(TASK.target(TRUTH, CELLS))[None]
    nowhere = torch.zeros(1, 1, 40, 50)
    maps = torch.zeros(1, 4, 40, 50, requires_grad=True)
    TASK.loss(maps, target, nowhere).backward()
    assert maps.grad is not None
    taught = (maps.grad[0, :2] != 0).any(dim=0)
    assert int(taught.sum()) == 3


def test_the_published_preset_is_the_published_network():
    task = Beads(classes=("6nm", "12nm"), diameters_nm=(6.0, 12.0), working_nm=0.56, **PRESETS["midasmap"])
    assert sum(p.numel() for p in task.network().parameters()) / 1e6 == pytest.approx(24.4, abs=0.1)
    assert [p.epochs for p in task.recipe.phases] == [40, 40, 60]
    assert task.recipe.phases[0].learning_rates["encoder"] == 0


@pytest.mark.parametrize(
    "change", [{"diameters_nm": (6.0,)}, {"thresholds": (0.1,)}, {"patch_px": 100}, {"epochs": (1, 2)}]
)
def test_settings_that_contradict_each_other_are_refused(change):
    with pytest.raises(SettingsError):
        replace(TASK, **change)


def test_grey_levels_are_standardised_without_wrapping():
    pixels = np.array([[0, 65535]], np.uint16)
    assert TASK.prepare(pixels, Levels(30000.0, 1000.0)).tolist() == [[[-30.0, 35.534999847412109]]]


@given(st.floats(0, 30))
def test_context_is_as_wide_as_two_centres_of_one_bead_may_lie_apart(suppression):
    task = Beads(classes=("a", "b"), diameters_nm=(5, 100), working_nm=0.5, suppression=suppression)
    apart_px = suppression * 100 / 0.5
    assert all(halo >= REACH + max(32, apart_px) for halo in task.grid.halo)
    assert replace(task, suppression=0.1).grid.halo == (REACH + 32,) * 2


@settings(max_examples=25)
@given(st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)), st.floats(0, 3), st.integers(0, 99))
def test_thresholds_decide_among_what_suppression_left_whatever_their_order(thresholds, suppression, seed):
    heat = np.random.default_rng(seed).random((2, 24, 30)).astype(np.float32)
    maps = replace(CELLS, data=np.concatenate([heat, np.zeros_like(heat)]), axes="cyx")
    task = replace(TASK, thresholds=thresholds, suppression=suppression)
    found, slowly = task.decode(maps), task.keep(task.permissive().decode(maps))
    np.testing.assert_array_equal(found.position_um, slowly.position_um)
    np.testing.assert_array_equal(found.confidence, slowly.confidence)
