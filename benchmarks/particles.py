"""How many particles ten clicks find: simulated centrioles, real nuclei and real centrioles, merging, and speed.

    python benchmarks/particles.py simulated   models learnt from a few clicks in simulated volumes (seeds from 2000), judged on
                                               the ten volumes of seeds 0 to 9, which nothing was chosen on. For every draw of
                                               clicks: with stochastic weight averaging (SWA), the same run's last weights, and
                                               the supervised loss beside it
    python benchmarks/particles.py embryos     ten clicks in two training embryos (embryo-nuclei-3d), judged on all nuclei of
                                               the test embryos, which were recorded by another microscope; supervised beside it
    python benchmarks/particles.py centrioles  10 and 50 clicks in centrioles-2d, judged on the images that were not clicked in;
                                               a Laplacian of Gaussian tuned on the same clicks beside it
    python benchmarks/particles.py merging     false positives before and after merging, in a simulated volume of 60 particles
    python benchmarks/particles.py speed       a volume of 100 x 1000 x 1000 voxels, against window by window at stride 4
    python benchmarks/particles.py summary     what all draws so far come to, and whether the claims hold

Every finished draw is a line of results/particles/PART.jsonl, so that a run which was stopped goes on. --clicks and --draws say
how many of what. Counts of particles per image are told to all methods alike. The parts on real data are skipped without
../shared/data.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.io.dataset import load
from graticule.metrics import detection
from graticule.results import Points
from graticule.simulate.particles import ParticleScenes
from graticule.tasks.particles import Particles
from graticule.tasks.particles_log import baseline
from graticule.training import Ready, fit, state
from graticule.training.fit import with_measured
from graticule.workflows.cross_validate import find
from graticule.workflows.predict import predict, set_up
from graticule.workflows.ready import all_ready, ready
from machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "particles"
DATA = HERE.parents[1] / "shared" / "data"
TEST = range(10)
LEARN = 2000  # seed of the first volume learnt from
PER_DRAW = 100  # seeds set aside for each draw
CLICKED = 0.5  # of the particles of a volume, at most: a person who clicks more goes on to the next volume
HAND_UM = 0.05  # standard deviation of a click about the centre
# Diameter, window and linear_to were chosen by looking at images of this very set: figures on it are no test of them.
CENTRIOLES: dict[str, Any] = {
    "diameters_nm": (600.0,),
    "window_nm": 1600.0,
    "window_px": 32,
    "patch_px": 36,
    "linear_to": 30.0,
}
"""Foci of about 5 pixels in pairs, told from cytoplasmic dots by how dark they are. Tried on draw 0 of an earlier choice of
images: with linear_to 2, F1 0.24; nothing else was tried."""

LOSSES = ("binomial", "supervised")


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """Weights with and without averaging, and what learning took."""

    task: Particles
    averaged: dict[str, Any]
    last: dict[str, Any]
    seconds: float


def learnt(task: Particles, examples: Sequence[Example], seed: int) -> Learnt:
    """Trained as ``graticule train`` would; the last weights come from the state it keeps."""
    began = time.process_time()
    task = task.resolve(examples)
    prepared = all_ready(task, examples)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state"
        fitted = fit(task, prepared, prepared, seed=seed, device="cpu", state_file=file)
        last = {name: tensor.numpy() for name, tensor in state.load(file).part("network").items()}
    assert isinstance(fitted.task, Particles)
    return Learnt(fitted.task, dict(fitted.weights), last, time.process_time() - began)


class Judge:
    """Test images, brought to the working grid once."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples, self.key, self.ready, self.measured = list(examples), None, [], []

    def scores(self, task: Particles, weights: dict[str, Any]) -> dict[str, float]:
        """F1, precision and recall at the model's own threshold; F1 at the best of all thresholds, which nobody knows."""
        key = (task.window_nm, task.window_px, task.polarity)
        if key != self.key:
            self.key, self.ready = key, [ready(task, example) for example in self.examples]
            self.measured = [with_measured(task, {}, one.example.image) for one in self.ready]
        found = [self._found(task, weights, n) for n in range(len(self.ready))]
        kept = [task.keep(one) for one in found]
        figures = detection.scores(kept, self.examples, task.match_um)
        best = detection.best_thresholds(found, self.examples, task.match_um)[task.classes[0]]
        at_best = detection.scores([one[one.confidence >= best] for one in found], self.examples, task.match_um)
        return {
            **{name: round(figures[name], 4) for name in ("f1", "precision", "recall")},
            "best_f1": round(at_best["f1"], 4),
        }

    def _found(self, task: Particles, weights: dict[str, Any], n: int) -> Points:
        one: Ready = self.ready[n]
        image = one.example.image
        forward = task.forward({**self.measured[n], **weights}, "cpu")
        maps = run(forward, partial(task.prepare, levels=one.levels), image, make_plan(image, task.grid))
        return task.permissive().decode(maps)


