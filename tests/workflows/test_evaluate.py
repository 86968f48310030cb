import csv
from dataclasses import replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import DatasetError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Points
from graticule.tasks import Beads
from graticule.tasks.particles import Particles
from graticule.workflows.evaluate import curves, doubts, judged, refuse_seen, rows, write_evaluation
from graticule.workflows.provenance import example_hash, pixel_hash
from tests.synthetic import SPACING_UM, discs

TASK = Beads(classes=("6nm",), diameters_nm=(6.0,), match_nm=(5.0,), working_nm=0.6, thresholds=(0.5,))
CENTRES = np.array([[20.0, 20.0], [20.0, 60.0], [70.0, 40.0]])
EXAMPLE = discs(CENTRES)


def candidates(confidence, shift_px=0.5):
    return Points((CENTRES + shift_px) * SPACING_UM, np.asarray(confidence), np.zeros(3, int), ("6nm",))


def test_counts_are_at_the_models_threshold_and_average_precision_is_over_all():
    done = judged(TASK, [EXAMPLE], [candidates([0.9, 0.7, 0.2])])
    assert (done.pooled["tp"], done.pooled["fp"], done.pooled["fn"]) == (2, 0, 1)
    assert done.pooled["ap"] == 1.0
    assert len(done.found[0]) == 2


def test_pooled_counts_are_the_sum_of_the_images():
    other = replace(discs(CENTRES, name="other", seed=1))
    done = judged(TASK, [EXAMPLE, other], [candidates([0.9, 0.7, 0.2]), candidates([0.9, 0.9, 0.9], shift_px=20)])
    assert done.tally(None).tp == done.tally("discs").tp + done.tally("other").tp == 2
    assert done.tally(None).fp == 3
    assert [(image, name) for image, name, _ in rows(done)] == [
        ("discs", "6nm"),
        ("discs", ""),
        ("other", "6nm"),
        ("other", ""),
        ("", "6nm"),
        ("", ""),
    ]


def test_more_false_ones_than_marked_objects_raise_the_question_whether_all_are_marked():
    found = candidates([0.9, 0.9, 0.9])
    few = replace(EXAMPLE, truth=EXAMPLE.truth[:1])
    assert "precision and F1 mean nothing" in doubts(judged(TASK, [few], [found]))
    assert not doubts(judged(TASK, [EXAMPLE], [found]))
    everywhere = replace(EXAMPLE.image, data=np.ones(EXAMPLE.image.shape, np.uint8))
    assert not doubts(judged(TASK, [replace(few, complete=everywhere)], [found])), (
        "who drew a mask said that all are marked"
    )


def test_candidates_in_a_volume_are_told_with_their_depth(tmp_path):
    volume = Image(np.zeros((8, 40, 40), np.uint8), "zyx", (0.2, 0.1, 0.1))
    place = np.array([[0.4, 1.1, 2.5]])
    task = Particles(classes=("ring",), diameters_nm=(800.0,), match_nm=(400.0,), dimensions=3, thresholds=(0.5,))
    example = Example("volume", volume, Points.marked(np.vstack([place, place + 1.0]), kinds=("ring",)))
    write_evaluation(judged(task, [example], [Points.marked(place, kinds=("ring",))]), tmp_path / "scores", {})
    with (tmp_path / "scores" / "candidates.csv").open() as file:
        right, missed = csv.DictReader(file)
    assert [float(right[f"{axis}_um"]) for axis in "xyz"] == [2.5, 1.1, 0.4]
    assert [float(missed[f"{axis}_um"]) for axis in "xyz"] == [3.5, 2.1, 1.4]


def test_the_dot_lies_on_the_curve():
    done = judged(TASK, [EXAMPLE], [candidates([0.9, 0.7, 0.2])])
    lines, dots = curves(done)
    recall, precision = lines["6nm"]
    assert dots["6nm"] in list(zip(recall, precision, strict=True))


def test_an_image_that_a_model_learnt_from_is_known_by_its_pixels():
    seen = Checkpoint(TASK, made_by={"images": {pixel_hash(EXAMPLE.image): "S1"}})
    with pytest.raises(DatasetError, match=r"1 of these 1 images \(renamed\)"):
        refuse_seen([Checkpoint(TASK), seen], [replace(EXAMPLE, name="renamed")])
    refuse_seen([seen], [discs(CENTRES, seed=2)])


def test_a_hash_changes_with_everything_that_counts():
    base = example_hash(EXAMPLE)
    assert example_hash(discs(CENTRES)) == base
    mask = replace(EXAMPLE.image, data=np.ones((96, 96), np.uint8))
    for other in (
        discs(CENTRES, seed=9),
        discs(CENTRES, spacing_um=0.0007),
        replace(EXAMPLE, truth=EXAMPLE.truth[:2]),
        replace(EXAMPLE, truth=EXAMPLE.truth.named(("12nm", "6nm")), specimen="other"),
        replace(EXAMPLE, complete=mask),
    ):
        assert example_hash(other) != base
    assert pixel_hash(replace(EXAMPLE.image, spacing_um=(1.0, 1.0))) == pixel_hash(EXAMPLE.image)
