"""A page about a run: what was found, how sure that is, what it was made with, and a paragraph for the paper.

It is made from the run's own folder, so it can be made again at any time, also after a review.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import graticule
from graticule.errors import FormatError, GraticuleError
from graticule.image import Array, Image
from graticule.io.atomic import replacing
from graticule.report.confidence import calibration, draw_calibration, draw_confidences
from graticule.report.gallery import crops
from graticule.report.page import Copied, Gallery, Page, Part, Picture, Section, Table, Text, Warnings, facts, render
from graticule.report.png import shrunk
from graticule.results import Points
from graticule.review import Estimate
from graticule.review.agreement import agreements
from graticule.review.item import as_points
from graticule.statistics.intervals import poisson
from graticule.tasks import LABEL_FREE, TASKS
from graticule.workflows.collect import reach_um
from graticule.workflows.results import ERRORS, MARK, VERDICTS, WORST
from graticule.workflows.review import TABLE, Reviewed, load_result, result_of, results_in, reviews

REPORT, FOLDS = "report.html", "summary.json"
LONGEST_PX = 1600
SHOWN = 14
"""Objects of each end in the gallery."""
UNSURE = 0.1
"""Confidences this near a threshold are called unsure."""
NAMES = {
    "tp": "right",
    "fp": "false",
    "fn": "missed",
    "f1": "F1",
    "ap": "AP",
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "iou": "IoU",
    "um": "µm",
    "um2": "µm²",
    "um3": "µm³",
}
COUNTS = ("tp", "fp", "fn", "objects_true", "objects_met", "objects_false", "splits", "merges")
WIDEST = 12
"""Columns of a table of scores; of more, figures become rows."""
MOST_OVERLAYS = 12
UNITS = ("_um", "_um2", "_um3")
MOST_ROWS = 20
"""Of the table of the worst objects."""
LARGEST_TABLE = 100_000_000
"""Bytes: about a million objects."""
DIAMETERS_SHOWN = 5
PIXELS_SHOWN = 48

PARTS = {
    "PyTorch": "torch",
    "MONAI": "monai",
    "NumPy": "numpy",
    "SciPy": "scipy",
}


def write_report(folder: Path, *, name: str = "", image: Image | None = None) -> Path:
    """``report.html`` in a folder that predict, evaluate or cross-validate wrote; the whole page or none.

    `name` is what the folder will be called, and `image` what was predicted on, where they are at hand; else the image is
    opened again, and has to be the same.
    """
    path = folder / REPORT
    page = page_of(folder, name=name, image=image)
    with replacing(path) as aside:
        aside.write_text(render(page), encoding="utf-8")
    return path


def runs_in(folder: Path) -> list[Path]:
    """`folder` itself, or where it holds several images' predictions, each of these."""
    if (folder / MARK).is_file() or (folder / FOLDS).is_file():
        return [folder]
    return results_in(folder)


def page_of(folder: Path, *, name: str = "", image: Image | None = None) -> Page:
    """The page about a run; see `write_report`."""
    name = name or folder.resolve().name
    if (folder / FOLDS).is_file():
        return _of_folds(_json(folder / FOLDS), name)
    run = _json(folder / MARK) if (folder / MARK).is_file() else {}
    if run.get("command") == "predict":
        return _of_prediction(folder, run, name, image)
    if run.get("command") == "evaluate":
        return _of_evaluation(folder, run, name)
    raise FormatError(
        f"{folder}: found no run to report on; need the folder of one image's prediction (OUT/NAME), of an evaluation, or of "
        "a cross-validation; give one"
    )


# -- predictions -------------------------------------------------------------------------------------------------------


def _of_prediction(folder: Path, run: dict[str, Any], name: str, image: Image | None) -> Page:
    counts = {str(kind): int(count) for kind, count in run.get("counts", {}).items()}
    reviewed, refusal = _reviewed(folder, run, image)
    found = None if reviewed is None else _points(reviewed)
    objects = (folder / TABLE).is_file()
    parts = [
        Section("What was found", (_counted(run, counts, objects), *_overlay(folder, name))),
        *_sureness(run, found),
        *_gallery(reviewed, found, run),
        *_expert(reviewed),
    ]
    cautions = _cautions(run, counts, found) + refusal
    if cautions:
        parts.insert(1, Section("Before you use these numbers", (Warnings(tuple(cautions)),)))
    total = "nothing" if not any(counts.values()) else ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    return Page(
        f"{name}: {run.get('task', '')}",
        f"Found: {total}{'' if objects else ' voxels'}.",
        (*parts, _made(run), _methods(run)),
    )


