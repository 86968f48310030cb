"""The only border between NumPy and torch: a network with its weights as a function of arrays, on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graticule.errors import SettingsError
from graticule.image import Floats
from graticule.nets.folded import folded
from graticule.task import Forward, Weights

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def choose_device(wanted: str = "auto") -> str:
    """``"auto"`` to the fastest device this machine has; anything else is checked and kept."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(wanted.partition(":")[0], False):
        raise SettingsError(
            f"device {wanted!r} is not available here; use {', '.join(d for d, ok in available.items() if ok)} or auto"
        )
    return wanted


def choose_precision(device: str, network: nn.Module | None = None) -> str:
    """``"bf16"`` where it is faster than ``"fp32"``: on GPUs made for it, and on CPUs with AMX or AVX512-BF16 units.

    A network that calls itself `narrow` gains by AMX alone. (Asked of the network, not measured: a measurement that falls
    out differently would give other results on the same machine.)
    """
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    units = {"AMX"} if getattr(network, "narrow", False) else {"AMX", "AVX512-BF16"}
    return "bf16" if device == "cpu" and units & set(bf16_units()) else "fp32"


def bf16_units() -> tuple[str, ...]:
    """What this machine's CPU has for arithmetic in bf16, as far as this torch can tell."""
    asked = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    return tuple(name for name, question in asked.items() if getattr(torch.cpu, question, bool)())


def as_forward(
    network: nn.Module, weights: Weights, device: str, finish: Callable[[Tensor], Tensor], precision: str | None = None
) -> Forward:
    """Prepared pixels ``(B, C, *space)`` to maps, with `finish` turning the network's output into maps."""
    device = choose_device(device)
    dtype = PRECISIONS[precision or choose_precision(device, network)]
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    network = placed(folded(network.eval()), device)

    @torch.inference_mode()
    def forward(batch: Floats) -> Floats:
        pixels = torch.from_numpy(batch).to(device, memory_format=LAYOUTS[batch.ndim])
        with torch.autocast(device.partition(":")[0], dtype, enabled=dtype is not torch.float32):
            out = network(pixels)
        maps: Floats = finish(out.float()).cpu().numpy()
        return maps

    return forward


LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Channels last, by the number of a tensor's axes, planes and volumes: what convolutions are fastest in."""


def placed(network: nn.Module, device: str | torch.device) -> nn.Module:
    """`network` on a device, in its layout."""
    kernels = next(p for p in network.parameters() if p.ndim > 3)
    anything: Any = network  # torch's own types know no `memory_format` of a module
    moved: nn.Module = anything.to(device, memory_format=LAYOUTS[kernels.ndim])
    return moved


def weights_of(network: nn.Module) -> dict[str, Floats]:
    """A network's parameters and buffers as arrays that outlive it."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}
