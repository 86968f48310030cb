"""How fast tissue is told from resin by texture, on one core: pixels prepared, judged and decoded, tile by tile.

64 x 768 x 1024 voxels of 8 bits, and half and a quarter as many planes: time per voxel stays what it is. Beside it the
same kinds of evidence as they are usually written down: whole-plane filters of SciPy in double precision, every mean
taken at every pixel. Medians of rounds, in processor time, for other work on the machine shall not count; what was
measured once for the volume, and regions of the whole, are not in it. Memory is the peak of what NumPy took, beyond the
volume and its results. Run: python benchmarks/texture_speed.py [rounds]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from graticule.arrays.intensity import levels
from graticule.image import Array, Image
from graticule.inference.plan import make_plan
from graticule.inference.run import run_block
from graticule.tasks.tissue_texture import TissueTexture, em_texture_masking
from machine import facts

SHAPE = (64, 768, 1024)
TILE = (16, 512, 512)
BAR = 10.0  # Mvoxel/s
STACKS = (16, 32, 64)


def specimen(seed: int = 0) -> Array:
    """Tissue that fills the left half of every plane, resin the right."""
    rng = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(rng.standard_normal(SHAPE[1:], np.float32), 1.5) * 100
    plane = np.where(np.arange(SHAPE[2]) < SHAPE[2] // 2, 130 + grain, np.float32(180))
    noise = rng.standard_normal((8, *SHAPE[1:]), np.float32) * 4
    return np.clip(np.tile(plane + noise, (SHAPE[0] // 8, 1, 1)), 0, 255).astype(np.uint8)


def ours(volume: Array, tile: tuple[int, ...] | None = None) -> Callable[[], None]:
    """A pass over all blocks of a plan: read, prepare, forward, decode."""
    task = TissueTexture()
    image = Image(volume, "zyx", (0.01, 0.01, 0.01))
    forward = task.forward(task.measure(image), "cpu")
    prepare = partial(task.prepare, levels=levels(image))
    plan = make_plan(image, replace(task.grid, tile=tile) if tile else task.grid)

    def go() -> None:
        for block in plan.blocks:
            task.decode(run_block(forward, prepare, image, plan, block))

    return go


def naive(volume: Array) -> Callable[[], None]:
    """Difference of Gaussians, variance in blocks, structure tensor and edges, at every pixel, and a vote."""

    def judged(plane: Array) -> Array:
        x = plane.astype(float)
        dog = ndimage.gaussian_filter(x, 1.0) - ndimage.gaussian_filter(x, 1.6)
        texture = ndimage.gaussian_filter(np.log(dog**2 + 1e-6), 6)
        variance = ndimage.uniform_filter(x * x, 64) - ndimage.uniform_filter(x, 64) ** 2
        edges = ndimage.gaussian_filter(x, 0.5)
        dy, dx = np.gradient(edges)
        yy, xx, xy = (ndimage.gaussian_filter(p, 4) for p in (dy * dy, dx * dx, dy * dx))
        across = 1 - np.sqrt((yy - xx) ** 2 + 4 * xy**2) / (yy + xx + 1e-6)
        tensor = ndimage.gaussian_filter(np.log((yy + xx) * across + 1e-6), 6)
        votes = (texture > texture.mean()).astype(int) + (variance > variance.mean()) + (tensor > tensor.mean())
        return np.asarray(votes > 1)

    def go() -> None:
        for plane in volume:
            judged(plane)

    return go


def processor_seconds(action: Callable[[], None]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def peak_mb(action: Callable[[], None]) -> float:
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main(rounds: int) -> None:
    volume = specimen()
    runs = {planes: ours(volume[:planes]) for planes in STACKS}
    tiled, plain = ours(volume, TILE), naive(volume[:4])
    speeds: dict[object, list[float]] = {key: [] for key in (*STACKS, "tiled", "naive")}
    for _ in range(rounds):
        for planes, action in runs.items():
            speeds[planes].append(volume[:planes].size / processor_seconds(action) / 1e6)
        speeds["tiled"].append(volume.size / processor_seconds(tiled) / 1e6)
        speeds["naive"].append(volume[:4].size / processor_seconds(plain) / 1e6)
    fast = {key: statistics.median(values) for key, values in speeds.items()}
    memory = {planes: peak_mb(ours(volume[:planes], TILE)) for planes in STACKS}
    call = statistics.median(
        volume.size / processor_seconds(lambda: em_texture_masking(volume)) / 1e6 for _ in range(rounds)
    )
    whole, slow = fast[STACKS[-1]], fast["naive"]
    lines = [
        facts(),
        *(f"{planes} x 768 x 1024, default tiles: {fast[planes]:5.1f} Mvoxel/s a core" for planes in STACKS),
        f"64 x 768 x 1024, tiles of {' x '.join(map(str, TILE))}: {fast['tiled']:5.1f} Mvoxel/s a core",
        f"em_texture_masking, thresholds measured and regions tidied as well: {call:5.1f} Mvoxel/s a core",
        f"SciPy, every mean at every pixel: {slow:5.1f} Mvoxel/s; ours is {whole / slow:.1f} x faster",
        "peak memory in those tiles: " + ", ".join(f"{memory[p]:.0f} MB ({p} planes)" for p in STACKS),
        f"medians of {rounds} rounds",
    ]
    print("\n".join(lines))
    out = Path(__file__).parent / "results" / "texture-speed.txt"
    out.write_text("\n".join(lines) + "\n")
    linear = min(fast[p] for p in STACKS) > 0.5 * max(fast[p] for p in STACKS)  # fresh memory costs more some days
    flat = max(memory.values()) < 1.2 * min(memory.values())
    sys.exit(not (min(whole, call) >= BAR and linear and flat))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
