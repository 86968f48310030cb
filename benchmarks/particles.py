"""How many particles ten clicks find: simulated centrioles, real nuclei and real centrioles, merging, and speed.

    python benchmarks/particles.py simulated   models learnt from a few clicks in simulated volumes (seeds from 2000), judged on
                                               the ten volumes of seeds 0 to 9. Settings were chosen on seeds from 5000; figures
                                               of earlier settings on seeds 0 to 9 had been seen before the last were chosen.
                                               For every draw of clicks: with stochastic weight averaging (SWA), the same run's
                                               last weights, and other losses beside it
    python benchmarks/particles.py embryos     ten clicks in two training embryos (embryo-nuclei-3d), judged on all nuclei of
                                               the test embryos, which were recorded by another microscope; supervised beside it
    python benchmarks/particles.py choosing    settings for centrioles-2d, chosen among a few by clicks in one image of either
                                               marker and all annotation of another one of either
    python benchmarks/particles.py centrioles  10 and 50 clicks in the images that settings were chosen on, judged on the other
                                               four; a Laplacian of Gaussian tuned on the same clicks beside it. The top of
                                               the images, in which their names are written, is cut off
    python benchmarks/particles.py lettered    the same with the names left in, as the images come. A name is darker than any
                                               centriole; beside the tuned Laplacian the best that any threshold and blob give
    python benchmarks/particles.py merging --draws 3    false positives before and after merging, in simulated volumes of 60
                                               particles, by models of so many draws of clicks
    python benchmarks/particles.py speed       a volume of 100 x 1000 x 1000 voxels, against window by window at stride 4
    python benchmarks/particles.py             what all draws so far come to
    python benchmarks/particles.py figures     F1 over the number of clicks by loss, and with and without SWA (the paper's
                                               figures 4 and 5), drawn to --out from the lines there are

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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree
from scipy.special import expit, logit

from graticule.arrays.peaks import find_peaks
from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Floats, Image
from graticule.inference import make_plan, run
from graticule.io.dataset import load
from graticule.metrics import detection
from graticule.results import Points
from graticule.simulate.particles import ParticleScenes
from graticule.tasks.particles import SMOOTHING, Particles, averaged_windows
from graticule.tasks.particles_log import ACROSS, FACTORS, LogParticles, baseline, everything
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
CHOOSE, CLICK = (0, 4), (1, 5)  # images of centrioles-2d that settings are judged on, and clicked in, to choose them
CHOICES = 4  # draws of clicks by which settings are chosen; every other one is clicked and judged the other way round
JUDGED = (2, 3, 6, 7)  # the rest: two of either marker
LETTERS = 220  # rows of centrioles-2d that are cut off: a name is written there, darker than any centriole
MATCH_NM = 300.0  # of centrioles-2d: foci are about 5 pixels wide
CANDIDATES: tuple[dict[str, Any], ...] = tuple(
    {
        "diameters_nm": (600.0,),
        "window_nm": window,
        "window_px": 20,
        "patch_px": 24,
        "linear_to": 30.0,
        "contrast": contrast,
    }
    for window in (2000.0, 1000.0)
    for contrast in (0.3, 0.1)
)
"""The smallest window that the network takes at the images' own resolution, and at twice that; with brightness changed much,
and little, in training."""

CROWDS = {
    "as they come": ParticleScenes(),
    "single ones": ParticleScenes(paired=0.0, smears=0.0),
}
"""Volumes that merging is judged in: with pairs and smears, and without either."""

COMPARED = (
    ("NMS, from 0.5", "merged, from 0.5"),
    ("NMS, from 0.5", "merged, from what averages to that"),
    ("NMS, from what averages to 0.5", "merged, from 0.5"),
)
"""What is suppressed, and what is merged: from the same number on, and twice from the same level on."""

REMOVED = 0.95  # of the false ones, claimed of merging

STEP = 4  # voxels between windows that are taken one by one
BATCH = 16  # of these at once
BOTH = 7  # draws of which last weights are judged beside averaged ones
LOSSES = ("binomial", "supervised", "non-negative")
LONG = {"steps": Particles().epochs * Particles().steps}  # of a default run: lines of shorter ones are history
SHAPED = {"shaped": True}  # of simulated centrioles, told from heaps by their shape: lines of others are history


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """Weights with and without averaging, and what learning took."""

    task: Particles
    averaged: dict[str, Any]
    last: dict[str, Any]
    seconds: float
    """Of all CPUs."""
    minutes: float
    """By the clock, beside whatever else the machine did."""


def learnt(task: Particles, examples: Sequence[Example], seed: int) -> Learnt:
    """Trained as ``graticule train`` would; the last weights come from the state it keeps."""
    began, clock = time.process_time(), time.monotonic()
    task = task.resolve(examples)
    prepared = all_ready(task, examples)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state"
        fitted = fit(task, prepared, prepared, seed=seed, device="cpu", state_file=file)
        last = {name: tensor.numpy() for name, tensor in state.load(file).part("network").items()}
    assert isinstance(fitted.task, Particles)
    took = time.process_time() - began, (time.monotonic() - clock) / 60
    return Learnt(fitted.task, dict(fitted.weights), last, *took)


class Judge:
    """Test images, brought to the working grid once."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples, self.key, self.ready, self.measured = list(examples), None, [], []

    def scores(self, task: Particles, weights: dict[str, Any]) -> dict[str, float]:
        """F1, precision and recall at the model's own threshold; F1 at the best of all thresholds, which nobody knows."""
        key = (task.window_nm, task.window_px, task.polarity, task.linear_to)
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
        key = {"clicks": count, "draw": draw, "risk": risk, **LONG, **SHAPED}
        if done("simulated", key):
            continue
        volumes, mean = clicks_in_volumes(count, draw)
        model = learnt(Particles(diameters_nm=(1800.0,), count=mean, risk=risk, **SHAPED), volumes, seed=draw)
        note("simulated", key, model, judge)


