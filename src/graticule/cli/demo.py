"""``graticule demo [TASK]``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from graticule.cli.options import COMMON, Common, Device

if TYPE_CHECKING:
    from graticule.cli.voice import Voice
    from graticule.workflows.demo import Demo


def demo(
    task: str = "beads",
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("demo"),
    device: Device = "auto",
    common: Common = COMMON,
) -> None:
    """See it work, on images made for it: simulate, train, predict and evaluate; a few minutes on any laptop.

    Parameters
    ----------
    task
        What to find.
    out
        Folder for images, model, results and pictures; an earlier demo there is replaced.
    """
    from graticule.cli.progress import clock, epochs
    from graticule.cli.voice import Voice
    from graticule.workflows.demo import demo as run
    from graticule.workflows.evaluate import as_plain

    voice = Voice(common)
    with ExitStack() as stack:
        done = run(
            task,
            out,
            seed=common.seed,
            device=device,
            say=voice.say,
            watch=lambda total: stack.enter_context(epochs(voice, total)),
        )
    _show(voice, done)
    voice.show(f"all in {clock(done.seconds)} minutes")
    baseline = None if done.baseline is None else as_plain(done.baseline)
    facts = {"out": str(out), "seconds": done.seconds, "evaluation": as_plain(done.evaluation), "baseline": baseline}
    voice.finish(facts)


def _show(voice: Voice, done: Demo) -> None:
    from graticule.cli.evaluate import show

    voice.show("\nOn images that the model has never seen:\n")
    show(voice, done.evaluation)
    if done.baseline is not None:
        ours, theirs = done.evaluation.pooled["f1"], done.baseline.pooled["f1"]
        voice.show(f"\nF1 {ours:.3f}; a Laplacian of Gaussian tuned on the same images: {theirs:.3f}")
    for line in _what_next(done.out):
        voice.show(line)


def _what_next(out: Path) -> Iterator[str]:
    yield "\nLook at:"
    yield f"  {out}/evaluation/         every held-out image with what was right, false and missed; figures; curve"
    yield f"  {out}/found/NAME/         overlay.png, objects.csv, run.json, as predict leaves them"
    yield f"  {out}/training.png        how the model learnt"
    yield f"  {out}/learn/              what a dataset looks like: images/, points/, dataset.yaml"
    yield "\nNext, with images of your own (graticule COMMAND --help explains all settings):"
    yield "  graticule info my-images/*.tif"
    yield "  graticule check my-dataset"
    yield "  graticule train beads my-dataset -o my-model.safetensors"
    yield "  graticule predict my-images/*.tif --model my-model.safetensors -o found"
