import numpy as np
import pytest
from scipy.ndimage import gaussian_gradient_magnitude

from graticule.inference.augment import D4, averaged, symmetric


def edges(batch):
    """A forward that treats all directions alike, at stride 2, with an arrow: where the mass of each cell's voxels lies."""
    b, _, h, w = batch.shape
    strength = np.stack([gaussian_gradient_magnitude(x[0], 1.5) for x in batch])
    cells = strength.reshape(b, h // 2, 2, w // 2, 2)
    mass = cells.sum(axis=(2, 4))
    dy = (cells[:, :, 1].sum(axis=-1) - cells[:, :, 0].sum(axis=-1)) / mass
    dx = (cells[..., 1].sum(axis=2) - cells[..., 0].sum(axis=2)) / mass
    return np.stack([mass, dy, dx], axis=1).astype(np.float32)


@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (64, 32)])
def test_a_forward_that_knows_no_direction_is_unchanged_also_on_oblong_tiles(shape):
    """Nothing shifts by half a cell, and arrows turn with the image."""
    batch = np.random.default_rng(0).random((2, 1, *shape)).astype(np.float32)
    assert np.allclose(symmetric(edges, vector=1)(batch), edges(batch), atol=1e-4)


@pytest.mark.parametrize("view", D4)
def test_each_view_alone_is_mapped_back(view):
    batch = np.random.default_rng(1).random((1, 1, 16, 24)).astype(np.float32)
    assert np.allclose(symmetric(edges, 1, [view])(batch), edges(batch), atol=1e-4)


def test_arrows_left_unturned_would_show():
    batch = np.random.default_rng(1).random((1, 1, 16, 24)).astype(np.float32)
    assert not np.allclose(symmetric(edges, None)(batch), edges(batch), atol=1e-2)


def test_a_square_has_eight_symmetries():
    square = np.arange(9).reshape(3, 3)
    seen = {np.rot90(square[:, ::-1] if mirror else square, turns).tobytes() for turns, mirror in D4}
    assert len(seen) == 8


def test_an_ensemble_is_the_mean():
    batch = np.ones((1, 1, 4, 4), np.float32)
    assert np.allclose(averaged([lambda b: b, lambda b: 3 * b])(batch), 2)
