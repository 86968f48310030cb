"""The training loop, readable in one sitting."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from graticule.errors import CheckpointError, DatasetError
from graticule.example import Example
from graticule.image import Floats, Image
from graticule.inference import make_plan, run
from graticule.nets.forward import LAYOUTS, choose_device, choose_precision, placed, weights_of
from graticule.results import Points
from graticule.settings import from_plain, to_plain
from graticule.task import Cycles, Forward, Levels, Phase, Recipe, Task, Trainable, Weights
from graticule.training import state
from graticule.training.patches import Source, draw_heap, draw_patch, heaped_patches, make_source, marked_patches

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision

WARM_UP = 0.05  # share of a phase in which the learning rate climbs
COLDEST = 0.02  # share of the peak learning rate at which a phase ends


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An example on the task's own grid, with its grey levels measured on the whole image it came from."""

    example: Example
    levels: Levels


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of a training history. `score` is None where the epoch was not examined, or nothing is held out."""

    phase: int
    epoch: int
    loss: float
    score: float | None
    seconds: float
    best: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model that is kept so far: a task at its operating point, weights, and how it got there."""

    task: Trainable
    weights: Weights
    score: float
    history: tuple[Epoch, ...]


Keep = Callable[[Fitted], None]
Watch = Callable[[Epoch, float], None]
"""Called after every epoch with its line and the seconds probably left."""


