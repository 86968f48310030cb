import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from graticule.task import Augment
from graticule.training.augment import change_grey, draw_edge, draw_warp, empty_holes, lose_section, without

BENDING = Augment(rotate_deg=10, elastic_um=0.6, elastic_scale_um=48.0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.booleans())
def test_points_go_where_the_pixels_go(seed, square):
    """Where the patch shows a point of the source is where `to_patch` says it is."""
    rng = np.random.default_rng(seed)
    shape = (64, 64) if square else (48, 64)
    warp = draw_warp(shape, np.array([100.0, 120.0]), BENDING, (1.0, 1.0), rng)
    where = warp.coordinates()
    places = rng.uniform(8, np.array(shape) - 9, (6, 2))
    in_source = np.stack([map_coordinates(axis, places.T, order=1) for axis in where], axis=1)
    assert np.abs(warp.to_patch(in_source) - places).max() < 0.05


def test_three_dimensional_patches_turn_in_plane_and_mirror_in_depth():
    warp = draw_warp(
        (4, 16, 16), np.array([10.0, 50.0, 50.0]), Augment(rotate_deg=10), (1.0, 1.0, 1.0), np.random.default_rng(1)
    )
    assert np.allclose(warp.matrix @ warp.matrix.T, np.eye(3))
    assert abs(warp.matrix[0, 0]) == pytest.approx(1)


def test_without_bending_a_patch_is_a_turned_piece_of_the_source():
    rng = np.random.default_rng(3)
    warp = draw_warp((8, 8), np.array([20.5, 20.5]), Augment(rotate_deg=0), (1.0, 1.0), rng)
    corners = warp.coordinates()[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert {round(float(c)) for c in corners.ravel()} == {17, 24}


def test_grey_levels_change_but_little():
    patch = np.random.default_rng(0).normal(0, 1, (1, 32, 32)).astype(np.float32)
    changed = change_grey(
        patch, Augment(brightness=0.08, contrast=0.08, noise=0.0), (1.0, 1.0), np.random.default_rng(1)
    )
    assert changed.dtype == np.float32
    assert 0 < np.abs(changed - patch).max() < 0.08 + 0.08 * np.abs(patch).max() + 1e-3


def test_no_change_asked_is_no_change():
    patch = np.random.default_rng(0).normal(0, 1, (1, 8, 8)).astype(np.float32)
    still = Augment(brightness=0, contrast=0, noise=0, blur_um=0)
    assert np.array_equal(change_grey(patch, still, (1.0, 1.0), np.random.default_rng(1)), patch)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([(64, 64), (24, 40, 48)]))
def test_points_go_where_the_pixels_go_when_zoomed(seed, shape):
    rng = np.random.default_rng(seed)
    warp = draw_warp(shape, np.full(len(shape), 100.0), Augment(zoom=0.3), (1.0,) * len(shape), rng)
    assert 1 / 1.3 <= warp.zoom <= 1.3
    places = rng.uniform(1, np.array(shape) - 2, (6, len(shape)))
    in_source = np.stack([map_coordinates(axis, places.T, order=1) for axis in warp.coordinates()], axis=1)
    assert np.abs(warp.to_patch(in_source) - places).max() < 1e-6


def test_things_are_shown_larger_as_often_as_smaller_and_half_the_time_as_they_are():
    rng = np.random.default_rng(0)
    zooms = np.array([draw_warp((8, 8), np.zeros(2), Augment(zoom=0.25), (1.0, 1.0), rng).zoom for _ in range(400)])
    assert np.mean(zooms == 1) == pytest.approx(0.5, abs=0.1)
    assert np.mean(zooms > 1) == pytest.approx(np.mean(zooms < 1), abs=0.1)


def test_patches_are_turned_zoomed_and_bent_as_often_as_is_asked():
    rng = np.random.default_rng(0)
    asked = Augment(
        rotate_deg=45,
        rotate_chance=0.2,
        zoom=0.2,
        zoom_chance=0.6,
        elastic_px=3,
        elastic_scale_px=8,
        elastic_chance=0.4,
    )
    warps = [draw_warp((16, 16), np.zeros(2), asked, (0.3, 0.3), rng) for _ in range(600)]
    turned = [not np.allclose(np.abs(warp.matrix) % 1, 0) for warp in warps]
    shares = (
        np.mean(turned),
        np.mean([w.zoom != 1 for w in warps]),
        np.mean([w.displacement is not None for w in warps]),
    )
    assert shares == pytest.approx((0.2, 0.6, 0.4), abs=0.06)


@pytest.mark.parametrize("spacing_um", [0.01, 1.0, 40.0])
def test_what_is_bent_in_voxels_is_bent_alike_at_any_voxel_size(spacing_um):
    asked = Augment(elastic_px=3, elastic_scale_px=8, elastic_chance=1)
    bent = draw_warp((64, 64), np.zeros(2), asked, (spacing_um,) * 2, np.random.default_rng(0)).displacement
    assert np.std(bent) == pytest.approx(3, rel=0.3)


def test_sections_far_apart_are_bent_no_further_across_than_along():
    """A displacement of some pixels is a fraction of a section: else a patch would mix sections that show other things."""
    asked = Augment(elastic_px=3, elastic_scale_px=8, elastic_chance=1)
    bends = [
        draw_warp((1, 64, 64), np.zeros(3), asked, (0.05, 0.005, 0.005), np.random.default_rng(seed)).displacement
        for seed in range(20)
    ]
    across, *along = (float(np.std([bend[axis] for bend in bends])) for axis in range(3))
    assert across == pytest.approx(0.3, rel=0.3)
    assert along == pytest.approx([3, 3], rel=0.3)


