"""A virtual display for napari, where Xvfb is; else the one there is; else the tests that need one are skipped by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    settings = str(tmp_path_factory.mktemp("napari") / "settings.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_CONFIG", settings)
        server = _virtual_display() if sys.platform == "linux" and shutil.which("Xvfb") else None
        try:
            if server is not None:
                patch.setenv("DISPLAY", server[1])
                patch.setenv("QT_QPA_PLATFORM", "xcb")
            elif sys.platform == "linux" and not os.environ.get("DISPLAY"):
                pytest.skip("the napari tests need a display: set DISPLAY, or install Xvfb")
            _check_qt()
            yield dict(os.environ)
        finally:
            if server is not None:
                server[0].terminate()
                server[0].wait()


def _virtual_display() -> tuple[subprocess.Popen[bytes], str]:
    """Xvfb at the first free number, and its address."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    if not number:
        pytest.skip("the napari tests need a display: Xvfb is there, but does not start")
    return server, f":{number}"


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
