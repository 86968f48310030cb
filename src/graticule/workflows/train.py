"""Learn a task from annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, DatasetError, SettingsError
from graticule.example import Example
from graticule.nets.weights import adapt, encoder_from_checkpoint
from graticule.task import Trainable, Weights
from graticule.training import Fitted, fit
from graticule.training.fit import Watch
from graticule.training.folds import hold_out
from graticule.workflows.provenance import made_on, pixel_hash
from graticule.workflows.ready import all_ready


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights to begin with, and which of the network's tensors they do not cover (begun at random, on purpose)."""

    weights: Weights | None = None
    fresh: tuple[str, ...] = ()


def train(
    task: Trainable,
    examples: Sequence[Example],
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    start: Checkpoint | None = None,
    encoder_weights: Path | None = None,
    resume: bool = False,
    provenance: dict[str, Any] | None = None,
    watch: Watch | None = None,
) -> Checkpoint:
    """Train `task` and write the model to `out`, anew whenever another is kept in its place.

    A share of the specimens (or, with a single one, of each image) is held out to choose which to keep and the operating
    point, unless the task learns from all (`Recipe.held_out` is 0: then there is no score); the model carries that
    threshold from the first time it is written. `OUT.training` beside it holds the state to `resume` from; it is removed
    when training is done.
    """
    task = task.resolve(examples)
    share = task.recipe.held_out
    learn, choose = hold_out(examples, seed, share) if share else (examples, examples)
    state_file = out.with_name(out.name + ".training")
    if resume and not state_file.is_file():
        raise CheckpointError(f"found no {state_file} to resume from; train without --resume to begin")
    if not resume:
        state_file.unlink(missing_ok=True)
    begun = beginning(task, seed, start, encoder_weights)
    facts = {
        **made_on(),
        **(provenance or {}),
        "seed": seed,
        "learnt_from": [e.name for e in learn],
        "chosen_on": [e.name for e in choose],
        "images": {**_seen_before(start), **{pixel_hash(e.image): e.name for e in examples}},
        "begun_from": None if start is None else start.made_by.get("time"),
    }

    def keep(fitted: Fitted) -> None:
        as_checkpoint(fitted, facts).save(out)

    fitted = fit(
        task,
        all_ready(task, learn),
        all_ready(task, choose),
        seed=seed,
        device=device,
        start=begun.weights,
        state_file=state_file,
        keep=keep,
        watch=watch,
    )
    model = as_checkpoint(fitted, facts)
    model.save(out)
    state_file.unlink(missing_ok=True)
    return model


def _seen_before(start: Checkpoint | None) -> dict[str, str]:
    """Images that the model to start from has seen, by the hash of their pixels: this one then has, too."""
    return {} if start is None else dict(start.made_by.get("images", {}))


def as_checkpoint(fitted: Fitted, facts: dict[str, Any]) -> Checkpoint:
    """What was learnt, with how, as it is saved."""
    score = fitted.score if fitted.task.recipe.held_out else None  # on what was learnt from, it would say nothing
    made_by = {**facts, "score": score, "history": [asdict(epoch) for epoch in fitted.history]}
    return Checkpoint(fitted.task, fitted.weights, made_by)


def beginning(task: Trainable, seed: int, start: Checkpoint | None, encoder_weights: Path | None) -> Start:
    """Where a training begins: at random, from another model (``--from``), or with a pretrained encoder."""
    if start is not None and encoder_weights is not None:
        raise DatasetError(
            "found both --from and --encoder-weights; a model to start from already has an encoder: give one"
        )
    if start is not None:
        if start.task.name != task.name:
            raise CheckpointError(
                f"found a model for {start.task.name!r} to start {task.name!r} from; give a model of the same task"
            )
        return Start(*adapt(task.network, start.weights, seed, f"the model to start from ({start.task.name})"))
    if encoder_weights is not None:
        return Start(encoder_from_checkpoint(task.network, encoder_weights, seed))
    if 0.0 in task.recipe.phases[0].learning_rates.values():
        raise SettingsError(
            "found no pretrained weights, but these settings begin with part of the network frozen, and a frozen random "
            "network learns nothing; give --encoder-weights or --from, or a single number of epochs"
        )
    return Start()
