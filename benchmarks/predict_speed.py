"""Whole `predict` on a 2048 x 2115 micrograph against the usual loop of the same network: fp32, windows of 512 / 128.

Both in one process, in turn, medians of the rounds. `predict` reads grey levels, runs every tile and decodes; the loop
runs the network and averages the maps, no more. Run: python benchmarks/predict_speed.py [rounds]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from graticule.checkpoint import Checkpoint
from graticule.image import Image
from graticule.nets.forward import bf16_units, choose_precision, weights_of
from graticule.tasks.beads import PRESETS, Beads
from graticule.workflows.predict import predict
from machine import facts

SHAPE, WINDOW, OVERLAP = (2115, 2048), 512, 128
SPACING_UM = 1 / 1790


def model(preset: str) -> tuple[Checkpoint, torch.nn.Module]:
    task = Beads(
        classes=("6nm", "12nm"),
        diameters_nm=(6.0, 12.0),
        match_nm=(5.0, 8.0),
        working_nm=1e3 * SPACING_UM,
        **PRESETS[preset],
    )
    torch.manual_seed(0)
    network = task.network().eval()
    return Checkpoint(task, weights_of(network)), network


@torch.inference_mode()
def naive(network: torch.nn.Module, pixels: np.ndarray) -> torch.Tensor:
    """Windows at every multiple of 384 and a last one at each edge (the published loop forgets that one), averaged."""
    x = torch.from_numpy(((pixels - pixels.mean()) / pixels.std()).astype(np.float32))[None, None]
    starts = [[*range(0, n - WINDOW, WINDOW - OVERLAP), n - WINDOW] for n in SHAPE]
    starts = [[s // 2 * 2 for s in axis] for axis in starts]
    total = torch.zeros(4, -(-SHAPE[0] // 2), -(-SHAPE[1] // 2))
    count = torch.zeros(total.shape[1:])
    for y in starts[0]:
        for x0 in starts[1]:
            out = network(x[..., y : y + WINDOW, x0 : x0 + WINDOW])[0]
            window = (slice(y // 2, y // 2 + WINDOW // 2), slice(x0 // 2, x0 // 2 + WINDOW // 2))
            total[(slice(None), *window)] += out
            count[window] += 1
    return total / count.clamp(min=1)


def seconds(action: object) -> float:
    began = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - began


def compared(preset: str, precision: str, rounds: int) -> tuple[str, float]:
    """Both, `rounds` times in turn: a line to print, and how many times faster."""
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    image = Image(pixels, "yx", (SPACING_UM, SPACING_UM))
    checkpoint, network = model(preset)
    with patch("graticule.nets.forward.choose_precision", lambda device: precision):
        pairs = [
            (seconds(lambda: naive(network, pixels)), seconds(lambda: predict(image, checkpoint, device="cpu")))
            for _ in range(rounds + 1)
        ][1:]  # the first warms up
    slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    line = (
        f"{preset:<9} predict in {precision}: {fast:6.2f} s; naive fp32 loop: {slow:6.2f} s; "
        f"{ratio:.2f} x faster (median of {rounds} pairs)"
    )
    return line, ratio


def main(rounds: int) -> None:
    """Every preset, in the machine's own precision and in fp32 as on a machine without bf16 units."""
    lines, holds = [facts()], True
    for preset in PRESETS:
        for precision in dict.fromkeys([choose_precision("cpu"), "fp32"]):
            line, ratio = compared(preset, precision, rounds)
            holds &= ratio >= (3 if "AMX" in bf16_units() and precision == "bf16" else 1)
            lines.append(line)
            print(line, flush=True)
    out = Path(__file__).parent / "results" / "predict_speed.txt"
    out.parent.mkdir(exist_ok=True)
    out.write_text("\n".join(lines) + "\n")
    sys.exit(not holds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