def fit(
    task: Trainable,
    learn: Sequence[Ready],
    choose: Sequence[Ready],
    *,
    seed: int = 0,
    device: str = "auto",
    start: Weights | None = None,
    state_file: Path | None = None,
    keep: Keep | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Weights learnt from `learn`; when to stop and the operating point are chosen on `choose`.

    The same seed on the same machine gives the same weights. With a `state_file`, training goes on from the last epoch
    finished there, with the same result as if it had never stopped. `keep` is called with every model that is kept in place
    of the one before, the first time after the first examination.
    """
    _refuse_unteachable(learn, choose)
    return _Training(task, learn, choose, seed, choose_device(device), start, state_file).go(keep, watch)


@dataclass(slots=True)
class _Where:
    """Where training stands; changes as it goes on."""

    phase: int = 0
    epoch: int = 0
    waited: int = 0
    seconds: float = 0.0
    score: float = -math.inf
    kept_score: float = -math.inf
    history: list[Epoch] = field(default_factory=list)


class _Training:
    """The mutable side of `fit`: a network, an optimiser, and where they stand."""

    def __init__(
        self,
        task: Trainable,
        learn: Sequence[Ready],
        choose: Sequence[Ready],
        seed: int,
        device: str,
        start: Weights | None,
        state_file: Path | None,
    ) -> None:
        self.task, self.recipe, self.choose, self.seed, self.device = task, task.recipe, choose, seed, device
        self.state_file = state_file
        torch.manual_seed(seed)
        self.network: nn.Module = task.network()
        precision = "bf16-mixed" if choose_precision(device, self.network) == "bf16" else "32-true"
        kind, _, number = device.partition(":")
        self.fabric = Fabric(accelerator=kind, devices=[int(number)] if number else 1, precision=precision)
        if start is not None:
            self.network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in start.items()})
        placed(self.network, self.fabric.device)
        self.average = averaged_model(self.network, self.recipe)
        self.sources = [source_of(task, one) for one in learn]
        _refuse_nothing_known(self.sources)
        self.where = _Where()
        self.best: Fitted | None = None

    @property
    def kept(self) -> nn.Module:
        """The network that is examined and kept."""
        cycled = self.recipe.cycles is not None and int(self.average.n_averaged) > 0
        return self.average.module if self.recipe.average or cycled else self.network

    def go(self, keep: Keep | None, watch: Watch | None) -> Fitted:
        stored = self._restore()
        while self.where.phase < len(self.recipe.phases):
            phase = self.recipe.phases[self.where.phase]
            optimiser = optimiser_of(self.network, phase, self.recipe)
            if stored is not None:
                state.restore_optimiser(optimiser, stored.part("optimiser"))
            model, stepper = self.fabric.setup(self.network, optimiser)
            stored = None
            while self.where.epoch < phase.epochs and self.where.waited < self.recipe.patience:
                self._one_epoch(model, stepper, phase, keep)
                self._save(optimiser)
                if watch is not None:
                    watch(self.where.history[-1], self._seconds_left())
            self.where.phase, self.where.epoch, self.where.waited = self.where.phase + 1, 0, 0
        assert self.best is not None, "every phase examines its last epoch"
        return Fitted(self.best.task, self.best.weights, self.best.score, tuple(self.where.history))

    def _one_epoch(self, model: nn.Module, stepper: torch.optim.Optimizer, phase: Phase, keep: Keep | None) -> None:
        began, where = time.monotonic(), self.where
        loss = self._learn(model, stepper, phase)
        where.epoch += 1
        last = where.epoch == phase.epochs or where.waited + 1 >= self.recipe.patience
        due = where.epoch % self.recipe.validate_every == 0 or last
        before = where.score
        score, better = self._examine() if due else (None, None)
        where.waited = 0 if where.score > before else where.waited + 1
        where.seconds += time.monotonic() - began
        told = score if self.recipe.held_out else None  # on what was learnt from, a score says nothing
        where.history.append(Epoch(where.phase, where.epoch, loss, told, where.seconds, better is not None))
        if better is not None:
            self.best = Fitted(better.task, better.weights, better.score, tuple(where.history))
            if keep is not None:
                keep(self.best)

    def _learn(self, model: nn.Module, stepper: torch.optim.Optimizer, phase: Phase) -> float:
        """One epoch of steps; the mean loss."""
        model.train()
        hold_frozen_norms(self.network)
        torch.manual_seed(seed_of(self.seed, self._past))  # what is dropped out is the same after a restart
        done = self.where.epoch * self.recipe.steps
        losses = []
        for step, batch in enumerate(self._batches(), start=done):
            rate = rate_at(step, phase.epochs * self.recipe.steps, self.recipe.cycles)
            for group in stepper.param_groups:
                group["lr"] = group["peak"] * rate
            pixels, target, known = (torch.from_numpy(part).to(self.fabric.device) for part in batch)
            loss = self.task.loss(model(pixels.contiguous(memory_format=LAYOUTS[pixels.ndim])).float(), target, known)
            self.fabric.backward(loss)
            self.fabric.clip_gradients(model, stepper, max_norm=self.recipe.clip, error_if_nonfinite=False)
            stepper.step()
            stepper.zero_grad()
            if self.recipe.average or ends_cycle(step, phase.epochs * self.recipe.steps, self.recipe.cycles):
                self.average.update_parameters(self.network)
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def _batches(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Batches of fresh patches; the next is drawn while the network learns from this one."""
        draw = partial(draw_batch, self.sources, self.task, (self.seed, self._past))
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(draw, 0)
            for step in range(self.recipe.steps):
                batch = coming.result()
                if step + 1 < self.recipe.steps:
                    coming = ahead.submit(draw, step + 1)
                yield batch

    @property
    def _past(self) -> int:
        """Epochs before this one, if every phase takes all of its own."""
        return sum(p.epochs for p in self.recipe.phases[: self.where.phase]) + self.where.epoch

    def _examine(self) -> tuple[float, Fitted | None]:
        """The score on the held-out examples, and the model unless an earlier one was better.

        Of models that score alike the later is kept: it learnt longer, at a lower rate, and is the more sure of itself.
        `Recipe.as_good` says how much difference is none; all are held against the highest score, lest many small steps lead
        far down.
        """
        self._refresh_norms()
        weights = weights_of(self.kept)
        task, score = examine(self.task, weights, self.choose, self.device)
        if score < self.where.score - self.recipe.as_good:
            return score, None
        self.where.score, self.where.kept_score = max(score, self.where.score), score
        return score, Fitted(task, weights, score, ())

    def _refresh_norms(self) -> None:
        """The statistics of a mean of weights are not the mean of statistics: they are taken anew, from fresh batches."""
        cycles = self.recipe.cycles
        if cycles is None or self.kept is self.network:
            return
        key = (self.seed, len(self.where.history))
        batches = (draw_batch(self.sources, self.task, key, self.recipe.steps + n)[0] for n in range(cycles.refresh))
        with torch.random.fork_rng(devices=[]):
            update_bn([torch.from_numpy(pixels) for pixels in batches], self.kept, device=self.fabric.device)

    def _seconds_left(self) -> float:
        done = len(self.where.history)
        coming = sum(p.epochs for p in self.recipe.phases[self.where.phase :]) - self.where.epoch
        return self.where.seconds / done * coming

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        if self.state_file is None:
            return
        assert self.best is not None or self.where.history[-1].score is None
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": state.optimiser_tensors(optimiser),
            "best": {}
            if self.best is None
            else {k: torch.from_numpy(np.array(v)) for k, v in self.best.weights.items()},
        }
        best_task = None if self.best is None else to_plain(self.best.task)
        state.save(
            self.state_file, parts, {"task": to_plain(self.task), "best_task": best_task, "where": asdict(self.where)}
        )

    def _restore(self) -> state.Stored | None:
        if self.state_file is None or not self.state_file.is_file():
            return None
        stored = state.load(self.state_file)
        if stored.plain["task"] != to_plain(self.task):
            changed = [k for k, v in to_plain(self.task).items() if stored.plain["task"].get(k) != v]
            raise CheckpointError(
                f"{self.state_file} was begun with other settings ({', '.join(changed)}); resume with the same ones"
            )
        state.restore_module(self.network, stored.part("network"))
        state.restore_module(self.average, stored.part("average"))
        where = dict(stored.plain["where"])
        self.where = _Where(**{**where, "history": [Epoch(**line) for line in where["history"]]})
        if stored.plain["best_task"] is not None:
            weights = {name: tensor.numpy() for name, tensor in stored.part("best").items()}
            best_task = from_plain(type(self.task), stored.plain["best_task"])
            self.best = Fitted(best_task, weights, self.where.kept_score, tuple(self.where.history))
        return stored


