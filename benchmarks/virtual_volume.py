"""A tissue mask of a volume far larger than memory, under --memory: how much is taken at the peak, and how long it takes.

The volume is made up while it is read and never on disk: an ellipsoid of texture in smooth, noisy resin, float32.

    python benchmarks/virtual_volume.py                       4 GB, some minutes
    python benchmarks/virtual_volume.py --gigabytes 40        what is claimed
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from graticule.box import window
from graticule.checkpoint import Checkpoint
from graticule.image import Image
from graticule.tasks import LABEL_FREE
from graticule.workflows.budget import bytes_of
from graticule.workflows.predict_files import Job, predict_image
from machine import facts

BASE = (64, 512, 512)
RESULTS = Path(__file__).parent / "results" / "virtual-volume.txt"


class Ellipsoid:
    """``(z, y, x)`` float32, computed for the window that is read."""

    dtype = np.dtype(np.float32)

    def __init__(self, gigabytes: float) -> None:
        voxels = gigabytes * 1e9 / 4
        depth = max(64, int((voxels / 2.25) ** (1 / 3) / 64) * 64)
        side = max(256, int((voxels / depth) ** 0.5 / 64) * 64)
        self.shape = (depth, side, int(np.ceil(voxels / depth / side)))
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 900, BASE).astype(np.float32)
        texture = gaussian_filter(rng.normal(0, 1, BASE), (1, 2, 2), mode="wrap")
        self.resin = (42_000 + noise).astype(np.float32)
        self.tissue = (26_000 + noise + texture / texture.std() * 7_000).astype(np.float32)

    def __getitem__(self, key: object) -> np.ndarray:
        read, then = window(key, self.shape)
        places = [np.arange(s.start, s.stop) for s in read]
        repeated = np.ix_(*(p % n for p, n in zip(places, BASE, strict=True)))
        far = [((p / n - 0.5) / 0.42).astype(np.float32) ** 2 for p, n in zip(places, self.shape, strict=True)]
        voxels = self.resin[repeated]
        for plane, here in enumerate(far[0]):
            inside = here + far[1][:, None] + far[2][None] < 1
            if inside.any():
                page = self.tissue[places[0][plane] % BASE[0]][np.ix_(places[1] % BASE[1], places[2] % BASE[2])]
                voxels[plane][inside] = page[inside]
        return voxels[then]


def peak_bytes() -> int:
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--gigabytes", type=float, default=4.0)
    words.add_argument("--memory", default="2GB")
    words.add_argument("--out", type=Path)
    words.add_argument("--resume", action="store_true")
    asked = words.parse_args()
    volume = Ellipsoid(asked.gigabytes)
    image = Image(volume, "zyx", (0.01, 0.01, 0.01))
    size = np.prod(volume.shape) * 4
    with tempfile.TemporaryDirectory(prefix="virtual-") as folder:
        job = Job(
            models=(Checkpoint(LABEL_FREE["tissue-texture"]()),),
            files=(Path("tissue-texture"),),
            out=asked.out or Path(folder),
            memory=bytes_of(asked.memory),
            resume=asked.resume,
        )
        began, told = time.monotonic(), [0.0]

        def watch(done: int, total: int) -> None:
            if time.monotonic() - told[0] > 30:
                told[0] = time.monotonic()
                print(f"{done}/{total} after {told[0] - began:.0f} s, peak {peak_bytes() / 1e9:.2f} GB", flush=True)

        done = predict_image(image, job, "ellipsoid", progress=watch)
        seconds = time.monotonic() - began
        disk = sum(p.stat().st_size for p in done.folder.rglob("*") if p.is_file())
    truth = np.pi / 6 * (0.84**3)
    found = done.counts["tissue"] / np.prod(volume.shape)
    radius = 0.42 * float(np.prod(volume.shape)) ** (1 / 3)
    inwards = radius * (1 - (found / truth) ** (1 / 3))
    lines = [
        facts(),
        f"{size / 1e9:.1f} GB, {' x '.join(map(str, volume.shape))} float32, made up while it is read; --memory {asked.memory}",
        f"peak resident memory {peak_bytes() / 1e9:.3f} GB",
        f"{seconds:.0f} s, {np.prod(volume.shape) / seconds / 1e6:.1f} Mvoxel/s; {disk / 1e6:.0f} MB written",
        f"tissue found {found:.4f} of the volume, drawn {truth:.4f}: outline {inwards:.0f} voxels inwards on average",
    ]
    print("\n".join(lines))
    if asked.gigabytes >= 40:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    limit = bytes_of(asked.memory) * 1.25
    assert peak_bytes() < limit, f"more than {limit / 1e9:.2f} GB"
    assert abs(inwards) < 64 / 3, "the mask is wrong: its outline is off by more than the window of its texture"


if __name__ == "__main__":
    main()
