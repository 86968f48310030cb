"""What a file says of itself, and what is missing before it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graticule.checkpoint import Checkpoint
from graticule.errors import GraticuleError, SpacingError
from graticule.io import describe
from graticule.io.address import Source
from graticule.io.scan import Scan, to_image
from graticule.io.zarr_array import Stored
from graticule.settings import to_plain


def about_image(file: Source, *, axes: str | None = None) -> dict[str, Any]:
    """As plain values; ``missing`` is what keeps the image from being used, a sentence each."""
    scan = describe(file, axes=axes)
    return {
        "axes": scan.axes,
        "shape": list(scan.data.shape),
        "dtype": str(scan.data.dtype),
        "spacing_um": None if scan.spacing_um is None else list(scan.spacing_um),
        "origin_um": list(scan.origin_um or ()),
        "channels": list(scan.channels),
        "notes": [*scan.notes, *_sparse(scan)],
        "missing": [said.removeprefix(f"{file}: ") for said in _missing(scan, file)],
    }


def _sparse(scan: Scan) -> Iterator[str]:
    """Chunks that were never written are legal; of those that got lost on the way it is well to know."""
    counted = scan.data.missing() if isinstance(scan.data, Stored) else None
    if counted and counted[0] > 0:
        yield f"{counted[0]} of {counted[1]} chunks are not stored, and read as one value: never written, or lost"


def _missing(scan: Scan, file: Source) -> list[str]:
    """What is asked for first may hide what is asked for next: that is looked for with a made-up answer."""
    said = [_refusal(scan, file), _refusal(scan, file, spacing_um=(1.0,))]
    if scan.spacing_um is None and any(said):
        said.append(_refusal(scan, file, channel=0, only=SpacingError))
    return list(dict.fromkeys(filter(None, said)))


def _refusal(scan: Scan, file: Source, *, only: type[GraticuleError] = GraticuleError, **answer: Any) -> str:
    try:
        to_image(scan, file, **answer)
    except GraticuleError as error:
        return str(error) if isinstance(error, only) else ""
    return ""


def about_model(file: Path) -> dict[str, Any]:
    """As plain values: task, settings, how it was trained, and how well it did on images held out from training."""
    model = Checkpoint.load(file)
    made = model.made_by
    return {
        "task": model.task.name,
        "settings": to_plain(model.task),
        "spacing_um": list(model.task.grid.spacing_um),
        "parameters": sum(int(w.size) for w in model.weights.values()),
        "score": made.get("score"),
        "learnt_from": list(made.get("learnt_from", ())),
        "chosen_on": list(made.get("chosen_on", ())),
        "history": list(made.get("history", ())),
        "seed": made.get("seed"),
        "made": made.get("time"),
        "version": made.get("versions", {}).get("graticule"),
        "dataset": made.get("dataset"),
    }
