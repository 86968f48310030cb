"""Images with exact truth, one file per kind."""

from __future__ import annotations

from graticule.simulate.beads import BeadScenes
from graticule.simulate.mitochondria import MitochondriaScenes
from graticule.simulate.particles import ParticleScenes
from graticule.simulate.rosettes import RosetteScenes
from graticule.simulate.spots import SpotScenes
from graticule.simulate.tissue import TissueScenes

Scenes = BeadScenes | MitochondriaScenes | ParticleScenes | RosetteScenes | SpotScenes | TissueScenes

SCENES: dict[str, type[Scenes]] = {
    "beads": BeadScenes,
    "mitochondria": MitochondriaScenes,
    "particles": ParticleScenes,
    "rosettes": RosetteScenes,
    "spots": SpotScenes,
    "tissue": TissueScenes,
}
"""What can be simulated, by the name a user types."""

__all__ = [
    "SCENES",
    "BeadScenes",
    "MitochondriaScenes",
    "ParticleScenes",
    "RosetteScenes",
    "SpotScenes",
    "TissueScenes",
]
