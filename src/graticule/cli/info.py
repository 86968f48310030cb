"""``graticule info FILE…``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Axes, Common

if TYPE_CHECKING:
    from graticule.cli.voice import Voice

MODEL = ".safetensors"


def info(
    *files: str,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    axes: Axes = None,
    common: Common = COMMON,
) -> int:
    """Say what files hold, and what is missing before they can be used.

    Parameters
    ----------
    files
        Images (TIFF, OME-Zarr, HDF5, MRC, PNG, JPEG, NumPy) or models (.safetensors). Zarr may be a folder or an
        address such as https://host/volume.zarr; what is meant inside follows a colon: volume.zarr:/labels/mask.
    out
        Also write it all to this file, as JSON.
    """
    import json

    from graticule.cli.voice import Voice
    from graticule.errors import FormatError, GraticuleError
    from graticule.io.atomic import replacing
    from graticule.workflows.results import check_writable

    voice = Voice(common)
    if not files:
        raise FormatError("found no file to look at; name some: graticule info FILE…")
    if out is not None:
        check_writable(out)
    told, failed = [], {}
    for file in files:
        try:
            told.append(_model(voice, Path(file)) if file.endswith(MODEL) else _image(voice, file, axes))
        except (GraticuleError, OSError) as error:
            failed[file] = str(error)
            voice.complain(str(error))
    facts = {"files": told, "failed": failed}
    if out is not None:
        with replacing(out) as aside:
            aside.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    voice.finish(facts)
    return 2 if failed else 0


def _image(voice: Voice, file: str, axes: str | None) -> dict[str, Any]:
    from graticule.workflows.inspect import about_image

    facts = about_image(file, axes=axes)
    spacing = facts["spacing_um"]
    rows = [
        ("size", f"{' x '.join(map(str, facts['shape']))}  (axes {facts['axes']})"),
        ("pixels", facts["dtype"]),
        ("pixel size", "unknown" if spacing is None else f"{' x '.join(f'{s:.6g}' for s in spacing)} µm"),
        (
            "first voxel",
            f"at {' x '.join(f'{o:.6g}' for o in facts['origin_um'])} µm" if any(facts["origin_um"]) else "",
        ),
        ("channels", ", ".join(facts["channels"])),
        *(("note", note) for note in facts["notes"]),
        *(("missing", said) for said in facts["missing"] or ["nothing"]),
    ]
    return _told(voice, file, rows, facts)


def _model(voice: Voice, file: Path) -> dict[str, Any]:
    from graticule.workflows.inspect import about_model

    facts = about_model(file)
    rows = [
        ("task", facts["task"]),
        *(("class", " ".join(line)) for line in _classes(facts)),
        ("works at", _voxels(facts["spacing_um"])),
        ("parameters", f"{facts['parameters'] / 1e6:.1f} million"),
        ("score", "unknown" if facts["score"] is None else f"{facts['score']:.3f} on images held out from training"),
        ("learnt from", ", ".join(facts["learnt_from"])),
        ("chosen on", ", ".join(facts["chosen_on"])),
        ("epochs", len(facts["history"])),
        ("made", f"{facts['made'] or 'unknown'}, graticule {facts['version']}, seed {facts['seed']}"),
    ]
    return _told(voice, file, rows, facts)


def _classes(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    settings = facts["settings"]
    names, thresholds = settings.get("classes", ()), settings.get("thresholds", ())
    sizes = [f"({nm:g} nm), " for nm in settings.get("diameters_nm", ())] or [""] * len(names)
    told = zip(names, sizes, thresholds, strict=False)
    return [(name, f"{size}counts from confidence {threshold:.2f}") for name, size, threshold in told]


def _voxels(spacing_um: Sequence[float]) -> str:
    """Empty where a method takes images as they are."""
    sides = " x ".join(f"{1000 * um:.4g}" for um in spacing_um)
    return (
        f"{'voxels' if len(spacing_um) == 3 else 'pixels'} of {sides} nm; images of others are resampled"
        if sides
        else ""
    )


def _told(voice: Voice, file: str | Path, rows: list[tuple[str, object]], facts: dict[str, Any]) -> dict[str, Any]:
    voice.show(str(file))
    for name, said in rows:
        if said != "":
            voice.show(f"  {name:<12} {said}")
    return {"file": str(file), **facts}
