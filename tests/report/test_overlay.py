from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image as Picture

from graticule.image import Image
from graticule.report import overlay
from graticule.report.overlay import draw_overlay, draw_verdict, round_length_um, said_length
from graticule.results import Points
from tests.synthetic import discs

SPACING = 0.0006
NONE = Points.none(2, ("6nm", "12nm"))


def flat(shape=(700, 800), grey=128, dtype=np.uint8):
    return Image(np.full(shape, grey, dtype), "yx", (SPACING, SPACING))


def at(places, kind=None, diameter_px=None):
    points = Points.marked(np.array(places, float) * SPACING, kind, ("6nm", "12nm"))
    return points if diameter_px is None else replace(points, diameter_um=np.full(len(points), diameter_px * SPACING))


def drawn(tmp_path, found, image, **options):
    path = tmp_path / "picture.png"
    draw_overlay(found, image, path, **options)
    return pixels(path)


def pixels(path):
    with Picture.open(path) as picture:
        return np.asarray(picture)


def coloured(picture, colour, rows=slice(None)):
    """Places (y, x) of pixels of exactly this colour."""
    same = (np.abs(picture[rows].astype(int) - np.round(np.array(to_rgb(colour)) * 255)) <= 2).all(axis=-1)
    return np.argwhere(same)


class TestRings:
    def test_lie_around_the_object_at_its_own_diameter(self, tmp_path):
        picture = drawn(tmp_path, at([[300, 500]], diameter_px=60), flat())
        ring = coloured(picture, overlay.CLASS_COLOURS[0], slice(700))
        assert ring.mean(axis=0) == pytest.approx([300, 500], abs=0.6)
        distance = np.linalg.norm(ring - [300, 500], axis=1)
        assert 29 < distance.min()
        assert distance.max() < 34

    def test_have_the_classes_diameter_where_none_was_measured(self, tmp_path):
        options = {"diameters_um": {"6nm": 20 * SPACING, "12nm": 50 * SPACING}}
        picture = drawn(tmp_path, at([[100, 100], [300, 500]], [0, 1]), flat(), **options)
        for number, (place, radius) in enumerate([((100, 100), 10), ((300, 500), 25)]):
            ring = coloured(picture, overlay.CLASS_COLOURS[number], slice(700))
            assert np.linalg.norm(ring - place, axis=1).min() == pytest.approx(radius + 0.7, abs=1.2)

    def test_follow_the_object_when_the_picture_is_reduced(self, tmp_path):
        picture = drawn(tmp_path, at([[1500, 4000]], diameter_px=300), flat((3000, 5000)))
        ring = coloured(picture, overlay.CLASS_COLOURS[0], slice(1000))
        assert picture.shape[1] <= overlay.SCREEN_PX
        assert ring.mean(axis=0) * 5000 / picture.shape[1] == pytest.approx([1500, 4000], abs=3)

    def test_no_objects_are_drawn_as_none(self, tmp_path):
        picture = drawn(tmp_path, NONE, flat())
        assert (picture[:700] == picture[0, 0]).all()


