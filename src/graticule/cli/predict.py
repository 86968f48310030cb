"""``graticule predict IMAGE… --model M -o DIR``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Axes, Channel, Common, Device, SpacingUm

if TYPE_CHECKING:
    from graticule.cli.voice import Voice
    from graticule.workflows.predict_files import Job


def predict(
    *images: Path,
    model: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    mask: Path | None = None,
    mask_margin_nm: float = 0.0,
    threshold: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True, negative=())] = None,
    tta: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    axes: Axes = None,
    common: Common = COMMON,
) -> int:
    """Find what a model was made for, in your images.

    Each image's results lie in OUT/NAME: objects.csv (every object with its place in pixels and µm, class and
    confidence), objects.zip (the same as ImageJ selections), overlay.png and run.json (how they were made). An image
    that cannot be read is reported, and the others are done.

    Parameters
    ----------
    images
        Image files, or folders of them: TIFF, PNG, JPEG or NumPy.
    model
        A model file made by graticule train; several of the same classes are averaged.
    out
        Folder for the results; needed unless --dry-run. Earlier results of the same images are replaced.
    mask
        Objects count only where this image is not 0; for several images, a folder with a mask of each name.
    mask_margin_nm
        Also keep objects up to this far outside the mask.
    threshold
        Confidence from which an object counts, in place of the model's own: one number, or one for each class.
    tta
        Average over turned and mirrored views: eight times slower, a little more accurate.
    dry_run
        Only say what would be done: sizes, tiles, memory.
    """
    from graticule.cli.voice import Voice
    from graticule.errors import FormatError
    from graticule.workflows.predict_files import Job, Reading, check_job, image_files, load_models

    voice = Voice(common)
    if not images:
        raise FormatError("found no image to look at; name some: graticule predict IMAGE… --model MODEL -o DIR")
    if out is None and not dry_run:
        raise FormatError("found no --out; need a folder for the results; add e.g. -o found")
    files = image_files(images)
    job = Job(
        models=load_models(model, threshold or ()),
        files=tuple(model),
        out=out or Path(),
        reading=Reading(spacing_um=spacing_um, channel=channel, axes=axes),
        mask=mask,
        mask_margin_nm=mask_margin_nm,
        tta=tta,
        device=device,
        seed=common.seed,
    )
    if dry_run:
        return _each(voice, files, job, _plan)
    check_job(job, files)
    return _each(voice, files, job, _predict)


def _each(voice: Voice, files: Sequence[Path], job: Job, do: Any) -> int:
    """Every image, whatever becomes of the others; 2 if there was a bad one."""
    from graticule.errors import GraticuleError

    done, failed = [], {}
    for file in files:
        try:
            done.append(do(voice, file, job))
        except (GraticuleError, OSError) as error:
            failed[str(file)] = str(error)
            voice.complain(str(error))
    if len(files) > 1 and failed:
        voice.complain(f"{len(failed)} of {len(files)} images could not be done; the others were")
    voice.finish({"images": done, "failed": failed})
    return 2 if failed else 0


def _predict(voice: Voice, file: Path, job: Job) -> dict[str, Any]:
    from graticule.cli.progress import tiles
    from graticule.workflows.predict_files import predict_file

    with tiles(voice, file.name) as progress:
        done = predict_file(file, job, progress)
    found = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    voice.show(f"{done.image}: {found}  ({done.seconds:.1f} s)  {done.folder}/")
    return {"image": str(file), "out": str(done.folder), "counts": dict(done.counts), "seconds": done.seconds}


def _plan(voice: Voice, file: Path, job: Job) -> dict[str, Any]:
    from graticule.workflows.predict_files import plan_file

    image, plan = plan_file(file, job)
    size = " x ".join(map(str, image.shape))
    voice.show(f"{file}: {size} voxels of {' x '.join(f'{s:.6g}' for s in image.spacing_um)} µm; {plan}")
    return {"image": str(file), "shape": image.shape, "spacing_um": image.spacing_um, "tiles": len(plan.tiles)}
