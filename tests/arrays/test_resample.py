import numpy as np
import pytest

from graticule.arrays.resample import to_spacing
from graticule.image import Image


@pytest.mark.parametrize("spacing_um", [0.25, 0.4, 0.5, 0.7, 1.0, 2.0, 3.3])
def test_resampling_moves_nothing(spacing_um):
    """A ramp whose value is its own position must stay so."""
    ramp = Image(np.arange(97, dtype=float)[None] * np.ones((8, 1)), "yx", (1.0, 1.0))
    resampled = to_spacing(ramp, (1.0, spacing_um))
    row = resampled.data[0]
    columns = np.arange(len(row))
    where = resampled.to_um(np.stack([np.zeros_like(columns), columns], axis=1))[:, 1]
    middle = slice(len(row) // 4, -len(row) // 4)
    assert np.allclose(row[middle], where[middle], atol=0.02)


def test_the_same_spacing_costs_nothing():
    image = Image(np.zeros((4, 4)), "yx", (0.5, 0.5))
    assert to_spacing(image, (0.5, 0.50001)) is image


def test_integers_keep_their_type_and_never_wrap():
    image = Image(np.full((8, 8), 65535, np.uint16), "yx", (1.0, 1.0))
    resampled = to_spacing(image, (0.3, 0.3))
    assert resampled.data.dtype == np.uint16
    assert (resampled.data == 65535).all()


def test_a_mask_stays_a_mask():
    mask = Image((np.indices((30, 30)).sum(axis=0) % 7 == 0).astype(np.uint8), "yx", (1.0, 1.0))
    assert set(np.unique(to_spacing(mask, (1.7, 0.6), order=0).data)) <= {0, 1}


def test_coarsening_averages_instead_of_aliasing():
    """Alternating black and white must become grey, not black or white."""
    stripes = Image((np.indices((60, 60))[1] % 2 * 100.0).astype(np.float32), "yx", (1.0, 1.0))
    coarse = np.asarray(to_spacing(stripes, (4.0, 4.0)).data)
    assert np.abs(coarse - 50).max() < 15


def test_channels_are_not_mixed():
    image = Image(np.stack([np.zeros((6, 6)), np.ones((6, 6))]), "cyx", (1.0, 1.0))
    resampled = to_spacing(image, (0.5, 0.5))
    assert (resampled.data[0] == 0).all()
    assert np.allclose(resampled.data[1], 1)
