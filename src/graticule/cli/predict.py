"""``graticule predict IMAGE… --model M -o DIR``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    set_: Annotated[
        list[str] | None, Parameter(name="--set", consume_multiple=True, negative=(), allow_leading_hyphen=False)
    ] = None,
    tta: Annotated[bool, Parameter(negative=())] = False,
    memory: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    axes: Axes = None,
    common: Common = COMMON,
) -> int:
    """Find what a model was made for, in your images.

    Each image's results lie in OUT/NAME. Of objects: objects.csv (every one with its place in pixels and µm, class and
    confidence) and objects.zip (the same as ImageJ selections). Of outlines: mask.tif and confidence.tif or, of a
    volume, confidence.ome.zarr with the labels inside. Always overlay.png and run.json (how they were made). An image
    that cannot be read is reported, and the others are done.

    Parameters
    ----------
    images
        Image files, folders of them, or addresses: see graticule info --help for the formats. A place inside a file is
        named after a colon: volume.zarr:/0, volume.h5:/data.
    model
        A model file made by graticule train; several of the same classes are averaged. Or the name of a method that
        needs no training: tissue-texture.
    out
        Folder for the results; needed unless --dry-run. Earlier results of the same images are replaced.
    mask
        Look only where this image is not 0: blocks without any of it are skipped. It may be coarser than the image. For
        several images, a folder with a mask of each name, or results of an earlier run that outlined something.
    mask_margin_nm
        Also keep objects up to this far outside the mask.
    threshold
        Confidence from which an object counts, in place of the model's own: one number, or one for each class.
    tta
        Average over turned and mirrored views: eight times slower, a little more accurate.
    set_
        Other settings than the model's own, as NAME=VALUE: all of a method without training, e.g. block_size=32; of a
        trained model what becomes of its confidences, e.g. grow_um=0.2.
    memory
        What the program may take at its peak, e.g. 2GB: blocks are made to fit.
    resume
        Go on with a run that was stopped: same command, plus this. Images that it had finished are left as they are.
    dry_run
        Only say what would be done: blocks, memory, room on disk, time (one block is computed to measure it).
    """
    from graticule.cli.voice import Voice
    from graticule.errors import FormatError
    from graticule.workflows.budget import bytes_of
    from graticule.workflows.predict_files import Job, Reading, check_job, image_files, load_models

    voice = Voice(common)
    if not images:
        raise FormatError("found no image to look at; name some: graticule predict IMAGE… --model MODEL -o DIR")
    if out is None and not dry_run:
        raise FormatError("found no --out; need a folder for the results; add e.g. -o found")
    files = image_files(images)
    job = Job(
        models=load_models(model, threshold or (), set_ or ()),
        files=tuple(model),
        out=out or Path(),
        reading=Reading(spacing_um=spacing_um, channel=channel, axes=axes),
        mask=mask,
        mask_margin_nm=mask_margin_nm,
        tta=tta,
        device=device,
        seed=common.seed,
        memory=None if memory is None else bytes_of(memory),
        resume=resume,
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
        others = "; the others were" if done else ""
        voice.complain(f"{len(failed)} of {len(files)} images could not be done{others}")
    voice.finish({"images": done, "failed": failed})
    return 2 if failed else 0


def _predict(voice: Voice, file: Path, job: Job) -> dict[str, Any]:
    from graticule.cli.progress import tiles
    from graticule.inference.store import begun
    from graticule.io import image_name
    from graticule.workflows.predict_files import predict_file
    from graticule.workflows.results import unfinished

    left = unfinished(job.out / image_name(file))
    if begun(left) and not job.resume:
        voice.say(f"found {left} of a run that was stopped; beginning anew (--resume would have gone on)")
    with _stoppable(voice, left), tiles(voice, file.name) as progress:
        done = predict_file(file, job, progress)
    voice.show(f"{done.image}: {done.said}  ({done.seconds:.1f} s)  {done.folder}/")
    return {"image": str(file), "out": str(done.folder), "counts": dict(done.counts), "seconds": done.seconds}


@contextmanager
def _stoppable(voice: Voice, left: Path) -> Iterator[None]:
    """Who stops a run with Ctrl-C is told what is kept, and how to go on."""
    from graticule.inference.store import begun

    try:
        yield
    except KeyboardInterrupt:
        if begun(left):
            voice.say(f"what is done is kept in {left}; the same command with --resume goes on")
        raise


def _plan(voice: Voice, file: Path, job: Job) -> dict[str, Any]:
    from dataclasses import asdict

    from graticule.cli.progress import clock
    from graticule.inference.plan import MB
    from graticule.workflows.predict_files import plan_file

    image, plan, takes = plan_file(file, job)
    size = " x ".join(map(str, image.shape))
    voice.show(f"{file}: {size} voxels of {' x '.join(f'{s:.6g}' for s in image.spacing_um)} µm; {plan}")
    memory = f"{takes.peak_bytes / MB:,.0f} MB of memory at the peak, " if takes.peak_bytes else ""
    disk = f"at most {takes.output_bytes / MB:,.0f} MB on disk, " if takes.output_bytes else ""
    voice.show(f"  {len(plan.blocks)} block(s), {plan.workers} at once: {memory}{disk}about {clock(takes.seconds)}")
    return {
        "image": str(file),
        "shape": image.shape,
        "spacing_um": image.spacing_um,
        "tiles": len(plan.tiles),
        "blocks": len(plan.blocks),
        **asdict(takes),
    }
