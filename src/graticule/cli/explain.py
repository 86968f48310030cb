"""``graticule explain IMAGE --model M -o DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from graticule.cli.options import COMMON, Axes, Channel, Common, Device, Out, SpacingUm


def explain(
    image: Path,
    /,
    *,
    model: Path,
    out: Annotated[Out, Parameter(help="Folder for the results, which lie in OUT/NAME; earlier ones are replaced.")],
    objects: int = 5,
    at: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = (),
    baseline: Literal["zero", "blurred"] = "zero",
    steps: int = 32,
    patch_px: int = 0,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    axes: Axes = None,
    common: Common = COMMON,
) -> None:
    """What a trained model's answers hang on: maps for some of the objects it finds in IMAGE.

    Integrated gradients, occlusion and Grad-CAM of each object, by Captum, as pictures (object-1.png …), as arrays in
    logits (TIFF), and on one page, reasons.html, with the first layer's filters, the most active features, and what such
    maps can and cannot show. One window at a time: the image may be of any size.

    Parameters
    ----------
    image
        An image file: see graticule info --help for the formats.
    model
        A model file made by graticule train.
    objects
        How many of the objects found: half of them the most certain ones, half the least.
    at
        Places instead, in µm, y x (z y x of a volume), one after the other: the object there or, where nothing was found,
        that voxel: why not?
    baseline
        What stands for nothing being there: zero (as beyond an image's edge), or the window itself, blurred.
    steps
        Of integrated gradients; more are slower, and add up better.
    patch_px
        Side of the patch that occlusion takes away, in voxels of the model's own size. 0: an eighth of the window, in
        volumes a quarter.
    """
    from graticule.cli.voice import Voice
    from graticule.errors import SettingsError
    from graticule.nets.explainer import Effort
    from graticule.workflows.explain import REASONS, Question, explain_file
    from graticule.workflows.predict_files import Reading

    voice = Voice(common)
    if steps < 2 or patch_px < 0:
        raise SettingsError(
            f"found --steps {steps} and --patch-px {patch_px}; need 2 steps or more, and no patch below 0"
        )
    question = Question(
        objects=objects,
        at_um=at,
        effort=Effort(steps=steps, patch=patch_px, baseline=baseline, seed=common.seed),
        device=device,
    )
    reading = Reading(spacing_um=spacing_um, channel=channel, axes=axes)
    folder, told = explain_file(image, model, out, question, reading, say=voice.say)
    voice.show(f"{folder / REASONS}: {len(told)} explained")
    voice.finish(
        {
            "out": str(folder),
            "objects": [
                {
                    "class": one.kind,
                    "why": one.why,
                    "position_um": one.position_um,
                    "confidence": one.confidence,
                    **one.figures,
                }
                for one in told
            ],
        }
    )