def embryos(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    every = {example.name: example for example in load(DATA / "embryo-nuclei-3d").examples}
    judge = Judge([example for name, example in every.items() if name.startswith("test")])
    names = [name for name in every if name.startswith("train")]
    for draw, risk in ((d, r) for r in risks for d in draws):
        key = {"clicks": 10, "draw": draw, "risk": risk, **LONG}
        if done("embryos", key):
            continue
        rng = np.random.default_rng([draw, 77])
        two = [every[name] for name in rng.choice(names, 2, replace=False)]
        volumes = [clicked(example, 5, rng, 0.4) for example in two]
        mean = float(np.mean([len(example.truth) for example in two]))
        model = learnt(Particles(diameters_nm=(14_000.0,), count=mean, risk=risk), volumes, seed=draw)
        note("embryos", {**key, "learnt_from": [e.name for e in two]}, model, judge)


def centriole_images(*, letters: bool = False) -> list[Example]:
    """All of centrioles-2d, CEP152 first, with or without their letters; the pixel size is not stated, about 0.1 µm."""
    every = load(DATA / "centrioles-2d", spacing_um=(0.1, 0.1)).examples
    return [below(example, 0 if letters else LETTERS) for example in sorted(every, key=lambda example: example.name)]


def below(example: Example, row: int) -> Example:
    """A plane from a row on, and the points that lie there."""
    image, truth = example.image.crop((row, 0), example.image.shape), example.truth
    assert isinstance(truth, Points)
    return replace(example, image=image, truth=truth[image.to_voxels(truth.position_um)[:, 0] >= 0])


def of_clicks(
    settings: dict[str, Any], images: Sequence[Example], count: int, seed: Sequence[int]
) -> tuple[Learnt, list[Example]]:
    """A model of `count` clicks shared out among `images`, and what it learnt from."""
    rng = np.random.default_rng(list(seed))
    marked = [clicked(example, count // len(images), rng, 0.0) for example in images]
    mean = float(np.mean([len(example.truth) for example in images if isinstance(example.truth, Points)]))
    model = learnt(Particles(count=mean, match_nm=(MATCH_NM,), **settings), marked, seed=seed[0])
    return model, marked


def choosing(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    """Ten clicks in two images, judged on all annotation of two others: none of these four is judged on later."""
    every = centriole_images()
    judges = [Judge([every[n] for n in images]) for images in (CHOOSE, CLICK)]
    for draw, (number, settings) in product(range(CHOICES), enumerate(CANDIDATES)):
        key = {"clicks": 10, "draw": draw, "risk": "binomial", "candidate": number, **LONG}
        if not done("choosing", key):
            images = (CLICK, CHOOSE)[draw % 2]
            model, _ = of_clicks(settings, [every[n] for n in images], 10, (draw, 10, 6))
            note("choosing", key, model, judges[draw % 2], settings=settings)


def chosen() -> dict[str, Any]:
    """The candidate of the best mean F1, with averaged weights at the model's own threshold."""
    tried = [line for line in lines("choosing") if line["steps"] == LONG["steps"]]
    if len(tried) < len(CANDIDATES) * CHOICES:
        sys.exit("found no settings for centrioles-2d; choose them first: python benchmarks/particles.py choosing")
    f1 = [np.mean([line["swa"]["f1"] for line in tried if line["candidate"] == n]) for n in range(len(CANDIDATES))]
    return CANDIDATES[int(np.argmax(f1))]


def centrioles(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    beside_log("centrioles", centriole_images(), clicks, draws)


def lettered(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    beside_log("lettered", centriole_images(letters=True), clicks, draws)


def beside_log(part: str, every: Sequence[Example], clicks: Sequence[int], draws: Sequence[int]) -> None:
    """Models of a few clicks, each beside a Laplacian of Gaussian tuned on the same."""
    settings = chosen()
    judge = Judge([every[n] for n in JUDGED])
    for draw, count in ((d, n) for n in clicks if n in (10, 50) for d in draws):
        key = {"clicks": count, "draw": draw, "risk": "binomial", **LONG}
        if done(part, key):
            continue
        images = [every[(CHOOSE, CLICK)[draw % 2][n]] for n in range(2)]
        model, marked = of_clicks(settings, images, count, (draw, count, 5))
        method = baseline(model.task, marked)
        alone = [find(method, [Checkpoint(method)], ready(method, one), False, "cpu") for one in judge.examples]
        log = detection.scores([one for one in alone if isinstance(one, Points)], judge.examples, method.match_um)
        figures = {"log": {name: round(log[name], 4) for name in ("f1", "precision", "recall")}}
        figures["log"]["best_f1"] = round(best_of_log(method, judge.examples), 4)
        note(part, {**key, "learnt_from": [e.name for e in images]}, model, judge, **figures)


def best_of_log(method: LogParticles, examples: Sequence[Example]) -> float:
    """F1 of the blob and the threshold that are best on the judged images themselves, which nobody knows."""
    best = 0.0
    for factor in FACTORS:
        blob_nm = factor * method.diameters_nm[0]
        finest_nm = min(min(example.image.spacing_um) for example in examples) * 1000
        one = replace(method, blob_nm=blob_nm, working_nm=max(blob_nm / ACROSS, finest_nm), thresholds=())
        found = [everything(one, example) for example in examples]
        least = detection.best_thresholds(found, examples, one.match_um)[one.classes[0]]
        kept = [points[points.confidence >= least] for points in found]
        best = max(best, detection.scores(kept, examples, one.match_um)["f1"])
    return best


def merging(clicks: Sequence[int], draws: Sequence[int], risks: Sequence[str]) -> None:
    """From all windows above the threshold, but for overlapping ones, to particles.

    Matching is one to one at every stage. False ones are of two kinds: doubles, further windows of a particle (one lies
    within the matching radius), which merging is for; and those where no particle is, which only the classifier can tell.
    A miss is added where a particle had a window of its own after suppression, and has none after merging.

    Merging judges a particle by its score averaged over overlapping windows, and one half of that is more of a single
    window's. So both are also compared from the same level on, by what averaging does to scores in the volumes learnt from.
    """
    report, counts = (
        [f"merging: {facts()}; models of 10 clicks, {LONG['steps']} steps; 3 volumes of 60 particles (seeds 0 to 2)"],
        {},
    )
    for draw in draws:
        volumes, mean = clicks_in_volumes(10, draw)
        model = learnt(Particles(diameters_nm=(1800.0,), count=mean, **SHAPED), volumes, seed=draw)
        before, after = levels_about_averaging([merging_maps(model, one) for one in volumes], model.task)
        report.append(f"draw {draw}: one half is {after:.2f} when averaged, and {before:.2f} averages to one half")
        for crowd, seed in product(CROWDS, range(3)):
            example = replace(CROWDS[crowd], particles=(60, 60), shape_px=(48, 320, 320)).draw(seed)
            for stage, found in merging_stages(model, example, before, after).items():
                counts[crowd, stage, draw, seed] = merging_counts(found, example, model.task.match_um)
    for crowd in CROWDS:
        stages = dict.fromkeys(stage for of, stage, *_ in counts if of == crowd)
        report += [f"{crowd}, {stage}: {_counted(_total(counts, crowd, stage))}" for stage in stages]
        for pair in COMPARED:
            report.append(_compared(counts, crowd, *pair))
    write("merging", report)


Counts = Mapping[tuple[str, str, int, int], Counter[str]]
"""By crowd, stage, draw of clicks and volume."""


def _total(counts: Counts, crowd: str, stage: str) -> Counter[str]:
    return sum((one for (of, at, *_), one in counts.items() if (of, at) == (crowd, stage)), Counter())


def _compared(counts: Counts, crowd: str, suppressed: str, merged: str) -> str:
    """What merging removes of the false ones and adds in misses: in all, and in how many volumes it does as claimed."""
    before, after = _total(counts, crowd, suppressed), _total(counts, crowd, merged)
    places = [rest for of, at, *rest in counts if (of, at) == (crowd, suppressed)]
    volumes = [(counts[crowd, suppressed, *rest], counts[crowd, merged, *rest]) for rest in places]
    fine = sum(b["false"] * (1 - REMOVED) >= a["false"] and a["missed"] <= b["missed"] for b, a in volumes)
    removed = 1 - after["false"] / max(1, before["false"])
    return (
        f"{crowd}, {suppressed}; {merged}: {removed:.1%} of {before['false']} false removed, "
        f"{after['missed'] - before['missed']} misses added to {before['missed']}; in {fine} of {len(volumes)} volumes at "
        f"least {REMOVED:.0%} and none"
    )


def _counted(counts: Mapping[str, int]) -> str:
    elsewhere = counts["false"] - counts["doubles"]
    return f"{counts['right']} right, {counts['doubles']} doubles, {elsewhere} elsewhere, {counts['missed']} missed"


def merging_maps(model: Learnt, example: Example) -> Image:
    """What the network says of a volume."""
    one = ready(model.task, example)
    image = one.example.image
    forward = model.task.forward({**with_measured(model.task, {}, image), **model.averaged}, "cpu")
    return run(forward, partial(model.task.prepare, levels=one.levels), image, make_plan(image, model.task.grid))


def merging_stages(model: Learnt, example: Example, before: float, after: float) -> dict[str, Points]:
    """What is found after each step; of single windows `before` averages to one half, and one half to `after`."""
    maps, task = merging_maps(model, example), model.task
    single, averaged = np.asarray(maps.data[0]), averaged_scores(maps, task)
    alone, recentred = replace(task, recentre=False, intensity_filter=False), replace(task, intensity_filter=False)
    return {
        "NMS, from 0.5": windows_after_nms(maps, task, single, 0.5),
        "NMS, from what averages to 0.5": windows_after_nms(maps, task, single, before),
        "NMS of averaged scores, from 0.5": windows_after_nms(maps, task, averaged, 0.5),
        "merged, not recentred, not filtered, from 0.5": alone.decode(maps),
        "merged, not filtered, from 0.5": recentred.decode(maps),
        "merged, from 0.5": task.decode(maps),
        "merged, from what averages to that": replace(task, thresholds=(after,)).decode(maps),
    }


def averaged_scores(maps: Image, task: Particles) -> Floats:
    return averaged_windows(np.asarray(maps.data[0]), SMOOTHING * task.diameters_nm[0] / 1000 / maps.spacing_um[0])


def levels_about_averaging(every: Sequence[Image], task: Particles) -> tuple[float, float]:
    """The score that averages to one half, and what one half averages to: by a line through the logits of all tops."""
    single, averaged = [], []
    for maps in every:
        smooth = averaged_scores(maps, task)
        places, heights = find_peaks(smooth, min_distance=1, threshold=0.05)
        own = maximum_filter(np.asarray(maps.data[0]), 3)[tuple(np.round(places).astype(int).T)]
        single.append(logit(np.clip(own.astype(float), 1e-6, 1 - 1e-6)))
        averaged.append(logit(heights.astype(float)))
    slope, offset = np.polyfit(np.concatenate(averaged), np.concatenate(single), 1)
    return float(expit(offset)), float(expit(-offset / slope))


def merging_counts(found: Points, example: Example, match_um: Mapping[str, float]) -> Counter[str]:
    """How many are right, false, doubles among these (a particle lies within the matching radius), and missed."""
    assert isinstance(example.truth, Points)
    verdict = detection.judge(found, example, match_um)
    false = found.position_um[np.asarray(verdict.wrong, bool)]
    nearest, _ = cKDTree(example.truth.position_um).query(false)
    within = max(match_um.values())
    return Counter(
        right=int(verdict.hit.sum()),
        false=len(false),
        doubles=int((np.asarray(nearest) <= within).sum()),
        missed=int(verdict.missed.sum()),
    )


def windows_after_nms(maps: Image, task: Particles, confidence: Floats, level: float) -> Points:
    """Windows whose confidence reaches a level, but for those that share more than half with a surer one."""
    cells = np.argwhere(confidence >= level)
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
    places = float(np.prod([-(-n // STEP) for n in setup.working.shape]))
    report = [
        f"speed: {facts()}",
        f"volume of {shape} voxels, {setup.working.shape} on the working grid, {len(found)} found by untrained weights",
        f"dense, only where anything is bright: {took:.0f} s, {used:.0f} CPU s (claimed: at most 300 s on 2 cores)",
        f"each network, a piece: every {STEP}th window cut out, {BATCH} at once, and all in one pass (dense); CPU time",
        f"extrapolated: every window costs the same, and the volume has {places:,.0f} of them",
    ]
    other = replace(task, net="efficientnet-b0", patch_px=24)
    for name, one, side in (("light network", task, (40, 96, 96)), ("EfficientNet-b0", other, (28, 28, 28))):
        piece = _bright_piece(image, task, side)
        windows, alone, dense = _window_by_window(one.network().eval(), piece, task.window_px)
        all_s = alone / windows * places
        report.append(
            f"{name}, piece of {side}: {windows} windows one by one {alone:.2f} CPU s, dense {dense:.2f} CPU s "
            f"({alone / dense:.1f} times); the volume one by one {all_s:,.0f} CPU s ({all_s / 3600:,.1f} h), extrapolated, "
            f"{all_s / used:,.0f} times what the volume took (light network, dense, only where anything is bright)"
        )
    write("speed", report)


def _bright_piece(image: Image, task: Particles, side: tuple[int, ...]) -> torch.Tensor:
    """A piece of the volume on the working grid, as networks eat it: ``(1, 1, *side)``."""
    corner = image.crop((0, 0, 0), (60, 200, 200))
    one = ready(task, Example("corner", corner, Points.marked(np.zeros((0, 3)), kinds=task.classes)))
    prepared = task.prepare(np.asarray(one.example.image.data[...]), one.levels)
    return torch.from_numpy(prepared[:, : side[0], : side[1], : side[2]].copy())[None]


def _window_by_window(network: torch.nn.Module, piece: torch.Tensor, side: int) -> tuple[int, float, float]:
    """How many windows there are, and CPU seconds for them one by one and densely."""
    starts = [range(0, n - side + 1, STEP) for n in piece.shape[2:]]
    places = list(product(*starts))
    with torch.inference_mode():
        network(piece[..., :side, :side, :side].repeat(BATCH, 1, 1, 1, 1))
        began = time.process_time()
        for first in range(0, len(places), BATCH):
            cut = [piece[0][:, z : z + side, y : y + side, x : x + side] for z, y, x in places[first : first + BATCH]]
            network(torch.stack(cut))
        alone = time.process_time() - began
        began = time.process_time()
        network(piece)
        return len(places), alone, time.process_time() - began


def note(part: str, key: dict[str, Any], model: Learnt, judge: Judge, **more: Any) -> None:
    """A line for this draw; of some, last weights are judged too: for ten clicks, where averaging is claimed to matter."""
    line = {**key, "swa": judge.scores(model.task, model.averaged)}
    if (key["clicks"], key["risk"]) == (10, "binomial") and key["draw"] < BOTH:
        line["last"] = judge.scores(model.task, model.last)
    line |= {"cpu_s": round(model.seconds), "minutes": round(model.minutes, 1), **more}
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
    for part in ("simulated", "embryos", "centrioles", "lettered"):
        report += list(_table(part))
    write("summary", report)


def figures(out: Path) -> None:
    """Two pictures: F1 over the number of clicks for every loss; and each draw with averaged and with last weights."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    every = [line for line in lines("simulated") if line["steps"] == LONG["steps"] and "shaped" in line]
    out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(5, 4))
    for risk in LOSSES:
        counts = sorted({line["clicks"] for line in every if line["risk"] == risk})
        draws = [[line["swa"]["f1"] for line in every if (line["clicks"], line["risk"]) == (n, risk)] for n in counts]
        if counts:
            label = f"{risk} ({', '.join(str(len(f1)) for f1 in draws)} draws)"
            axes.plot(counts, [np.mean(f1) for f1 in draws], marker="o", label=label)
            axes.vlines(counts, [min(f1) for f1 in draws], [max(f1) for f1 in draws])
    axes.set(xscale="log", xlabel="clicked particles", ylabel="F1 on ten unseen volumes", ylim=(0.5, 1))
    clicked = sorted({line["clicks"] for line in every})
    axes.set_xticks(clicked, labels=[str(count) for count in clicked])
    axes.minorticks_off()
    axes.legend(loc="lower right")
    figure.savefig(out / "f1_by_clicks.png", dpi=150, bbox_inches="tight")
    figure, axes = plt.subplots(figsize=(4, 4))
    both = [(line["last"]["f1"], line["swa"]["f1"]) for line in every if "last" in line]
    for pair in both:
        axes.plot(("last weights", "averaged (SWA)"), pair, marker="o", color="0.4")
    axes.set(ylabel="F1 on ten unseen volumes, 10 clicks")
    figure.savefig(out / "swa.png", dpi=150, bbox_inches="tight")
    print(f"drawn: {out / 'f1_by_clicks.png'}, {out / 'swa.png'}")


def _table(part: str) -> Iterator[str]:
    every = lines(part)
    for kind_of in sorted({_kind_of(line) for line in every}):
        count, risk, steps, shaped = kind_of
        these = [line for line in every if _kind_of(line) == kind_of]
        for kind in ("swa", "last", "log"):
            of_kind = [line[kind] for line in these if kind in line]
            if not of_kind:
                continue
            f1 = [one["f1"] for one in of_kind]
            best = [one.get("best_f1", float("nan")) for one in of_kind]
            how = f"{risk}, {steps} steps, {'shaped, ' if shaped else ''}{kind}"
            yield (
                f"{part}, {count} clicks, {how}: F1 {np.mean(f1):.3f} (mean of {len(f1)} draws), {min(f1):.3f} … "
                f"{max(f1):.3f}, spread {max(f1) - min(f1):.3f}, sd {np.std(f1):.3f}; at the best threshold {np.mean(best):.3f}"
            )


def _kind_of(line: Mapping[str, Any]) -> tuple[int, str, int, bool]:
    return line["clicks"], line["risk"], line["steps"], line.get("shaped", False)


PARTS = {
    "simulated": simulated,
    "embryos": embryos,
    "choosing": choosing,
    "centrioles": centrioles,
    "lettered": lettered,
    "merging": merging,
    "speed": speed,
    "summary": summary,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "figures"], nargs="?", default="summary")
    parser.add_argument("--clicks", type=int, nargs="+", default=[10])
    parser.add_argument("--draws", type=int, nargs="+", default=[10], help="how many, or from which to before which")
    parser.add_argument("--risks", nargs="+", default=LOSSES, choices=LOSSES)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder that figures are drawn to")
    given = parser.parse_args()
    if given.part == "figures":
        figures(given.out)
        return 0
    real = given.part in ("embryos", "choosing", "centrioles", "lettered")
    if real and not DATA.is_dir():
        print(f"skipped: found no {DATA}")
        return 0
    PARTS[given.part](given.clicks, range(*given.draws), given.risks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
