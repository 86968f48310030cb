"""How right `rosettes` proposes: held-out simulated epithelia, pictures of membranes, and real tissue without rosettes.

    python benchmarks/rosettes.py cells        trained with default settings on 48 simulated images, judged on 32 others, with
                                               the simulator's usual errors of segmentation: event recall >= 0.93 at <= 1 false
                                               proposal per image (on the curve over all thresholds), Dice >= 0.65. Every
                                               figure of the published card, and the geometric baseline beside it
    python benchmarks/rosettes.py exact        the same tissue without errors of segmentation
    python benchmarks/rosettes.py membranes    the same tissue as a microscope shows it, cut into cells first
    python benchmarks/rosettes.py real         that model on hand-drawn and raw corneal endothelium, which has practically no
                                               rosettes: <= 0.5 false proposals per image; and on an E-cadherin monolayer
    python benchmarks/rosettes.py              all four

Models are trained for each of --seeds and kept in --work (default: build/rosettes), where those that are there already are
used again. Pictures to look at go to --out. Each part writes results/rosettes/PART.txt and exits with 1 if its claim does
not hold.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.io import read
from graticule.metrics.events import Froc
from graticule.report.outlines import draw_outlines
from graticule.simulate.rosettes import RosetteScenes
from graticule.tasks import BASELINES
from graticule.tasks.rosettes import Rosettes
from graticule.workflows.evaluate_labels import LabelEvaluation, evaluate_labels, write_label_evaluation
from graticule.workflows.predict import predict, predict_maps
from graticule.workflows.train import train
from machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "rosettes"
DATA = HERE.parents[1] / "shared" / "data"
LEARN, TEST = 0, 1_000_003  # seeds of images: none is in two roles; all models learn from the same images
COUNTS = {LEARN: 48, TEST: 32}
TUNED_ON = 12  # images, for the baseline
CARD = {
    "pixel Dice (= pixel F1)": "dice",
    "pixel IoU": "jaccard",
    "pixel recall": "recall",
    "pixel precision": "precision",
    "events touched (>= 1 px)": "touched",
    "events covered >= 10 %": "covered_10",
    "events covered > 40 %": "covered_40",
    "events covered > 80 %": "covered_80",
    "events not touched": "untouched",
    "events met, one to one": "event_recall",
    "proposals right, one to one": "event_precision",
    "event F1": "event_f1",
    "false proposals per image": "false_per_image",
}
AT = (0.4, 0.5)
"""Thresholds of the card, beside the model's own."""

PLACES = (71, 70), (290, 355)
"""x and y of two rosettes in C_24hr_4, seen by eye: of seven cells and of six."""


class Report:
    """Lines for people and for a file; remembers whether all claims held."""

    def __init__(self, part: str) -> None:
        self.path, self.lines, self.held, self.began = RESULTS / f"{part}.txt", [], True, time.monotonic()
        self.say(f"{part}: {facts()}")

    def say(self, line: str) -> None:
        print(line, flush=True)
        self.lines.append(line)

    def claim(self, what: str, value: float, limit: float, *, most: bool = False) -> None:
        held = value <= limit if most else value >= limit
        self.held &= held
        bound = "at most" if most else "at least"
        self.say(f"{what}: {value:.3f} (claimed: {bound} {limit:.2f}){'' if held else ', WHICH DOES NOT HOLD'}")

    def finish(self) -> int:
        self.say(f"{time.monotonic() - self.began:.0f} s in all, {time.process_time():.0f} CPU s")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return 0 if self.held else 1


def scenes(seed: int, **settings: Any) -> list[Example]:
    """Images of one role; with the same seed, the same tissue."""
    return list(RosetteScenes(**settings).examples(COUNTS[seed], seed=seed))


