"""How right mitochondria are outlined, one by one: on a stack never seen, on sections, in another domain, and how fast.

    python benchmarks/mitochondria.py lucchi --kind volumes --seed 0    learnt from training.tif of lucchi alone, a slab of it
                                       held out to choose by; judged on testing_001-024.tif, which is never learnt from
    python benchmarks/mitochondria.py lucchi --kind sections --seed 0   the same with a network for planes, sections linked.
                                       Objects as they are found, and with --no-divide, for in lucchi "touching mitochondria
                                       share an id" (its README)
    python benchmarks/mitochondria.py halves --set epochs=12            learnt from one half of training.tif along x, judged on
                                       the other, 24 sections at a time and all at once, looking one way and three: to
                                       choose settings by, without the test
    python benchmarks/mitochondria.py vnc                               serial sections, each quarter by a model of the others
    python benchmarks/mitochondria.py hela                              a model of lucchi on hela-mito: as it is, and after
                                       fine-tuning on one slice, judged on the other
    python benchmarks/mitochondria.py speed                             165 x 768 x 1024 voxels, against MONAI's
                                       sliding_window_inference with the same network, windows and overlap
    python benchmarks/mitochondria.py whole                             the same volume through graticule predict within
                                       4 GB: its peak, planned and measured, and whether its blocks give what one does
    python benchmarks/mitochondria.py                                   what all of it comes to, and whether the claims hold

Models lie in the folder given by --work (default: build/mitochondria); a training that was stopped goes on when the command
is given again. Every finished run is a line of results/mitochondria/PART.jsonl. Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from scipy import ndimage

from graticule.arrays.intensity import levels
from graticule.box import round_up
from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.inference import make_plan, run
from graticule.io.dataset import load
from graticule.io.omezarr_write import open_level
from graticule.nets.forward import choose_precision, weights_of
from graticule.results import Labels
from graticule.task import Trainable
from graticule.tasks.mitochondria import Mitochondria
from graticule.training.fit import Epoch
from graticule.training.folds import slabs
from graticule.workflows.examples import examples_for
from graticule.workflows.predict import outlined, predict, set_up
from graticule.workflows.train import train
from machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "mitochondria"
DATA = HERE.parents[1] / "shared" / "data"
LEARN, TEST = "training", "testing_001-024"
KINDS = {"volumes": Mitochondria(sections=False), "sections": Mitochondria()}
TOLD = (
    *("dice", "jaccard", "object_f1", "object_precision", "object_recall", "object_f1_75", "ap", "pq", "objects_found"),
    *("objects_true", "splits", "merges", "boundary_nm"),
)


LIMIT = "4GB"
THICK = 24  # sections that are judged together, as many as the shared part of the testing stack has
PIECE = 0.05  # of an object, and more, is a piece of it and no speck
SPACING = ("--spacing-um", "0.005", "--device", "cpu")
CLAIMED = {"jaccard": 0.86, "dice": 0.925, "object_f1": 0.88}


def told(epoch: Epoch, left: float) -> None:
    """A line for each epoch, on stderr."""
    score = "" if epoch.score is None else f"  Dice {epoch.score:.4f}"
    line = f"epoch {epoch.epoch}  loss {epoch.loss:.4f}{score}  {epoch.seconds:.0f} s, {left:.0f} s left"
    print(line, file=sys.stderr, flush=True)


def keep(part: str, line: dict[str, Any], instead_of: Sequence[str] = ()) -> None:
    """A finished run, with the machine it ran on; what is new of an earlier one in which all of `instead_of` are the same."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    earlier, others = {}, []
    for one in kept(part):
        same = instead_of and all(one.get(key) == line[key] for key in instead_of)
        earlier, others = (one, others) if same else (earlier, [*others, one])
    every = [*others, {**earlier, **line, "machine": str(facts())}]
    text = "".join(json.dumps(one) + "\n" for one in every)
    (RESULTS / f"{part}.jsonl").write_text(text, encoding="utf-8")
    print(json.dumps(line))


def rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(scores[name], 4) for name in TOLD if name in scores}


def of_set(name: str) -> dict[str, Example]:
    """The examples of a dataset, by name."""
    return {example.name: example for example in examples_for(Mitochondria(), load(DATA / name))}


def learnt(
    task: Mitochondria, examples: Sequence[Example], file: Path, seed: int, start: Checkpoint | None = None
) -> Checkpoint:
    """The model in `file`; it is trained first, or its training resumed, if it is not finished."""
    state = file.with_name(file.name + ".training")
    if file.exists() and not state.exists():
        return Checkpoint.load(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    return train(task, examples, file, seed=seed, device="cpu", start=start, resume=state.exists(), watch=told)


def named(stem: str, changes: dict[str, Any]) -> str:
    """The file of a model learnt with these settings."""
    return "-".join([stem, *(f"{key}-{value}" for key, value in sorted(changes.items()))]) + ".safetensors"


def judged(model: Checkpoint, examples: Sequence[Example], *, tta: bool = False) -> dict[str, float]:
    """Figures of a model on unseen examples, at its own thresholds, and how long finding took."""
    began = time.monotonic()
    found = [predict(example.image, model, tta=tta, device="cpu") for example in examples]
    seconds = time.monotonic() - began
    return {**rounded(dict(model.task.score(found, examples))), "predict_s": round(seconds, 1)}


def thresholds(task: Trainable) -> dict[str, float]:
    """Those that were chosen on what was held out."""
    assert isinstance(task, Mitochondria)
    own = {"threshold": task.thresholds[0], "core_threshold": task.core_threshold}
    return {**own, "object_threshold": task.object_threshold}


def lucchi(work: Path, kind: str, seed: int, turned: bool, changes: dict[str, Any]) -> None:
    examples, began = of_set("lucchi"), time.process_time()
    task = replace(KINDS[kind], **changes)
    file = work / named(f"lucchi-{kind}-{seed}", changes)
    finished = file.exists() and not file.with_name(file.name + ".training").exists()
    model = learnt(task, [examples[LEARN]], file, seed)
    history = model.made_by["history"]
    line = {"kind": kind, "seed": seed, "changes": changes, "chosen_at": model.made_by["score"], "epochs": len(history)}
    line["train_s"] = round(history[-1]["seconds"])
    if not finished:
        line["cpu_s"] = round(time.process_time() - began)
    line |= thresholds(model.task)
    line |= judged(model, [examples[TEST]])
    line["parted"] = judged(model, [parted(examples[TEST])])
    line["undivided"] = judged(undivided(model), [examples[TEST]])
    if turned:
        line["tta"] = judged(model, [examples[TEST]], tta=True)
    keep("lucchi", line, instead_of=("kind", "seed", "changes"))


def undivided(model: Checkpoint) -> Checkpoint:
    """With ``--no-divide``, as lucchi is annotated: "touching mitochondria share an id" (its README)."""
    assert isinstance(model.task, Mitochondria)
    return replace(model, task=replace(model.task, divide=False))


def parted(example: Example) -> Example:
    """With objects that share a number, because they touch, told apart: what falls apart without its outermost voxels.

    Numbers of lucchi are those of regions of a mask that hang together. One of the test's 23 is two mitochondria that are
    outlined apart in 23 of 24 sections; of the 40 learnt from none falls apart.
    """
    assert isinstance(example.truth, Labels)
    numbers = np.asarray(example.truth.image.data[...])
    apart, count = np.zeros(numbers.shape, np.int32), 0
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        mask = numbers[box] == number
        pieces, _ = ndimage.label(ndimage.minimum_filter(mask, 3, mode="nearest"))
        large = [n for n in np.unique(pieces[pieces > 0]) if (pieces == n).sum() >= PIECE * mask.sum()]
        count += 1
        apart[box][mask] = count
        if len(large) > 1:
            nearest = ndimage.distance_transform_edt(
                ~np.isin(pieces, large), return_distances=False, return_indices=True
            )
            apart[box][mask] = count + np.searchsorted(large, pieces[tuple(nearest)][mask])
            count += len(large) - 1
    return replace(example, truth=Labels(replace(example.truth.image, data=apart)))


def halves(work: Path, kind: str, seed: int, turned: bool, changes: dict[str, Any]) -> None:
    """Learnt from the left half of lucchi's training stack, judged on the right: what is between them is in neither.

    Each model is judged 24 sections at a time and on all sections at once, as it is and, of sections, looking one way only.
    """
    left, right = slabs(of_set("lucchi")[LEARN], 2)
    model = learnt(replace(KINDS[kind], **changes), [left], work / named(f"half-{kind}-{seed}", changes), seed)
    depth, task = right.image.shape[0], model.task
    assert isinstance(task, Mitochondria)
    one_way = replace(model, task=replace(task, three_ways=False))
    for thick in (THICK, depth):
        parts = [sections_of(right, z, z + thick) for z in range(0, depth - thick + 1, thick)]
        line = {"kind": kind, "seed": seed, "changes": changes, "sections": thick, **judged(model, parts)}
        if task.sections:
            line["one_way"] = judged(one_way, parts)
        if turned:
            line["tta"] = judged(model, parts, tta=True)
        keep("halves", line)


def sections_of(stack: Example, start: int, stop: int) -> Example:
    """Some sections of an outlined stack."""
    box = (start, 0, 0), (stop, *stack.image.shape[1:])
    assert isinstance(stack.truth, Labels)
    truth = Labels(stack.truth.image.crop(*box))
    return replace(stack, name=f"{stack.name}-{start}", image=stack.image.crop(*box), truth=truth)


def quarters(stack: Example) -> list[Example]:
    """The four corners of an outlined stack, each a specimen; objects that a cut goes through are in two of them."""
    parts = []
    for number in range(4):
        half = [n // 2 for n in stack.image.shape[1:]]
        low = (0, number // 2 * half[0], number % 2 * half[1])
        box = low, (stack.image.shape[0], low[1] + half[0], low[2] + half[1])
        assert isinstance(stack.truth, Labels)
        truth = Labels(stack.truth.image.crop(*box))
        parts.append(
            replace(stack, name=f"quarter-{number}", specimen=str(number), image=stack.image.crop(*box), truth=truth)
        )
    return parts


def vnc(work: Path, kind: str, seed: int, changes: dict[str, Any]) -> None:
    """Each quarter judged by a model that learnt from the three others."""
    every = quarters(of_set("vnc-sstem")["stack1"])
    task = replace(KINDS[kind], **{"epochs": 10, "steps": 40, **changes})
    found, began, line = [], time.process_time(), {"kind": kind, "seed": seed, "changes": changes}
    for number, held in enumerate(every):
        file = work / named(f"vnc-{kind}-{seed}-{number}", changes)
        model = learnt(task, [q for q in every if q is not held], file, seed)
        found.append(predict(held.image, model, device="cpu"))
        by_one = rounded(dict(model.task.score(found[-1:], [held])))
        keep("vnc", {**line, "quarter": number, **by_one})
    pooled = rounded(dict(model.task.score(found, every)))
    keep("vnc", {**line, "quarter": "all", "cpu_s": round(time.process_time() - began), **pooled})


def on_planes(model: Checkpoint) -> Checkpoint:
    """A model that looks at volumes section by section, for planes: the network is the same."""
    task = model.task
    assert isinstance(task, Mitochondria) and task.sections
    return replace(model, task=replace(task, dimensions=2, working_nm=(task.detail_nm,) * 2, patch_px=()))


def hela(work: Path, seed: int, alone: bool, turned: bool, changes: dict[str, Any]) -> None:
    """A model of lucchi on another microscope's cell: as it is, and after learning from one of its two slices."""
    file = work / f"lucchi-sections-{seed}.safetensors"
    start, of_start = on_planes(Checkpoint.load(file)), hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    slices = of_set("hela-mito")
    for name, unseen in slices.items():
        (other,) = (one for each, one in slices.items() if each != name)
        as_it_is = judged(start, [unseen])
        own = start.task
        assert isinstance(own, Mitochondria)
        task = Mitochondria(
            channels=own.channels,
            working_nm=own.working_nm,
            detail_nm=own.detail_nm,
            **{"epochs": 10, "steps": 40, "learning_rate": 1e-3, **changes},
        )
        tuned = learnt(task, [other], work / named(f"hela-{seed}-{other.name}-of-{of_start}", changes), seed, start)
        line = {"seed": seed, "changes": changes, "learnt_from": other.name, "judged_on": name, "as_it_is": as_it_is}
        line["fine_tuned"] = judged(tuned, [unseen])
        if turned:
            line["tta"] = {
                "as_it_is": judged(start, [unseen], tta=True),
                "fine_tuned": judged(tuned, [unseen], tta=True),
            }
        if alone:
            of_one = learnt(task, [other], work / named(f"hela-{seed}-{other.name}-alone", changes), seed)
            line["that_slice_alone"] = judged(of_one, [unseen])
        keep("hela", line, instead_of=("seed", "changes", "learnt_from"))


def speed(work: Path, size: tuple[int, ...]) -> None:
    """Our engine and MONAI's sliding window, with one network, the same overlap and weights, in turn.

    MONAI widens an image to the window where it is smaller, with grey that is thrown away; ours reads as much as there is. So
    MONAI is also timed with windows no deeper than the image.
    """
    task = Mitochondria(
        sections=False,
        classes=("mitochondrion",),
        dimensions=3,
        working_nm=(5.0,) * 3,
        thresholds=(0.5,),
        core_threshold=0.5,
    )
    volume = of_set("lucchi")[LEARN].image
    image = volume.crop((0, 0, 0), tuple(min(n, s) for n, s in zip(volume.shape, size, strict=True)))
    image = replace(image, data=np.asarray(image.data[...]))
    network, window = (
        task.network().eval(),
        tuple(t + 2 * h for t, h in zip(task.grid.tile, task.grid.halo, strict=True)),
    )
    share = 2 * task.grid.halo[0] / window[0]
    known = levels(image)
    peers = {"monai": window, "monai_no_deeper": tuple(map(min, window, (round_up(n, 16) for n in image.shape)))}
    timed: dict[str, list[float]] = {"ours": [], **{name: [] for name in peers}}
    for _ in range(3):
        began = time.perf_counter()
        maps = run(
            task.forward(weights_of(network), "cpu"),
            partial(task.prepare, levels=known),
            image,
            make_plan(image, task.grid),
        )
        timed["ours"].append(time.perf_counter() - began)
        for name, size_of in peers.items():
            began = time.perf_counter()
            with torch.inference_mode():
                pixels = torch.from_numpy(task.prepare(np.asarray(image.data), known))[None]
                theirs = sliding_window_inference(pixels, size_of, 1, network, overlap=share, mode="gaussian").sigmoid()
            timed[name].append(time.perf_counter() - began)
    apart = float(np.abs(maps.data - theirs[0].numpy()).mean())
    took = {name: float(np.median(seconds)) for name, seconds in timed.items()}
    line = {
        "shape": image.shape,
        "window": window,
        "overlap": share,
        "seconds": took,
        "mean_difference": round(apart, 4),
    }
    line["times_faster"] = {name: round(took[name] / took["ours"], 2) for name in peers}
    keep("speed", {**line, "precision": choose_precision("cpu", network)})


def whole(work: Path, seed: int) -> None:
    """All of lucchi's training stack through ``graticule predict``, in blocks, and then in memory as a single block."""
    file, model = DATA / "lucchi" / "images" / f"{LEARN}.tif", work / f"lucchi-sections-{seed}.safetensors"
    out = work / "whole"
    command = ["predict", str(file), "--model", str(model), "--out", str(out), "--memory", LIMIT, *SPACING]
    planned = json.loads(graticule(*command, "--dry-run", "--json")[0])["images"][0]["peak_bytes"]
    began = time.perf_counter()
    _, peak = graticule(*command)
    seconds = time.perf_counter() - began
    in_blocks = np.asarray(open_level(next(out.rglob("labels/objects")))[...])
    setup = set_up(of_set("lucchi")[LEARN].image, [Checkpoint.load(model)], device="cpu")
    tiles = setup.task.grid.tile
    size = tuple(-(-n // tile) * tile for n, tile in zip(setup.working.shape, tiles, strict=True))
    block = json.loads(next(out.rglob("run.json")).read_text(encoding="utf-8"))["plan"]["block"]
    blocks, single = (setup.plan(stored=True, size=one) for one in (tuple(block), size))
    at_once = np.asarray(outlined(setup, single, None).data)
    line = {"shape": in_blocks.shape, "limit": LIMIT, "planned_gb": round(planned / 1e9, 2), "peak_gb": round(peak, 2)}
    line |= {"seconds": round(seconds, 1), "objects": int(in_blocks.max()), "blocks": len(blocks.blocks)}
    keep("whole", {**line, "compared_with": len(single.blocks), "same": bool(np.array_equal(in_blocks, at_once))})


def graticule(*words: str) -> tuple[str, float]:
    """What a command says, and the memory it took at its peak, in GB."""
    child = subprocess.Popen([sys.executable, "-m", "graticule", *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, f"graticule {' '.join(words)} ended with {status}"
    return said, used.ru_maxrss / 1e6


def kept(part: str) -> list[dict[str, Any]]:
    """The finished runs of a part."""
    path = RESULTS / f"{part}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def over_seeds(runs: Sequence[dict[str, Any]], figure: str) -> str:
    values = [one[figure] for one in runs]
    return f"{figure} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def errors(one: dict[str, float]) -> int:
    """Objects found that are false, and true ones that are missed."""
    return round((one["objects_found"] + one["objects_true"]) * (1 - one["object_f1"]))


def missed(one: dict[str, float]) -> int:
    """True objects that are not found: of hela-mito, whose annotation is not complete, the errors that are sure to be some."""
    return round(one["objects_true"] * (1 - one["object_recall"]))


def tuning(one: dict[str, Any]) -> str:
    """What fine-tuning changed."""
    before, after = one["as_it_is"], one["fine_tuned"]
    return (
        f"object F1 {before['object_f1']:.2f}, then {after['object_f1']:.2f}; "
        f"objects false or missed {errors(before)}, then {errors(after)}; "
        f"missed alone {missed(before)}, then {missed(after)}, of {after['objects_true']:.0f}"
    )


def summary() -> int:
    """What the runs at default settings come to; 1 if a claim does not hold, or rests on fewer than three seeds."""
    lines = []
    tried = {(one["kind"], json.dumps(one["changes"])): one["changes"] for one in kept("lucchi")}
    for (kind, _), changes in tried.items():
        runs = [one for one in kept("lucchi") if (one["kind"], one["changes"]) == (kind, changes)]
        figures = ", ".join(over_seeds(runs, name) for name in ("jaccard", "dice", "object_f1", "object_f1_75", "pq"))
        lines.append(f"lucchi, {kind}, {changes or 'default settings'}, {len(runs)} seed(s): {figures}")
        if seen := [one["parted"] for one in runs if "parted" in one]:
            apart = over_seeds(seen, "object_f1")
            lines.append(f"    with the two that touch, and share a number in the truth, counted as two: {apart}")
        if seen := [one["undivided"] for one in runs if "undivided" in one]:
            alike = over_seeds(seen, "object_f1")
            lines.append(
                f"    with --no-divide, as touching mitochondria share an id in lucchi, {len(seen)} seed(s): {alike}"
            )
        if seen := [one["tta"] for one in runs if "tta" in one]:
            turned = ", ".join(over_seeds(seen, name) for name in CLAIMED)
            lines.append(f"    with eight turned views averaged: {turned}")
    runs = [one for one in kept("lucchi") if one["kind"] == "sections" and not one["changes"]]
    held = len({one["seed"] for one in runs if "undivided" in one}) >= 3
    for name, least in CLAIMED.items():  # objects are counted as lucchi's are, which changes no voxel
        values = [one.get("undivided", one)[name] if name == "object_f1" else one[name] for one in runs]
        held = held and float(np.mean(values)) >= least
    for one in kept("hela"):
        lines.append(f"hela, learnt from {one['learnt_from']}, {one['changes'] or 'default settings'}: {tuning(one)}")
        if "tta" in one:
            lines.append(f"    with eight turned views averaged: {tuning(one['tta'])}")
    if seen := [one["tta"] for one in kept("hela") if "tta" in one]:
        wrong = [float(np.mean([1 - one[when]["object_f1"] for one in seen])) for when in ("as_it_is", "fine_tuned")]
        lines.append(f"hela, eight views, mean of {len(seen)} runs: 1 - object F1 {wrong[0]:.3f}, then {wrong[1]:.3f}")
    lines += [f"vnc, {one['kind']}: object F1 {one['object_f1']:.2f}" for one in kept("vnc") if one["quarter"] == "all"]
    lines += [
        f"{run['times_faster']} times as fast as MONAI's sliding window on {run['shape']}" for run in kept("speed")
    ]
    lines += [
        f"the whole volume: {one}"
        for one in ({k: v for k, v in run.items() if k != "machine"} for run in kept("whole"))
    ]
    lines.append(
        f"claimed of sections at default settings, object F1 with --no-divide, as means of three seeds or more: {CLAIMED}: "
        f"{'holds' if held else 'DOES NOT HOLD'}"
    )
    (RESULTS / "summary.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0 if held else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "part", choices=("lucchi", "halves", "vnc", "hela", "speed", "whole", "summary"), nargs="?", default="summary"
    )
    parser.add_argument("--kind", choices=tuple(KINDS), default="sections")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "mitochondria")
    parser.add_argument(
        "--tta", action="store_true", help="lucchi, halves, hela: also with eight turned views averaged"
    )
    parser.add_argument("--alone", action="store_true", help="hela: also a model of that slice alone")
    parser.add_argument("--size", type=int, nargs=3, default=[165, 768, 1024], help="voxels of the volume timed")
    parser.add_argument("--set", nargs="*", default=[], help="settings to try, NAME=JSON")
    asked = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (word.partition("=") for word in asked.set)}
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    if asked.part == "summary":
        sys.exit(summary())
    if not DATA.is_dir():
        print("../shared/data is not here: skipped")
        return
    np.seterr(all="raise", under="ignore")
    if asked.part == "lucchi":
        lucchi(asked.work, asked.kind, asked.seed, asked.tta, changes)
    elif asked.part == "halves":
        halves(asked.work, asked.kind, asked.seed, asked.tta, changes)
    elif asked.part == "vnc":
        vnc(asked.work, asked.kind, asked.seed, changes)
    elif asked.part == "hela":
        hela(asked.work, asked.seed, asked.alone, asked.tta, changes)
    elif asked.part == "speed":
        speed(asked.work, tuple(asked.size))
    elif asked.part == "whole":
        whole(asked.work, asked.seed)


if __name__ == "__main__":
    main()
