"""What a mask spares: beads on a half-empty image, with and without --mask.

A model learns on simulated images; then an image of 4096 x 4096 pixels whose right half is empty is searched twice. With the
mask nothing inside it may be lost: the same beads at the same places. Run: python benchmarks/gating.py
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from graticule.image import Image
from graticule.inference.gate import Gate
from graticule.inference.store import Store
from graticule.metrics.detection import match
from graticule.simulate import BeadScenes
from graticule.tasks import Beads
from graticule.workflows.predict import finding, set_up, within
from graticule.workflows.train import train
from machine import facts

SIDE = 4096
RESULTS = Path(__file__).parent / "results" / "gating.txt"


def half_empty() -> tuple[Image, Image]:
    (example,) = BeadScenes(shape_px=(SIDE, SIDE // 2)).examples(1, seed=99)
    left = np.asarray(example.image.data)
    quiet = np.random.default_rng(0).normal(np.median(left), left[:64, :64].std() / 2, (SIDE, SIDE // 2))
    voxels = np.concatenate([left, np.clip(quiet, 0, 255).astype(left.dtype)], axis=1)
    image = replace(example.image, data=voxels)
    mask = np.zeros((SIDE // 16, SIDE // 16), np.uint8)
    mask[:, : SIDE // 32] = 1
    spacing = tuple(16 * s for s in image.spacing_um)
    return image, Image(mask, "yx", spacing, tuple(7.5 * s for s in image.spacing_um))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gating-") as folder:
        learn = list(BeadScenes(shape_px=(512, 512)).examples(6, seed=0))
        model = train(Beads(epochs=(6,)), learn, Path(folder) / "m.safetensors", device="cpu")
        image, mask = half_empty()
        setup = set_up(image, [model], device="cpu")
        found, seconds, spared = [], [], None
        for name, gate in (("all", None), ("gated", Gate(mask, setup.working))):
            began = time.process_time()
            points, work = finding(setup, setup.plan(), Store.begin(Path(folder) / name, {}), gate).go()
            seconds.append(time.process_time() - began)
            found.append(within(points, image))
            spared = work
    everything, gated = found
    inside = everything[np.round(image.to_voxels(everything.position_um))[:, 1] < SIDE // 2]
    same, _ = match(inside.position_um, gated.position_um, 0.5 * image.spacing_um[0])
    saved = 1 - seconds[1] / seconds[0]
    lines = [
        facts(),
        f"{SIDE} x {SIDE} pixels, right half empty; {len(everything)} found in all, {len(inside)} inside the mask",
        f"with the mask {len(gated)} found, {len(same)} of them where they were without it",
        f"{seconds[0]:.1f} s of CPU time without the mask, {seconds[1]:.1f} s with it: {saved:.0%} saved",
        f"{spared.skipped} of {spared.blocks} blocks skipped",
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    assert len(same) == len(inside) == len(gated), "a detection inside the mask was lost or added"
    assert saved >= 0.4, "less than 40 % of the work was saved"


if __name__ == "__main__":
    main()
