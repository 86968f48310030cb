"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str | None:
    """Where it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, closed afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def open_page(
    opened: Any, address: str, result: str = "", who: str = "ada", *, width: int = 1280, height: int = 800
) -> Any:
    """The page in a window of its own, at somebody's review of a result."""
    page = opened.new_context(viewport={"width": width, "height": height}).new_page()
    page.set_default_timeout(20_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(f"{address}#{urlencode({'result': result, 'who': who})}" if result else address)
    return page


def ready(page: Any) -> None:
    """Wait until everything was acknowledged, and all pictures on screen are there."""
    page.wait_for_selector("#desk:not([hidden])")
    page.wait_for_function(
        """() => { const { known, view } = window.graticule;
        return known.standing && !known.outbox && !document.getElementById("link").textContent
          && [...view.tiles.values()].every((tile) => tile.complete) && !view.waiting; }"""
    )


def press(page: Any, key: str) -> str:
    """Press a key that decides something, and what the page said once it was answered."""
    before = page.locator("#log li").count()
    page.keyboard.press(key)
    page.wait_for_function("n => document.querySelectorAll('#log li').length > n", arg=before)
    page.wait_for_function("() => !window.graticule.known.outbox")
    return str(page.inner_text("#said"))


def put_cursor(page: Any, *um: float) -> tuple[float, float]:
    """Move the mouse to a place of the image in µm, ``y, x``; where that is on screen."""
    y, x = page.evaluate("um => window.graticule.view.toScreen(um)", list(um))
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    return box["x"] + x, box["y"] + y
