import numpy as np
import pytest
from scipy import ndimage

from graticule.arrays import texture
from graticule.arrays.texture import Scales
from graticule.errors import SettingsError

NOISE = np.random.default_rng(0).standard_normal((203, 310), np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_blur_is_a_gaussian(sigma):
    reach = texture.radius(sigma)
    expected = ndimage.gaussian_filter(NOISE, sigma, radius=reach)[reach:-reach, reach:-reach]
    assert texture.blur(NOISE, sigma) == pytest.approx(expected, abs=1e-6)


def test_cells_hold_means_over_their_pixels():
    cells = texture.pool(NOISE, Scales())
    blocks = NOISE[:200, :308].reshape(50, 4, 77, 4)
    assert cells.grey.shape == (51, 78)
    assert cells.grey[:50, :77] == pytest.approx(blocks.mean(axis=(1, 3)), abs=1e-5)
    assert cells.variance[:50, :77] == pytest.approx(blocks.var(axis=(1, 3)), abs=1e-5)


def test_a_cell_that_the_plane_only_part_fills_is_filled_with_edge_pixels():
    cells = texture.pool(NOISE, Scales())
    assert cells.grey[0, -1] == pytest.approx(np.pad(NOISE, ((0, 0), (0, 2)), mode="edge")[:4, 308:].mean(), abs=1e-5)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match="block_size 8"):
        Scales(block_size=8)
    with pytest.raises(SettingsError, match="not variance alone"):
        Scales(terms=("variance",))
