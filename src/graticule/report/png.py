"""Pictures as bytes."""

from __future__ import annotations

from io import BytesIO

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL.Image import Resampling, fromarray
from PIL.Image import open as open_picture

from graticule.image import Array


def png(pixels: Array) -> bytes:
    """``(y, x)`` grey or ``(y, x, 3)`` colour, 8 bits."""
    buffer = BytesIO()
    fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def shrunk(picture: bytes, longest_px: int) -> bytes:
    """The same picture, averaged down if it is longer than that."""
    with open_picture(BytesIO(picture)) as opened:
        if max(opened.size) <= longest_px:
            return picture
        small = opened.convert("RGB")
        small.thumbnail((longest_px, longest_px), Resampling.BOX)
        buffer = BytesIO()
        small.save(buffer, "png", optimize=True)
        return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """A drawing that stays sharp; without the time of day, so that the same figures give the same file."""
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "graticule"}):  # names of its parts are drawn at random otherwise
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
