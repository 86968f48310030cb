"""Nothing is lost: the review's server is killed (SIGKILL) at 50 random moments of a review in a real browser.

Keys are pressed as fast as the page takes them: accept, reject, relabel, take back, add and move at the cursor, skip. After
each kill everything that the page ever said was saved has to be in the journal, once; the server is started anew, and the
page, which is neither told nor reloaded, has to go on and send again what was not acknowledged. At last the page must show
what the journal gives. Needs the extra [web], Playwright's Python package and Debian's chromium (about ten minutes).
Run: python benchmarks/review_kill_web.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import facts
from tests.web.browsing import browser, chromium, open_page, ready
from tests.web.killing import Outcome, review_under_kills
from tests.web.serving import Server
from tests.web.tables import write_points

RESULTS = Path(__file__).parent / "results" / "review" / "kill-web.txt"
PROPOSALS = 2000
SHAPE = (1200, 1600)
LONGEST_S = 2.5
"""Between a page that is connected again and the next kill."""


def measure(kills: int, seed: int) -> tuple[Outcome, list[str], float]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        write_points(out, "grid", PROPOSALS, shape=SHAPE)
        with Server(out) as server, browser() as opened:
            page = open_page(opened, server.address, "grid", "ada")
            ready(page)
            outcome = review_under_kills(page, server, "grid", "ada", kills=kills, seed=seed, longest_s=LONGEST_S)
            return outcome, list(page.faults), time.perf_counter() - start


def said(outcome: Outcome, seconds: float) -> str:
    verdict = "; ".join(outcome.faults) or "each is there once, and the page shows what the journal gives"
    return f"""{facts()}

{outcome.kills} kills (SIGKILL) of the server at random moments; {outcome.presses} keys pressed in between; {seconds:.0f} s
{outcome.in_flight} kills struck while a decision was on its way
{outcome.answer_lost} of these decisions were on the disk already, unanswered: sent again with the same id, they count once
{outcome.torn} journals with a torn last line
{len(outcome.acknowledged)} decisions acknowledged on screen, {outcome.decisions} in the journal: {verdict}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if chromium() is None:
        print("skipped: found no chromium")
        return 0
    outcome, faults, seconds = measure(given.kills, given.seed)
    outcome.faults += [f"the page: {fault}" for fault in faults]
    text = said(outcome, seconds)
    print(text)
    if not outcome.faults and given.kills >= 50:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