def _reviewed(folder: Path, run: Mapping[str, Any], image: Image | None) -> tuple[Reviewed | None, list[str]]:
    """The result with its image; without objects there is nothing to show, and a missing image is said."""
    table = folder / TABLE
    if not table.is_file():
        return None, []
    if table.stat().st_size > LARGEST_TABLE:
        return None, [f"There are too many objects to show single ones here; they are in {TABLE}."]
    try:
        return (load_result(folder) if image is None else result_of(folder, run, image, {})), []
    except GraticuleError as error:
        return None, [f"Single objects are not shown: {error}"]


def _points(reviewed: Reviewed) -> Points:
    return as_points(reviewed.proposals.items, reviewed.proposals.kinds, reviewed.image.ndim)


def _counted(run: Mapping[str, Any], counts: Mapping[str, int], objects: bool) -> Part:
    about = run["image"]
    spacing = tuple(float(s) for s in about["spacing_um"])
    shape = tuple(int(n) for n in about["shape"])[-len(spacing) :]
    size = prod(n * s for n, s in zip(shape, spacing, strict=True))
    unit = f"µm{'²' if len(spacing) == 2 else '³'}"
    if not objects:
        voxels = prod(run["plan"]["shape"])
        measured = prod(run["plan"]["spacing_um"])
        sizes = [(kind, f"{n * measured:.5g}", f"{n / voxels:.2%}") for kind, n in counts.items()]
        return Table(("class", f"size ({unit})", "share of the image"), tuple(sizes))
    rows = [(kind, f"{n:,}", *_density(n, size)) for kind, n in counts.items()]
    if len(rows) > 1:
        total = sum(counts.values())
        rows.append(("all", f"{total:,}", *_density(total, size)))
    searched = (
        "the whole image" if not run.get("mask") else "the whole image, of which a mask let only a part be searched"
    )
    caption = (
        f"Density over {searched} ({size:.5g} {unit}); in brackets the 95 % interval if objects lay independently of one "
        "another (Poisson): chance alone, not errors of the method."
    )
    return Table(("class", "objects", f"per {unit}", "interval"), tuple(rows), caption)


def _density(count: int, size: float) -> tuple[str, str]:
    low, high = poisson(count)
    return f"{count / size:.4g}", f"({low / size:.4g} to {high / size:.4g})"


def _overlay(folder: Path, name: str) -> tuple[Part, ...]:
    path = folder / "overlay.png"
    if not path.is_file():
        return ()
    picture = shrunk(path.read_bytes(), LONGEST_PX)
    return (Picture(picture, "png", f"{name} with what was found marked", "The full picture is overlay.png."),)


def _thresholds(run: Mapping[str, Any]) -> dict[str, float]:
    return {str(kind): float(value) for kind, value in (run.get("thresholds") or {}).items()}


def _sureness(run: Mapping[str, Any], found: Points | None) -> tuple[Section, ...]:
    if found is None or not len(found):
        return ()
    by_class = {name: found.of_kind(name).confidence for name in found.kinds}
    drawn = draw_confidences(by_class, _thresholds(run))
    words = [_chosen(run), _steady(found)]
    alt = "histogram of the confidences of all objects, by class"
    return (
        Section(
            "How sure the method is",
            (Picture(drawn, "svg+xml", alt, "Dashed: where objects begin to count."), Text(tuple(filter(None, words)))),
        ),
    )


