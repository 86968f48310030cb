"""Who may talk to the server: whoever has the key, from a page of ours; nobody through another site's page.

A page anywhere on the web can make its visitor's browser send requests to programs on that visitor's machine, and can make
a name of its own point there. So a request has to name us as its host, has to come from one of our pages if it changes
anything, and has to bring a key that other pages cannot read.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_BYTES = 8_000_000
"""Of a request."""
WRONG_KEY_S = 0.5
"""A wrong password takes so long, so that they cannot be tried out."""

POLICY = "content-security-policy"
HEADERS = {
    POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def new_key() -> str:
    """For one start of a server."""
    return secrets.token_urlsafe(24)


def key_from(password: str) -> str:
    """The same for each start with the same password, and no way back to it."""
    return hashlib.scrypt(password.encode(), salt=b"graticule", n=2**14, r=8, p=1, dklen=24).hex()


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes
    ----------
    key
        In the address (``?key=``) or, from then on, in a cookie. Empty: nobody is asked for one; for tests, and where
        another guard stands before this one.
    hosts
        Names under which the server may be asked; empty: any, which is safe only with a key.
    password
        Whether people can come in with a password, from which the key was made.
    most_bytes, policies
        Beginnings of paths that other bounds than `MOST_BYTES` and another content policy than that in `HEADERS` are for; the
        longest that fits counts.
    """

    key: str
    hosts: Sequence[str] = LOOPBACK
    password: bool = False
    most_bytes: Mapping[str, int] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    def bytes_at(self, path: str) -> int:
        """How long a request to `path` may be."""
        return _longest(self.most_bytes, path) or MOST_BYTES

    def policy_at(self, path: str) -> str:
        """What a page from `path` may do."""
        return _longest(self.policies, path) or HEADERS[POLICY]


@dataclass(slots=True, eq=False)
class Guard:
    """Stands before an application (ASGI)."""

    app: ASGIApp
    access: Access
    _tries: list[float] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        fault = self._fault(scope, headers)
        if fault is not None:
            await _say(send, *fault)
        elif not self.access.key or self._has_key(scope, headers):
            await self.app(scope, receive, _with_headers(send, self.access.policy_at(scope["path"])))
        elif scope["path"].endswith("/enter") and scope["method"] == "POST" and self.access.password:
            await self._enter(scope, receive, send)
        else:
            await self._at_the_door(scope, send)

    def _fault(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """What is wrong with a request, whoever sent it."""
        host = headers.get("host", "")
        if self.access.hosts and _name(host) not in self.access.hosts:
            return (
                403,
                f"found a request to {host!r}; need {' or '.join(self.access.hosts)}; use the address that was printed",
            )
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        if (origin is not None and urlsplit(origin).netloc != host) or headers.get(
            "sec-fetch-site", "same-origin"
        ) not in (
            "same-origin",
            "none",
        ):
            return (
                403,
                f"found a request made by another page ({origin}); need one of this server's own; open its address",
            )
        length, most = headers.get("content-length", ""), self.access.bytes_at(scope["path"])
        if not length.isdigit() or int(length) > most:
            return (413, f"found a request of {length or 'unknown'} bytes; need at most {most:,}; send less at once")
        return None

    def _has_key(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_cookie(scope))
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self.access.key)

    async def _at_the_door(self, scope: Scope, send: Send) -> None:
        """A key in the address becomes a cookie, and leaves the address; nobody else comes in."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if given and scope["method"] == "GET" and _same(given, self.access.key):
            await self._admit(scope, send)
        elif "/api/" in scope["path"]:
            await _say(
                send, 401, "found no key; need the one of this start; use the address that was printed, or the password"
            )
        else:
            await _page(send, 401, _door(self.access.password, wrong=False))

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        now = time.monotonic()
        self._tries[:] = [at for at in self._tries if at > now - WRONG_KEY_S]
        if not self._tries and _same(key_from(given), self.access.key):
            await self._admit(scope, send)
            return
        self._tries.append(now)
        await _page(send, 401, _door(True, wrong=True))

    async def _admit(self, scope: Scope, send: Send) -> None:
        # Lax, for an address that was clicked on in a mail; what another page posts is refused by its origin.
        cookie = f"{_cookie(scope)}={self.access.key}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
        where = scope["path"].removesuffix("enter") or "/"
        head = [(b"location", where.encode()), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": head})
        await send({"type": "http.response.body", "body": b""})


def _longest(known: Mapping[str, T], path: str) -> T | None:
    """What is known of the longest beginning of `path`."""
    fits = [start for start in known if path.startswith(start)]
    return known[max(fits, key=len)] if fits else None


def _name(host: str) -> str:
    """Without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(scope: Scope) -> str:
    """Browsers do not tell ports apart when they send cookies; two servers on one machine need two names."""
    server = scope.get("server")
    return f"graticule-{server[1] if server else 0}"


def _same(given: str, key: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return secrets.compare_digest(given.encode(), key.encode())


async def _body(receive: Receive) -> bytes:
    parts: bytes = b""
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if not message.get("more_body") or len(parts) > MOST_BYTES:
            return parts


def _with_headers(send: Send, policy: str = HEADERS[POLICY]) -> Send:
    wanted = {**HEADERS, POLICY: policy}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            added = [(n.encode(), v.encode()) for n, v in wanted.items() if n.encode() not in there]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


async def _say(send: Send, status: int, error: str) -> None:
    await _reply(send, status, "application/json", json.dumps({"error": error}, ensure_ascii=False))


async def _page(send: Send, status: int, text: str) -> None:
    await _reply(send, status, "text/html; charset=utf-8", text)


async def _reply(send: Send, status: int, kind: str, text: str) -> None:
    body = text.encode()
    head = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _door(password: bool, *, wrong: bool) -> str:
    said = "That was not the password. Wait a moment and try again." if wrong else ""
    form = (
        '<form method="post" action="enter"><label>Password <input type="password" name="password" autofocus></label> '
        f"<button>Enter</button></form><p role='alert'>{said}</p>"
    )
    told = "<p>Open the address that <code>graticule review</code> printed when it was started: it holds the key.</p>"
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Graticule</title><main><h1>Graticule</h1>{form if password else told}</main></html>"
    )
