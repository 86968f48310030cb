"""The machine a figure was measured on, in a line."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def facts() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    units = [n for n, has in (("AMX", torch.cpu._is_amx_tile_supported()), ("AVX512-BF16", torch.cpu._is_avx512_bf16_supported())) if has]
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {' '.join(units) or 'no bf16 units'}; "
        f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