def _chosen(run: Mapping[str, Any]) -> str:
    """Where thresholds come from."""
    thresholds = ", ".join(f"{value:g} for {kind}" for kind, value in _thresholds(run).items())
    if not thresholds:
        return ""
    chosen_on = sorted({name for model in run.get("models", ()) for name in _held_out(model)})
    if not chosen_on:
        return f"Threshold: {thresholds}; no images were held out to choose it on."
    return (
        f"Threshold: {thresholds}; chosen where the score was best on {len(chosen_on)} annotated images that the model did "
        f"not learn from ({', '.join(chosen_on[:6])}{' …' if len(chosen_on) > 6 else ''})."
    )


def _held_out(model: Mapping[str, Any]) -> list[str]:
    """Images that chose the threshold and were not learnt from: none where a model learnt from all there were."""
    return [name for name in model.get("chosen_on", ()) if name not in model.get("learnt_from", ())]


def _steady(found: Points) -> str:
    """How much the count would change with the threshold."""
    steps = [t for t in (0.5, 0.6, 0.7, 0.8, 0.9) if t > found.confidence.min()]
    if not steps:
        return ""
    said = ", ".join(f"{int((found.confidence >= t).sum()):,} at {t:g}" for t in steps)
    return f"With the threshold elsewhere, {len(found):,} would become {said}."


def _gallery(reviewed: Reviewed | None, found: Points | None, run: Mapping[str, Any]) -> tuple[Section, ...]:
    if reviewed is None or found is None or not len(found):
        return ()
    order = np.argsort(found.confidence, kind="stable")
    ends = [("Least certain", order[:SHOWN]), ("Most certain", order[::-1][:SHOWN])]
    if len(found) <= SHOWN:
        ends = [("All objects, the least certain first", order)]
    view = _view_um(reviewed)
    parts = [
        Gallery(crops(reviewed.image, found.position_um[which], _captions(found, which), view_um=view), f"{title}:")
        for title, which in ends
    ]
    return (Section("A look at single objects", tuple(parts)),)


def _view_um(reviewed: Reviewed) -> float:
    diameter = max(reviewed.diameters_um.values(), default=0.0)
    finest = min(reviewed.image.spacing_um)
    if reviewed.proposals.labels is not None:
        return 2 * PIXELS_SHOWN * finest
    return DIAMETERS_SHOWN * diameter if diameter else PIXELS_SHOWN * finest


def _captions(found: Points, which: Array) -> list[str]:
    return [f"{n + 1} · {found.kinds[int(found.kind[n])]} · {found.confidence[n]:.2f}" for n in which]


def _cautions(run: Mapping[str, Any], counts: Mapping[str, int], found: Points | None) -> list[str]:
    """What makes this run's numbers less than they look."""
    lines = []
    own, worked = run["image"]["spacing_um"], run.get("plan", {}).get("spacing_um", ())
    factors = [w / s for w, s in zip(worked, own, strict=False)]
    # By the mean of the axes: voxels may be cubes to the model that are none in the image.
    if not 0.5 ** len(factors) <= np.prod(factors) <= 2 ** len(factors) and run.get("task") in TASKS:
        lines.append(
            f"The image's voxels ({_sizes(own)} µm) differ more than twofold from those the model works at "
            f"({_sizes(worked)} µm): the image was resampled. Is the voxel size right?"
        )
    if not any(counts.values()):
        lines.append(
            "Nothing was found. That is a result, but look at the image: is it of the kind the model learnt from, and is its "
            "voxel size right?"
        )
    if found is not None and len(found):
        edges = np.array([_thresholds(run).get(found.kinds[int(k)], 0.0) for k in found.kind])
        unsure = float(np.mean(found.confidence < edges + UNSURE)) if edges.any() else 0.0
        if unsure > 0.2:
            lines.append(
                f"{unsure:.0%} of the objects are within {UNSURE:g} of the threshold: the count depends on where it is set. "
                "Review some of them: graticule review."
            )
    if any("file" in model and model.get("score") is None for model in run.get("models", ())):
        lines.append("The model carries no score on images held out from its training: how good it is, is not known.")
    return lines


def _sizes(values: Sequence[float]) -> str:
    return " × ".join(f"{float(v):.4g}" for v in values)


