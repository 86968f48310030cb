"""napari with a review in it, from Python or by ``python -m graticule.napari OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari

from graticule.napari.panel import ReviewPanel

TITLE = "Graticule review"


def open_window(path: str | Path = "", who: str = "", **viewer: Any) -> tuple[Any, ReviewPanel]:
    """A viewer and its review panel; with `path`, the review of that folder is open. `napari.run` then waits."""
    window = napari.Viewer(title=TITLE, **viewer)
    panel = ReviewPanel(window)
    window.window.add_dock_widget(panel, name=TITLE, area="right")
    if str(path):
        panel.open(path, who)
    return window, panel
