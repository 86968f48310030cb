"""How well cells are cut out of pictures of their membranes, and what the plain geometric search then takes for rosettes.

Boundary F1: of the pixels of boundaries that were found, how many lie within 3 pixels of a trace (precision), and the other
way round (recall), where the annotation is complete. `by chance` is the same with what was found moved by half a cell: where
cells are small, much lies within 3 pixels of anything. Default settings; nothing but the picture is given. While
`outline_cells` was made, only the images marked * and simulated ones were looked at.

zo1-junctions: traced by hand; wing-disc: cells by another program, a smoke test; endothelium: phase contrast, dark borders,
hardly any rosettes, so proposals there are false. ecad-monolayer has no annotation: two rosettes that can be seen shall be
among the proposals, if need be at a lower threshold (they may meet further apart), and pictures to look at are written
where --out says, which must lie outside the repository.

Needs ../shared/data. Run: python benchmarks/rosette_boundaries.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from graticule.arrays.cells import boundaries, cell_diameter_px, outline_cells
from graticule.image import Array, Image
from graticule.io import read
from graticule.tasks.rosettes_vertices import RosettesVertices
from machine import facts

HERE = Path(__file__).resolve()
DATA = HERE.parents[2] / "shared" / "data"
RESULTS = HERE.parent / "results" / "rosettes"
NEAR_PX = 3
ENOUGH = 0.8
CLAIMED = ("zo1-junctions", "wing-disc")
USUAL, LOW = RosettesVertices().threshold, 0.25
TUNED = {
    "zo1-junctions": ("series1",),
    "endothelium-alizarine": ("01", "05", "09"),
    "endothelium-donor": ("corneacrop-1-12-1", "corneacrop-4-center-3"),
    "wing-disc": ("projection",),
}
TRACES = {"zo1-junctions": "labels", "endothelium-alizarine": "labels-boundary", "endothelium-donor": "labels-boundary"}
VISIBLE = {"C_24hr_4": ((70, 71), (355, 290))}


@dataclass(frozen=True)
class Measured:
    dataset: str
    image: str
    seen: bool
    cells: int
    diameter_px: float
    precision: float
    recall: float
    by_chance: float
    proposals: int

    @property
    def f1(self) -> float:
        return harmonic(self.precision, self.recall)


def harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-9)


def agreement(thin: Array, trace: Array, known: Array) -> tuple[float, float]:
    """Precision and recall within `NEAR_PX`."""
    from_trace, from_thin = (ndimage.distance_transform_edt(~lines) for lines in (trace, thin))
    return tuple(
        float((away[lines & known] <= NEAR_PX).mean()) if (lines & known).any() else 0.0
        for away, lines in ((from_trace, thin), (from_thin, trace))
    )  # type: ignore[return-value]


def pixels(path: Path) -> Array:
    return np.asarray(picture(path).data[...])


def picture(path: Path) -> Image:
    return read(path, spacing_um=(1.0, 1.0))


def annotated(dataset: str) -> Iterator[tuple[str, Array, Array, Array]]:
    for path in sorted((DATA / dataset / "images").iterdir()):
        grey = pixels(path)
        if dataset in TRACES:
            trace = pixels(DATA / dataset / TRACES[dataset] / f"{path.stem}.tif") > 0
            known = pixels(DATA / dataset / "masks" / f"{path.stem}.tif") > 0
        else:
            trace = boundaries(pixels(DATA / dataset / "labels" / f"{path.stem}.tif"))[0] > 0
            known = np.ones(grey.shape, bool)
        yield path.stem, grey, trace, known


def proposals(cells: Array, threshold: float) -> Array:
    """Numbered."""
    task = RosettesVertices(cells="labels")
    seen = task.view(Image(cells, "yx", (1.0, 1.0)))
    candidates = task.permissive().decode(replace(seen, data=np.asarray(seen.data)[None], axes="cyx"))
    return np.asarray(task.at(candidates, threshold).image.data)


def within(numbers: Array, known: Array) -> int:
    """How many regions lie mostly where the annotation is complete."""
    names = np.unique(numbers[numbers > 0])
    return int(sum(known[numbers == name].mean() > 0.5 for name in names))


def measured(dataset: str) -> Iterator[Measured]:
    for name, grey, trace, known in annotated(dataset):
        cells = outline_cells(grey)
        size = cell_diameter_px(cells)
        thin = boundaries(cells)[0] > 0
        moved = np.roll(thin, (round(size / 2), round(size / 3)), (0, 1))
        yield Measured(
            dataset,
            name,
            name.startswith(TUNED[dataset]),
            len(np.unique(cells[cells > 0])),
            size,
            *agreement(thin, trace, known),
            harmonic(*agreement(moved, trace, known)),
            within(proposals(cells, USUAL), known),
        )


def looked_at(out: Path | None) -> Iterator[tuple[str, bool]]:
    """Of images without annotation: a line to print, and whether rosettes that can be seen are among the proposals."""
    for path in sorted((DATA / "ecad-monolayer" / "images").iterdir()):
        grey = pixels(path)
        cells = outline_cells(grey)
        places = next((places for start, places in VISIBLE.items() if path.stem.startswith(start)), ())
        for threshold in (USUAL, LOW):
            found = proposals(cells, threshold)
            near = [bool(found[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6].any()) for y, x in places]
            said = "".join(
                f"; y={y}, x={x} {'found' if hit else 'missed'}" for (y, x), hit in zip(places, near, strict=True)
            )
            count = len(np.unique(cells[cells > 0]))
            yield (
                f"{path.stem[:12]} {count:5} cells, threshold {threshold:4}: {found.max():4} proposals{said}",
                all(near),
            )
            if out is not None:
                write_overlay(out / f"{path.stem}-{threshold}.png", grey, cells, found)


def write_overlay(path: Path, grey: Array, cells: Array, found: Array) -> None:
    """Boundaries in red, proposals in blue, twice as large."""
    from PIL import Image as Picture

    low, high = np.percentile(grey, [1, 99.5])
    shade = np.clip((grey - low) / (high - low), 0, 1)[..., None] * 255
    colour = np.where((found > 0)[..., None], 0.6 * shade + 0.4 * np.array([60, 120, 255]), shade)
    colour = np.where((boundaries(cells)[0] > 0)[..., None], [255, 60, 60], colour).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(colour.repeat(2, axis=0).repeat(2, axis=1)).save(path)


def table(rows: list[Measured]) -> Iterator[str]:
    head = ("set", "image", "cells", "px", "precision", "recall", "F1", "by chance", "proposals")
    yield "{:22} {:24} {:>5} {:>6} {:>9} {:>7} {:>6} {:>9} {:>9}".format(*head)
    for row in rows:
        yield (
            f"{row.dataset:22} {row.image + '*' * row.seen:24} {row.cells:5} {row.diameter_px:6.1f} {row.precision:9.3f} "
            f"{row.recall:7.3f} {row.f1:6.3f} {row.by_chance:9.3f} {row.proposals:9}"
        )


def means(rows: list[Measured]) -> Iterator[str]:
    yield f"{'mean over':22} {'all':>8} {'unseen':>8} {'lowest':>8} {'by chance':>10} {'proposals per image':>20}"
    for dataset in dict.fromkeys(row.dataset for row in rows):
        some = [row for row in rows if row.dataset == dataset]
        unseen = [row.f1 for row in some if not row.seen]
        yield (
            f"{dataset:22} {np.mean([r.f1 for r in some]):8.3f} {np.mean(unseen) if unseen else np.nan:8.3f} "
            f"{min(r.f1 for r in some):8.3f} {np.mean([r.by_chance for r in some]):10.3f} "
            f"{np.mean([r.proposals for r in some]):20.2f}"
        )


def main() -> int:
    if not (DATA / "zo1-junctions").exists():
        print(f"skipped: no {DATA}")
        return 0
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    rows = [row for dataset in TUNED for row in measured(dataset)]
    ecad = list(looked_at(out))
    ok = all(right for line, right in ecad if f"threshold {LOW}" in line)
    ok &= all(np.mean([r.f1 for r in rows if r.dataset == name]) >= ENOUGH for name in CLAIMED)
    lines = [facts(), "* looked at while settings were chosen", "", *table(rows), "", *means(rows), ""]
    lines += [line for line, _ in ecad]
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "boundaries.txt").write_text("\n".join(lines) + "\n")
    with (RESULTS / "boundaries.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["set", "image", "seen", "cells", "diameter_px", "precision", "recall", "f1", "by_chance", "proposals"]
        )
        for r in rows:
            numbers = (f"{value:.4f}" for value in (r.diameter_px, r.precision, r.recall, r.f1, r.by_chance))
            writer.writerow([r.dataset, r.image, int(r.seen), r.cells, *numbers, r.proposals])
    print("\n".join(lines))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
