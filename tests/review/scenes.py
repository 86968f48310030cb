"""Small proposals to review: points on a plane, and three numbered squares."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from graticule.image import Image
from graticule.results import Labels, Points
from graticule.review import Order, Proposals, Session

SPACING = (0.5, 0.25)
IMAGE = Image(np.zeros((80, 120), np.uint8), "yx", SPACING)
ORDER = Order(view_um=8.0, seed=3)


def point_proposals(number: int = 12, seed: int = 0) -> Proposals:
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 1, (number, 2)) * (np.array(IMAGE.shape) - 1) * SPACING
    kinds = rng.integers(0, 2, number)
    found = Points(places, rng.uniform(0.2, 1, number), kinds, ("small", "large"), np.where(kinds, 2.0, 1.0))
    return Proposals.of(found)


def square_labels() -> np.ndarray:
    """Squares 1 and 2 touch; 3 is a dumb-bell: two squares with a neck."""
    labels = np.zeros(IMAGE.shape, np.uint16)
    labels[10:20, 10:20] = 1
    labels[10:20, 20:30] = 2
    labels[40:50, 50:60] = 3
    labels[44:46, 60:64] = 3
    labels[40:50, 64:74] = 3
    return labels


def outlined_proposals() -> Proposals:
    labels = square_labels()
    centres = np.array([np.argwhere(labels == n).mean(axis=0) for n in (1, 2, 3)])
    found = Points(IMAGE.to_um(centres), np.array([0.9, 0.6, 0.4]), np.zeros(3, int), ("rosette",))
    return Proposals.of(found, Labels(Image(labels, "yx", SPACING)), [1, 2, 3])


def opened(folder: Path, proposals: Proposals | None = None, order: Order = ORDER, who: str = "ada") -> Session:
    ticks = count()
    return Session.open(
        folder / f"{who}.jsonl",
        IMAGE,
        proposals or point_proposals(),
        order=order,
        who=who,
        about={"image": {"sha256": "abc"}, "models": ["m1"]},
        clock=lambda: f"2026-01-01T00:00:{next(ticks):02d}",
    )
