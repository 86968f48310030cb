"""The dashboard's server: who somebody is, and which application answers what."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graticule.errors import SettingsError
from graticule.web.app import speak_plainly
from graticule.web.dashboard import mount_dashboard
from graticule.web.dashboard.shell import POLICY
from graticule.web.guard import HEADERS, Access, Guard
from graticule.web.house import COOKIE, House, user_of
from graticule.web.jobs import Jobs
from graticule.web.limits import Limits
from graticule.web.look import Look
from graticule.web.looking import Finder, looking_routes
from graticule.web.offers import Offers
from graticule.web.parts import page_routes
from graticule.web.places import Root
from graticule.web.worker import Worker
from graticule.web.workspace import UnknownUserError, Workspaces, new_user

MULTIPART = 100_000
"""Bytes of a request that are no part of the file in it."""

CLEAN_EVERY_S = 3600


def dashboard_app(house: House, access: Access | None = None) -> FastAPI:
    """Everything under one address: the dashboard at ``/``, the picture at ``/view/``, reviews at ``/review/``."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        threading.Thread(target=_clean, args=(house, stop), daemon=True).start()
        yield
        stop.set()
        house.close()

    app = FastAPI(title="Graticule", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.include_router(page_routes("view.html"), prefix="/view")
    app.include_router(looking_routes(_finder(house)), prefix="/view/api")
    speak_plainly(app)
    app.mount("/review", Reviews(house))
    mount_dashboard(app, house)
    app.add_middleware(Known)
    if access is not None:
        app.add_middleware(Guard, access=access)
    return app


def dashboard(
    work: Path, limits: Limits, *, root: Path | None = None, models: Path | None = None
) -> Callable[[Access], FastAPI]:
    """The dashboard for whoever may come in; uploads and results are kept in `work`. See `Offers` for the others."""
    if models is not None and not models.is_dir():
        raise SettingsError(f"{models}: found no such folder for --models; need one with model files; change it")
    below = Root(root, without=[work])
    workspaces = Workspaces(work, limits)
    looker = Worker(grown_bytes=limits.grown_bytes)
    house = House(workspaces, Jobs(workspaces), looker, Offers(workspaces, below, looker, models))

    def app(access: Access) -> FastAPI:
        most = {"/gradio_api/upload": limits.upload_bytes + MULTIPART}
        policies = {
            "/": POLICY,
            "/view/": HEADERS["content-security-policy"],
            "/review/": HEADERS["content-security-policy"],
        }
        return dashboard_app(house, replace(access, most_bytes=most, policies=policies))

    return app


def _clean(house: House, stop: threading.Event) -> None:
    """Now and then, forget who did not come back."""
    while not stop.is_set():
        house.clean()
        stop.wait(CLEAN_EVERY_S)


def _finder(house: House) -> Finder:
    def find(request: Request, job: str, place: int) -> Look:
        return house.look(user_of(request.cookies), job, place)

    return find


@dataclass(slots=True, eq=False)
class Known:
    """Gives everybody who has none a cookie with a name of their own; the first request has it, too."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or _known(scope):
            await self.app(scope, receive, send)
            return
        user = new_user()
        headers = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        others = dict(scope["headers"]).get(b"cookie", b"")
        scope = {
            **scope,
            "headers": [*headers, (b"cookie", b"; ".join(filter(None, [others, f"{COOKIE}={user}".encode()])))],
        }

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={user}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
                message = {**message, "headers": [*message["headers"], (b"set-cookie", cookie.encode())]}
            await send(message)

        await self.app(scope, receive, sending)


def _known(scope: Scope) -> bool:
    with suppress(UnknownUserError):
        return bool(user_of(HTTPConnection(scope).cookies))
    return False


@dataclass(slots=True, eq=False)
class Reviews:
    """Of whoever asks."""

    house: House

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the user's own application."""
        user = user_of(HTTPConnection(scope).cookies)
        await self.house.review(user)(scope, receive, send)
