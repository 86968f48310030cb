"""A virtual display for napari, where Xvfb is; else the one there is; else the tests that need one are skipped by name."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.napari.screen import virtual_display

NEEDED = "the napari tests need `pip install -e '.[napari]'`"
TRY_QT = "from qtpy.QtWidgets import QApplication; QApplication([])"


@pytest.fixture(scope="session")
def viewers() -> None:
    """napari, loaded; what it asks of pydantic and others while it loads is not ours to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for package in (
            "napari.viewer",
            "napari.utils.shortcuts",
            "npe2",
            "qtpy.QtWidgets",
            "napari._qt.qt_main_window",
        ):
            pytest.importorskip(package, reason=NEEDED, exc_type=ImportError)


@pytest.fixture(scope="session")
def display(viewers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a process needs in its environment to show a window, and this one has."""
    with pytest.MonkeyPatch.context() as patch, virtual_display() as screen:
        patch.setenv("NAPARI_CONFIG", str(tmp_path_factory.mktemp("napari") / "settings.yaml"))
        for name, value in screen.items():
            patch.setenv(name, value)
        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            pytest.skip("the napari tests need a display: set DISPLAY, or install Xvfb")
        _check_qt()
        yield dict(os.environ)


def _check_qt() -> None:
    """Qt ends the process where it lacks a library: so ask another one first."""
    tried = subprocess.run([sys.executable, "-c", TRY_QT], capture_output=True, text=True, check=False, timeout=120)
    if tried.returncode:
        said = next((line for line in tried.stderr.splitlines() if line.strip()), "no reason told")
        pytest.skip(f"the napari tests need Qt to open a window: {said}")


@pytest.fixture(scope="session")
def window(display: dict[str, str]) -> Iterator[tuple]:
    """A viewer with an empty review panel, in a real window; one for all tests."""
    from qtpy.QtTest import QTest

    from graticule.napari.launch import open_window

    viewer, panel = open_window()
    QTest.qWait(200)
    yield viewer, panel
    panel.close_review()
    viewer.close()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path
