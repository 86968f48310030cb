"""Does the order pay? 50 decisions chosen by the queue against 50 on proposals drawn at random, the rest alike.

A bead model learns from three small simulated micrographs. On one large image of another look (more noise, fainter and
touching beads) it proposes candidates, down to a low confidence. A scripted reviewer who knows the truth decides what each
arm shows, adds what the model missed in the frame shown, and stops after 50 decisions, additions included. The model goes
on learning from what was reviewed, exactly as `graticule reviewed -o` and `graticule train --from` do it, and is judged on
images of the new look that nobody reviewed, at its own threshold. Both arms see the same images, begin with the same model
and learn for the same number of steps; the queue keeps its fifth of random audit.

Run: python benchmarks/review_loop.py [--seeds 0 1 2 …] [--out FILE]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from graticule.checkpoint import Checkpoint
from graticule.example import Example
from graticule.metrics.detection import match
from graticule.results import Points
from graticule.review import Order, Proposals, Session, field_around
from graticule.review.item import as_points
from graticule.review.known import known
from graticule.simulate import BeadScenes
from graticule.tasks import Beads
from graticule.workflows.predict import predict
from graticule.workflows.train import train
from machine import facts

BUDGET = 50
CANDIDATES = 0.05  # confidence down to which proposals are shown: all there are
VIEW_UM = 12 * 0.0123  # as by default: twelve of the larger beads
SMALL = Beads(epochs=(16,), width=0.25, neck_channels=32, head_channels=16, patch_px=128)
FIRST = BeadScenes(shape_px=(384, 384))
OTHER = BeadScenes(shape_px=(1536, 1536), noise=1.6, faint=0.35, touching=0.2)
UNSEEN = replace(OTHER, shape_px=(768, 768))
RESULTS = Path(__file__).parent / "results" / "review" / "loop.txt"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(16)))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--audit", type=float, default=0.2)
    parser.add_argument("--diversity", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows = _rows(given.out)
    for seed in given.seeds:
        if seed not in rows:  # a run that was stopped goes on
            rows[seed] = one(seed, given)
            given.out.write_text(_told(rows))
        print(_line(seed, rows[seed]), flush=True)
    print(_told(rows))


Row = tuple[float, ...]
"""F1 before, after the queue's and after the random decisions; the same at the thresholds that are best for each."""


def _line(seed: int, row: Row) -> str:
    before, queue, random, best_before, best_queue, best_random = row
    own = f"{before:.3f}  {queue:.3f}  {random:.3f}  {queue - random:+.3f}"
    return (
        f"{seed:4}  {own}  |  {best_before:.3f}  {best_queue:.3f}  {best_random:.3f}  {best_queue - best_random:+.3f}"
    )


def _rows(path: Path) -> dict[int, Row]:
    rows = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        cells = line.replace("|", " ").split()
        if len(cells) == 9 and cells[0].isdigit():
            rows[int(cells[0])] = tuple(float(cells[n]) for n in (1, 2, 3, 5, 6, 7))
    return rows


def _told(rows: dict[int, Row]) -> str:
    table = np.array(list(rows.values()))
    said = []
    for what, gains in (("own", table[:, 1] - table[:, 2]), ("best", table[:, 4] - table[:, 5])):
        mean, half = interval(gains)
        ends = f"95 % interval {mean - half:+.3f} to {mean + half:+.3f} (n = {len(gains)})"
        said.append(f"queue - random at {what} thresholds: mean {mean:+.3f}, {ends}")
    return "\n".join(
        [
            facts(),
            f"F1 on 6 unseen images of the new look, both classes pooled, before and after {BUDGET} decisions",
            "",
            "      at the models' own thresholds  |  at the best thresholds for these images",
            "seed  before queue  random gain   |  before queue  random gain",
            *(_line(seed, row) for seed, row in sorted(rows.items())),
            "",
            *said,
            "",
        ]
    )


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean, and half of Student's 95 % interval."""
    n = len(values)
    return float(values.mean()), float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def one(seed: int, given: argparse.Namespace) -> Row:
    with tempfile.TemporaryDirectory(prefix="review-loop-") as name:
        folder = Path(name)
        base = train(SMALL, list(FIRST.examples(3, seed=seed)), folder / "base", seed=seed, device="cpu")
        [pool] = OTHER.examples(1, seed=1000 + seed)
        unseen = list(UNSEEN.examples(6, seed=2000 + seed))
        wide = replace(base, task=replace(base.task, thresholds=(CANDIDATES,) * len(base.task.classes)))
        found = predict(pool.image, wide, device="cpu")
        scores = [f1(base, unseen)]
        for arm in ("queue", "random"):
            session = reviewed(found, pool, base, arm, seed, folder, given)
            task = replace(base.task, epochs=(given.epochs,), learning_rate=1e-3, thresholds=())
            model = train(task, [learnt_from(session, pool)], folder / arm, seed=seed, device="cpu", start=base)
            scores.append(f1(model, unseen))
        return (*(own for own, _ in scores), *(best for _, best in scores))


