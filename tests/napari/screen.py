"""A virtual display, where Xvfb is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def virtual_display() -> Iterator[dict[str, str]]:
    """What a process needs in its environment to show a window there; what it has already where there is no Xvfb."""
    if sys.platform != "linux" or not shutil.which("Xvfb"):
        yield {}
        return
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        yield {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"} if number else {}
    finally:
        server.terminate()
        server.wait()
