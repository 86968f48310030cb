"""A scripted review whose server is killed at random moments: what must then hold, and what was seen.

A page in a real browser is driven by keys as fast as it takes them. The server is killed (SIGKILL) at a moment that depends on
nothing the page does, and started anew on the same port; the page is neither told nor reloaded.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from graticule.workflows.review import journal_of, load_result, open_review
from tests.web.browsing import put_cursor
from tests.web.serving import Server
from tests.web.tables import lines_of

KEYS = ("y",) * 5 + ("n",) * 3 + ("2", "1", "u", "i", "h", "k", "c")
"""Of each, as often as a reviewer might press it."""
ACKNOWLEDGED = "() => [...document.querySelectorAll('#log li')].map((line) => line.dataset.request)"
ITEMS = "() => [...window.graticule.known.items.values()].map((i) => [i.id, i.status, i.kind, i.position_um])"
SETTLED = """() => { const { known } = window.graticule;
return !known.outbox && !document.getElementById("link").textContent; }"""


@dataclass(slots=True)
class Outcome:
    """What happened in a number of kills.

    Attributes
    ----------
    acknowledged
        Ids of all requests that the page said were saved.
    in_flight
        Kills that struck while a decision was on its way.
    answer_lost
        Of these, those whose decision was on the disk already: the page sent it again, and it counted once.
    torn
        Journals whose last line was cut off.
    faults
        What must not be, in words; empty if all is well.
    """

    kills: int = 0
    acknowledged: set[str] = field(default_factory=set)
    decisions: int = 0
    in_flight: int = 0
    answer_lost: int = 0
    torn: int = 0
    presses: int = 0
    faults: list[str] = field(default_factory=list)


def review_under_kills(
    page: Any, server: Server, result: str, who: str, *, kills: int, seed: int, longest_s: float = 1.0
) -> Outcome:
    """Review by key while the server is killed `kills` times, each up to `longest_s` after it was reached again."""
    rng, outcome = np.random.default_rng(seed), Outcome()
    journal = journal_of(server.run / result, who)
    while outcome.kills < kills:
        _press_until(page, rng, outcome, _kill_after(server, float(rng.uniform(0.02, longest_s))))
        server.kill()
        outcome.kills += 1
        _judge_dead(page, journal, outcome)
        for _ in range(int(rng.integers(0, 4))):  # nobody looks at the message line; these must not count
            page.keyboard.press(str(rng.choice(KEYS)))
        server.start()
        page.wait_for_function(SETTLED)
        _judge_alive(page, journal, outcome)
    _judge_at_last(page, server, result, who, outcome)
    return outcome


def _kill_after(server: Server, seconds: float) -> threading.Event:
    killed = threading.Event()

    def kill() -> None:
        server.signal()
        killed.set()

    threading.Timer(seconds, kill).start()
    return killed


def _press_until(page: Any, rng: np.random.Generator, outcome: Outcome, killed: threading.Event) -> None:
    while not killed.is_set():
        key = str(rng.choice(KEYS))
        if key in "ih":
            field_um = page.evaluate("() => window.graticule.known.turn?.field ?? null")
            if field_um is not None:
                low, high = np.array(field_um)
                put_cursor(page, *(low + rng.uniform(0.1, 0.9, 2) * (high - low)).tolist())
        page.keyboard.press(key)
        outcome.presses += 1
        page.wait_for_timeout(float(rng.uniform(0, 8)))


def _requests(journal: Path) -> list[str]:
    """Of the whole lines that are on the disk."""
    whole = journal.read_bytes().rpartition(b"\n")[0].decode()
    aside = journal.with_name("whole.jsonl.copy")
    aside.write_text(whole + "\n", encoding="utf-8")
    try:
        return [line["request"] for line in lines_of(aside)]
    finally:
        aside.unlink()


def _judge_dead(page: Any, journal: Path, outcome: Outcome) -> None:
    """Right after the kill: whatever the page has acknowledged is on the disk."""
    acknowledged = set(page.evaluate(ACKNOWLEDGED))
    outbox = page.evaluate("() => window.graticule.known.outbox?.request ?? null")
    there = _requests(journal)
    outcome.in_flight += outbox is not None
    outcome.answer_lost += outbox in there
    outcome.torn += not journal.read_bytes().endswith(b"\n")
    lost = acknowledged - set(there)
    if lost:
        outcome.faults.append(f"kill {outcome.kills}: {len(lost)} acknowledged decisions are not in the journal")
    outcome.acknowledged |= acknowledged


def _judge_alive(page: Any, journal: Path, outcome: Outcome) -> None:
    """Once the page is connected again: all was sent again that had to be, and nothing counts twice."""
    outcome.acknowledged |= set(page.evaluate(ACKNOWLEDGED))
    there = _requests(journal)
    twice = [request for request, count in Counter(there).items() if count > 1]
    if twice:
        outcome.faults.append(f"kill {outcome.kills}: {len(twice)} decisions are in the journal twice")
    lost = outcome.acknowledged - set(there)
    if lost:
        outcome.faults.append(f"kill {outcome.kills}: {len(lost)} acknowledged decisions are gone")


def _judge_at_last(page: Any, server: Server, result: str, who: str, outcome: Outcome) -> None:
    """What the page shows is what the journal gives, and it holds what was acknowledged and nothing else."""
    page.wait_for_function(SETTLED)
    shown = page.evaluate(
        "() => [...window.graticule.known.items.values()].map((i) => [i.id, i.status, i.kind, i.position_um])"
    )
    outcome.acknowledged |= set(page.evaluate(ACKNOWLEDGED))
    server.kill()
    there = _requests(journal_of(server.run / result, who))
    outcome.decisions = len(there)
    if set(there) != outcome.acknowledged:
        outcome.faults.append(
            f"{len(set(there) ^ outcome.acknowledged)} decisions are in the journal or acknowledged, not both"
        )
    with open_review(load_result(server.run / result), who=who) as session:
        replayed = [[item.id, item.status, item.kind, list(item.position_um)] for item in session.items.values()]
    if sorted(replayed) != sorted(shown):
        outcome.faults.append("the page shows something else than the journal gives")
