"""The files that our own pages consist of; no other file is ever given."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

PAGE = Path(__file__).with_name("page")
FILES = {
    "review.css": "text/css; charset=utf-8",
    "view.css": "text/css; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "draw.js": "text/javascript; charset=utf-8",
    "talk.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
FRESH = {"cache-control": "no-cache"}


def page_routes(name: str) -> APIRouter:
    """A page under ``/`` and its parts under ``/page/``."""
    pages = APIRouter()

    @pages.get("/")
    def page() -> Response:
        """The page; its parts are named relative to it, so its address has to end in a slash."""
        return Response((PAGE / name).read_bytes(), media_type="text/html; charset=utf-8", headers=FRESH)

    @pages.get("/page/{part}")
    def part(part: str) -> Response:
        """A part of the page."""
        if part not in FILES:
            raise HTTPException(404, f"found no part {part!r} of this page; reload it")
        return Response((PAGE / part).read_bytes(), media_type=FILES[part], headers=FRESH)

    return pages