def models(work: Path, seeds: Sequence[int], report: Report) -> list[Checkpoint]:
    """One for each seed, with default settings, all from the same images."""
    work.mkdir(parents=True, exist_ok=True)
    learn: list[Example] = []
    for seed in seeds:
        path = work / f"seed-{seed}.safetensors"
        if not path.exists() or path.with_name(path.name + ".training").exists():
            learn = learn or scenes(LEARN)
            began, cpu = time.monotonic(), time.process_time()
            train(Rosettes(), learn, path, seed=seed, device="cpu")
            took = time.monotonic() - began, time.process_time() - cpu
            path.with_suffix(".time").write_text(f"trained in {took[0]:.0f} s, {took[1]:.0f} CPU s")
        how = path.with_suffix(".time")
        report.say(f"model {seed}: {how.read_text().strip() if how.exists() else 'trained earlier'}")
    return [Checkpoint.load(work / f"seed-{seed}.safetensors") for seed in seeds]


def cells(work: Path, seeds: Sequence[int], out: Path | None) -> int:
    """Must hold for the mean over seeds."""
    return simulated("cells", {}, work, seeds, out)


def exact(work: Path, seeds: Sequence[int], out: Path | None) -> int:
    return simulated("exact", {"segmentation_errors": 0.0}, work, seeds, out)


def membranes(work: Path, seeds: Sequence[int], out: Path | None) -> int:
    return simulated("membranes", {"show": "membranes"}, work, seeds, out)


def simulated(part: str, settings: dict[str, Any], work: Path, seeds: Sequence[int], out: Path | None) -> int:
    """Tissue that no model has seen; the baseline's threshold is chosen on images that the models learnt from."""
    report = Report(part)
    learnt = models(work, seeds, report)
    examples = scenes(TEST, **settings)
    done = [evaluate_labels([model], examples, device="cpu") for model in learnt]
    baseline = BASELINES["rosettes"](learnt[0].task, list(RosetteScenes(**settings).examples(TUNED_ON, seed=LEARN)))
    classical = evaluate_labels([Checkpoint(baseline)], examples, device="cpu")
    report.say(f"{len(examples)} images of {examples[0].image.shape} pixels, {done[0].pooled['events']:.0f} events")
    table(report, done, classical)
    for limit in (0.5, 1.0, 2.0):
        curves(report, done, classical, limit)
    if part == "cells":
        _claims(report, done)
    save_froc([*done, classical], [*(f"seed {seed}" for seed in seeds), "vertices"], RESULTS / f"froc-{part}.csv")
    if out is not None:
        write_label_evaluation(done[0], out / part, {})
    return report.finish()


def _claims(report: Report, done: Sequence[LabelEvaluation]) -> None:
    """The curve's recall at one false proposal per image; Dice at the threshold each model chose for itself in training."""
    touched = float(np.mean([_best(one.curve, "touched", 1.0) for one in done]))
    report.claim("event recall (touched) at <= 1 false proposal per image", touched, 0.93)
    report.claim("pixel Dice at the models' own thresholds", float(np.mean([one.pooled["dice"] for one in done])), 0.65)


def table(report: Report, done: Sequence[LabelEvaluation], classical: LabelEvaluation) -> None:
    """Every figure: mean and range over models, the first model at the card's thresholds, and the baseline."""
    at = {threshold: _at(done[0], threshold) for threshold in AT}
    heads = ["mean", "range over seeds", *(f"first at {t}" for t in AT), "vertices"]
    report.say(f"{'':30}" + "".join(f"{head:>18}" for head in heads))
    for name, key in CARD.items():
        values = [one.pooled[key] for one in done]
        cells = [f"{np.mean(values):.3f}", f"{min(values):.3f} … {max(values):.3f}"]
        cells += [f"{scores[key]:.3f}" for scores in at.values()] + [f"{classical.pooled[key]:.3f}"]
        report.say(f"{name:30}" + "".join(f"{cell:>18}" for cell in cells))
    own = ", ".join(f"{one.task.thresholds[0]:.2f}" for one in done)  # type: ignore[attr-defined]
    report.say(f"{'thresholds':30}{own:>18}")


def _at(done: LabelEvaluation, threshold: float) -> dict[str, float]:
    """The figures at another threshold."""
    found = [at(threshold) for at in done.proposals]
    return dict(done.task.score(found, done.examples))


