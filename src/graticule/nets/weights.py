"""Weights from elsewhere into a network of ours: another model's, or a pretrained encoder's. No code in a file is run."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graticule.errors import CheckpointError
from graticule.image import Floats
from graticule.nets.forward import weights_of
from graticule.task import Weights

MOCO = "module.encoder_q."
"""Where MoCo keeps the encoder that is worth having (He et al. 2020); CEM500K's files (Conrad & Narayan 2021) follow it."""

HEADS = ("heatmap.", "diameter.", "body.model.2.")
"""Parts whose size depends on the classes: begun anew where a model for other classes is the start."""


def adapt(
    network: Callable[[], nn.Module], weights: Weights, seed: int, source: str
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """`weights` fitted to a new network, and the names of head tensors that had to be begun at random.

    Anything but a head that is missing or has another shape is an error: the network would not be the same.
    """
    torch.manual_seed(seed)
    fresh = weights_of(network())
    wrong = {n: weights.get(n) for n, w in fresh.items() if n not in weights or weights[n].shape != w.shape}
    unfit = [n for n in wrong if not n.startswith(HEADS)]
    if unfit:
        raise CheckpointError(
            f"{source} does not fit this network: {_described(unfit, fresh, weights)}; use its settings"
        )
    return {n: w if n in wrong else np.asarray(weights[n]) for n, w in fresh.items()}, tuple(wrong)


def encoder_from_checkpoint(network: Callable[[], nn.Module], path: Path, seed: int) -> dict[str, Floats]:
    """A new network whose encoder holds the weights of a MoCo-style checkpoint: ``state_dict`` under `MOCO`.

    A first layer for three colours is averaged to one channel. The encoder's classifier, which we have not, may be
    there; any other tensor that is missing or has another shape is an error that names it.
    """
    stored = _one_channel(_moco_encoder(path))
    torch.manual_seed(seed)
    whole = weights_of(network())
    ours = {n.removeprefix("encoder."): w for n, w in whole.items() if n.startswith("encoder.")}
    # Batch-norm counters say how long a layer was trained; old files lack them and nothing depends on them.
    needed = [n for n in ours if not n.endswith("num_batches_tracked")]
    wrong = [n for n in needed if n not in stored or stored[n].shape != ours[n].shape]
    extra = [n for n in stored if n not in ours and not n.startswith("fc.")]
    if wrong or extra:
        raise CheckpointError(
            f"{path} does not fit the encoder: {_described(wrong, ours, stored)}"
            + (f"; not part of ours: {_listed(extra)}" if extra else "")
            + "; choose the --encoder the file was made for"
        )
    loaded = {f"encoder.{n}": np.asarray(stored[n], np.float32) for n in needed}
    return {**whole, **loaded}


def _moco_encoder(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors by their own names."""
    try:
        with warnings.catch_warnings():
            # torch warns of pickles it did not write itself; what it cannot read safely it refuses, which is what counts.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; give the pretrained encoder's file") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path} is not a checkpoint of plain tensors ({reason}); nothing in it was run"
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no 'state_dict'; need a MoCo-style checkpoint such as CEM500K's")
    encoder = {n.removeprefix(MOCO): t for n, t in state.items() if n.startswith(MOCO) and isinstance(t, Tensor)}
    if not encoder:
        raise CheckpointError(
            f"{path}: none of the {len(state)} tensors begins with {MOCO!r}; found {_listed(list(state))}"
        )
    return encoder


def _one_channel(stored: dict[str, Tensor]) -> dict[str, Any]:
    arrays: dict[str, Any] = {n: t.float().numpy() for n, t in stored.items()}
    if "conv1.weight" in arrays and arrays["conv1.weight"].ndim == 4:
        arrays["conv1.weight"] = arrays["conv1.weight"].mean(axis=1, keepdims=True)
    return arrays


def _described(names: list[str], needed: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    parts = [f"{n} is {found[n].shape}, need {needed[n].shape}" if n in found else f"{n} is missing" for n in names]
    return f"{len(parts)} tensor(s) do not fit: {_listed(parts)}"


def _listed(names: list[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
