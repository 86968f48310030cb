"""Images with exact truth, one file per kind."""

from __future__ import annotations

from graticule.simulate.beads import BeadScenes
from graticule.simulate.rosettes import RosetteScenes
from graticule.simulate.spots import SpotScenes
from graticule.simulate.tissue import TissueScenes

SCENES: dict[str, type[BeadScenes] | type[RosetteScenes] | type[SpotScenes] | type[TissueScenes]] = {
    "beads": BeadScenes,
    "rosettes": RosetteScenes,
    "spots": SpotScenes,
    "tissue": TissueScenes,
}
"""What can be simulated, by the name a user types."""

__all__ = ["SCENES", "BeadScenes", "RosetteScenes", "SpotScenes", "TissueScenes"]
