"""Random textures: fields with a given power spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from graticule.image import Floats

Random = np.random.Generator


def smooth_field(rng: Random, shape: tuple[int, ...], *, correlation_px: float) -> Floats:
    """Mean 0, variance 1; values further apart than about twice `correlation_px` know nothing of each other."""
    return _field(rng, shape, lambda frequency: np.exp(-0.5 * (np.pi * correlation_px * frequency) ** 2))


def band_field(rng: Random, shape: tuple[int, ...], *, frequency: float, width: float) -> Floats:
    """Mean 0, variance 1; power falls off as a Gaussian on both sides of `frequency`, in cycles per pixel.

    At a distance `width` from `frequency` the power has fallen to 1/e.
    """
    return _field(rng, shape, lambda each: np.exp(-0.5 * ((each - frequency) / width) ** 2))


def _field(rng: Random, shape: tuple[int, ...], gain_at: Callable[[Floats], Floats]) -> Floats:
    """White noise with each frequency scaled by a gain; mean and variance are those of the ensemble."""
    # Prime sides make Fourier transforms tens of times slower, so the field is made a little too large and cut.
    large = tuple(fft.next_fast_len(n, real=True) for n in shape)
    gain = gain_at(_frequency(large))
    gain.flat[0] = 0
    white = fft.rfftn(rng.standard_normal(large, np.float32))
    field = fft.irfftn(white * gain, large)[tuple(slice(n) for n in shape)]
    return np.asarray(field / np.sqrt(_variance(gain, large)), np.float32)


def _frequency(shape: tuple[int, ...]) -> Floats:
    """Cycles per pixel at each place of a real Fourier transform of `shape`."""
    axes = [fft.fftfreq(n) for n in shape[:-1]] + [fft.rfftfreq(shape[-1])]
    square = sum(f.astype(np.float32) ** 2 for f in np.meshgrid(*axes, indexing="ij", sparse=True))
    return np.asarray(np.sqrt(square), np.float32)


def _variance(gain: Floats, shape: tuple[int, ...]) -> float:
    """Of white noise of variance 1 after `gain` on its real Fourier transform."""
    # A column of a real transform stands for its mirror image too, save the first and, for an even side, the last.
    columns = np.full(gain.shape[-1], 2.0)
    columns[0] = 1
    if shape[-1] % 2 == 0:
        columns[-1] = 1
    return float((gain**2 * columns).sum() / np.prod(shape))
