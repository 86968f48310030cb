"""Images with exact truth, one file per kind."""

from __future__ import annotations

from graticule.simulate.beads import BeadScenes
from graticule.simulate.spots import SpotScenes
from graticule.simulate.tissue import TissueScenes

SCENES: dict[str, type[BeadScenes] | type[SpotScenes] | type[TissueScenes]] = {
    "beads": BeadScenes,
    "spots": SpotScenes,
    "tissue": TissueScenes,
}
"""What can be simulated, by the name a user types."""

__all__ = ["SCENES", "BeadScenes", "SpotScenes", "TissueScenes"]
