"""The kinds of object: one file each, holding everything that is special about it."""

from __future__ import annotations

from typing import Any

from graticule.task import Task
from graticule.tasks.beads import Beads

TASKS: dict[str, type[Any]] = {Beads.name: Beads}
"""Every task by name. To add one, write its file and name it here."""

__all__ = ["TASKS", "Beads", "Task"]