def examine(task: Trainable, weights: Weights, choose: Sequence[Ready], device: str) -> tuple[Trainable, float]:
    """The task at its best operating point on the `choose` examples, and its score there."""
    permissive, found = task.permissive(), []
    forward: Forward | None = None
    for ready in choose:
        image = ready.example.image
        known = with_measured(task, weights, image)
        if forward is None or known is not weights:
            forward = task.forward(known, device)
        maps = run(forward, partial(task.prepare, levels=ready.levels), image, make_plan(image, task.grid))
        found.append(permissive.decode(maps))
    examples = [ready.example for ready in choose]
    chosen = task.calibrate(found, examples)
    return chosen, chosen.score([chosen.keep(one) for one in found], examples)[task.objective]


def with_measured(task: Task, weights: Weights, image: Image) -> Weights:
    """`weights`, and what a task measures on each image anew; see `LabelFree`."""
    measured = task.measure(image) if hasattr(task, "measure") else {}
    return {**measured, **weights} if measured else weights


def seed_of(*key: int) -> int:
    """For torch, which takes a single number."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def draw_batch(
    sources: Sequence[Source], task: Trainable, key: tuple[int, int], step: int
) -> tuple[Floats, Floats, Floats]:
    """Pixels, targets and known masks of one step; the same key and step give the same patches.

    Where a recipe has `marked` patches they come first, and the first of all has an object in its middle: no batch is
    without one. Heaps come last.
    """
    rng, marked, heaps = np.random.default_rng([*key, step]), marked_patches(task.recipe), heaped_patches(task.recipe)
    kinds = [n < marked if marked else None for n in range(task.recipe.batch - heaps)]
    patches = [draw_patch(sources, task, rng, marked=kind, centred=n < min(1, marked)) for n, kind in enumerate(kinds)]
    patches += [draw_heap(sources, task, rng) for _ in range(heaps)]
    return (
        np.stack([p.pixels for p in patches]),
        np.stack([p.target for p in patches]),
        np.stack([p.known for p in patches]),
    )


def parameter_groups(network: nn.Module, phase: Phase) -> list[dict[str, object]]:
    """Parameters by peak learning rate; those at 0, or that no name in the phase fits, are frozen."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        fitting = [prefix for prefix in phase.learning_rates if name.startswith(prefix)]
        peak = phase.learning_rates[max(fitting, key=len)] if fitting else 0.0
        parameter.requires_grad_(peak > 0)
        if peak > 0:
            groups.setdefault(peak, []).append(parameter)
    return [{"params": parameters, "lr": peak, "peak": peak} for peak, parameters in groups.items()]


