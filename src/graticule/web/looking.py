"""What the dashboard's picture asks for: objects, outlines, tiles of image and maps, corrections, files to take home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from graticule.web.app import A_YEAR, Outlines
from graticule.web.decisions import Answer, Asked, Shown
from graticule.web.heat import heat_png
from graticule.web.look import Look
from graticule.web.pictures import LARGEST_PX, Window
from graticule.web.rings import rings_in
from graticule.workflows.export import Kind

Finder = Callable[[Request, str, int], Look]
"""Whose look it is follows from the request; a job and the place of an image in it say which."""


At = Annotated[int, Query(ge=0)]
Side = Annotated[int, Query(ge=1, le=LARGEST_PX)]
Step = Annotated[int, Query(ge=1, le=100_000)]


class Seen(BaseModel):
    """All of a look but its items.

    Attributes
    ----------
    result, picture
        Other ones for another image, to be sent along with requests for pictures.
    shape, spacing_um, origin_um
        Of the image, ``(z,) y, x``.
    heat
        Names of the maps there are.
    version
        Grows with each change.
    correctable
        Whether there are single objects, which can be taken out and added.
    """

    result: str
    picture: str
    kinds: list[str]
    diameters_um: dict[str, float]
    shape: tuple[int, ...]
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...]
    outlined: bool
    heat: list[str]
    version: int
    correctable: bool
    can_undo: bool


class Everything(BaseModel):
    """What a picture shows, all of one version."""

    sheet: Seen
    items: list[Shown]


def looking_routes(find: Finder) -> APIRouter:
    """Under ``/looks/JOB/PLACE/``."""
    api, look = APIRouter(), "/looks/{job}/{place}"

    @api.get(f"{look}/items")
    def items(request: Request, job: str, place: int) -> Everything:
        """Everything but outlines and pictures, at the settings of the moment."""
        seen = find(request, job, place)
        with seen.lock:
            return Everything(sheet=_sheet(seen), items=[Shown.of(item) for item in seen.items.values()])

    @api.get(f"{look}/outlines")
    def outlines(
        request: Request, job: str, place: int, y: int, x: int, height: int, width: int, z: int = 0
    ) -> Outlines:
        """Of all items in a window of pixels."""
        seen = find(request, job, place)
        with seen.lock:
            told = rings_in(seen.state, seen.image, y, x, height, width, z) if seen.outlined else {}
            return Outlines(version=seen.version, rings=told)

    @api.get(f"{look}/picture")
    def picture(
        request: Request, job: str, place: int, y: At, x: At, height: Side, width: Side, step: Step = 1, z: At = 0
    ) -> Response:
        """A window of the image as PNG; see `Window`."""
        made = find(request, job, place).pictures.png(Window(y, x, height, width, step, z))
        return Response(made, media_type="image/png", headers={"cache-control": A_YEAR})

    @api.get(f"{look}/heat")
    def heat(
        request: Request,
        job: str,
        place: int,
        kind: int,
        y: At,
        x: At,
        height: Side,
        width: Side,
        step: Step = 1,
        z: At = 0,
    ) -> Response:
        """The same window of what the network saw of one class."""
        seen = find(request, job, place)
        made = heat_png(seen.heat, kind, seen.image, Window(y, x, height, width, step, z))
        return Response(made, media_type="image/png", headers={"cache-control": A_YEAR})

    @api.post(f"{look}/decisions")
    def decisions(request: Request, job: str, place: int, asked: Asked) -> Answer:
        """Answered when the correction is on the disk; the same request is applied once, however often it comes."""
        return find(request, job, place).decide(asked)

    @api.get(f"{look}/file/{{kind}}")
    def file(request: Request, job: str, place: int, kind: Kind) -> Response:
        """What was found, as it stands, in one of the kinds of `graticule export`."""
        made = find(request, job, place).export(kind)
        head = {"content-disposition": f"attachment; filename*=utf-8''{quote(made.name)}", "cache-control": "no-store"}
        return FileResponse(made, headers=head, background=BackgroundTask(_forget, made))

    return api


def _forget(made: object) -> None:
    """An export is made anew for each that asks; its folder is its own."""
    from pathlib import Path
    from shutil import rmtree

    assert isinstance(made, Path)
    rmtree(made.parent, ignore_errors=True)


def _sheet(seen: Look) -> Seen:
    return Seen(
        result=seen.folder.name,
        picture=seen.fingerprint,
        kinds=list(seen.kinds),
        diameters_um=dict(seen.diameters_um),
        shape=seen.image.shape,
        spacing_um=seen.image.spacing_um,
        origin_um=seen.image.origin_um,
        outlined=seen.outlined,
        heat=list(seen.maps),
        version=seen.version,
        correctable=seen.correctable,
        can_undo=seen.can_undo,
    )
