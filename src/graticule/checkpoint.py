"""A model on disk: which task, which settings, which weights, and where they came from.

One safetensors file: weights as tensors, the rest as JSON in its header. Loading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from graticule.errors import CheckpointError
from graticule.io.atomic import replacing
from graticule.settings import from_plain, to_plain
from graticule.task import Task, Weights
from graticule.tasks import LABEL_FREE, TASKS

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Everything `predict` needs besides an image.

    Attributes
    ----------
    task
        At its operating point: thresholds are part of its settings.
    weights
        Empty for methods that need none.
    made_by
        Where the model came from: versions, data and their hashes, seed, history, score.
    """

    task: Task
    weights: Weights = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the whole file or nothing."""
        card = {
            "format": FORMAT,
            "task": self.task.name,
            "settings": to_plain(self.task),
            "made_by": dict(self.made_by),
        }
        with replacing(path) as aside:
            # Written by us: save_file makes a new file that only its owner may read.
            aside.write_bytes(
                save({n: np.asarray(w, order="C") for n, w in self.weights.items()}, {"graticule": json.dumps(card)})
            )

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        if path.name in TASKS and not path.exists():
            raise CheckpointError(
                f"task {path.name!r} needs a trained model; train one with: graticule train {path.name} DATASET -o MODEL"
            )
        if not path.is_file():
            raise CheckpointError(f"{path} does not exist; give a model file made by graticule train")
        card, weights = _read(path)
        if card.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} has model format {card.get('format')}, this version reads {FORMAT}; update graticule"
            )
        known = {**TASKS, **LABEL_FREE}
        if card["task"] not in known:
            raise CheckpointError(
                f"{path} is for task {card['task']!r}, this version knows {', '.join(known)}; update graticule"
            )
        return cls(from_plain(known[card["task"]], card["settings"], str(path)), weights, card["made_by"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="np") as file:
            card = json.loads((file.metadata() or {})["graticule"])
            return card, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a Graticule model, or is damaged ({error}); give a file made by graticule train"
        ) from error
