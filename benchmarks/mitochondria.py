"""How right mitochondria are outlined, one by one: on a stack never seen, on sections, in another domain, and how fast.

    python benchmarks/mitochondria.py lucchi --kind volumes --seed 0    learnt from training.tif of lucchi alone, a slab of it
                                       held out to choose by; judged on testing_001-024.tif, by which nothing was chosen
    python benchmarks/mitochondria.py lucchi --kind sections --seed 0   the same with a network for planes, sections linked
    python benchmarks/mitochondria.py vnc                               vnc-sstem, each quarter by a model of the others
    python benchmarks/mitochondria.py hela                              a model of lucchi on hela-mito: as it is, and after
                                       fine-tuning on one slice, judged on the other
    python benchmarks/mitochondria.py speed                             165 x 768 x 1024 voxels, against MONAI's
                                       sliding_window_inference with the same network, windows and overlap
    python benchmarks/mitochondria.py summary                           what all of it comes to, and whether the claims hold

Models lie in the folder given by --work (default: build/mitochondria); a training that was stopped goes on when the command
is given again. Every finished run is a line of results/mitochondria/PART.jsonl. Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.io.dataset import load
from graticule.tasks.mitochondria import Mitochondria
from graticule.training.fit import Epoch
from graticule.workflows.examples import examples_for
from graticule.workflows.predict import predict
from graticule.workflows.train import train
from machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "mitochondria"
DATA = HERE.parents[1] / "shared" / "data"
LEARN, TEST = "training", "testing_001-024"
KINDS = {"volumes": Mitochondria(), "sections": Mitochondria(sections=True)}
TOLD = (
    *("dice", "jaccard", "object_f1", "object_precision", "object_recall", "object_f1_75", "ap", "pq", "objects_found"),
    *("objects_true", "splits", "merges", "boundary_nm"),
)


def told(epoch: Epoch, left: float) -> None:
    """A line for each epoch, on stderr."""
    score = "" if epoch.score is None else f"  Dice {epoch.score:.4f}"
    line = f"epoch {epoch.epoch}  loss {epoch.loss:.4f}{score}  {epoch.seconds:.0f} s, {left:.0f} s left"
    print(line, file=sys.stderr, flush=True)


def keep(part: str, line: dict[str, Any]) -> None:
    """A finished run, with the machine it ran on."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{part}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "machine": str(facts())}) + "\n")
    print(json.dumps(line))


def rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(scores[name], 4) for name in TOLD if name in scores}


def of_set(name: str) -> dict[str, Example]:
    """The examples of a dataset, by name."""
    return {example.name: example for example in examples_for(Mitochondria(), load(DATA / name))}


def learnt(task: Mitochondria, examples: Sequence[Example], file: Path, seed: int, start: Checkpoint | None = None) -> Checkpoint:
    """The model in `file`; it is trained first, or its training resumed, if it is not finished."""
    state = file.with_name(file.name + ".training")
    if file.exists() and not state.exists():
        return Checkpoint.load(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    return train(task, examples, file, seed=seed, device="cpu", start=start, resume=state.exists(), watch=told)


def judged(model: Checkpoint, examples: Sequence[Example], *, tta: bool = False) -> dict[str, float]:
    """Figures of a model on unseen examples, at its own thresholds, and how long finding took."""
    began = time.monotonic()
    found = [predict(example.image, model, tta=tta, device="cpu") for example in examples]
    seconds = time.monotonic() - began
    return {**rounded(dict(model.task.score(found, examples))), "predict_s": round(seconds, 1)}


def lucchi(work: Path, kind: str, seed: int, changes: dict[str, Any]) -> None:
    examples, began = of_set("lucchi"), time.process_time()
    task = replace(KINDS[kind], **changes)
    name = f"lucchi-{kind}-{seed}" + "".join(f"-{key}-{value}" for key, value in sorted(changes.items()))
    model = learnt(task, [examples[LEARN]], work / f"{name}.safetensors", seed)
    history = model.made_by["history"]
    line = {"kind": kind, "seed": seed, "changes": changes, "chosen_at": model.made_by["score"], "epochs": len(history)}
    line |= {"train_s": round(history[-1]["seconds"]), "cpu_s": round(time.process_time() - began)}
    line |= {"threshold": model.task.thresholds[0], "core_threshold": model.task.core_threshold}  # type: ignore[attr-defined]
    line |= judged(model, [examples[TEST]])
    line["tta"] = judged(model, [examples[TEST]], tta=True)
    keep("lucchi", line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("lucchi", "vnc", "hela", "speed", "summary"))
    parser.add_argument("--kind", choices=tuple(KINDS), default="volumes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "mitochondria")
    parser.add_argument("--set", nargs="*", default=[], help="settings to try, NAME=JSON")
    asked = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (word.partition("=") for word in asked.set)}
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    if not DATA.is_dir():
        print("../shared/data is not here: skipped")
        return
    np.seterr(all="raise", under="ignore")
    lucchi(asked.work, asked.kind, asked.seed, changes)


if __name__ == "__main__":
    main()
