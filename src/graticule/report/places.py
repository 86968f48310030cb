"""Where objects lie, as a picture."""

from __future__ import annotations

from itertools import cycle

from matplotlib.figure import Figure

from graticule.image import Image
from graticule.report.overlay import CLASS_COLOURS
from graticule.report.png import svg
from graticule.results import Points

MANY = 5000
"""Points from which they are drawn as pixels: an SVG of more is slow to open."""


def draw_places(found: Points, image: Image) -> bytes:
    """SVG: the objects' places in µm, y downwards as in the image; of a volume seen along z."""
    height, width = (n * s for n, s in zip(image.shape[-2:], image.spacing_um[-2:], strict=True))
    top, left = (o - s / 2 for o, s in zip(image.origin_um[-2:], image.spacing_um[-2:], strict=True))
    figure = Figure(figsize=(4.6, min(6.0, max(2.2, 4.0 * height / width + 0.5))), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    for (number, name), colour in zip(enumerate(found.kinds), cycle(CLASS_COLOURS)):
        at = found.position_um[found.kind == number]
        axes.plot(at[:, -1], at[:, -2], ".", color=colour, markersize=5, label=name, rasterized=len(found) > MANY)
    axes.set(xlabel="x (µm)", ylabel="y (µm)", aspect="equal", xlim=(left, left + width), ylim=(top + height, top))
    if len(found.kinds) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
    return svg(figure)
