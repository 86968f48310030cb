"""What is said, and where: results to standard output, all else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from graticule.cli.options import Common


class Voice:
    """Speaks as `Common` asks: not at all but for errors (``--quiet``), or with JSON as the last word (``--json``)."""

    def __init__(self, common: Common) -> None:
        self.common = common
        self.progress = Console(stderr=True, quiet=common.quiet, highlight=False, markup=False, emoji=False)
        self.result = Console(stderr=common.json, quiet=common.quiet, highlight=False, markup=False, emoji=False)

    def say(self, text: str) -> None:
        """About the work under way; on standard error."""
        self.progress.print(text, soft_wrap=True)

    def complain(self, text: str) -> None:
        """An error that does not end the run; said also when quiet."""
        print(f"graticule: {text}", file=sys.stderr)

    def show(self, text: str) -> None:
        """A line of the result."""
        self.result.print(text, soft_wrap=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
        """A table of the result: the first column names the row, the others are right-aligned."""
        names = (Column(name, overflow="fold") for name in head[:1])  # rows are known by their whole names
        drawn = Table(*names, title=title, title_justify="left", box=None, pad_edge=False)
        for name in head[1:]:
            drawn.add_column(name, justify="right")
        for row in rows:
            drawn.add_row(*(str(cell) for cell in row))
        self.result.print(drawn)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """The result for programs, if they asked for it."""
        if self.common.json:
            print(json.dumps(_plain(facts), ensure_ascii=False, default=str, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    """JSON has no word for what is no finite number: null."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
