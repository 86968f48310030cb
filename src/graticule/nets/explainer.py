"""Reasons for a network's answer on one window, as arrays: what `nets/attribution.py` says, on a device, from NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from graticule.image import Array, Floats
from graticule.nets.attribution import (
    Answer,
    features,
    grad_cam,
    integrated_gradients,
    layers_of,
    occlusion,
    settled,
    unlearnt,
)
from graticule.nets.forward import choose_device
from graticule.task import Weights

Baseline = Literal["zero", "blurred"]
BLUR_PX = 8.0
"""Standard deviation of the blurred baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How carefully to look.

    Attributes
    ----------
    steps
        Points between baseline and window at which gradients are taken.
    patch
        Side in voxels of what is occluded at once; 0: an eighth of the window (in volumes a quarter).
    baseline
        What stands for "nothing there": "zero", as beyond an image's edge, or the window itself, "blurred".
    seed
        Of the weights of the network that has learnt nothing.
    """

    steps: int = 32
    patch: int = 0
    baseline: Baseline = "zero"
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """What the answer on one window hangs on; maps are ``(*space)``, of all channels together, in logits.

    Attributes
    ----------
    answer, without
        The mean logit, and that of the baseline.
    gradients
        Integrated gradients: they add up to `answer` - `without`, nearly.
    occluded
        By how much the answer falls where a patch is taken away.
    cam
        Grad-CAM on the bottleneck; 0 or more, in no unit.
    gradients_unlearnt, cam_unlearnt
        The same of the network with random weights.
    patch
        Sides of the patch.
    """

    answer: float
    without: float
    gradients: Floats
    occluded: Floats
    cam: Floats
    gradients_unlearnt: Floats
    cam_unlearnt: Floats
    patch: tuple[int, ...]


class Explainer:
    """A network with its weights, to be asked why. Everything is computed in fp32.

    Parameters
    ----------
    network
        Makes the network anew.
    weights
        Of which those that are the network's are taken.
    """

    def __init__(self, network: Callable[[], nn.Module], weights: Weights, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.make = network
        learnt = network()
        own = learnt.state_dict()
        learnt.load_state_dict({name: torch.from_numpy(np.array(w)) for name, w in weights.items() if name in own})
        self.network = settled(learnt).to(self.device)

    def logits(self, pixels: Floats) -> Floats:
        """``(K, *cells)``, in fp32: nothing is made of them."""
        with torch.no_grad():
            logits: Floats = self.network(self._placed(pixels))[0].cpu().numpy()
        return logits

    def why(self, pixels: Floats, channel: int, cells: Array, effort: Effort) -> Reasons:
        """What the mean of logit `channel` over `cells` ``(*cells)``, not 0 where it counts, hangs on."""
        x = self._placed(pixels)
        weight = torch.from_numpy(np.asarray(cells, np.float32)).to(self.device)
        before = torch.zeros_like(x) if effort.baseline == "zero" else blurred(x)
        patch, stride = _patches(x, effort.patch)
        answer = Answer(self.network, channel, weight)
        random = Answer(unlearnt(self.make, effort.seed).to(self.device), channel, weight)
        batch = 4 if x.ndim == 4 else 1
        with torch.no_grad():
            told, without = float(answer(x)), float(answer(before))

        def gradients(one: Answer, steps: int) -> Floats:
            return _array(integrated_gradients(one, x, before, steps=steps, batch=batch).sum(dim=1))

        def cam(one: Answer) -> Floats:
            return _array(grad_cam(one, layers_of(one.network, x).deepest, x)[:, 0])

        return Reasons(
            answer=told,
            without=without,
            gradients=gradients(answer, effort.steps),
            occluded=_array(occlusion(answer, x, before, patch=patch, stride=stride, batch=batch)[:, 0]),
            cam=cam(answer),
            gradients_unlearnt=gradients(random, max(2, effort.steps // 2)),
            cam_unlearnt=cam(random),
            patch=patch,
        )

    def filters(self, pixels: Floats) -> Floats:
        """``(n, C, *kernel)``: the largest filters of the first layer, those that look at ``(C, *space)`` pixels."""
        weights = [module.state_dict()["weight"] for module in layers_of(self.network, self._placed(pixels)).first]
        largest = max((tuple(weight.shape[2:]) for weight in weights), key=lambda side: int(np.prod(side)))
        return np.concatenate([weight.cpu().numpy() for weight in weights if tuple(weight.shape[2:]) == largest])

    def features(self, pixels: Floats) -> tuple[Floats, Floats]:
        """``(channels, *cells)`` of the first layer, and of the bottleneck."""
        x = self._placed(pixels)
        layers = layers_of(self.network, x)
        early, deepest = (features(self.network, layer, x) for layer in (layers.early, layers.deepest))
        return _array(early), _array(deepest)

    def _placed(self, pixels: Floats) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None].to(self.device)


def blurred(x: Tensor) -> Tensor:
    """``(B, C, *space)`` smoothed by a Gaussian of `BLUR_PX` voxels; edges are repeated."""
    reach = int(3 * BLUR_PX)
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(places**2) / (2 * BLUR_PX**2))
    kernel = kernel / kernel.sum()
    for axis in range(2, x.ndim):
        rows = x.movedim(axis, -1)
        flat = functional.pad(rows.reshape(-1, 1, rows.shape[-1]), (reach, reach), mode="replicate")
        x = functional.conv1d(flat, kernel.view(1, 1, -1)).reshape(rows.shape).movedim(-1, axis)
    return x


def _patches(x: Tensor, side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sides of the patch that is occluded, and how far it is moved: half of that in planes, all of it in volumes."""
    share = 8 if x.ndim == 4 else 4
    patch = tuple(min(n, side or max(4, n // share)) for n in x.shape[2:])
    return patch, patch if x.ndim == 5 else tuple(max(1, n // 2) for n in patch)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy()
    return array[0] if array.ndim > 0 and array.shape[0] == 1 else array
