"""A server for our pages, on this machine or, with a password, for others."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from graticule.errors import SettingsError
from graticule.web.guard import LOOPBACK, Access, key_from, new_key

EVERYWHERE = ("0.0.0.0", "::")
"""All of this machine's addresses; none that a browser could open."""

STOPPING_S = 2
"""How long requests under way are waited for when the server is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where to listen: port 0 takes any that is free. Other hosts than this machine's own need a password."""

    host: str = "127.0.0.1"
    port: int = 7861
    password: str = ""

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.password:
            raise SettingsError(
                f"found --host {self.host}, which others can reach, and no password; need one; add --password, or set "
                "GRATICULE_PASSWORD"
            )
        if not 0 <= self.port < 2**16:
            raise SettingsError(f"found --port {self.port}; need a number from 0 to 65535; choose another")

    def access(self) -> Access:
        """Who is let in there."""
        key = key_from(self.password) if self.password else new_key()
        return Access(key, LOOPBACK if self.host in LOOPBACK else (), bool(self.password))


def serve(app: Callable[[Access], ASGIApp], where: Where, *, ready: Callable[[str], None] = lambda _: None) -> None:
    """Answer until stopped (Ctrl-C); `ready` is called with the page's address once it can be opened.

    `app` is made for who may come in, and stands behind a guard for them; what it holds is closed by its own lifespan.
    """
    listening = _listen(where)
    access = where.access()
    port = listening.getsockname()[1]
    host = socket.gethostname() if where.host in EVERYWHERE else where.host
    host = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app(access), log_level="warning", access_log=False, timeout_graceful_shutdown=STOPPING_S, ws="none"
    )
    server = _Server(config)
    server.started_at(lambda: ready(f"http://{host}:{port}/?key={quote(access.key)}"))
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Says when it can be reached."""

    _ready: Callable[[], None] = staticmethod(lambda: None)

    def started_at(self, ready: Callable[[], None]) -> None:
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _listen(where: Where) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    )  # the port of a server that was killed is free at once
    try:
        listening.bind((where.host, where.port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"found that {where.host}:{where.port} cannot be used ({error.strerror or error}); need a free port; choose "
            "another with --port, or 0 for any"
        ) from error
    return listening