def test_holes_are_empty_in_all_channels_and_no_larger_than_asked():
    patch = np.ones((2, 64, 64), np.float32)
    drawn = [empty_holes(patch, Augment(holes=0.3, hole_px=12), np.random.default_rng(seed)) for seed in range(300)]
    holed = [one for one in drawn if (one == 0).any()]
    assert len(holed) / len(drawn) == pytest.approx(0.3, abs=0.08)
    assert all((one[0] == one[1]).all() and set(np.unique(one)) == {0, 1} for one in holed)
    assert max((one[0] == 0).sum() for one in holed) <= 8 * 12**2
    assert (patch == 1).all()
    assert empty_holes(patch, Augment(), np.random.default_rng(0)) is patch


@pytest.mark.parametrize("shape", [(24, 24), (12, 24, 24), (1, 24, 24)])
def test_what_an_edge_cuts_off_is_empty_and_the_middle_never_is(shape):
    patch = np.ones((1, *shape), np.float32)
    augment, rng, sides = Augment(edges=0.5), np.random.default_rng(0), set()
    cuts = [without(patch, draw_edge(patch.shape[1:], augment, rng)) for _ in range(300)]
    assert all(cut[(0, *(n // 2 for n in shape))] == 1 for cut in cuts)
    for cut in cuts:
        for axis in range(1, len(shape) + 1):
            planes = cut.min(axis=tuple(a for a in range(cut.ndim) if a != axis))
            sides |= {(axis, end) for end in (0, -1) if planes[end] == 0 and planes[len(planes) // 2] == 1}
    assert len(sides) == 2 * sum(n > 1 for n in shape), "from every side that can be cut"
    assert 0.3 < np.mean([cut.min() == 0 for cut in cuts]) < 0.55
    assert without(patch, draw_edge(patch.shape[1:], Augment(), rng)) is patch


def test_volumes_are_tilted_by_as_much_as_is_asked_and_stay_rigid():
    depth = np.array([1.0, 0.0, 0.0])
    angles = []
    for seed in range(200):
        matrix = draw_warp(
            (8, 8, 8), np.zeros(3), Augment(tilt_deg=30.0), (1.0,) * 3, np.random.default_rng(seed)
        ).matrix
        assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
        angles.append(np.rad2deg(np.arccos(np.clip(abs(depth @ matrix @ depth), 0, 1))))
    assert max(angles) <= 30.0 + 1e-6
    assert 10 < np.mean(angles) < 20


def drawn_along(rng, shape, source, augment):
    """A warp whose centre lies so that voxels of the patch can be voxels of the source."""
    centre = np.rint(rng.uniform(-4, np.array(source.shape) + 4)) + np.array([(n - 1) / 2 % 1 for n in shape])
    return draw_warp(shape, centre, augment, (1.0,) * len(shape), rng)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([(8, 8), (7, 7), (6, 9), (4, 8, 8), (6, 6, 6), (1, 8, 8)]))
def test_what_is_only_turned_is_sliced_to_the_same_voxels_that_interpolation_gives(seed, shape):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(17, 20, 19)[-len(shape) :])
    warp = drawn_along(rng, shape, source, Augment(rotate_deg=0, any_axis=True))
    slices, where = warp.slices(), warp.coordinates()
    assert slices is not None
    expected = map_coordinates(source, where, order=1, mode="mirror")
    inside = np.all([(w > -0.5) & (w < n - 0.5) for w, n in zip(where, source.shape, strict=True)], axis=0)
    assert np.allclose(slices.take(source), expected * inside, atol=1e-6)
    if inside.any():
        assert np.allclose(slices.take(source, goes_on=True), map_coordinates(source, where, order=1, mode="nearest"))


@pytest.mark.parametrize(
    "bent", [{"rotate_deg": 20.0}, {"zoom": 0.4, "zoom_chance": 1.0}, {"elastic_px": 2.0, "elastic_chance": 1.0}]
)
def test_what_is_bent_cannot_be_sliced(bent):
    rng = np.random.default_rng(5)
    asked = Augment(**{"rotate_deg": 0.0, "elastic_scale_px": 8.0, **bent})
    assert drawn_along(rng, (16, 16), np.zeros((40, 40)), asked).slices() is None


def test_cubes_are_turned_about_every_axis_where_that_is_asked_and_else_only_in_their_planes():
    def axes_up(augment):
        rng = np.random.default_rng(0)
        warps = [draw_warp((6, 6, 6), np.full(3, 9.5), augment, (1.0,) * 3, rng) for _ in range(60)]
        return {int(np.abs(np.rint(warp.matrix))[0].argmax()) for warp in warps}

    assert axes_up(Augment(rotate_deg=0)) == {0}
    assert axes_up(Augment(rotate_deg=0, any_axis=True)) == {0, 1, 2}


def test_a_lost_section_is_empty_and_its_neighbours_are_not():
    rng, patch = np.random.default_rng(0), np.ones((1, 12, 5, 5), np.float32)
    empty = [12 - int(lose_section(patch, Augment(missing=1.0), rng)[0, :, 0, 0].sum()) for _ in range(40)]
    assert set(empty) == {1, 2}
    plane = patch[:, 0]
    assert lose_section(plane, Augment(missing=1.0), rng) is plane