def curves(report: Report, done: Sequence[LabelEvaluation], classical: LabelEvaluation, limit: float) -> None:
    """The highest recalls that any threshold gives at no more than so many false proposals per image."""
    touched, met = (np.mean([_best(one.curve, name, limit) for one in done]) for name in ("touched", "recall"))
    theirs = [_best(classical.curve, name, limit) for name in ("touched", "recall")]
    report.say(
        f"best at <= {limit:g} false per image: touched {touched:.3f}, met {met:.3f}; "
        f"vertices: touched {theirs[0]:.3f}, met {theirs[1]:.3f}"
    )


def _best(curve: Froc | None, name: str, limit: float) -> float:
    assert curve is not None
    return float(getattr(curve, name)[curve.false_per_image <= limit].max(initial=0.0))


def save_froc(done: Sequence[LabelEvaluation], names: Sequence[str], path: Path) -> None:
    """Recall against false proposals per image at each threshold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["model", "threshold", "false_per_image", "met", "touched"])
        for name, one in zip(names, done, strict=True):
            curve = one.curve
            assert curve is not None
            for row in zip(curve.threshold, curve.false_per_image, curve.recall, curve.touched, strict=True):
                rows.writerow([name, *(f"{value:.4f}" for value in row)])


def real(work: Path, seeds: Sequence[int], out: Path | None) -> int:
    """Trained on simulation alone; nothing was chosen on these images."""
    report = Report("real")
    folder = DATA / "endothelium-alizarine"
    if not folder.is_dir():
        report.say(f"skipped: found no {folder}")
        return 0
    learnt = models(work, seeds, report)
    for what in ("labels", "images"):
        counts = []
        for model in learnt:
            counts.append([_false(file, what, model, out) for file in sorted((folder / "images").iterdir())])
            report.say(f"endothelium-alizarine, {what}: false proposals in {len(counts[-1])} images: {counts[-1]}")
        report.claim(f"endothelium-alizarine, {what}: false per image", float(np.mean(counts)), 0.5, most=True)
    _monolayer(report, learnt[0], out)
    return report.finish()


def _false(file: Path, what: str, model: Checkpoint, out: Path | None) -> int:
    """Proposals of which most lies in the annotated region."""
    folder = file.parents[1]
    image = read(file if what == "images" else folder / "labels" / f"{file.stem}.tif", spacing_um=(1.0,))
    mask = np.asarray(read(folder / "masks" / f"{file.stem}.tif", spacing_um=(1.0,)).data[...]) != 0
    found = predict(image, model, device="cpu").image
    numbers = np.asarray(found.data)
    inside = [
        mask[numbers == number].mean() for number in range(1, int(numbers.max()) + 1) if (numbers == number).any()
    ]
    count = sum(share > 0.5 for share in inside)
    if out is not None and count:
        draw_outlines(image, found, _picture(out / "endothelium-alizarine" / f"{what}-{file.stem}.png"))
    return int(count)


def _monolayer(report: Report, model: Checkpoint, out: Path | None) -> None:
    """Nothing is known to be true here: two rosettes that people see are looked for, the rest is to look at."""
    for file in sorted((DATA / "ecad-monolayer" / "images").iterdir()):
        image = read(file, spacing_um=(1.0,))
        found, maps = predict(image, model, device="cpu").image, predict_maps(image, [model], device="cpu")
        numbers = np.asarray(found.data)
        report.say(f"ecad-monolayer, {file.stem}: {numbers.max()} proposals")
        for x, y in PLACES if file.stem.startswith("C_24hr_4") else ():
            near = numbers[max(0, y - 10) : y + 10, max(0, x - 10) : x + 10]
            report.say(f"  x={x}, y={y}: {'proposed' if near.any() else 'NOT proposed'}")
        if out is not None:
            path = _picture(out / "ecad-monolayer" / f"{file.stem}.png")
            draw_outlines(image, found, path, kinds=("rosette",), confidence=maps, title=file.stem)


def _picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


PARTS = {"cells": cells, "exact": exact, "membranes": membranes, "real": real}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--work", type=Path, default=Path("build/rosettes"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    wanted = [given.part] if given.part else list(PARTS)
    return max([PARTS[part](given.work, given.seeds, given.out) for part in wanted])


if __name__ == "__main__":
    sys.exit(main())
