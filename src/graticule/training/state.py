"""A training that can be killed: everything needed to go on, in one file, after every epoch.

A safetensors file holds the tensors; its header holds where training stands as JSON. Loading it runs no code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graticule.errors import CheckpointError


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What a state file holds: tensors by name, and plain values."""

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix/``, without it."""
        return {n.removeprefix(f"{prefix}/"): t for n, t in self.tensors.items() if n.startswith(f"{prefix}/")}


def save(path: Path, parts: Mapping[str, Mapping[str, Tensor]], plain: Mapping[str, Any]) -> None:
    """Write aside, then rename: a kill at any moment leaves the old state or the new one."""
    tensors = {
        f"{part}/{name}": t.detach().cpu().contiguous() for part, named in parts.items() for name, t in named.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    save_file(tensors, aside, metadata={"state": json.dumps(plain)})
    os.replace(aside, path)


def load(path: Path) -> Stored:
    """What `save` wrote; a file that it did not is refused."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return Stored(tensors, json.loads((file.metadata() or {})["state"]))
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a training state ({error}); delete it to train from the start") from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's memory as named tensors: ``index.key``."""
    memory = optimiser.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in memory.items() for key, value in entry.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`; learning rates stay what they are."""
    memory: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        memory.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": memory, "param_groups": optimiser.state_dict()["param_groups"]})


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """All parameters and buffers, none missing, none over."""
    module.load_state_dict(dict(tensors))
