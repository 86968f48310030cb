"""The kinds of object: one file each, holding everything that is special about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graticule.example import Example
from graticule.task import Task
from graticule.tasks import (
    beads,
    beads_log,
    mitochondria,
    mitochondria_dark,
    particles,
    particles_log,
    rosettes,
    tissue,
)
from graticule.tasks.beads import Beads
from graticule.tasks.beads_log import LogBeads
from graticule.tasks.mitochondria import Mitochondria
from graticule.tasks.particles import Particles
from graticule.tasks.rosettes import Rosettes
from graticule.tasks.rosettes_vertices import RosettesVertices
from graticule.tasks.tissue import Tissue
from graticule.tasks.tissue_baselines import TissueDog, TissueOtsu
from graticule.tasks.tissue_texture import TissueTexture

TASKS: dict[str, type[Any]] = {kind.name: kind for kind in (Beads, Tissue, Rosettes, Mitochondria, Particles)}
"""Every task that can be trained, by name. To add one, write its file and name it here."""

LABEL_FREE: dict[str, type[Any]] = {
    kind.name: kind for kind in (TissueTexture, TissueOtsu, TissueDog, RosettesVertices)
}
"""Methods that need no training, by the name that `--model` takes in place of a file."""

PRESETS: dict[str, Mapping[str, Mapping[str, Any]]] = {
    Beads.name: beads.PRESETS,
    Tissue.name: tissue.PRESETS,
    Rosettes.name: rosettes.PRESETS,
    Mitochondria.name: mitochondria.PRESETS,
    Particles.name: particles.PRESETS,
}
"""By task name: settings that go together, under a name."""

BASELINES: dict[str, Callable[[Any, Sequence[Example]], Task]] = {
    Beads.name: beads_log.baseline,
    Tissue.name: tissue.baseline,
    Rosettes.name: rosettes.baseline,
    Mitochondria.name: mitochondria_dark.baseline,
    Particles.name: particles_log.baseline,
}
"""By task name: a classical method for the same classes, tuned on annotated examples; printed beside every figure."""

__all__ = [
    "BASELINES",
    "LABEL_FREE",
    "PRESETS",
    "TASKS",
    "Beads",
    "LogBeads",
    "Mitochondria",
    "Particles",
    "Rosettes",
    "Tissue",
    "TissueTexture",
]
