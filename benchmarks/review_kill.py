"""Nothing lost: kill -9 napari at random moments of a review; whatever it had acknowledged on screen is in the journal.

napari runs in a process of its own, in a real window on a virtual display, and is reviewed by key events. That process
writes each text of the panel's message line to a pipe the moment Qt paints it. After the kill, every acknowledgement that came
through has to be a line of the journal, in the same order; the next process goes on with the same journal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RESULT = ROOT / "benchmarks" / "results" / "review" / "kill-napari.txt"
PROPOSALS = 3000
LONGEST_S = 1.5
"""After the first acknowledgement the process lives between 0 and so many seconds more."""

SAID = {
    "accept": r"accepted (\d+)",
    "reject": r"rejected (\d+)",
    "relabel": r"labelled (\d+) as .*",
    "move": r"moved (\d+)",
    "add": r"added (\d+) as .*",
    "undo": r"took back: .*",
    "look": r"checked this field",
}


@dataclass(frozen=True)
class Killed:
    """One process: decisions it acknowledged, and lines it added to the journal."""

    acknowledged: int
    written: int
    recovered: bool


# -- in the process that is killed ---------------------------------------------------------------------------------------


def review(folder: Path, pipe: int, seed: int) -> None:
    """Review by keys as fast as napari takes them, until killed."""
    import napari
    from qtpy.QtCore import QEvent, QObject, QTimer

    from graticule.napari.launch import open_window

    viewer, panel = open_window(folder, "ada")

    class Painted(QObject):
        """Tells what is painted, just before it is: so nothing can be on screen that was not told."""

        def eventFilter(self, label: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
            if event.type() == QEvent.Type.Paint:
                os.write(pipe, json.dumps(label.text()).encode() + b"\n")
            return False

    painted = Painted()
    panel.message.installEventFilter(painted)
    press = presser(viewer, panel, random.Random(seed))
    timer = QTimer()
    timer.timeout.connect(press)
    timer.start(0)
    napari.run()


def presser(viewer: Any, panel: Any, rng: random.Random) -> Any:
    """A function that presses one key, chosen as a reviewer might."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    canvas = viewer.window._qt_viewer.canvas.native

    def press() -> None:
        focus = panel.reviewing.focus
        if focus is None:
            return
        keys, weights = (("Y", "N", "2", "K", "U"), (60, 25, 8, 4, 3)) if focus.item else (("C", "U"), (9, 1))
        QTest.keyClick(canvas, getattr(Qt.Key, f"Key_{rng.choices(keys, weights)[0]}"))

    return press


# -- in the process that kills -------------------------------------------------------------------------------------------


def kill_once(folder: Path, environment: dict[str, str], seed: int, longest_s: float = LONGEST_S) -> Killed:
    """Start napari on a result, kill it at a random moment, and compare. AssertionError if something was lost."""
    before = journal(folder)
    read, write = os.pipe()
    command = [sys.executable, __file__, "--review", str(folder), "--pipe", str(write), "--seed", str(seed)]
    process = subprocess.Popen(command, pass_fds=[write], env=environment, stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        first = _until_a_decision(told)
        time.sleep(random.Random(seed).uniform(0, longest_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        painted = [*first, *(json.loads(line) for line in told if line.endswith("\n"))]
    assert process.returncode == -signal.SIGKILL, f"napari ended by itself: {process.returncode}"
    acknowledged = acknowledgements(painted)
    added = journal(folder)[len(before) :]
    lost = missing(acknowledged, added)
    assert not lost, f"acknowledged on screen, but not in the journal: {lost}"
    return Killed(len(acknowledged), len(added), any("cut off" in text for text in painted))


def _until_a_decision(told: Any) -> list[str]:
    seen = []
    for line in told:
        seen.append(json.loads(line))
        if acknowledgements(seen):
            return seen
    raise AssertionError(f"napari ended before it acknowledged a decision; it said: {seen}")


def journal(folder: Path) -> list[dict[str, Any]]:
    """Decisions in it, without the header; what is not a whole line does not count."""
    path = folder / "review" / "ada.jsonl"
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()[1:]]


def acknowledgements(painted: Sequence[str]) -> list[str]:
    """Texts that say a decision was taken, each once however often it was painted."""
    fresh = [text for text, before in zip(painted, ["", *painted[:-1]], strict=True) if text != before]
    return [text for text in fresh if any(re.fullmatch(words, text) for words in SAID.values())]


def missing(acknowledged: Sequence[str], lines: Sequence[dict[str, Any]]) -> list[str]:
    """Those without a line of their own in the journal, in the same order."""
    lost, left = [], iter(lines)
    for text in acknowledged:
        if not any(is_of(text, line) for line in left):
            lost.append(text)
            left = iter(())
    return lost


def is_of(text: str, line: dict[str, Any]) -> bool:
    """Whether an acknowledgement is that of a line."""
    said = re.fullmatch(SAID.get(line["what"], "$."), text)
    if said is None:
        return False
    return not said.groups() or int(said.group(1)) in (*line.get("ids", ()), *line.get("new", ()))


@contextmanager
def stage() -> Iterator[tuple[Path, dict[str, str]]]:
    """A result to review, and an environment to show windows in."""
    from tests.napari.results import write_result
    from tests.napari.screen import virtual_display

    with tempfile.TemporaryDirectory() as folder, virtual_display() as screen:
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        environment = {**os.environ, **screen, "NAPARI_CONFIG": f"{folder}/settings.yaml", "PYTHONPATH": paths}
        yield write_result(Path(folder), number=PROPOSALS, shape=(1400, 1400)), environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--review", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pipe", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.review:
        review(given.review, given.pipe, given.seed)
        return
    with stage() as (folder, environment):
        if find_spec("napari") is None or (not environment.get("DISPLAY") and sys.platform == "linux"):
            print("skipped: needs napari (pip install -e '.[napari]') and a display (Xvfb)")
            return
        report(folder, environment, given.kills, given.seed)


def report(folder: Path, environment: dict[str, str], kills: int, seed: int) -> None:
    """Kill, count, and write down what came of it."""
    import napari

    from graticule.workflows.review import load_result, open_review
    from machine import facts

    done = [kill_once(folder, environment, seed * 1000 + number) for number in range(kills)]
    with open_review(load_result(folder), who="ada") as session:
        decided = session.progress.decided
    said, written = sum(k.acknowledged for k in done), sum(k.written for k in done)
    text = (
        f"napari {napari.__version__} killed with -9 at {kills} random moments (seed {seed}) of one review by key events\n"
        f"decisions acknowledged on screen: {said}; of these in the journal after the kill: {said} (0 lost)\n"
        f"lines in the journal: {written} ({written - said} were written and not yet painted, or painted over, when it was "
        f"killed)\njournals with a torn last line: {sum(k.recovered for k in done)}; each restart went on with the same "
        f"journal, and it opens: {decided} of {PROPOSALS} decided\n{facts()}\n"
    )
    print(text, end="")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
