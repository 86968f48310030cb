"""One self-contained page of HTML: words, tables and pictures, nothing from anywhere else.

Everything is inside the file, and a policy in it forbids the browser to fetch anything, so it can be mailed, archived and
opened in ten years.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jinja2 import Template


NUMBER = re.compile(r"[+\-−]?\d[\d,.]*(e[+-]?\d+)? ?%?")


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs."""

    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under their heads; cells that are numbers are set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with what it shows in words, `alt`, for those who cannot see it."""

    data: bytes
    kind: Literal["png", "svg+xml"]
    alt: str
    caption: str = ""

    @property
    def address(self) -> str:
        """The picture itself, as an address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Gallery:
    """Small pictures side by side."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Warnings:
    """What the reader has to know before using the numbers."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """Text made to be copied into a paper."""

    text: str


Part = Text | Table | Picture | Gallery | Warnings | Copied


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a head."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    title: str
    summary: str
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """The page as HTML; whatever is in its texts is shown, never obeyed."""
    return _template().render(page=page, kind=_kind, numeric=_is_number)


def facts(rows: Sequence[tuple[str, object]], caption: str = "") -> Table:
    """A table of names and values, without those that are empty."""
    return Table((), tuple((name, str(value)) for name, value in rows if value not in (None, "", (), [])), caption)


def _kind(part: Part) -> str:
    return type(part).__name__.lower()


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


@cache
def _template() -> Template:
    from jinja2 import Environment

    source = resources.files("graticule.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