def reviewed(
    found: Points, pool: Example, base: Checkpoint, arm: str, seed: int, folder: Path, given: argparse.Namespace
) -> Session:
    order = Order(
        view_um=VIEW_UM,
        threshold=float(np.mean(base.task.thresholds)),
        audit=given.audit,
        diversity=given.diversity,
        seed=seed,
    )
    proposals = Proposals.of(found)
    session = Session.open(folder / f"{arm}.jsonl", pool.image, proposals, order=order, who="script")
    left = BUDGET
    for number in shown(session, arm, seed):
        if left <= 0:
            break
        left -= decide(session, number, pool.truth, base.task.match_um, left)
    return session


def shown(session: Session, arm: str, seed: int) -> Iterator[int]:
    """What is put before the reviewer, one after the other; a field is searched when its turn comes."""
    if arm == "random":
        yield from np.random.default_rng([seed, 7]).permutation(list(session.items)).tolist()
        return
    for _ in count():
        turn = session.next()
        if turn is None:
            return
        if turn.field_um is not None:
            yield -session.queue.turns.index(turn)
        else:
            yield turn.item


def decide(session: Session, number: int, truth: Points, match_um: dict[str, float], left: int) -> int:
    """What a reviewer who knows the truth does with one turn; how many decisions that took."""
    if number <= 0:
        field = session.queue.turns[-number].field_um
        added = add_missing(session, field, truth, match_um, left)
        session.look(field)
        return added + 1
    item = session.items[number]
    field = field_around(item.position_um, VIEW_UM, session.image)
    here = partner(item.position_um, session, number, truth, match_um)
    if here is None:
        session.reject(number, seen_um=field)
    elif truth.kinds[truth.kind[here]] != item.kind:
        session.relabel(number, truth.kinds[truth.kind[here]], seen_um=field)
    else:
        session.accept(number, seen_um=field)
    return 1 + add_missing(session, field, truth, match_um, left - 1)


def partner(place, session: Session, number: int, truth: Points, match_um: dict[str, float]) -> int | None:
    """The object this proposal is on, unless one accepted before is on it."""
    taken = as_points([i for i in session.items.values() if i.status == "accepted"], session.kinds, 2)
    away = np.linalg.norm(truth.position_um - np.array(place), axis=1)
    near = int(away.argmin())
    reach = match_um[truth.kinds[truth.kind[near]]]
    if away[near] > reach:
        return None
    doubled = len(taken) and np.linalg.norm(taken.position_um - truth.position_um[near], axis=1).min() <= reach
    return None if doubled else near


def add_missing(session: Session, field, truth: Points, match_um: dict[str, float], left: int) -> int:
    """Objects in the field that no proposal is on, as many as the budget allows; without budget the field is not seen."""
    inside = ((truth.position_um >= field[0]) & (truth.position_um < field[1])).all(axis=1)
    shown = as_points([i for i in session.items.values() if i.status != "rejected"], session.kinds, 2)
    reach = max(match_um.values())
    _, covered = match(shown.position_um, truth.position_um, reach)
    missing = np.flatnonzero(inside & ~np.isin(np.arange(len(truth)), covered))[: max(0, left)]
    for n in missing:
        session.add(truth.position_um[n].tolist(), truth.kinds[truth.kind[n]])
    return len(missing)


def learnt_from(session: Session, pool: Example) -> Example:
    seen = known(session, reach_um=0.015)
    complete = replace(pool.image, data=seen.astype(np.uint8))
    return replace(pool, name="reviewed", truth=session.accepted(), complete=complete)


def f1(model: Checkpoint, unseen: list[Example]) -> tuple[float, float]:
    """At the model's own thresholds, and at those that are best for these images: what is left is how well it ranks."""
    wide = replace(model, task=model.task.permissive())
    found = [predict(example.image, wide, device="cpu") for example in unseen]
    best = model.task.calibrate(found, unseen)
    own, ideal = ([task.keep(one) for one in found] for task in (model.task, best))
    return float(model.task.score(own, unseen)["f1"]), float(model.task.score(ideal, unseen)["f1"])


if __name__ == "__main__":
    main()
