"""Images with exact truth, one file per kind."""

from __future__ import annotations

from graticule.simulate.beads import BeadScenes
from graticule.simulate.spots import SpotScenes

SCENES: dict[str, type[BeadScenes] | type[SpotScenes]] = {"beads": BeadScenes, "spots": SpotScenes}
"""What can be simulated, by the name a user types."""

__all__ = ["SCENES", "BeadScenes", "SpotScenes"]
