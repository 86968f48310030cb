"""Cells told from membranes, cut out of them, and their boundaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import KDTree

from graticule.arrays.cells import boundaries, cell_diameter_px, looks_like_cells, outline_cells, without_gaps
from graticule.errors import AnnotationError
from graticule.io import read
from graticule.simulate.rosettes import RosetteScenes

SCENES = RosetteScenes(shape_px=(192, 224), segmentation_errors=0.0)


def tissue(seed=0, *, side=120, diameter=20.0):
    """Gap-free cells round seeds on a shaken grid, numbered from 1."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(0, side + diameter, diameter)] * 2, indexing="ij"), -1).reshape(-1, 2)
    seeds = grid + rng.uniform(-0.25, 0.25, grid.shape) * diameter
    places = np.stack(np.meshgrid(*[np.arange(side)] * 2, indexing="ij"), -1).reshape(-1, 2)
    return KDTree(seeds).query(places)[1].reshape(side, side).astype(np.int32) + 1


def with_lines(cells):
    """The same with a line of 0 between cells, as many programs leave it."""
    thin = boundaries(cells)[0]
    return np.where(thin, 0, cells)


def drawn(cells, *, dark=False, seed=0, noise=4.0):
    """Membranes as a microscope might show them."""
    rng = np.random.default_rng(seed)
    light = ndimage.gaussian_filter(boundaries(cells)[0].astype(float), 1.2) * 300 + 20
    grey = light + noise * rng.standard_normal(cells.shape)
    return np.clip(255 - grey if dark else grey, 0, 255).astype(np.uint8)


def boundary_f1(found, true, near_px=2):
    lines = [boundaries(cells)[0] > 0 for cells in (found, true)]
    away = [ndimage.distance_transform_edt(~line) for line in lines]
    right, met = (away[1][lines[0]] <= near_px).mean(), (away[0][lines[1]] <= near_px).mean()
    return 2 * right * met / (right + met)


# -- what an image shows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
@settings(max_examples=10)
@given(seed=st.integers(0, 20), lines=st.booleans())
def test_numbers_of_cells_look_like_cells_whatever_their_type_with_or_without_lines(dtype, seed, lines):
    cells = tissue(seed)
    assert looks_like_cells((with_lines(cells) if lines else cells).astype(dtype))


@settings(max_examples=10)
@given(seed=st.integers(0, 20), levels=st.sampled_from([3, 8, 85, 256, 4096]))
def test_pictures_of_membranes_do_not_however_few_their_grey_levels(seed, levels):
    grey = drawn(tissue(seed), seed=seed).astype(int)
    assert not looks_like_cells((grey * levels // 256).astype(np.uint16))


def test_an_image_of_two_values_is_a_drawing_and_so_is_a_constant():
    cells = tissue()
    thin, thick = boundaries(cells)
    for drawing in (thin, thick, 255 * thin, 1 - thin, 1 + thin, thin.astype(bool), cells == cells[60, 60]):
        assert not looks_like_cells(drawing)
    assert not looks_like_cells(np.full((50, 60), 7))


def test_fractions_negative_numbers_volumes_and_ramps_are_no_cells():
    cells = tissue()
    for other in (cells + 0.5, -cells, np.stack([cells] * 3), np.add.outer(np.arange(60), np.arange(70)), cells[:1]):
        assert not looks_like_cells(other)


def test_cells_cut_in_two_by_a_crop_are_still_cells():
    assert looks_like_cells(tissue()[:, 7:100][3:71])


# -- boundaries ----------------------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(seed=st.integers(0, 20))
def test_lines_of_0_between_cells_hardly_move_boundaries(seed):
    cells = tissue(seed)
    thin, apart = (boundaries(each)[0] for each in (cells, with_lines(cells)))
    assert (ndimage.distance_transform_edt(thin == 0)[apart > 0] <= 1.5).all()
    assert (ndimage.distance_transform_edt(apart == 0)[thin > 0] <= 1.5).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 20))
def test_thin_boundaries_take_all_cells_apart_and_lie_within_thick_ones(seed):
    cells = tissue(seed)
    thin, thick = boundaries(cells)
    assert (thick >= thin).all() and thick.mean() > 2 * thin.mean()
    assert thin.dtype == thick.dtype == np.uint8 and set(np.unique(thin)) == {0, 1}
    regions, count = ndimage.label(thin == 0)
    assert all(len(np.unique(cells[regions == number])) == 1 for number in range(1, count + 1))


def test_numbers_do_not_matter_for_boundaries():
    cells = tissue()
    shuffled = np.random.default_rng(0).permutation(cells.max() + 1)[cells] + 1000
    for one, other in zip(boundaries(cells), boundaries(shuffled), strict=True):
        assert np.array_equal(one, other)


def test_the_frame_is_no_boundary_but_the_edge_of_the_tissue_is():
    cells = tissue()
    assert not boundaries(np.ones((30, 40), int))[0].any()
    assert not boundaries(np.zeros((30, 40), int))[1].any()
    cells[:, 60:] = 0
    assert boundaries(cells)[0][20:100, 55:70].max(axis=1).all()