def _expert(reviewed: Reviewed | None) -> tuple[Section, ...]:
    """What reviewers decided, and what that proves."""
    sessions = [] if reviewed is None else [s for s in reviews(reviewed) if s.last is not None]
    if reviewed is None or not sessions:
        return ()
    head = ("reviewer", "accepted", "rejected", "open", "precision", "missed objects", "recall")
    rows = []
    for session in sessions:
        now, audit = session.progress, session.audit
        estimates = (_said(audit.precision, "{:.1%}"), _said(audit.missed, "{:.0f}"), _said(audit.recall, "{:.1%}"))
        rows.append((session.who, f"{now.accepted}", f"{now.rejected}", f"{now.open}", *estimates))
    caption = (
        "Precision and missed objects are estimated from the random part of each review alone, with 95 % intervals; what was "
        "shown because it looked doubtful does not bias them."
    )
    parts: list[Part] = [Table(head, tuple(rows), caption)]
    if len(sessions) > 1:
        pairs = agreements(sessions, reach_um(reviewed))
        told = tuple((" and ".join(p.reviewers), f"{p.judged}", f"{p.kappa:.2f}", f"{p.f1:.3f}") for p in pairs)
        parts.append(Table(("reviewers", "both judged", "Cohen's κ", "F1 between them"), told))
    return (Section("What experts say", tuple(parts)),)


def _said(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return "not known yet"
    value, low, high = (form.format(v) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high}), {estimate.seen} of {estimate.whole} seen"


# -- evaluations -------------------------------------------------------------------------------------------------------


def _of_evaluation(folder: Path, run: dict[str, Any], name: str) -> Page:
    scores = _json(folder / "scores.json")
    pooled, classes = scores["pooled"], scores["classes"]
    figure = "f1" if "f1" in pooled else "dice"
    said = f"{figure.capitalize()} {pooled[figure]:.3f}" if figure in pooled else "No figure"
    if "object_f1" in pooled:
        said = f"Object F1 {pooled['object_f1']:.3f} at IoU 0.5, {said}"
    parts = [
        Section(
            "How right it is",
            (_scored(folder / "scores.csv"), *_pictures(folder, ("precision_recall.png", "froc.png"))),
        ),
        *_calibrated(folder),
        *_errors(folder),
    ]
    cautions = []
    if run.get("allow_seen"):
        cautions.append("The model may have learnt from some of these images: do not quote these figures.")
    right, missed = int(pooled.get("tp", 0)), int(pooled.get("fn", 0))
    if figure == "f1" and right + missed < 50:
        cautions.append(
            f"Only {right + missed} annotated objects were judged: figures may differ much on the next images."
        )
    if cautions:
        parts.insert(1, Section("Before you use these numbers", (Warnings(tuple(cautions)),)))
    title = f"{scores.get('task', '')} on {run.get('dataset', {}).get('name', name)}"
    summary = f"{said} over {len(scores['images'])} images, {', '.join(classes)}."
    return Page(title, summary, (*parts, _made({**run, "task": scores.get("task")}), _methods({**run, **scores})))


