from dataclasses import replace

import numpy as np

from graticule.io.dataset import Dataset
from graticule.results import Points
from graticule.simulate import BeadScenes
from graticule.workflows.unannotated import unannotated_places, with_unknown_places
from tests.synthetic import SPACING_UM, discs, scattered

ALL = ("6nm", "12nm", "18nm")
SIZES_PX = (10.0, 20.0, 30.0)


def mixed(seed=0, shape=(300, 300)):
    """Beads of three sizes; the largest are in the picture, but not in the annotation."""
    drawn = scattered(
        seed, count=18, shape=shape, gap_px=45, edge_px=20, kind=[0, 1, 2] * 6, kinds=ALL, diameter_px=SIZES_PX
    )
    truth = drawn.truth
    marked = truth[truth.kind < 2].named(ALL[:2])
    return replace(drawn, truth=marked), truth.of_kind("18nm")


def as_dataset(*examples):
    return Dataset("mixed", examples, ALL[:2], {}, {"18nm": 18.0})


def test_beads_that_nobody_marked_are_found_and_no_others():
    example, hidden = mixed()
    places = unannotated_places(example, 18.0)
    distance = np.linalg.norm(places[:, None] - hidden.position_um[None], axis=2)
    assert len(places) == len(hidden)
    assert distance.min(axis=0).max() < 2 * SPACING_UM


def test_they_become_unknown_with_their_rim_and_nothing_else_does():
    example, hidden = mixed()
    [changed] = with_unknown_places(as_dataset(example))
    assert not changed.is_complete_at(hidden.position_um).any()
    assert changed.is_complete_at(example.truth.position_um).all()
    for shift in ([0.008, 0], [0, -0.008]):
        assert not changed.is_complete_at(hidden.position_um + shift).any()
    unknown = (np.asarray(changed.complete.data) == 0).mean()
    assert unknown < 1.5 * len(hidden) * np.pi * 20**2 / 300**2


def test_where_the_annotation_was_not_complete_it_stays_so():
    example, _ = mixed()
    mask = np.zeros((300, 300), np.uint8)
    mask[:, :150] = 255
    example = replace(example, complete=replace(example.image, data=mask))
    [changed] = with_unknown_places(as_dataset(example))
    assert (np.asarray(changed.complete.data)[:, 150:] == 0).all()
    assert (np.asarray(changed.complete.data)[:, :150] != 0).mean() > 0.8


def test_a_marked_bead_is_known_however_large():
    example, hidden = mixed()
    marked = Points.marked(hidden.position_um, kinds=("12nm",))
    [changed] = with_unknown_places(as_dataset(replace(example, truth=marked)))
    assert changed.is_complete_at(hidden.position_um).all()


def test_nothing_changes_where_all_classes_are_annotated():
    example, _ = mixed()
    assert with_unknown_places(Dataset("all", (example,), ALL[:2])) == [example]


def test_an_image_without_such_beads_stays_known_all_over():
    example = scattered(
        1, count=10, shape=(300, 300), gap_px=40, kind=[0, 1] * 5, kinds=ALL[:2], diameter_px=SIZES_PX[:2]
    )
    assert len(unannotated_places(example, 18.0)) == 0


def test_overlapping_marked_beads_are_not_taken_for_a_larger_one():
    pairs = [(60, 60), (60, 74), (150, 150), (163, 156)]
    example = discs(pairs, (220, 220), kind=[1] * 4, kinds=ALL[:2], diameter_px=SIZES_PX[:2])
    assert len(unannotated_places(example, 18.0)) == 0


def test_most_are_found_and_hardly_anything_else_in_simulated_micrographs():
    sizes = (("6nm", 7.0), ("12nm", 12.3), ("18nm", 19.0))
    scenes = BeadScenes(diameters_nm=sizes, beads_per_um2=(250.0, 40.0, 120.0), unmarked_nm=())
    found, right, there = 0, 0, 0
    for seed in range(4):
        drawn = scenes.draw(seed)
        hidden = drawn.truth.of_kind("18nm").position_um
        marked = drawn.truth[drawn.truth.kind < 2].named(("6nm", "12nm"))
        places = unannotated_places(replace(drawn, truth=marked), 19.0)
        near = np.linalg.norm(places[:, None] - hidden[None], axis=2) < 0.006
        found, right, there = found + len(places), right + int(near.any(axis=0).sum()), there + len(hidden)
    assert there > 20
    assert right >= 0.7 * there
    assert found - right <= 0.1 * there
