import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.arrays.blobs import blob_peaks, blob_response, blob_responses, reach_px


def disc(shape, centre, diameter, contrast=-50.0, ground=120.0):
    """A sharp disc (or ball) that covers each pixel by the right share, near enough."""
    shares = []
    for shift in np.stack(np.meshgrid(*[np.linspace(-0.4, 0.4, 5)] * len(shape)), -1).reshape(-1, len(shape)):
        grid = np.indices(shape).reshape(len(shape), -1).T + shift
        shares.append(np.linalg.norm(grid - centre, axis=1) <= diameter / 2)
    return (ground + contrast * np.mean(shares, axis=0).reshape(shape)).astype(np.float32)


class TestResponse:
    @pytest.mark.parametrize("diameter", [8, 12, 21, 34])
    def test_a_lone_disc_answers_with_its_contrast(self, diameter):
        response = blob_response(disc((120, 121), (60, 58), diameter), diameter)
        assert response[60, 58] == pytest.approx(50, rel=0.03)
        assert np.unravel_index(response.argmax(), response.shape) == (60, 58)

    def test_a_ball_in_a_volume_answers_with_its_contrast(self):
        response = blob_response(disc((40, 40, 40), (20, 20, 20), 14), 14)
        assert response[20, 20, 20] == pytest.approx(50, rel=0.05)

    @pytest.mark.parametrize("diameter", [8, 12, 21])
    def test_the_matching_diameter_answers_most(self, diameter):
        ladder = diameter * np.array([0.5, 0.7, 1, 1.4, 2])
        responses = blob_responses(disc((120, 120), (60, 60), diameter), ladder.tolist())
        assert responses[:, 60, 60].argmax() == 2

    def test_bright_discs_are_dark_ones_upside_down(self):
        pixels = disc((60, 60), (30, 30), 10)
        np.testing.assert_allclose(blob_response(-pixels, 10, polarity="bright"), blob_response(pixels, 10), atol=1e-3)
        assert blob_response(pixels, 10, polarity="bright")[30, 30] < 0

    @pytest.mark.parametrize("roundness", [0.0, 0.5, 1.0])
    def test_a_flat_image_and_a_steady_slope_answer_nothing(self, roundness):
        slope = np.add.outer(np.arange(80.0), 2 * np.arange(90.0))
        inner = blob_response(slope, 6, roundness=roundness)[20:-20, 20:-20]
        assert np.abs(inner).max() < 1e-2

    def test_roundness_keeps_discs_and_silences_lines(self):
        line = np.full((80, 80), 120.0, np.float32)
        line[38:43] = 70
        plain, strict = (blob_response(line, 8, roundness=r)[40, 40] for r in (0, 1))
        assert plain > 25
        assert strict == pytest.approx(0, abs=0.5)
        pixels = disc((80, 80), (40, 40), 8)
        assert blob_response(pixels, 8, roundness=1)[40, 40] == pytest.approx(
            blob_response(pixels, 8)[40, 40], rel=1e-3
        )

    def test_is_the_same_in_a_window_that_reaches_far_enough(self):
        pixels = np.random.default_rng(0).normal(100, 20, (90, 100))
        reach = reach_px(10)
        whole, window = blob_response(pixels, 10), blob_response(pixels[20:80, 15:90], 10)
        np.testing.assert_allclose(
            window[reach:-reach, reach:-reach], whole[20:80, 15:90][reach:-reach, reach:-reach], atol=1e-3
        )

    def test_integers_do_not_wrap(self):
        pixels = disc((60, 60), (30, 30), 10, contrast=-50000, ground=60000).astype(np.uint16)
        assert blob_response(pixels, 10)[30, 30] == pytest.approx(50000, rel=0.05)


class TestPeaks:
    @given(st.floats(20, 40), st.floats(20, 40))
    @settings(deadline=None, max_examples=25)
    def test_finds_a_disc_between_pixels_to_a_tenth(self, y, x):
        positions, _ = blob_peaks(blob_response(disc((60, 61), (y, x), 10), 10), threshold=25)
        assert positions == pytest.approx(np.array([[y, x]]), abs=0.1)

    @pytest.mark.parametrize("centre", [(0, 30), (59, 30), (30, 0), (30, 60), (0, 0), (59, 60)])
    def test_keeps_a_disc_centred_on_the_border(self, centre):
        positions, _ = blob_peaks(blob_response(disc((60, 61), centre, 10), 10), threshold=25)
        assert positions == pytest.approx(np.array([centre]), abs=0.7)

    def test_a_flat_top_counts_once_at_its_centre(self):
        response = np.zeros((20, 20), np.float32)
        response[4:6, 7:10] = 3
        positions, heights = blob_peaks(response, threshold=1)
        assert positions.tolist() == [[4.5, 8]]
        assert heights.tolist() == [3]

    def test_nothing_above_the_threshold_is_no_peaks(self):
        positions, heights = blob_peaks(np.zeros((5, 6, 7), np.float32), threshold=0.5)
        assert positions.shape == (0, 3)
        assert heights.shape == (0,)

    def test_highest_come_first(self):
        response = np.zeros((20, 20), np.float32)
        response[3, 3], response[10, 10], response[16, 4] = 1, 3, 2
        assert blob_peaks(response, threshold=0.5)[1].tolist() == [3, 2, 1]
