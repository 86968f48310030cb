"""Colours that stay apart for the colour-blind (Okabe and Ito 2008), and what they mean in a review."""

from __future__ import annotations

from collections.abc import Mapping

from graticule.review.item import Status

STATUS: Mapping[Status, str] = {"open": "#F0E442", "accepted": "#56B4E9", "rejected": "#D55E00"}
"""Yellow, sky blue, vermilion."""
LIGHT, DARK = "#FFFFFF", "#000000"
"""Lines side by side, to be seen on any grey."""
DRAWN = "#CC79A7"
"""Reddish purple: what is being drawn."""

CODES: Mapping[Status, int] = {"open": 1, "accepted": 2, "rejected": 3}
"""Of outlines: what their voxels say of their status."""

SYMBOLS = ("disc", "square", "diamond", "triangle_up", "triangle_down", "star", "hbar", "vbar", "arrow")
"""Shapes of the rings, class by class; statuses are colours, so that one may be told without the other."""
