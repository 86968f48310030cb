"""Random textures: fields with a given power spectrum."""

from __future__ import annotations

import numpy as np
from scipy import fft

from graticule.image import Floats

Random = np.random.Generator


def smooth_field(rng: Random, shape: tuple[int, ...], *, correlation_px: float) -> Floats:
    """Mean 0, variance 1; values further apart than about twice `correlation_px` know nothing of each other."""
    return _field(rng, shape, np.exp(-0.5 * (np.pi * correlation_px * _frequency(shape)) ** 2))


def band_field(rng: Random, shape: tuple[int, ...], *, frequency: float, width: float) -> Floats:
    """Mean 0, variance 1; power falls off as a Gaussian on both sides of `frequency`, in cycles per pixel.

    At a distance `width` from `frequency` the power has fallen to 1/e.
    """
    return _field(rng, shape, np.exp(-0.5 * ((_frequency(shape) - frequency) / width) ** 2))


def _frequency(shape: tuple[int, ...]) -> Floats:
    """Cycles per pixel at each place of a real Fourier transform."""
    axes = [fft.fftfreq(n) for n in shape[:-1]] + [fft.rfftfreq(shape[-1])]
    square = sum(f.astype(np.float32) ** 2 for f in np.meshgrid(*axes, indexing="ij", sparse=True))
    return np.asarray(np.sqrt(square), np.float32)


def _field(rng: Random, shape: tuple[int, ...], gain: Floats) -> Floats:
    white = fft.rfftn(rng.standard_normal(shape, np.float32))
    gain.flat[0] = 0
    mirrored = np.full(gain.shape[-1], 2.0)  # all but the first and, for an even side, the last column stand for two
    mirrored[0] = 1
    if shape[-1] % 2 == 0:
        mirrored[-1] = 1
    power = (gain**2 * mirrored).sum() / np.prod(shape)
    return np.asarray(fft.irfftn(white * gain, shape) / np.sqrt(power), np.float32)
