"""How right learned tissue masks are: on unseen volumes, on other domains, on real slices. Each part on one core.

    python benchmarks/tissue_learned.py volumes    trained on 12 simulated volumes, judged on 4 others: Dice >= 0.97
    python benchmarks/tissue_learned.py domains    that model elsewhere, as it is and after one 64^3 region: Dice >= 0.90
    python benchmarks/tissue_learned.py rest       the same, judged on the rest of the volume that the region is from
    python benchmarks/tissue_learned.py resin      simulated planes, then real slices, one left out in turn: Dice >= 0.95
    python benchmarks/tissue_learned.py            all four

`domains` and `rest` use the model that `volumes` has left in the folder given by --work (default: build/tissue-learned).
Each part writes results/tissue-learned/PART.txt and exits with 1 if its claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage.filters import threshold_otsu

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Image
from graticule.io.dataset import load
from graticule.metrics.overlap import overlap
from graticule.results import Labels
from graticule.simulate.tissue import DOMAINS, TissueScenes
from graticule.tasks.tissue import Tissue
from graticule.training.fit import Epoch
from graticule.workflows.cross_validate import cross_validate
from graticule.workflows.examples import examples_for
from graticule.workflows.predict import predict
from graticule.workflows.train import train
from machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "tissue-learned"
RESIN = HERE.parents[1] / "shared" / "data" / "resin"
LEARN, TEST, REGION = 0, 1_000_003, 2_000_003  # seeds: no volume is in two roles

VOLUMES = Tissue(epochs=30)
FINE_TUNING = Tissue()
PLANES = Tissue(dimensions=2, epochs=25)
SLICES = Tissue(epochs=16, learning_rate=1e-3, patience=16)


CLAIMED = ("milled", "inverted")
"""Domains whose other specimens a region of one specimen will do for. Faint stain is not: 0.86, measured."""


class Report:
    """Lines for people and for a file; remembers whether all claims held."""

    def __init__(self, part: str) -> None:
        self.path, self.lines, self.held, self.began = RESULTS / f"{part}.txt", [], True, time.monotonic()
        self.say(f"{part}: {facts()}")

    def say(self, line: str) -> None:
        print(line, flush=True)
        self.lines.append(line)

    def claim(self, what: str, value: float, least: float) -> None:
        held = value >= least
        self.held &= held
        self.say(f"{what}: {value:.4f} (claimed: at least {least:.2f}){'' if held else ', WHICH DOES NOT HOLD'}")

    def finish(self) -> int:
        self.say(f"{time.monotonic() - self.began:.0f} s in all, {time.process_time():.0f} CPU s")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return 0 if self.held else 1


def volumes(work: Path) -> int:
    """Training on one domain, judged on other volumes of it."""
    report = Report("volumes")
    learn = list(TissueScenes().examples(12, seed=LEARN))
    model = train(VOLUMES, learn, work / "volumes.safetensors", device="cpu", watch=told)
    report.say(f"12 volumes of 96^3, 3 of them held out to choose by: Dice there {model.made_by['score']:.4f}")
    report.say(f"threshold {model.task.thresholds[0]}; training took {model.made_by['history'][-1]['seconds']:.0f} s")
    test = list(TissueScenes().examples(4, seed=TEST))
    report.claim("Dice on 4 volumes never seen, pooled", judged(report, model, test), 0.97)
    return report.finish()


def domains(work: Path) -> int:
    """The model of `volumes` on domains that it never saw: as it is, and after one annotated region of 64^3."""
    report = Report("domains")
    start = Checkpoint.load(work / "volumes.safetensors")
    for domain in (name for name in DOMAINS if name != "block-face"):
        scenes = TissueScenes(domain=domain)
        test = list(scenes.examples(3, seed=TEST))
        report.say(f"{domain}, as it is:")
        as_it_is = judged(report, start, test)
        model = train(
            FINE_TUNING, [region(scenes)], work / f"{domain}.safetensors", device="cpu", start=start, watch=told
        )
        report.say(f"{domain}, fine-tuned on one region of 64^3 (a quarter of it to choose by):")
        tuned = judged(report, model, test)
        alone = train(FINE_TUNING, [region(scenes)], work / f"{domain}-alone.safetensors", device="cpu", watch=told)
        report.say(f"{domain}, trained on that region alone, from the start:")
        report.say(f"{domain}: Dice {as_it_is:.4f} as it is, {judged(report, alone, test):.4f} by the region alone")
        if domain in CLAIMED:
            report.claim(f"{domain}: Dice after fine-tuning, 3 volumes pooled", tuned, 0.90)
        else:
            report.say(f"{domain}: Dice after fine-tuning, 3 volumes pooled: {tuned:.4f} (nothing claimed)")
    return report.finish()


def rest(work: Path) -> int:
    """As a user would: one region of 64^3 of a new volume is annotated, and the rest of that volume is judged."""
    report = Report("rest")
    start = Checkpoint.load(work / "volumes.safetensors")
    for domain in (name for name in reversed(DOMAINS) if name != "block-face"):
        volume = TissueScenes(domain=domain, shape_px=(160, 112, 112)).draw(REGION)
        corner, complete = middle(volume)
        unseen = replace(volume, complete=replace(volume.image, data=complete))
        as_it_is = dice(predict(volume.image, start, device="cpu"), unseen)
        model = train(FINE_TUNING, [corner], work / f"{domain}-rest.safetensors", device="cpu", start=start, watch=told)
        report.say(
            f"{domain}: Dice {as_it_is:.4f} as it is, in 160 x 112 x 112 but for the region and 8 voxels around it"
        )
        report.claim(
            f"{domain}: Dice there after fine-tuning", dice(predict(volume.image, model, device="cpu"), unseen), 0.90
        )
    return report.finish()


def middle(volume: Example) -> tuple[Example, np.ndarray]:
    """The 64^3 in the middle, and where the rest is: 1 but for that and 8 voxels around it."""
    start = tuple((n - 64) // 2 for n in volume.image.shape)
    stop = tuple(a + 64 for a in start)
    cut = replace(volume, image=volume.image.crop(start, stop), truth=Labels(volume.truth.image.crop(start, stop)))
    complete = np.ones(volume.image.shape, np.uint8)
    complete[tuple(slice(a - 8, b + 8) for a, b in zip(start, stop, strict=True))] = 0
    return cut, complete


def region(scenes: TissueScenes) -> Example:
    """The middle 64^3 of the first volume that shows there between 30 and 70 % tissue."""
    for volume in scenes.examples(50, seed=REGION):
        box = (16, 16, 16), (80, 80, 80)
        cut = replace(volume, image=volume.image.crop(*box), truth=Labels(volume.truth.image.crop(*box)))
        if 0.3 < np.mean(cut.truth.image.data) < 0.7:
            return cut
    raise AssertionError("none of 50 volumes has tissue and resin in its middle")


def resin(work: Path) -> int:
    """Real slices, one left out in turn; stopping and threshold are chosen on the other two."""
    report = Report("resin")
    if not RESIN.is_dir():
        report.say(f"skipped: found no {RESIN}")
        return 0
    planes = list(TissueScenes(shape_px=(384, 384)).examples(12, seed=LEARN))
    start = train(PLANES, planes, work / "planes.safetensors", device="cpu", watch=told)
    report.say(f"12 simulated planes of 384^2: Dice {start.made_by['score']:.4f} on those held out")
    report.say("real slices: of one block, 1.5 µm apart along z; annotated with the help of Otsu's threshold")
    slices = [replace(e, specimen=e.name) for e in examples_for(SLICES, load(RESIN))]
    for one in slices:
        report.say(
            f"{one.name}: Dice {dice(predict(one.image, start, device='cpu'), one):.4f} by simulated planes alone"
        )
        report.say(f"{one.name}: Dice {dice(otsu(one.image), one):.4f} by Otsu's threshold")
    done = cross_validate(SLICES, slices, inner=2, device="cpu", start=start, say=report.say)
    for fold in done.folds:
        report.claim(f"{fold.fold.held_out[0]} left out: Dice", fold.scores["dice"], 0.95)
    report.say(f"all three pooled: Dice {done.pooled()[''].f1:.4f}")
    return report.finish()


def judged(report: Report, model: Checkpoint, examples: Sequence[Example]) -> float:
    """Dice over all voxels of all examples, each of them told as well."""
    found = [predict(example.image, model, device="cpu") for example in examples]
    for one, example in zip(found, examples, strict=True):
        report.say(f"  {example.name}: Dice {dice(one, example):.4f}")
    return float(model.task.score(found, examples)["dice"])


def dice(found: Labels, example: Example) -> float:
    known = None if example.complete is None else np.asarray(example.complete.data[...])
    return overlap(np.asarray(found.image.data[...]), np.asarray(example.truth.image.data[...]), known).dice


def otsu(image: Image) -> Labels:
    """What is darker than Otsu's threshold: the plain method the design page sets out from."""
    pixels = np.asarray(image.data[...])
    return Labels(replace(image, data=(pixels <= threshold_otsu(pixels)).astype(np.uint8)))


def told(line: Epoch, left: float) -> None:
    score = "" if line.score is None else f", Dice {line.score:.4f}"
    print(f"  epoch {line.epoch}: loss {line.loss:.3f}{score}, {line.seconds:.0f} s, {left:.0f} s left", flush=True)


PARTS = {"volumes": volumes, "domains": domains, "rest": rest, "resin": resin}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*PARTS, "all"), nargs="?", default="all")
    parser.add_argument("--work", type=Path, default=Path("build/tissue-learned"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    return max(PARTS[part](given.work) for part in (PARTS if given.part == "all" else [given.part]))


if __name__ == "__main__":
    sys.exit(main())