def hold_frozen_norms(network: nn.Module) -> None:
    """Frozen batch norms keep the statistics they were pretrained with."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and not module.weight.requires_grad:
            module.eval()


def optimiser_of(network: nn.Module, phase: Phase, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters that the phase trains."""
    groups = parameter_groups(network, phase)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay)


def averaged_model(network: nn.Module, recipe: Recipe) -> AveragedModel:
    """Where averages of the weights are gathered: a moving one, or the plain mean of the ends of cycles."""
    if recipe.cycles is not None:
        return AveragedModel(network)
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)


def source_of(task: Trainable, ready: Ready) -> Source:
    """An example to cut patches from, in the region that the task looks at if it looks at a part only."""
    image = ready.example.image
    prepared = task.prepare(np.asarray(image.data[...]), ready.levels)
    region = task.region(prepared, with_measured(task, {}, image)) if hasattr(task, "region") else None
    return make_source(ready.example, prepared, region=region, linear=task.recipe.linear)


def rate_at(step: int, steps: int, cycles: Cycles | None) -> float:
    """Learning rate of a step, as a share of the peak, in a phase of so many steps.

    Without cycles see `rate_share`. With them that leads to their highest rate, from which each falls to their lowest in
    a straight line.
    """
    if cycles is None:
        return rate_share(step / steps)
    begun = step - first_cycle(steps, cycles)
    if begun < 0:
        return rate_share(step / steps, end=cycles.begin, coldest=cycles.highest)
    along = begun % cycles.steps / max(1, cycles.steps - 1)
    return cycles.highest + (cycles.lowest - cycles.highest) * along


def rate_share(progress: float, *, end: float = 1.0, coldest: float = COLDEST) -> float:
    """Learning rate as a share of its peak after `progress` (0 … 1) of a phase: a short climb, then half a cosine down."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    fall = min(1.0, (progress - WARM_UP) / (end - WARM_UP))
    return coldest + (1 - coldest) * (1 + math.cos(math.pi * fall)) / 2


def first_cycle(steps: int, cycles: Cycles) -> int:
    """The step at which cycles begin; the last one ends with the phase."""
    whole = max(1, round(steps * (1 - cycles.begin) / cycles.steps))
    return max(0, steps - whole * cycles.steps)


def ends_cycle(step: int, steps: int, cycles: Cycles | None) -> bool:
    """Whether a cycle ends with this step."""
    if cycles is None:
        return False
    begun = step - first_cycle(steps, cycles)
    return begun >= 0 and begun % cycles.steps == cycles.steps - 1


def _refuse_unteachable(learn: Sequence[Ready], choose: Sequence[Ready]) -> None:
    for role, ready in (("learn from", learn), ("choose the threshold on", choose)):
        names = ", ".join(r.example.name for r in ready) or "none"
        shares = [_marked_share(r.example) for r in ready]
        if not any(shares):
            raise DatasetError(
                f"found no annotated object in the images to {role} ({names}); annotate some, or add images"
            )
        if all(share == 1 for share in shares):
            raise DatasetError(
                f"found no background in the images to {role} ({names}): every voxel is outlined; add images with some"
            )


def _refuse_nothing_known(sources: Sequence[Source]) -> None:
    if not any(source.area if source.places is None else len(source.places) for source in sources):
        raise DatasetError(
            "found nothing to learn from in the part of the images that is looked at; need masks/, if there are any, that mark "
            "some of it, and something bright in there, if only that is looked at"
        )


def _marked_share(example: Example) -> float:
    """Of the known voxels, those that are outlined; of points only whether there are any, above 0 and below 1."""
    if isinstance(example.truth, Points):
        return 0.5 if len(example.truth) else 0.0
    marked = np.asarray(example.truth.image.data[...]) != 0
    if example.complete is None:
        return float(marked.mean())
    known = np.asarray(example.complete.data[...]) != 0
    return float(marked[known].mean()) if known.any() else 0.0
