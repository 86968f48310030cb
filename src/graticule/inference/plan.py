"""Deciding everything about a run before touching a pixel."""

from __future__ import annotations

from dataclasses import dataclass

from graticule.box import Tile, cover
from graticule.errors import FormatError
from graticule.image import Image
from graticule.task import Grid


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do: the grid of a task, resolved against one image.

    Print it, test it, or store it beside the result; nothing later changes it.
    """

    shape: tuple[int, ...]
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...]
    tiles: tuple[Tile, ...]
    stride: int = 1

    def __str__(self) -> str:
        read = max((tile.read.shape for tile in self.tiles), default=())
        size = " x ".join(map(str, self.shape))
        most = " x ".join(map(str, read))
        return f"{len(self.tiles)} tile(s) of at most {most} voxels over {size} voxels of {self.spacing_um} µm"


def make_plan(image: Image, grid: Grid) -> Plan:
    """Tiles over `image`, which lies on the task's grid."""
    if image.ndim != len(grid.spacing_um):
        raise FormatError(
            f"found an image with axes {image.axes!r} and shape {image.shape}; this model works in {len(grid.spacing_um)}D; "
            "choose one plane, or a model made for volumes"
        )
    if len(image.axes) != image.ndim:
        raise FormatError(
            f"found several channels (axes {image.axes!r}); this model works on one; choose it with --channel"
        )
    tiles = cover(image.shape, grid.tile, grid.halo, grid.multiple)
    return Plan(image.shape, image.spacing_um, image.origin_um, tiles, grid.stride)
