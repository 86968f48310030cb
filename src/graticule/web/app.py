"""The review as a web application: an API in JSON and PNG, and the page that uses it.

`review_app` is an ASGI application of its own; another application (the dashboard) may mount it under any path.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from graticule.errors import GraticuleError, StoreError
from graticule.web.decisions import Answer, Asked, Shown, Standing, ToShow, decide, standing
from graticule.web.desk import Desk, Sitting, UnknownNameError
from graticule.web.guard import Access, Guard
from graticule.web.parts import page_routes
from graticule.web.pictures import LARGEST_PX, Window
from graticule.web.rings import Ring, rings_in
from graticule.workflows.results import MARK

A_YEAR = "private, max-age=31536000, immutable"
MOST_ITEMS = 5000


class Named(BaseModel):
    """A result that may be reviewed."""

    name: str
    task: str
    reviewers: list[str]


def checked_name(who: str) -> str:
    """A reviewer's name, which is a part of addresses and files; `ValueError` with what it has to be."""
    if not 0 < len(who) <= 64 or not who.isprintable() or set(who) & set("/\\") or not who.strip("."):
        raise ValueError("a name is up to 64 letters, without / and \\")
    return who


class Reviewer(BaseModel):
    """Who reviews; the name is a part of addresses, so no slash is in it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    who: Annotated[str, AfterValidator(checked_name)]


class Sheet(BaseModel):
    """All of a review but its items: what is looked at, by whom, and where it stands.

    Attributes
    ----------
    server
        Another one after each start: a page then fetches everything anew.
    picture
        Another one for another image, to be sent along with requests for pictures.
    shape, spacing_um, origin_um
        Of the image, ``(z,) y, x``.
    view_um
        Side of the frame around an item.
    """

    server: str
    picture: str
    result: str
    who: str
    task: str
    kinds: list[str]
    diameters_um: dict[str, float]
    shape: tuple[int, ...]
    spacing_um: tuple[float, ...]
    origin_um: tuple[float, ...]
    view_um: float
    threshold: float
    outlined: bool
    items: int
    recovered: str
    standing: Standing


class Items(BaseModel):
    """Some of the items, by their order; all have been told when `total` are."""

    version: int
    total: int
    items: list[Shown]


class Estimated(BaseModel):
    """A number with its 95 % interval; see `graticule.review.audit`."""

    value: float
    low: float
    high: float
    seen: int
    whole: int


class Audited(BaseModel):
    """What the random part of a review says so far; null where nothing was looked at yet."""

    precision: Estimated | None
    missed: Estimated | None
    recall: Estimated | None


class Outlines(BaseModel):
    """Lines around items, ``(y, x)`` in pixels of the image, by id."""

    version: int
    rings: dict[int, list[Ring]]


def review_app(results: Sequence[Path] | Desk, *, access: Access | None = None, prefilled: str = "") -> FastAPI:
    """The application for these results (folders of results, or folders of those).

    Parameters
    ----------
    access
        Who is let in; None: everybody who reaches it, which is for an application that has a guard of its own.
    prefilled
        Name of the reviewer that the page proposes.
    """
    desk = results if isinstance(results, Desk) else Desk(results)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(title="Graticule review", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.include_router(_api(desk, prefilled), prefix="/api")
    app.include_router(page_routes("review.html"))
    speak_plainly(app)
    if access is not None:
        app.add_middleware(Guard, access=access)
    return app


def _api(desk: Desk, prefilled: str) -> APIRouter:
    api, server = APIRouter(), secrets.token_hex(8)
    review = "/results/{result}/reviews/{who}"

    @api.get("/results")
    def results() -> dict[str, Any]:
        """What there is to review, and who is asked to."""
        named = [
            Named(name=name, task=_task(folder), reviewers=desk.reviewers(name))
            for name, folder in desk.folders.items()
        ]
        return {"results": named, "who": prefilled}

    @api.post("/results/{result}/reviews")
    def begin(result: str, reviewer: Reviewer) -> Sheet:
        """Begin a review, or go on with it."""
        return _sheet(server, result, desk.begin(result, reviewer.who))

    @api.get(review)
    def sheet(result: str, who: str) -> Sheet:
        """Where a review stands that was begun."""
        return _sheet(server, result, desk.sitting(result, who))

    @api.get(f"{review}/items")
    def items(
        result: str, who: str, start: Annotated[int, Query(ge=0)] = 0, count: Annotated[int, Query(ge=1)] = MOST_ITEMS
    ) -> Items:
        """Items in their order, from number `start` on, `MOST_ITEMS` at most."""
        sitting = desk.sitting(result, who)
        with sitting.lock:
            every = list(sitting.session.items.values())
            some = every[start : start + min(count, MOST_ITEMS)]
            return Items(version=sitting.version, total=len(every), items=[Shown.of(item) for item in some])

    @api.get(f"{review}/turns")
    def turns(result: str, who: str, count: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> list[ToShow]:
        """What is not done, in order: for a page that skips."""
        sitting = desk.sitting(result, who)
        with sitting.lock:
            return standing(sitting, count).upcoming

    @api.get(f"{review}/audit")
    def audit(result: str, who: str) -> Audited:
        """How many proposals are right, and how many objects were missed, as far as the random part says."""
        sitting = desk.sitting(result, who)
        with sitting.lock:
            told = sitting.session.audit
        return Audited.model_validate(asdict(told))

    @api.post(f"{review}/decisions")
    def decisions(result: str, who: str, asked: Asked) -> Answer:
        """Answered when the decision is on the disk; the same request is applied once, however often it comes."""
        return decide(desk.sitting(result, who), asked)

    @api.post(f"{review}/leave")
    def leave(result: str, who: str) -> dict[str, bool]:
        """Close a review, so that another program may go on with it."""
        desk.folder(result)
        desk.leave(result, who)
        return {"left": True}

    @api.get(f"{review}/outlines")
    def outlines(result: str, who: str, y: int, x: int, height: int, width: int, z: int = 0) -> Outlines:
        """Of all items in a window of pixels."""
        sitting = desk.sitting(result, who)
        with sitting.lock:
            session = sitting.session
            told = rings_in(session.state, session.image, y, x, height, width, z) if session.outlined else {}
            return Outlines(version=sitting.version, rings=told)

    @api.get("/results/{result}/picture")
    def picture(
        result: str,
        y: Annotated[int, Query(ge=0)],
        x: Annotated[int, Query(ge=0)],
        height: Annotated[int, Query(ge=1, le=LARGEST_PX)],
        width: Annotated[int, Query(ge=1, le=LARGEST_PX)],
        step: Annotated[int, Query(ge=1, le=100_000)] = 1,
        z: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """A window of the image as PNG; see `Window`."""
        made = desk.pictures(result).png(Window(y, x, height, width, step, z))
        return Response(made, media_type="image/png", headers={"cache-control": A_YEAR})

    return api


def _sheet(server: str, result: str, sitting: Sitting) -> Sheet:
    reviewed, session = sitting.reviewed, sitting.session
    with sitting.lock:
        return Sheet(
            server=server,
            picture=_short_hash(reviewed.about.get("image", {})),
            result=result,
            who=session.who,
            task=str(reviewed.about.get("task", "")),
            kinds=list(session.kinds),
            diameters_um=dict(reviewed.diameters_um),
            shape=session.image.shape,
            spacing_um=session.image.spacing_um,
            origin_um=session.image.origin_um,
            view_um=session.order.view_um,
            threshold=reviewed.threshold,
            outlined=session.outlined,
            items=len(session.items),
            recovered=session.recovered,
            standing=standing(sitting),
        )


def _short_hash(about: dict[str, Any]) -> str:
    told = next((str(value) for name, value in about.items() if "sha256" in name), "")
    return told[:16]


def _task(folder: Path) -> str:
    try:
        return str(json.loads((folder / MARK).read_text(encoding="utf-8")).get("task", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def speak_plainly(app: FastAPI) -> None:
    """Every error is one line of JSON; what went wrong inside is told on the server, never to the browser."""

    @app.exception_handler(GraticuleError)
    def refused(_: Request, error: GraticuleError) -> JSONResponse:
        status = 404 if isinstance(error, UnknownNameError) else 409 if isinstance(error, StoreError) else 400
        return _told(status, str(error))

    @app.exception_handler(OSError)
    def unreadable(_: Request, error: OSError) -> JSONResponse:
        return _told(409, f"{Path(str(error.filename or 'a file')).name}: {error.strerror or 'cannot be used'}")

    @app.exception_handler(RequestValidationError)
    def misshapen(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _told(422, f"{where} is not as it has to be: {first['msg'].removeprefix('Value error, ')}; send it anew")

    @app.exception_handler(HTTPException)
    def unknown(_: Request, error: HTTPException) -> JSONResponse:
        return _told(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def ours(_: Request, error: Exception) -> JSONResponse:
        return _told(500, f"this is our fault, not yours ({type(error).__name__}); what was not saved is still here")


def _told(status: int, error: str) -> JSONResponse:
    return JSONResponse({"error": " ".join(error.split())}, status)
