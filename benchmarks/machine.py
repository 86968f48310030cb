"""The machine a figure was measured on, in a line."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from graticule.nets.forward import bf16_units


def facts() -> str:
    """Processor, cores, versions."""
    units = " ".join(bf16_units()) or "no bf16 units"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    return f"{_processor()}, {os.cpu_count()} cores, {units}; {platform.system()}, {versions}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.processor())
