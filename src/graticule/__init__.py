"""Find, count, outline and measure structures in micrographs from few annotations.

The names below are all a script needs; each is imported when it is first used, so that `import graticule` is instant
and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graticule.checkpoint import Checkpoint
    from graticule.errors import GraticuleError
    from graticule.example import Example
    from graticule.image import Image
    from graticule.io import read
    from graticule.results import Labels, Points
    from graticule.tasks.tissue_texture import em_texture_masking
    from graticule.workflows.check import check
    from graticule.workflows.cross_validate import cross_validate
    from graticule.workflows.evaluate import evaluate
    from graticule.workflows.predict import predict
    from graticule.workflows.train import train

    __version__: str

__all__ = [
    "Checkpoint",
    "Example",
    "GraticuleError",
    "Image",
    "Labels",
    "Points",
    "__version__",
    "check",
    "cross_validate",
    "em_texture_masking",
    "evaluate",
    "predict",
    "read",
    "train",
]

_HOME = {
    "Checkpoint": "graticule.checkpoint",
    "Example": "graticule.example",
    "GraticuleError": "graticule.errors",
    "Image": "graticule.image",
    "Labels": "graticule.results",
    "Points": "graticule.results",
    "check": "graticule.workflows.check",
    "cross_validate": "graticule.workflows.cross_validate",
    "em_texture_masking": "graticule.tasks.tissue_texture",
    "evaluate": "graticule.workflows.evaluate",
    "predict": "graticule.workflows.predict",
    "read": "graticule.io",
    "train": "graticule.workflows.train",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'graticule' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("graticule")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
