"""Progress on standard error: a bar at a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from graticule.cli.voice import Voice

if TYPE_CHECKING:  # training takes seconds to import, and not every command trains
    from graticule.inference.run import Progress as Tiles
    from graticule.training import Epoch
    from graticule.training.fit import Watch


@contextmanager
def epochs(voice: Voice, total: int, what: str = "training", figure: str = "F1") -> Iterator[Watch]:
    """Called after every epoch: loss, score on held-out images (named `figure`), time left."""
    if not voice.progress.is_terminal or voice.common.quiet:
        yield lambda epoch, seconds_left: voice.say(f"{what}: {line(epoch, total, figure)}  {clock(seconds_left)} left")
        return
    with _bar(voice) as bar:
        task = bar.add_task(what, total=total, said="")

        def watch(epoch: Epoch, seconds_left: float) -> None:
            bar.update(task, advance=1, said=f"{_figures(epoch, figure)}  {clock(seconds_left)} left")

        yield watch


@contextmanager
def tiles(voice: Voice, what: str) -> Iterator[Tiles]:
    """Called after every tile with how many are done and how many there are."""
    if not voice.progress.is_terminal or voice.common.quiet:
        yield lambda done, total: None
        return
    with _bar(voice) as bar:
        task = bar.add_task(what, total=None, said="")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def line(epoch: Epoch, total: int, figure: str = "F1") -> str:
    """One epoch in one line."""
    return f"epoch {epoch.epoch:>3}/{total}  {_figures(epoch, figure)}"


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes.

    >>> clock(75), clock(7300)
    ('1:15', '2 h 01')
    """
    whole = round(seconds)
    return f"{whole // 3600} h {whole % 3600 // 60:02d}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02d}"


def _figures(epoch: Epoch, figure: str) -> str:
    score = "" if epoch.score is None else f"  {figure} {epoch.score:.3f}{' (kept)' if epoch.best else '       '}"
    return f"loss {epoch.loss:.3f}{score}"


def _bar(voice: Voice) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    return Progress(*columns, console=voice.progress, transient=True)
