"""Images with known truth, drawn in a few lines, for tests of everything above `simulate`."""

from __future__ import annotations

import numpy as np

from graticule.example import Example
from graticule.image import Image
from graticule.results import Points

SPACING_UM = 0.0006


def discs(
    centres_px,
    shape=(96, 96),
    *,
    diameter_px=10.0,
    kind=None,
    kinds=("6nm",),
    spacing_um=SPACING_UM,
    noise=3.0,
    seed=0,
    name="discs",
    complete=None,
) -> Example:
    """Dark discs with soft rims on grey, at exact sub-pixel places; `diameter_px` is one number or one for each kind."""
    rng = np.random.default_rng(seed)
    centres = np.reshape(np.asarray(centres_px, float), (-1, 2))
    kind = np.zeros(len(centres), int) if kind is None else np.asarray(kind)
    diameters = np.broadcast_to(diameter_px, len(kinds))[kind]
    grey = np.full(shape, 180.0)
    for centre, diameter in zip(centres, diameters, strict=True):
        low = np.maximum(np.floor(centre - diameter), 0).astype(int)
        high = np.minimum(np.ceil(centre + diameter) + 1, shape).astype(int)
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        distance = np.hypot(y - centre[0], x - centre[1])
        grey[low[0] : high[0], low[1] : high[1]] -= 120 * np.clip(diameter / 2 - distance + 0.5, 0, 1)
    grey += rng.normal(0, noise, shape)
    spacing = (spacing_um, spacing_um)
    image = Image(np.clip(np.round(grey), 0, 255).astype(np.uint8), "yx", spacing)
    mask = None if complete is None else Image(complete.astype(np.uint8), "yx", spacing)
    return Example(name, image, Points.marked(centres * spacing_um, kind, kinds), mask)


def scattered(
    seed: int, count: int = 12, shape=(96, 96), gap_px: float = 14.0, edge_px: float = 4.0, **more
) -> Example:
    """Discs at random places at least `gap_px` apart."""
    rng = np.random.default_rng(seed)
    centres: list[np.ndarray] = []
    for _ in range(2000):
        place = rng.uniform(edge_px, np.array(shape) - 1 - edge_px)
        if len(centres) < count and all(np.hypot(*(place - other)) >= gap_px for other in centres):
            centres.append(place)
    return discs(np.array(centres), shape, seed=seed, name=f"discs-{seed}", **more)