def clicked(example: Example, count: int, rng: np.random.Generator, hand_um: float = HAND_UM) -> Example:
    """So many of the particles, each clicked a little off its centre."""
    truth = example.truth
    assert isinstance(truth, Points)
    chosen = truth[np.sort(rng.choice(len(truth), count, replace=False))]
    last = (np.array(example.image.shape) - 1) * example.image.spacing_um
    place = np.clip(chosen.position_um + rng.normal(0, hand_um, chosen.position_um.shape), 0, last)
    return replace(example, truth=replace(chosen, position_um=place))


def clicks_in_volumes(count: int, draw: int) -> tuple[list[Example], float]:
    """Simulated volumes with `count` clicks in all, up to half of the particles of each, and the mean number of particles."""
    rng, volumes, totals = np.random.default_rng([draw, count]), [], []
    number = LEARN + PER_DRAW * draw
    while count:
        scene = ParticleScenes().draw(number, name=f"volume-{number}")
        most = int(CLICKED * len(scene.truth))
        taken = min(count, most)
        volumes.append(clicked(scene, taken, rng))
        totals.append(len(scene.truth))
        count, number = count - taken, number + 1
    return volumes, float(np.mean(totals))


def simulated(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    judge = Judge([ParticleScenes().draw(seed, name=f"test-{seed}") for seed in TEST])
    for draw, count, risk in ((d, n, r) for n in clicks for r in risks for d in draws):
        key = {"clicks": count, "draw": draw, "risk": risk}
        if done("simulated", key):
            continue
        volumes, mean = clicks_in_volumes(count, draw)
        model = learnt(Particles(diameters_nm=(1800.0,), count=mean, risk=risk), volumes, seed=draw)
        note("simulated", key, model, judge)


def embryos(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    every = {example.name: example for example in load(DATA / "embryo-nuclei-3d").examples}
    judge = Judge([example for name, example in every.items() if name.startswith("test")])
    names = [name for name in every if name.startswith("train")]
    for draw, risk in ((d, r) for r in risks for d in draws):
        key = {"clicks": 10, "draw": draw, "risk": risk}
        if done("embryos", key):
            continue
        rng = np.random.default_rng([draw, 77])
        two = [every[name] for name in rng.choice(names, 2, replace=False)]
        volumes = [clicked(example, 5, rng, 0.4) for example in two]
        mean = float(np.mean([len(example.truth) for example in two]))
        model = learnt(Particles(diameters_nm=(14_000.0,), count=mean, risk=risk), volumes, seed=draw)
        note("embryos", {**key, "learnt_from": [e.name for e in two]}, model, judge)


def centrioles(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    every = load(DATA / "centrioles-2d", spacing_um=(0.1, 0.1)).examples
    for draw, count in ((d, n) for n in clicks if n in (10, 50) for d in draws):
        key = {"clicks": count, "draw": draw, "risk": "binomial"}
        if done("centrioles", key):
            continue
        rng = np.random.default_rng([draw, count, 5])
        order = [int(rng.integers(4)), 4 + int(rng.integers(4))]  # an image of either marker
        images = [every[n] for n in order]
        judge = Judge([example for n, example in enumerate(every) if n not in order])
        marked = [clicked(example, count // len(images), rng, 0.0) for example in images]
        mean = float(np.mean([len(example.truth) for example in images]))
        model = learnt(Particles(count=mean, **CENTRIOLES), marked, seed=draw)
        method = baseline(model.task, marked)
        alone = [find(method, [Checkpoint(method)], ready(method, one), False, "cpu") for one in judge.examples]
        log = detection.scores([one for one in alone if isinstance(one, Points)], judge.examples, method.match_um)
        figures = {"log": {name: round(log[name], 4) for name in ("f1", "precision", "recall")}}
        note("centrioles", {**key, "learnt_from": [e.name for e in images]}, model, judge, **figures)


def merging(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    """All windows above the threshold after the usual suppression of overlapping ones; then merged, recentred, filtered."""
    volumes, mean = clicks_in_volumes(10, 0)
    model = learnt(Particles(diameters_nm=(1800.0,), count=mean), volumes, seed=0)
    report = [f"merging: {facts()}"]
    for seed in (0, 1, 2):
        example = ParticleScenes(particles=(60, 60), shape_px=(48, 320, 320)).draw(seed)
        one = ready(model.task, example)
        image = one.example.image
        forward = model.task.forward({**with_measured(model.task, {}, image), **model.averaged}, "cpu")
        maps = run(forward, partial(model.task.prepare, levels=one.levels), image, make_plan(image, model.task.grid))
        stages = {
            "after NMS": windows_after_nms(maps, model.task),
            "merged": replace(model.task, recentre=False, intensity_filter=False).decode(maps),
            "merged, recentred, filtered": model.task.decode(maps),
        }
        verdicts = {name: detection.judge(found, example, model.task.match_um) for name, found in stages.items()}
        for name, verdict in verdicts.items():
            right, wrong, missed = (int(flags.sum()) for flags in (verdict.hit, verdict.wrong, verdict.missed))
            report.append(
                f"volume {seed}, {len(example.truth)} particles, {name}: {right} right, {wrong} false, {missed} missed"
            )
        before, after = (int(verdicts[name].wrong.sum()) for name in ("after NMS", "merged, recentred, filtered"))
        added = int(verdicts["merged, recentred, filtered"].missed.sum() - verdicts["after NMS"].missed.sum())
        report.append(
            f"volume {seed}: {1 - after / max(1, before):.1%} of the false ones removed, {added} misses added"
        )
    write("merging", report)


def windows_after_nms(maps: Image, task: Particles) -> Points:
    """Windows whose confidence reaches the threshold, but for those that share more than half with a surer one."""
    confidence = np.asarray(maps.data[0])
    cells = np.argwhere(confidence >= task.thresholds[0])
    sure = confidence[tuple(cells.T)].astype(float)
    across = task.window_px / task.grid.stride
    kept: list[int] = []
    for n in np.argsort(-sure, kind="stable"):
        shared = np.clip(1 - np.abs(cells[kept] - cells[n]) / across, 0, None).prod(axis=1)
        if not (shared / (2 - shared) > 0.5).any():
            kept.append(int(n))
    return Points(maps.to_um(cells[kept].astype(float)), sure[kept], np.zeros(len(kept), int), task.classes)


def speed(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    """Weights do not matter to the time; how much of the volume is bright does, and that is the simulator's."""
    shape = (100, 1000, 1000)
    scene = ParticleScenes(shape_px=(100, 250, 250), particles=(60, 60)).draw(0)
    data = np.tile(np.asarray(scene.image.data), (1, 4, 4))
    image = Image(data, "zyx", scene.image.spacing_um)
    volumes, mean = clicks_in_volumes(10, 0)
    task = Particles(diameters_nm=(1800.0,), count=mean, thresholds=(0.5,)).resolve(volumes)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in task.network().state_dict().items()}
    began, cpu = time.monotonic(), time.process_time()
    found = predict(image, Checkpoint(task, weights), device="cpu")
    took, used = time.monotonic() - began, time.process_time() - cpu
    setup = set_up(image, [Checkpoint(task, weights)], device="cpu")
    places = [-(-n // 4) for n in setup.working.shape]
    report = [
        f"speed: {facts()}",
        f"volume of {shape} voxels, {setup.working.shape} on the working grid, {len(found)} found by untrained weights",
        f"dense, only where anything is bright: {took:.0f} s, {used:.0f} CPU s (claimed: at most 300 s on 2 cores)",
    ]
    networks = {
        "the same network": (task, 256),
        "EfficientNet-b0": (replace(task, net="efficientnet-b0", patch_px=24), 16),
    }
    for name, (other, windows) in networks.items():
        each = _seconds_a_window(other.network().eval(), windows, task.window_px)
        alone = each * float(np.prod(places))
        report.append(
            f"window by window at stride 4, {name}: {each * 1e3:.2f} CPU ms a window ({windows} measured), times "
            f"{np.prod(places):,} windows: {alone:,.0f} CPU s, extrapolated; {alone / used:,.0f} times as long"
        )
    write("speed", report)


def _seconds_a_window(network: torch.nn.Module, count: int, side: int) -> float:
    """CPU time, in batches of 16."""
    pixels = torch.from_numpy(np.random.default_rng(0).normal(size=(16, 1, side, side, side)).astype(np.float32))
    with torch.inference_mode():
        network(pixels)
        began = time.process_time()
        for _ in range(count // 16):
            network(pixels)
    return (time.process_time() - began) / count


def note(part: str, key: dict[str, Any], model: Learnt, judge: Judge, **more: Any) -> None:
    """A line for this draw."""
    line = {
        **key,
        "swa": judge.scores(model.task, model.averaged),
        "last": judge.scores(model.task, model.last),
        "cpu_s": round(model.seconds),
        **more,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{part}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(part, json.dumps(line), flush=True)


def lines(part: str) -> list[dict[str, Any]]:
    path = RESULTS / f"{part}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def done(part: str, key: dict[str, Any]) -> bool:
    return any(all(line.get(name) == value for name, value in key.items()) for line in lines(part))


def write(part: str, report: Sequence[str]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{part}.txt").write_text("\n".join(report) + "\n", encoding="utf-8")
    print("\n".join(report), flush=True)


def summary(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    """Mean, least, greatest and spread of F1 for each number of clicks and loss, with SWA and without."""
    report = []
    for part in ("simulated", "embryos", "centrioles"):
        report += list(_table(part))
    write("summary", report)


def _table(part: str) -> Iterator[str]:
    every = lines(part)
    for count, risk in sorted({(line["clicks"], line["risk"]) for line in every}):
        these = [line for line in every if (line["clicks"], line["risk"]) == (count, risk)]
        for kind in ("swa", "last", "log"):
            if kind not in these[0]:
                continue
            f1 = [line[kind]["f1"] for line in these]
            best = [line[kind].get("best_f1", float("nan")) for line in these]
            yield (
                f"{part}, {count} clicks, {risk}, {kind}: F1 {np.mean(f1):.3f} (mean of {len(f1)} draws), {min(f1):.3f} … "
                f"{max(f1):.3f}, spread {max(f1) - min(f1):.3f}, sd {np.std(f1):.3f}; at the best threshold {np.mean(best):.3f}"
            )


PARTS = {
    "simulated": simulated,
    "embryos": embryos,
    "centrioles": centrioles,
    "merging": merging,
    "speed": speed,
    "summary": summary,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--clicks", type=int, nargs="+", default=[10])
    parser.add_argument("--draws", type=int, nargs="+", default=[10], help="how many, or from which to before which")
    parser.add_argument("--risks", nargs="+", default=LOSSES, choices=LOSSES)
    given = parser.parse_args()
    real = given.part in ("embryos", "centrioles")
    if real and not DATA.is_dir():
        print(f"skipped: found no {DATA}")
        return 0
    PARTS[given.part](given.clicks, range(*given.draws), given.risks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
