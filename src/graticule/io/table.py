"""Tables of text, as spreadsheets and programs write them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graticule.errors import AnnotationError
from graticule.image import Array


@dataclass(frozen=True, slots=True)
class Table:
    """Cells by column, and for each row the number that a spreadsheet shows for it."""

    path: Path
    columns: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]
    decimal_comma: bool

    @classmethod
    def read(cls, path: Path) -> Table:
        text = _text(path)
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            numbered = [(rows.line_num, [cell.strip() for cell in row]) for row in rows]
        except csv.Error as error:
            raise AnnotationError(
                f"{path}: found no table ({error}); need comma-separated values; save it again"
            ) from error
        numbered = [(line, row) for line, row in numbered if any(row)]
        if not numbered:
            raise AnnotationError(f"{path}: found no column names; need e.g. x_um,y_um,class in the first row")
        header = [_canonical(name) for name in numbered[0][1]]
        _check_header(path, header)
        for line, row in numbered[1:]:
            # Trailing separators, which spreadsheets leave behind, are no cells.
            if len(row) < len(header) or any(row[len(header) :]):
                raise AnnotationError(
                    f"{path}, row {line}: found {len(row)} cells; need {len(header)}, one per column; mend that row"
                )
        columns = {name: tuple(row[i] for _, row in numbered[1:]) for i, name in enumerate(header) if name}
        return cls(path, columns, tuple(line for line, _ in numbered[1:]), delimiter != ",")

    @property
    def rows(self) -> list[str]:
        """What to call each row."""
        return [f"row {line}" for line in self.lines]

    def numbers(self, name: str) -> Array:
        return np.array([self._number(name, i) for i in range(len(self.lines))], float)

    def _number(self, name: str, i: int) -> float:
        cell = self.columns[name][i]
        try:
            number = float(cell.replace(",", ".") if self.decimal_comma else cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            found = f"{cell!r}" if cell else "an empty cell"
            raise AnnotationError(
                f"{self.path}, row {self.lines[i]}: found {found} in column {name}; need a number; mend that row"
            )
        return number


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: could not be read ({error.strerror}); need a table of points") from error
    if not raw.strip():
        raise AnnotationError(
            f"{path}: found an empty file; need at least column names; for an image without objects write the line "
            "x_um,y_um,class"
        )
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        # What is neither is a spreadsheet's Western code page; its only likely letter is µ.
        text = raw.decode("latin-1")
    if "\0" in text:
        raise AnnotationError(f"{path}: found no text but binary data; need comma-separated values; save it as CSV")
    return text


def _canonical(name: str) -> str:
    """Column names in lower case; ``X (µm)``, ``x_µm`` and ``x[um]`` are ``x_um``."""
    # A stray quotation mark swallows the lines up to the next one; in a refusal they shall be one.
    lower = " ".join(name.lower().split())[:100].replace("µ", "u").replace("μ", "u")
    place = re.fullmatch(r"([xyz])[ _]*[(\[]?(um|microns?|nm|px|pixels?)[)\]]?", lower)
    if not place:
        return lower
    unit = {"m": "um", "p": "px"}.get(place[2][0], place[2])
    return f"{place[1]}_{unit}"


def _check_header(path: Path, header: Sequence[str]) -> None:
    if all(re.fullmatch(r"[-+\d.,e ]*", name) for name in header):
        raise AnnotationError(f"{path}: found numbers in the first row; need column names there, e.g. x_um,y_um,class")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise AnnotationError(f"{path}: found two columns {', '.join(twice)}; need one of each; remove or rename one")
