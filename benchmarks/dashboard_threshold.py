"""A threshold moved in the dashboard, in a real browser: until the overlay of 2048 x 2115 pixels with 500 beads has followed.

Timed from the key that ends the number in the slider's field until the picture is painted with what the
server found at the new threshold: the way through Gradio, deciding again, fetching the objects, and painting them. Claimed:
the median is at most 0.7 s.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RESULT = ROOT / "benchmarks" / "results" / "dashboard" / "threshold.txt"
SHAPE, BEADS, MOVES, LIMIT_S = (2048, 2115), 500, 30, 0.7


FOLLOWED = """before => {
  const { known, view } = window.graticule;
  return known.sheet.version > before && !known.busy && !view.waiting;
}"""


KINDS = {"kinds": ("6nm", "12nm"), "diameter_px": (10.0, 20.0)}


def learnt(folder: Path) -> None:
    """A small model that has learnt to find discs, in ``models/``."""
    from graticule.tasks.beads import Beads
    from graticule.workflows.train import train
    from tests.synthetic import scattered

    (folder / "models").mkdir()
    small = {"width": 0.25, "neck_channels": 32, "neck_rounds": 1, "head_channels": 16}
    task = Beads(**small, patch_px=96, batch=4, steps=25, epochs=(8,), learning_rate=4e-3)
    learn = [scattered(s, count=14, shape=(200, 200), gap_px=32, edge_px=0, kind=[0, 1] * 7, **KINDS) for s in range(4)]
    train(task, learn, folder / "models" / "discs.safetensors", device="cpu")


def drawn(folder: Path) -> None:
    """An image with 500 discs."""
    from graticule import io
    from tests.synthetic import scattered

    scene = scattered(9, count=BEADS, shape=SHAPE, gap_px=34, kind=[n % 2 for n in range(BEADS)], **KINDS)
    io.write(scene.image, folder / "scene.tif")


def measured(folder: Path) -> tuple[list[float], list[int]]:
    """Seconds of each move, and how many objects were shown after it."""
    from tests.web import browsing
    from tests.web.serving import Board

    with Board(folder / "work", "--models", str(folder / "models")) as board, browsing.browser() as chromium:
        page = chromium.new_context(viewport={"width": 1500, "height": 1150}).new_page()
        page.set_default_timeout(120_000)
        page.goto(board.address)
        page.get_by_role("button", name="Find", exact=True).wait_for()
        page.locator("input[type=file]").first.set_input_files(str(folder / "scene.tif"))
        page.locator("table[data-name=images]").wait_for()
        page.get_by_role("button", name="Find", exact=True).click()
        page.wait_for_selector("iframe.g-view", timeout=300_000)
        page.wait_for_timeout(3000)
        frame = next(frame for frame in page.frames if "/view/" in frame.url)
        frame.wait_for_function("() => window.graticule?.known.sheet && !window.graticule.known.busy")
        page.wait_for_timeout(3000)
        number = page.get_by_label("number input for confidence, 6nm")
        times, shown = [], []
        for move in range(MOVES):
            before = frame.evaluate("() => window.graticule.known.sheet.version")
            number.fill(f"{0.3 + 0.02 * (move % 25) + 0.001 * move:.3f}")
            began = time.perf_counter()
            number.press("Enter")
            frame.wait_for_function(FOLLOWED, arg=before)
            times.append(time.perf_counter() - began)
            shown.append(frame.evaluate("() => window.graticule.view.items.size"))
            page.wait_for_timeout(1500)  # the drawings beside the picture come after it
        return times, shown


def main() -> int:
    from machine import facts
    from tests.web import browsing

    if browsing.chromium() is None:
        print("skipped: Debian's chromium is not installed")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learnt(folder)
        drawn(folder)
        times, shown = measured(folder)
    median = statistics.median(times)
    holds = median <= LIMIT_S
    slow, load = sorted(times)[int(0.9 * len(times))], os.getloadavg()[0]
    size = f"{SHAPE[0]} x {SHAPE[1]} pixels, {BEADS} beads drawn, {min(shown)} to {max(shown)} shown"
    lines = [
        f"{facts()}; load {load:.1f}",
        f"{size}; {MOVES} moves of a threshold, until the overlay had followed:",
        f"median {median:.3f} s, 9 of 10 within {slow:.3f} s, longest {max(times):.3f} s",
        f"claimed: median <= {LIMIT_S} s: {'holds' if holds else 'does not hold'}",
    ]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