def test_gaps_up_to_four_pixels_are_closed_and_holes_stay():
    cells = tissue()
    gap, hole = cells.copy(), cells.copy()
    gap[:, 58:62] = 0
    hole[40:60, 40:60] = 0
    assert (without_gaps(gap) > 0).all()
    assert (without_gaps(hole)[44:56, 44:56] == 0).all()


# -- size ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(seed=st.integers(0, 20), lines=st.booleans())
def test_the_diameter_is_measured_on_whole_cells_with_or_without_lines(seed, lines):
    cells = tissue(seed)
    true = 20 * np.sqrt(4 / np.pi)
    assert abs(cell_diameter_px(with_lines(cells) if lines else cells) - true) < 1.5


@pytest.mark.parametrize("cells", [np.ones((40, 50), int), np.zeros((40, 50), int), np.pad(np.full((9, 9), 3), 9)])
def test_one_cell_or_none_has_no_typical_size_and_that_is_said(cells):
    with pytest.raises(AnnotationError, match=r"found [01] cells .* need two or more"):
        cell_diameter_px(cells)


def test_cells_that_the_frame_cuts_count_if_there_are_no_others():
    assert cell_diameter_px(np.repeat([[1, 2]], 20, axis=1).repeat(20, axis=0)) == pytest.approx(2 * 20 / np.pi**0.5)


# -- outlines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("diameter", "side"), [(14, 120), (24, 160), (60, 400)])
@pytest.mark.parametrize("dark", [False, True])
def test_cells_of_any_size_are_found_between_borders_bright_or_dark(diameter, side, dark):
    cells = tissue(1, side=side, diameter=diameter)
    found = outline_cells(drawn(cells, dark=dark))
    assert found.dtype == np.int32 and found.shape == cells.shape
    assert boundary_f1(found, cells) > 0.95
    assert abs(cell_diameter_px(found) / cell_diameter_px(cells) - 1) < 0.1


def test_uneven_light_and_few_grey_levels_change_little():
    cells = tissue(2, side=200, diameter=25)
    ramp = np.linspace(0.15, 1, 200)
    dim = (drawn(cells, noise=2.0) * ramp / 3).astype(np.uint8)
    assert dim.max() <= 85
    assert boundary_f1(outline_cells(dim), cells) > 0.9
    assert boundary_f1(outline_cells(drawn(cells) + 400 * ramp), cells) > 0.95


def test_texture_in_cells_does_not_cut_them_nor_do_gaps_in_borders_join_them():
    cells = tissue(2, side=300, diameter=50)
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal(cells.shape), 2.0)
    gaps = ndimage.gaussian_filter(rng.standard_normal(cells.shape), 3.0)
    grey = drawn(cells).astype(float)
    textured = outline_cells(grey + 12 * texture / texture.std())
    assert boundary_f1(textured, cells) > 0.95 and abs(textured.max() / cells.max() - 1) < 0.1
    torn = outline_cells(np.where(gaps > gaps.std(), np.minimum(grey, 25), grey))
    assert abs(torn.max() / cells.max() - 1) < 0.1


def test_scale_and_offset_of_grey_levels_do_not_matter():
    grey = drawn(tissue(3)).astype(np.float32)
    assert np.array_equal(outline_cells(grey), outline_cells(4 * grey + 64))


def test_cells_of_a_simulated_epithelium_are_found_without_its_holes():
    f1 = []
    for seed in range(2):
        cells = np.asarray(SCENES.draw(seed).image.data)
        shown = RosetteScenes(shape_px=(192, 224), show="membranes").draw(seed)
        f1.append(boundary_f1(outline_cells(np.asarray(shown.image.data)), cells))
    assert min(f1) > 0.9


def test_all_cells_are_numbered_from_1_and_a_constant_is_one_cell():
    found = outline_cells(drawn(tissue(4)))
    assert np.array_equal(np.unique(found[found > 0]), np.arange(1, found.max() + 1))
    assert (outline_cells(np.full((30, 40), 9)) == 1).all()
    assert outline_cells(np.full((1, 1), 9)).shape == (1, 1)


def test_not_a_number_here_and_there_is_borne():
    grey = drawn(tissue(5)).astype(np.float32)
    grey[50:52, 50:52] = np.nan
    assert boundary_f1(outline_cells(grey), tissue(5)) > 0.9


@pytest.mark.real
def test_real_boundaries_lie_where_they_were_traced(shared_data):
    folder = shared_data / "wing-disc"
    grey, cells = (
        np.asarray(read(folder / part / "projection.tif", spacing_um=(1.0, 1.0)).data[...])
        for part in ("images", "labels")
    )
    assert looks_like_cells(cells) and not looks_like_cells(grey)
    assert boundary_f1(outline_cells(grey), cells, near_px=3) > 0.9


@pytest.mark.real
def test_real_cell_labels_and_pictures_are_told_apart(shared_data):
    for name in ("endothelium-alizarine", "endothelium-donor", "zo1-junctions"):
        for folder, expected in (("images", False), ("labels", name != "zo1-junctions")):
            for path in sorted((shared_data / name / folder).iterdir())[:3]:
                pixels = np.asarray(read(path, spacing_um=(1.0, 1.0)).data[...])
                assert looks_like_cells(pixels) == expected, path
