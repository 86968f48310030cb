"""What would be proposed at other settings is what predict then writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.image import Image
from graticule.results import Labels
from graticule.workflows.again import Kept, write_again
from graticule.workflows.predict_files import Job, load_models, predict_file
from graticule.workflows.proposed import proposed, voxels_of
from graticule.workflows.review import load_result


def kept_of(folder: Path, method: str, image: Image | Labels) -> Kept:
    io.write(image, folder / "a.tif")
    files = (Path(method),)
    predict_file(folder / "a.tif", Job(models=load_models(files), files=files, out=folder / "job", keep_maps=True))
    return Kept.load(folder / "job" / "a")


def flowers() -> Labels:
    """Two places where six cells meet, among bricks."""
    yy, xx = np.indices((160, 260)).astype(float)
    cells = 20 + (yy // 20).astype(int) * 20 + ((xx + 10 * ((yy // 20) % 2)) // 22).astype(int)
    for number, (y, x) in enumerate([(80, 70), (80, 180)]):
        angle = np.arctan2(yy - y, xx - x)
        petals = (np.floor((angle + np.pi) / (np.pi / 3)).astype(int) % 6) + 1 + 6 * number
        cells = np.where(np.hypot(yy - y, xx - x) < 34, petals, cells)
    return Labels(Image(cells.astype(np.uint16), "yx", (0.2, 0.2)))


def test_outlined_objects_are_those_that_are_written_with_their_places_and_confidence(tmp_path) -> None:
    kept = kept_of(tmp_path, "rosettes-vertices", flowers())
    task = replace(kept.task, threshold=0.4)
    found = proposed(kept, task)
    written = load_result(write_again(kept, task, tmp_path / "again", pictures=False).folder).proposals
    assert [item.id for item in found.items] == [item.id for item in written.items] and len(found.items) == 2
    for ours, theirs in zip(found.items, written.items, strict=True):
        assert ours.position_um == pytest.approx(theirs.position_um, abs=1e-4)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3) and ours.kind == theirs.kind
    assert np.array_equal(found.labels.image.data, np.asarray(written.labels.image.data[...]))


def test_a_mask_is_one_item_for_each_class_it_has(tmp_path) -> None:
    rng = np.random.default_rng(0)
    kept = kept_of(
        tmp_path, "tissue-texture", Image(rng.integers(0, 255, (90, 100)).astype(np.uint8), "yx", (0.1, 0.1))
    )
    every, nothing = (proposed(kept, replace(kept.task, threshold=t, min_region_size=0)) for t in (0.001, 1.0))
    assert [(item.id, item.kind) for item in every.items] == [(1, "tissue")]
    assert voxels_of(every.labels, every.kinds)["tissue"] > voxels_of(nothing.labels, nothing.kinds)["tissue"]


def test_voxels_are_counted_slab_by_slab() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (37, 8, 9)).astype(np.uint8)
    told = voxels_of(Labels(Image(labels, "zyx", (1.0, 1.0, 1.0))), ("a", "b"))
    assert told == {"a": int((labels == 1).sum()), "b": int((labels == 2).sum())}
