"""``graticule evaluate DATASET --model M -o DIR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from graticule.cli.options import COMMON, Channel, Common, Device, PointsUnit, SpacingUm

if TYPE_CHECKING:
    from graticule.checkpoint import Checkpoint
    from graticule.cli.voice import Voice
    from graticule.example import Example
    from graticule.workflows.evaluate import Evaluation
    from graticule.workflows.evaluate_labels import LabelEvaluation


def evaluate(
    dataset: Path,
    /,
    *,
    model: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    patches: Annotated[bool, Parameter(negative=())] = False,
    threshold: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True, negative=())] = None,
    tta: Annotated[bool, Parameter(negative=())] = False,
    allow_seen: Annotated[bool, Parameter(negative=())] = False,
    device: Device = "auto",
    spacing_um: SpacingUm = None,
    channel: Channel = None,
    points_unit: PointsUnit = None,
    common: Common = COMMON,
) -> None:
    """Say how right a model is on the annotated images in DATASET, which it must not have seen.

    An object counts as found if exactly one finding of its class lies close enough (the model's match_nm); outlines are
    compared voxel by voxel (Dice, Jaccard); an object that is proposed with an outline is met if exactly one proposal
    agrees with it at least roughly (a fifth of what either covers); an object that is outlined by itself counts as found if
    a found one covers more than half of what either covers. Where the annotation is not complete (outside
    masks/), nothing counts as false.

    Parameters
    ----------
    dataset
        A folder: images/NAME.tif, points/NAME.csv or labels/NAME.tif, perhaps masks/NAME.tif and dataset.yaml.
    model
        A model file made by graticule train; several of the same classes are averaged. Or the name of a method that
        needs no training: tissue-texture.
    out
        Folder for scores.json, scores.csv, the precision-recall curve, and a picture of every image with what was
        right, false and missed.
    patches
        Of outlines: also write what was found and what is true, patch by patch (TIFF), and the mean over patches.
    threshold
        Confidence from which an object counts, in place of the model's own: one number, or one for each class.
    tta
        Average over turned and mirrored views: eight times slower, a little more accurate.
    allow_seen
        Score images that the model learnt from, too, and those that dataset.yaml has for learning. Such figures say
        nothing about new images.
    """
    from graticule.cli.voice import Voice
    from graticule.io.dataset import load
    from graticule.workflows.evaluate import as_plain, doubts, refuse_seen, write_evaluation
    from graticule.workflows.evaluate import evaluate as run
    from graticule.workflows.examples import examples_for
    from graticule.workflows.parts import not_for_test
    from graticule.workflows.predict import is_outlining, joint_task
    from graticule.workflows.predict_files import load_models
    from graticule.workflows.provenance import about_dataset, about_model
    from graticule.workflows.results import check_result_folder

    voice = Voice(common)
    if out is not None:
        check_result_folder(out)
    models = load_models(model, threshold or ())
    learnt = () if allow_seen else not_for_test(dataset)
    read = load(dataset, without=learnt, spacing_um=spacing_um, channel=channel, points_unit=points_unit)
    if learnt:
        voice.say(f"judged on the dataset's test part only; for learning it has {', '.join(learnt)}")
    task = joint_task(models)
    examples = examples_for(task, read)
    files = [about_model(path) for path in model]
    how = {"tta": tta, "seed": common.seed, "allow_seen": allow_seen}
    facts = {"models": files, **about_dataset(dataset, read), **how}
    if is_outlining(task):
        if not allow_seen:
            refuse_seen(models, examples)
        plain = _of_labels(voice, models, examples, out, facts, tta=tta, device=device, patches=patches)
    else:
        done = run(models, examples, tta=tta, device=device, allow_seen=allow_seen, say=voice.say)
        if out is not None:
            write_evaluation(done, out, facts)
        show(voice, done)
        if doubt := doubts(done):
            voice.show(doubt)
        plain = as_plain(done)
    if out is not None:
        voice.show(f"written to {out}/")
    voice.finish({**plain, "out": None if out is None else str(out)})


def _of_labels(
    voice: Voice,
    models: Sequence[Checkpoint],
    examples: Sequence[Example],
    out: Path | None,
    facts: Mapping[str, Any],
    *,
    tta: bool,
    device: str,
    patches: bool,
) -> dict[str, Any]:
    from graticule.workflows import evaluate_labels as of_labels

    done = of_labels.evaluate_labels(models, examples, tta=tta, device=device, say=voice.say)
    if out is not None:
        patch = done.task.recipe.patch if patches else ()  # type: ignore[attr-defined]
        of_labels.write_label_evaluation(done, out, facts, patch=patch)
    show_labels(voice, done)
    return of_labels.as_plain(done)


def show_labels(voice: Voice, done: LabelEvaluation) -> None:
    """A line for every class of every image, then all images together; of single objects, what became of them."""
    from graticule.workflows.evaluate_labels import rows

    if "event_f1" in done.pooled:
        _show_events(voice, done)
        return
    if "object_f1" in done.pooled:
        _show_objects(voice, done)
        return
    head = ("image", "class", "Dice", "Jaccard", "precision", "recall", "right", "false", "missed")
    lines = []
    for image, name, figures in rows(done):
        cells = [f"{figures[key]:.4f}" if key in figures else "" for key in ("dice", "jaccard", "precision", "recall")]
        counts = [f"{figures[key]:.0f}" for key in ("tp", "fp", "fn")]
        lines.append((image or "all images", name or "all", *cells, *counts))
    voice.table(head, lines)


def _show_events(voice: Voice, done: LabelEvaluation) -> None:
    head = ("image", "events", "met", "false", "recall", "precision", "F1", "touched", "Dice")
    keys = ("event_recall", "event_precision", "event_f1", "touched", "dice")
    lines = []
    for image, scores in (*done.by_image.items(), ("all images", done.pooled)):
        counts = [f"{scores[key]:.0f}" for key in ("events", "met", "false")]
        lines.append((image, *counts, *(f"{scores[key]:.3f}" for key in keys)))
    voice.table(head, lines)
    s = done.pooled
    voice.show(
        f"{s['false_per_image']:.2f} false proposals per image; of {s['events']:.0f} events {s['untouched']:.1%} are not "
        f"touched, {s['covered_10']:.1%} covered by at least 10 %, {s['covered_40']:.1%} by more than 40 %, "
        f"{s['covered_80']:.1%} by more than 80 %"
    )


def _show_objects(voice: Voice, done: LabelEvaluation) -> None:
    head = ("image", "met", "false", "split", "merged", "F1", "F1 .75", "AP", "PQ", "nm", "Dice")
    keys = ("object_f1", "object_f1_75", "ap", "pq")
    lines = []
    for image, scores in (*done.by_image.items(), ("all images", done.pooled)):
        met = f"{scores['objects_met']:.0f}/{scores['objects_true']:.0f}"
        counts = [f"{scores[key]:.0f}" for key in ("objects_false", "splits", "merges")]
        apart = f"{scores['boundary_nm']:.1f}" if "boundary_nm" in scores else ""
        lines.append((image, met, *counts, *(f"{scores[key]:.3f}" for key in keys), apart, f"{scores['dice']:.3f}"))
    voice.table(head, lines)
    voice.show(
        "Objects agree above an IoU of 0.5 (F1 .75: of 0.75); nm: between outlines, on average; Dice: of voxels."
    )


def show(voice: Voice, done: Evaluation) -> None:
    """A line for every image, then all images together, class by class."""
    from graticule.workflows.evaluate import rows

    head = ("image", "class", "precision", "recall", "F1", "AP", "right", "false", "missed")
    several = len(done.classes) > 1
    lines = []
    for image, name, figures in rows(done):
        if not (name == "" if several and image else name or several):
            continue  # single classes of single images are in scores.csv
        ratios = [f"{figures[key]:.3f}" if key in figures else "" for key in ("precision", "recall", "f1", "ap")]
        counts = [f"{figures[key]:.0f}" for key in ("tp", "fp", "fn")]
        lines.append((image or "all images", name or "all", *ratios, *counts))
    voice.table(head, lines)
