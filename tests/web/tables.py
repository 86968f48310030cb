"""Folders of results to review in a browser, and a client that knows the way to their API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from graticule import io
from graticule.image import Image
from graticule.results import Labels, Points
from graticule.workflows.provenance import fingerprint
from graticule.workflows.results import MARK

SPACING = (0.5, 0.25)
SHAPE = (300, 420)
KINDS = ("6nm", "12nm")


def noise(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1000, 60, shape).astype(np.uint16)


def write_points(
    out: Path, name: str = "grid", count: int = 20, seed: int = 0, shape: tuple[int, ...] = SHAPE, size_um: float = 4.0
) -> Path:
    """A result of points on dark discs, as predict writes it."""
    rng = np.random.default_rng(seed)
    spacing = SPACING if len(shape) == 2 else (1.0, *SPACING)
    margin = np.array([1] * (len(shape) - 2) + [12, 12])
    voxels = rng.uniform(margin, np.array(shape) - 1 - margin, (count, len(shape)))
    kind = rng.integers(0, 2, count)
    pixels = noise(shape, seed)
    for place, which in zip(voxels, kind, strict=True):
        _draw_disc(pixels, place, size_um / 4 * (1 + which) / np.array(spacing))
    image = Image(pixels, "yx" if len(shape) == 2 else "zyx", spacing)
    found = Points(image.to_um(voxels), rng.uniform(0.2, 1, count), kind, KINDS)
    return _written(out / name, image, found, {"classes": list(KINDS), "diameters_nm": [size_um * 500, size_um * 1000]})


def _draw_disc(pixels: np.ndarray, centre: np.ndarray, radii: np.ndarray) -> None:
    """A dark ellipsoid of these radii, all in pixels."""
    low = np.maximum(np.floor(centre - radii), 0).astype(int)
    high = np.minimum(np.ceil(centre + radii) + 1, pixels.shape).astype(int)
    axes = np.ix_(*(np.arange(a, b) for a, b in zip(low, high, strict=True)))
    away = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True))
    pixels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][away < 1] = 300


def write_outlined(out: Path, name: str = "cells") -> Path:
    """A result with three outlines, one of them a dumb-bell."""
    labels = np.zeros((120, 160), np.uint16)
    labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
    labels[60:80, 60:80], labels[68:72, 80:86], labels[60:80, 86:106] = 3, 3, 3
    pixels = noise(labels.shape) + (labels > 0) * np.uint16(300)
    image = Image(pixels.astype(np.uint16), "yx", (0.5, 0.5))
    centres = np.array([np.argwhere(labels == n).mean(axis=0) for n in (1, 2, 3)])
    found = Points(image.to_um(centres), np.array([0.9, 0.6, 0.4]), np.zeros(3, int), ("rosette",))
    folder = _written(out / name, image, found, {"classes": ["rosette"]})
    io.write(Labels(Image(labels, "yx", (0.5, 0.5))), folder / "objects.tif")
    return folder


def _written(folder: Path, image: Image, found: Points, settings: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    source = folder.parent.parent / f"{folder.name}.tif"
    io.write(image, source)
    io.write(found, folder / "objects.csv", on=image)
    run = {"image": fingerprint(source), "task": "beads", "settings": settings}
    (folder / MARK).write_text(json.dumps(run))
    return folder


def lines_of(journal: Path) -> list[dict[str, Any]]:
    """The decisions in a journal, without its header."""
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()[1:]]


@dataclass(frozen=True)
class Review:
    """Talks to the API about one review."""

    client: Any
    result: str
    who: str = "ada"

    @property
    def at(self) -> str:
        return f"/api/results/{self.result}/reviews/{self.who}"

    def begin(self) -> dict[str, Any]:
        begun = self.client.post(f"/api/results/{self.result}/reviews", json={"who": self.who})
        assert begun.status_code == 200, begun.text
        return begun.json()

    def get(self, what: str = "", **query: Any) -> Any:
        answer = self.client.get(f"{self.at}/{what}".rstrip("/"), params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, what: str, request: str = "", **more: Any) -> Any:
        """The raw answer to a decision."""
        asked = {"request": request or str(uuid4()), "what": what, **more}
        return self.client.post(f"{self.at}/decisions", json=asked)

    def decide(self, what: str, **more: Any) -> dict[str, Any]:
        answer = self.post(what, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def items(self) -> dict[int, dict[str, Any]]:
        return {item["id"]: item for item in self.get("items")["items"]}
