"""A command line to type at, and things to name on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.cli.app import run
from graticule.image import Image
from graticule.io import dataset
from tests.synthetic import scattered

TINY = ("--epochs", "1", "--steps", "2", "--batch", "2", "--patch-px", "64", "--width", "0.25", "--neck-channels", "16")
"""Settings with which a training takes a second; it learns nothing."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The last line of standard output."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def complaint(self) -> str:
        """What a refused command says: one line, with nothing after it but the faults if there are several."""
        lines = self.err.splitlines()
        [ours] = [i for i, line in enumerate(lines) if line.startswith("graticule: ")]
        assert self.code == 2, self.err
        assert len(lines) - ours == 1 or lines[ours].endswith("faults; need none; mend them:"), self.err
        assert "Traceback" not in self.err
        return lines[ours]


@pytest.fixture
def graticule(capsys, monkeypatch, tmp_path):
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: object) -> Ended:
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return typed


@pytest.fixture
def discs(tmp_path) -> Path:
    """Four annotated images of dark discs, 140 × 140 pixels."""
    write_discs(tmp_path / "discs", range(4))
    return tmp_path / "discs"


@pytest.fixture
def unseen(tmp_path) -> Path:
    """Two more, which no model of these tests has learnt from."""
    write_discs(tmp_path / "unseen", (50, 51))
    return tmp_path / "unseen"


@pytest.fixture
def model(disc_model, tmp_path) -> Path:
    """A file with a model that finds them."""
    disc_model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def picture(tmp_path) -> Path:
    """An image of discs."""
    io.write(drawn(60).image, tmp_path / "picture.tif")
    return tmp_path / "picture.tif"


KINDS = ("6nm", "12nm")


def drawn(seed: int):
    """Eight discs of two sizes on 140 × 140 pixels."""
    kind = [0, 1] * 4
    return scattered(seed, shape=(140, 140), count=8, gap_px=28, kind=kind, kinds=KINDS, diameter_px=(10.0, 20.0))


def write_discs(folder: Path, seeds) -> None:
    dataset.write(folder, [drawn(seed) for seed in seeds], classes=KINDS)


def as_pixels(values) -> Image:
    return Image(np.asarray(values), "yx", (0.0006, 0.0006))