def _scored(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    cells = [tuple(map(_titled, head)), *(tuple(map(_rounded, row)) for row in rows)]
    if len(head) > WIDEST > len(cells):  # a line for each figure, rather than columns that no page has room for
        cells = list(zip(*cells, strict=True))
    return Table(cells[0], tuple(cells[1:]))


def _titled(name: str) -> str:
    """A column's name for people: ``true_um3`` is true µm³."""
    words = name.split("_") if name.startswith(("object", "boundary")) or name.endswith(UNITS) else [name]
    return " ".join(NAMES.get(word, word) for word in words)


def _rounded(cell: str) -> str:
    """Four digits after the point say all there is to say; counts stay as they are."""
    try:
        return cell if float(cell).is_integer() else f"{float(cell):.4f}"
    except ValueError:
        return cell


def _pictures(folder: Path, names: Sequence[str]) -> tuple[Part, ...]:
    present = [folder / name for name in names if (folder / name).is_file()]
    return tuple(
        Picture(shrunk(path.read_bytes(), LONGEST_PX), "png", path.stem.replace("_", " ") + " curve")
        for path in present
    )


def _calibrated(folder: Path) -> tuple[Section, ...]:
    path = folder / VERDICTS
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        judged = [row for row in csv.DictReader(file) if row["verdict"] in ("right", "false")]
    if not judged:
        return ()
    confidence = np.array([float(row["confidence"]) for row in judged])
    found = calibration(confidence, np.array([row["verdict"] == "right" for row in judged]))
    words = (
        f"On average the confidence of the {len(judged):,} candidates differs by {found.error:.2f} from the share of them that "
        "is right (expected calibration error). Above the diagonal findings are right more often than their confidence says, "
        "below it less often."
    )
    drawn = draw_calibration(found)
    return (
        Section(
            "Is its confidence a probability?",
            (Picture(drawn, "svg+xml", "share of findings that is right, by confidence"), Text((words,))),
        ),
    )


def _errors(folder: Path) -> tuple[Section, ...]:
    parts: list[Part] = [*_worst(folder / WORST)]
    outlined = " Blue is the outline of what was found, orange that of what is true." if parts else ""
    first = "the largest first" if parts else "the surest first"
    titles = {"false": f"Found, but false, {first}:", "missed": "Missed:", "merged": "Merged:", "split": "Split:"}
    for verdict, title in titles.items():
        files = sorted((folder / ERRORS).glob(f"{verdict}-*.png"))
        if files:
            parts.append(Gallery(tuple(_error(path) for path in files), f"{title}{outlined}"))
    pictures = sorted((folder / "overlays").glob("*.png"))
    parts += [
        Picture(shrunk(path.read_bytes(), LONGEST_PX), "png", f"{path.stem} with errors marked", path.stem)
        for path in pictures[:MOST_OVERLAYS]
    ]
    if len(pictures) > MOST_OVERLAYS:
        parts.append(Text((f"{len(pictures) - MOST_OVERLAYS} more are in overlays/.",)))
    return (Section("Where it is right, false, and where it missed", tuple(parts)),) if parts else ()


def _worst(path: Path) -> tuple[Part, ...]:
    """The objects that are furthest from right."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    wrong = [row for row in rows if row[head.index("verdict")] != "found"]
    shown = tuple(tuple(row) for row in (wrong or rows)[:MOST_ROWS])
    caption = f"{len(wrong)} of {len(rows)} objects are not simply found; the worst of them, all are in {path.name}."
    return (Table(tuple(map(_titled, head)), shown, caption),)


def _error(path: Path) -> Picture:
    """Its name says what it is: ``false-01 image class confidence.png``."""
    _, _, said = path.stem.partition(" ")
    return Picture(path.read_bytes(), "png", path.stem, said)


# -- cross-validation --------------------------------------------------------------------------------------------------


def _of_folds(told: dict[str, Any], name: str) -> Page:
    sections, values = [], []
    for one in told["runs"]:
        figure = "f1" if "f1" in one["folds"][0]["scores"] else "dice"
        names = (figure, "precision", "recall", "tp", "fp", "fn")
        rows = [(" ".join(f["held_out"]), *_cells(f["scores"], names), *_base(f, figure)) for f in one["folds"]]
        rows += [(f"pooled, {kind}", *_cells(each, ("f1", *names[1:])), "") for kind, each in one["pooled"].items()]
        head = ("held out", figure.capitalize(), "precision", "recall", "right", "false", "missed", "baseline")
        tables = (Table(head, tuple(rows)), *_objects_of_folds(one["folds"]))
        sections.append(Section(f"Every fold, seed {one['seed']}", tables))
        values.append(one["pooled"]["all"]["f1"])
    spread = f" (seeds: {min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ", one seed"
    return Page(
        f"{told.get('dataset', name)}: each specimen held out once",
        f"Pooled over all folds: {np.mean(values):.3f}{spread}. Thresholds and the end of training were chosen within folds.",
        (*sections,),
    )


def _objects_of_folds(folds: Sequence[Mapping[str, Any]]) -> tuple[Table, ...]:
    """Where single objects are judged: what became of them in every fold."""
    if not all("object_f1" in fold["scores"] for fold in folds):
        return ()
    names = (
        "object_f1",
        "object_f1_75",
        "ap",
        "pq",
        "objects_true",
        "objects_met",
        "objects_false",
        "splits",
        "merges",
    )
    head = ("held out", *map(_titled, names))
    rows = tuple((" ".join(fold["held_out"]), *_cells(fold["scores"], names)) for fold in folds)
    return (Table(head, rows, "Single objects; a pair agrees above an IoU of 0.5, at 75 of 0.75."),)


def _cells(scores: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return ["" if scores.get(n) is None else f"{scores[n]:.{0 if n in COUNTS else 3}f}" for n in names]


def _base(fold: Mapping[str, Any], figure: str) -> list[str]:
    return _cells(fold.get("baseline") or {}, (figure,))


# -- how it was made ---------------------------------------------------------------------------------------------------


def _made(run: Mapping[str, Any]) -> Section:
    image, machine = run.get("image", {}), run.get("machine", {})
    versions = ", ".join(f"{name} {number}" for name, number in run.get("versions", {}).items())
    rows: list[tuple[str, object]] = [
        ("image", image.get("file")),
        ("its SHA-256", image.get("sha256") or image.get("metadata_sha256")),
        (
            "voxels",
            _sizes(image["shape"]) + f" ({image.get('dtype')}, axes {image.get('axes')})" if "shape" in image else None,
        ),
        ("voxel size", f"{_sizes(image['spacing_um'])} µm" if "spacing_um" in image else None),
        ("mask", (run.get("mask") or {}).get("file")),
        *_model_rows(run),
        ("decided anew with the maps of", (run.get("again") or {}).get("maps_of")),
        ("turned and mirrored views", "averaged" if run.get("tta") else None),
        ("seed", run.get("seed")),
        ("device", run.get("device")),
        ("machine", ", ".join(f"{value}" for value in machine.values()) + " cores" if machine else None),
        ("versions", versions),
        ("when", run.get("time")),
        ("seconds", run.get("seconds")),
    ]
    settings = [(name, _plain(value)) for name, value in run.get("settings", {}).items()]
    parts: list[Part] = [facts(rows)]
    if settings:
        parts.append(facts(settings, "Settings of the method."))
    return Section("How it was made", tuple(parts))


def _model_rows(run: Mapping[str, Any]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for model in run.get("models", ()):
        rows.append(("model", model.get("file") or model.get("method")))
        rows.append(("its SHA-256", model.get("sha256")))
        score = model.get("score")
        rows.append(("its score on images held out", None if score is None else f"{score:.4f}"))
    return rows


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _methods(run: Mapping[str, Any]) -> Section:
    return Section("For your methods section", (Copied(methods_of(run)),))


def methods_of(run: Mapping[str, Any]) -> str:
    """A paragraph with versions and citations, true of this run."""
    name = str(run.get("task", ""))
    kind = {**TASKS, **LABEL_FREE}.get(name)
    how = getattr(kind, "methods", f"the method {name}")
    versions = run.get("versions", {})
    parts = ", ".join(f"{title} {versions[key]}" for title, key in PARTS.items() if key in versions)
    words = [
        f"Images were analysed with Graticule {versions.get('graticule', graticule.__version__)} ({parts}) by {how}."
    ]
    models = run.get("models", ())
    learnt = [len(model.get("learnt_from", ())) for model in models]
    if any(learnt):
        ensemble = f"an ensemble of {len(models)} models was" if len(models) > 1 else "the model was"
        words.append(f"{ensemble.capitalize()} trained on {max(learnt)} annotated images.")
    if run.get("settings", {}).get("working_nm"):
        worked = run["settings"]["working_nm"]
        said = " × ".join(f"{v:.4g}" for v in (worked if isinstance(worked, list) else [worked]))
        words.append(f"Images were resampled to {said} nm per voxel.")
    thresholds = ", ".join(f"{value:g} ({kind})" for kind, value in _thresholds(run).items())
    if thresholds and any(_held_out(model) for model in models):
        words.append(f"Confidence thresholds ({thresholds}) were fixed on annotated images not used for learning.")
    if run.get("mask"):
        words.append("Only the part of each image inside a mask was analysed.")
    return " ".join(words)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: found no JSON in it ({error}); run the command anew") from error
