"""No slowdown: 1,000 proposals reviewed by key events in the real napari window, points and outlines.

A decision's time is from the key event until all that it changed is painted. Claimed: the median of the last 100 is at most
1.2 times that of the first 100. So that what else the machine does falls on both alike, the last 100 decisions alternate with
the first 100 in a second window on a fresh copy of the same result.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RESULT = ROOT / "benchmarks" / "results" / "review" / "thousand-napari.txt"
PROPOSALS, SIDE_PX, LIMIT = 1000, 1600, 1.2
BLOCK = 100
Taken = tuple[float, float]
"""Seconds of a decision, by the processor and by the clock."""


class Hands:
    """Keys for one window with a review in it."""

    def __init__(self, folder: Path, seed: int) -> None:
        from qtpy.QtTest import QTest

        from graticule.napari.launch import open_window

        self.viewer, self.panel = open_window(folder, "ada")
        QTest.qWait(1000)
        self._canvas, self._rng = self.viewer.window._qt_viewer.canvas.native, random.Random(seed)

    @property
    def left(self) -> int:
        """Turns that are not done."""
        progress = self.panel.reviewing.session.progress
        return progress.turns - progress.turns_done

    def decide(self) -> Taken:
        """On what is in front; what it took until nothing was left to be done for it."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        focus = self.panel.reviewing.focus
        key = self._rng.choices("YN2", (70, 25, 5))[0] if focus.item else "C"
        worked, began = time.process_time(), time.perf_counter()
        QTest.keyClick(self._canvas, getattr(Qt.Key, f"Key_{key}"))
        QApplication.processEvents()
        QApplication.processEvents()
        return time.process_time() - worked, time.perf_counter() - began

    def close(self) -> None:
        self.panel.close_review()
        self.viewer.close()


def reviewed(folder: Path, fresh: Path, seed: int) -> tuple[list[Taken], list[Taken], list[Taken]]:
    """What all decisions but the last took in one window, then by turns the first in another and the last in this."""
    worn = Hands(folder, seed)
    before = []
    while worn.left > BLOCK:
        before.append(worn.decide())
    new = Hands(fresh, seed)
    first, last = [], []
    for number in range(worn.left):
        for hands, taken in ((new, first), (worn, last))[:: 1 if number % 2 else -1]:
            taken.append(hands.decide())
    progress = worn.panel.reviewing.session.progress
    assert progress.open == 0 and progress.decided == PROPOSALS, progress
    for hands in (worn, new):
        hands.close()
    return before, first, last


def line(name: str, before: list[Taken], first: list[Taken], last: list[Taken]) -> tuple[str, float]:
    """What to say of a run, and the worse of its ratios."""
    text, ratios = f"{name}: {len(before) + len(last)} decisions\n", []
    for which, clock in enumerate(("by the clock", "by the processor")):
        early, late = (1e3 * statistics.median(t[1 - which] for t in times) for times in (first, last))
        each = [
            1e3 * statistics.median(t[1 - which] for t in before[n : n + BLOCK]) for n in range(0, len(before), BLOCK)
        ]
        ratios.append(late / early)
        text += (
            f"  {clock}: median of the first {BLOCK} {early:.1f} ms, of the last {late:.1f} ms, ratio {late / early:.2f}; of "
            f"each {BLOCK} before: {' '.join(f'{ms:.0f}' for ms in each)}\n"
        )
    return text, max(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from tests.napari.screen import virtual_display

    with virtual_display() as screen, tempfile.TemporaryDirectory() as folder:
        os.environ.update(screen, NAPARI_CONFIG=f"{folder}/settings.yaml")
        if find_spec("napari") is None or (sys.platform == "linux" and not os.environ.get("DISPLAY")):
            print("skipped: needs napari (pip install -e '.[napari]') and a display (Xvfb)")
            return
        text, worst = measured(Path(folder), given.seed)
    print(text, end="")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    sys.exit(worst > LIMIT)


def measured(folder: Path, seed: int) -> tuple[str, float]:
    """The text of the result, and the worse ratio."""
    import napari

    from machine import facts
    from tests.napari.results import write_result

    shape = (SIDE_PX, SIDE_PX)
    lines = []
    for name, radius_px in (("points", 4.0), ("outlines", 12.0)):
        worn, fresh = (
            write_result(
                folder / name / copy, number=PROPOSALS, shape=shape, outlined=name == "outlines", radius_px=radius_px
            )
            for copy in ("worn", "fresh")
        )
        lines.append(line(name, *reviewed(worn, fresh, seed)))
    head = (
        f"napari {napari.__version__}, {PROPOSALS} proposals on {SIDE_PX} × {SIDE_PX} px, by key events in a real window on a "
        f"virtual display, painted without a graphics card; claimed: ratio ≤ {LIMIT}\n"
    )
    return head + "".join(text for text, _ in lines) + facts() + "\n", max(ratio for _, ratio in lines)


if __name__ == "__main__":
    main()
