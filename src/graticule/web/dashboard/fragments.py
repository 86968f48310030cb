"""Pieces of HTML for the dashboard; whatever comes from files and people is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from urllib.parse import quote, urlencode

NOTHING = '<p class="g-quiet">Choose images and a model, and press <b>Find</b>. What was found is shown here.</p>'


def frame(job: str, place: int) -> str:
    """The picture of a result."""
    where = escape(urlencode({"job": job, "place": place}))
    return f'<iframe class="g-view" title="The image with what was found" src="view/?{where}"></iframe>'


def review_frame(result: str, who: str) -> str:
    """The page for reviews, at a result."""
    where = escape(urlencode({"result": result, "who": who}))
    return f'<iframe class="g-review" title="Review" src="review/#{where}"></iframe>'


def said(text: str, how: str = "") -> str:
    """A line for the user; `how` is ``good``, ``bad`` or nothing."""
    return f'<p class="g-said g-{how or "plain"}" role="status">{escape(text)}</p>' if text else ""


def lines(texts: Sequence[str], how: str = "") -> str:
    """Several of them."""
    return "".join(said(text, how) for text in texts)


def bar(done: int, total: int, words: str) -> str:
    """Progress; of an unknown total, that something is going on."""
    value = f' value="{done}" max="{total}"' if total else ""
    return f'<div class="g-bar"><progress{value} aria-label="{escape(words)}"></progress> <span>{escape(words)}</span></div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, name: str = "") -> str:
    """Rows of cells, the first of each a heading."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + f"<th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<table class="g-table" data-name="{escape(name)}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    )


def drawing(svg: bytes, alt: str) -> str:
    """A drawing that stays sharp."""
    data = base64.b64encode(svg).decode()
    return f'<img class="g-drawing" alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


def downloads(job: str, place: int, kinds: Sequence[tuple[str, str]]) -> str:
    """Links to files to take home: ``(kind, words)``."""
    where = f"view/api/looks/{quote(job)}/{place}/file"
    links = (
        f'<a class="g-link" data-kind="{kind}" href="{where}/{kind}" download>{escape(words)}</a>'
        for kind, words in kinds
    )
    return f'<div class="g-links">{"".join(links)}</div>'


def command(words: Sequence[str]) -> str:
    """The same on the command line."""
    from shlex import join

    inside = f"<summary>The same on the command line</summary><pre>{escape(join(words))}</pre>"
    return f'<details class="g-command">{inside}</details>'


def button(what: str, job: str, words: str) -> str:
    """A button of a list: the list is told which was pressed."""
    return f'<button class="g-button" data-do="{what}" data-job="{escape(job)}">{escape(words)}</button>'


PRESSED = """
element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  if (pressed) trigger("click", { what: pressed.dataset.do, job: pressed.dataset.job });
});
"""
"""Of a list with such buttons."""
