"""How well tissue is told from resin without training: Dice on labelled slices, beside plainer methods and beside itself
with each kind of evidence left out; the same where brightness falls across the field; and how much of two volumes that
are all tissue is called tissue.

Whole predictions, at default settings. resin: three slices of HeLa cells, 40 nm pixels, 0 in masks/ does not count, and
labelled with the help of Otsu's threshold, which favours `tissue-otsu`; platelet: one slice, 10 nm, 16 bits, labelled by
experts. Needs ../shared/data. Run: python benchmarks/tissue_texture.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.image import Image
from graticule.io import read
from graticule.io.dataset import load
from graticule.metrics.overlap import class_overlaps
from graticule.results import Labels
from graticule.tasks import LABEL_FREE
from graticule.tasks.masking import Masking
from graticule.tasks.tissue_texture import TissueTexture
from graticule.workflows.predict import predict
from machine import facts

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ENOUGH = 0.90
ALL_TISSUE = {"lucchi": ("lucchi/images/testing_001-024.tif", 0.005), "vnc": ("vnc-sstem/images/stack1.tif", 0.0046)}


def methods() -> dict[str, Any]:
    whole = TissueTexture()
    without = {
        f"  without {term}": replace(whole, terms=tuple(t for t in whole.terms if t != term)) for term in whole.terms
    }
    return {name: kind() for name, kind in LABEL_FREE.items() if issubclass(kind, Masking)} | without


def mask(task: Any, image: Image) -> Labels:
    found = predict(image, Checkpoint(task, {}), device="cpu")
    assert isinstance(found, Labels)
    return found


def dice(task: Any, examples: Sequence[Example]) -> list[float]:
    return [class_overlaps([mask(task, e.image)], [e])[0].dice for e in examples]


def shaded(example: Example) -> Example:
    """Darker from left to right, by as much as half of all grey levels there are."""
    grey = np.asarray(example.image.data[...], np.float32)
    low, high = np.percentile(grey, [1, 99])
    ramp = np.linspace(0, (high - low) / 2, grey.shape[1], dtype=np.float32)
    return replace(example, image=replace(example.image, data=grey - ramp))


def all_tissue() -> list[Image]:
    """The first, the middle and the last plane of volumes that are all tissue."""
    images = []
    for file, spacing in ALL_TISSUE.values():
        volume = read(DATA / file, spacing_um=(0.05, spacing, spacing))
        planes = np.asarray(volume.data[:: max(1, volume.shape[0] // 2)])
        images.append(Image(planes, "zyx", volume.spacing_um))
    return images


def share(task: Any, image: Image) -> float:
    return float(np.mean(np.asarray(mask(task, image).image.data)))


def main() -> None:
    if not DATA.is_dir():
        print(f"no micrographs at {DATA}: nothing measured")
        sys.exit(0)
    examples = [*load(DATA / "resin").examples, *load(DATA / "platelet").examples]
    volumes = all_tissue()
    header = [e.name for e in examples] + ["mean", "shaded", *ALL_TISSUE]
    lines = [facts(), f"{'':<20}" + "".join(f"{word:>8}" for word in header)]
    print("\n".join(lines))
    figures = {}
    for name, task in methods().items():
        by_slice = dice(task, examples)
        in_shade = float(np.mean(dice(task, [shaded(e) for e in examples])))
        figures[name] = [*by_slice, float(np.mean(by_slice)), in_shade, *(share(task, v) for v in volumes)]
        lines.append(f"{name:<20}" + "".join(f"{figure:8.3f}" for figure in figures[name]))
        print(lines[-1], flush=True)
    out = Path(__file__).parent / "results" / "tissue-texture.txt"
    out.write_text("\n".join(lines) + "\n")
    *_, mean, in_shade, lucchi, vnc = figures["tissue-texture"]
    sys.exit(not (min(mean, in_shade) >= ENOUGH and min(lucchi, vnc) > 0.95 and mean > figures["tissue-dog"][-4]))


if __name__ == "__main__":
    main()