class TestPixels:
    def test_are_kept_one_for_one(self, tmp_path):
        grey = np.random.default_rng(0).integers(0, 256, (650, 700)).astype(np.uint8)
        picture = drawn(tmp_path, NONE, Image(grey, "yx", (SPACING, SPACING)))
        low, high = np.percentile(grey, overlay.CONTRAST)
        expected = np.clip((grey - low) / (high - low), 0, 1) * 255
        assert np.abs(picture[:650, :700, 0] - expected).max() <= 1

    def test_of_a_large_image_are_all_kept_on_demand(self, tmp_path):
        image = flat((1000, 4000))
        assert drawn(tmp_path, NONE, image).shape[1] == 2000
        assert drawn(tmp_path, NONE, image, full_resolution=True).shape[1] == 4000

    def test_of_a_small_image_are_enlarged_by_a_whole_number(self, tmp_path):
        grey = np.random.default_rng(0).integers(0, 256, (50, 80)).astype(np.uint8)
        picture = drawn(tmp_path, NONE, Image(grey, "yx", (SPACING, SPACING)))
        assert picture.shape[1] == 640
        assert (picture[:400, :, 0].reshape(50, 8, 80, 8).std(axis=(1, 3)) == 0).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, bool])
    def test_of_any_type_are_shown_from_black_to_white(self, tmp_path, dtype):
        ramp = np.linspace(0, 1, 700 * 700).reshape(700, 700)
        pixels = ramp > 0.5 if dtype is bool else (ramp * (1 if dtype is np.float32 else 120)).astype(dtype)
        picture = drawn(tmp_path, NONE, Image(pixels, "yx", (SPACING, SPACING)))[:700]
        assert picture.min() == 0
        assert picture.max() == 255

    def test_that_are_nan_are_black_and_disturb_nothing(self, tmp_path):
        pixels = np.random.default_rng(0).normal(size=(700, 700))
        pixels[:50] = np.nan
        picture = drawn(tmp_path, NONE, Image(pixels, "yx", (SPACING, SPACING)))
        assert (picture[:50] == 0).all()
        assert picture[50:700].std() > 30

    @pytest.mark.parametrize("axes", ["cyx", "zyx"])
    def test_of_channels_and_slices_are_averaged(self, tmp_path, axes):
        spacing = (SPACING,) * (3 if axes == "zyx" else 2)
        stack = np.stack([np.zeros((700, 700)), np.eye(700)])
        picture = drawn(tmp_path, Points.none(len(spacing)), Image(stack, axes, spacing))
        assert picture[5, 5, 0] > picture[5, 50, 0]


class TestVerdict:
    def test_right_false_missed_and_not_judged_look_different(self, tmp_path):
        complete = np.zeros((700, 800), bool)
        complete[:, :600] = True
        places = [[100, 100], [100, 300], [300, 100], [300, 300], [500, 500]]
        example = discs(places, (700, 800), diameter_px=30.0, spacing_um=SPACING, complete=complete)
        found = Points.marked(np.array([*places[:3], [600, 100], [600, 700]]) * SPACING, kinds=("6nm",))
        path = tmp_path / "verdict.png"
        draw_verdict(found, example, {"6nm": 5 * SPACING}, path, diameters_um={"6nm": 30 * SPACING})
        picture = pixels(path)

        def near(place, colour):
            distance = np.linalg.norm(coloured(picture, colour, slice(700)) - place, axis=1)
            return (distance < 22).sum()

        for colour, where, elsewhere in (
            (overlay.RIGHT, (100, 100), (600, 100)),
            (overlay.FALSE, (600, 100), (100, 100)),
            (overlay.MISSED, (500, 500), (600, 700)),
            (overlay.UNJUDGED, (600, 700), (500, 500)),
        ):
            assert near(where, colour) > 5
            assert near(elsewhere, colour) <= 5  # where rims mix colours


class TestScaleBar:
    def test_is_as_long_as_it_says(self, tmp_path):
        picture = drawn(tmp_path, NONE, flat())
        dark = (picture[700:] < 10).all(axis=-1)
        longest = max(len(run) for row in dark for run in "".join("#" if d else " " for d in row).split())
        assert longest * SPACING == pytest.approx(round_length_um(0.2 * 800 * SPACING), rel=0.03)

    @given(st.floats(1e-5, 1e5))
    def test_has_a_round_length_of_at_least_two_fifths_of_the_room(self, longest):
        length = round_length_um(longest)
        assert 0.399 * longest <= length <= longest * 1.0001
        assert f"{length:.0e}"[0] in "125"

    @pytest.mark.parametrize(
        ("um", "said"), [(0.0005, "0.5 nm"), (0.2, "200 nm"), (1, "1 µm"), (500, "500 µm"), (1000, "1 mm")]
    )
    def test_says_its_length_in_a_fitting_unit(self, um, said):
        assert said_length(um) == said


def test_a_picture_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    def full_disk(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(overlay, "fromarray", full_disk)
    with pytest.raises(MemoryError):
        drawn(tmp_path, NONE, flat())
    assert list(tmp_path.iterdir()) == []


def test_many_classes_with_long_names_leave_the_scale_bar_alone(tmp_path):
    names = tuple(f"gold beads of {n} nanometres" for n in range(9))
    found = Points.marked(np.full((9, 2), 0.05), np.arange(9), names)
    picture = drawn(tmp_path, found, flat((300, 640)))
    assert (picture[300:, :20] < 10).all(axis=-1).any()
