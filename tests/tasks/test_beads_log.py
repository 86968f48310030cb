from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.errors import SettingsError
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.io.dataset import load
from graticule.metrics.detection import tally
from graticule.task import Task
from graticule.tasks.beads_log import LogBeads, baseline, tune
from tests.synthetic import discs

KINDS = ("6nm", "12nm")
TWO_SIZES = LogBeads(classes=KINDS, diameters_nm=(6, 12), match_nm=(5, 8), working_nm=0.6)


def places(seed, count=16, shape=(200, 220), gap=26, margin=0):
    """Random places at least `gap` pixels apart."""
    rng = np.random.default_rng(seed)
    chosen = []
    while len(chosen) < count:
        place = rng.uniform(margin, np.array(shape) - 1 - margin)
        if all(np.linalg.norm(place - other) >= gap for other in chosen):
            chosen.append(place)
    return np.array(chosen)


def micrograph(seed, **changes):
    """Beads of 10 and 20 px, which is 6 and 12 nm."""
    centres = places(seed)
    return discs(
        centres, (200, 220), diameter_px=(10, 20), kind=np.arange(16) % 4 // 3, kinds=KINDS, seed=seed, **changes
    )


def look(task, example, tile=(2048, 2048)):
    """The whole way from an image to points."""
    working = to_spacing(example.image, task.grid.spacing_um)
    plan = make_plan(working, replace(task.grid, tile=tile))
    return task.decode(run(task.forward({}, "cpu"), partial(task.prepare, levels=levels(working)), working, plan))


def f1(task, example):
    return task.score([look(task, example)], [example])["f1"]


@pytest.fixture(scope="module")
def tuned():
    return tune(TWO_SIZES, [micrograph(seed) for seed in (1, 2)])


def test_is_a_task():
    task: Task = LogBeads()
    assert task.name == "beads-log"


def test_finds_every_bead_and_its_class_in_an_image_it_was_not_tuned_on(tuned):
    held_out = micrograph(7)
    assert all(t.tp and not t.fp and not t.fn for t in tally(look(tuned, held_out), held_out, tuned.match_um).values())


def test_confidence_of_a_typical_bead_is_one_half(tuned):
    found = look(tuned, micrograph(8))
    assert np.median(found.confidence) == pytest.approx(0.5, abs=0.05)
    assert ((found.confidence > 0) & (found.confidence < 1)).all()


def test_a_large_bead_is_not_also_a_small_one_even_among_all_candidates(tuned):
    alone = discs([[60, 60]], (120, 120), diameter_px=20, kinds=("12nm",), noise=0)
    assert look(tuned.permissive(), alone).kind.tolist() == [1]


def test_touching_beads_of_one_size_are_both_found(tuned):
    pair = discs([[60, 55], [60, 65.5]], (120, 120), diameter_px=10, kinds=("6nm",), noise=0)
    assert look(tuned, pair).kind.tolist() == [0, 0]


def test_what_is_larger_than_any_class_is_no_bead(tuned):
    vesicle = discs([[60, 60]], (120, 120), diameter_px=36, noise=0)
    assert len(look(tuned, vesicle)) == 0
    assert len(look(replace(tuned, too_large=0.0), vesicle)) > 0


@pytest.mark.parametrize(("kind", "diameter"), [("6nm", 10), ("12nm", 20)])
@pytest.mark.parametrize("from_border", [0, 2, 5, 8, 11])
def test_keeps_beads_that_the_border_cuts(tuned, kind, diameter, from_border):
    near, far = from_border, 119 - from_border
    edges = discs([[near, 60], [far, 60], [60, near], [60, far]], (120, 120), diameter_px=diameter, kinds=(kind,))
    assert f1(tuned, edges) == 1


@pytest.mark.parametrize("tile", [(64, 64), (37, 200)])
def test_tiles_give_what_the_whole_image_gives(tuned, tile):
    example = micrograph(9)
    whole, tiled = look(tuned.permissive(), example), look(tuned.permissive(), example, tile)
    np.testing.assert_allclose(tiled.position_um, whole.position_um, atol=1e-7)
    np.testing.assert_array_equal(tiled.kind, whole.kind)


@pytest.mark.parametrize("magnification", [0.7, 1.6])
def test_finds_beads_at_another_magnification(tuned, magnification):
    centres = places(3, count=9) * magnification
    shape = tuple(int(n * magnification) for n in (200, 220))
    example = discs(centres, shape, diameter_px=10 * magnification, spacing_um=0.0006 / magnification, kinds=("6nm",))
    assert f1(tuned, example) >= 0.94


def test_learns_that_beads_are_bright():
    def negative(example):
        return replace(example, image=replace(example.image, data=300 - np.asarray(example.image.data, float)))

    task = tune(TWO_SIZES, [negative(micrograph(1))])
    assert task.polarity == "bright"
    assert f1(task, negative(micrograph(7))) == 1


def test_sixteen_bits_are_no_harder_than_eight():
    def deep(example):
        return replace(
            example, image=replace(example.image, data=np.asarray(example.image.data).astype(np.uint16) * 200)
        )

    assert f1(tune(TWO_SIZES, [deep(micrograph(1))]), deep(micrograph(7))) == 1


def test_unmarked_beads_outside_the_mask_do_not_disturb():
    full = micrograph(1)
    inside = full.truth.position_um[:, 1] < 110 * 0.0006
    mask = np.zeros((200, 220), np.uint8)
    mask[:, :110] = 1
    part = replace(full, truth=full.truth[inside], complete=Image(mask, "yx", full.image.spacing_um))
    assert f1(tune(TWO_SIZES, [part]), micrograph(7)) == 1


def test_reads_what_is_left_open_from_the_annotation():
    task = LogBeads().resolve([micrograph(1)])
    assert task.classes == KINDS
    assert task.diameters_nm == pytest.approx((6, 12), rel=0.1)
    assert task.working_nm == pytest.approx(0.6)


def test_an_image_without_beads_has_none(tuned):
    assert len(look(tuned, discs([], (90, 100)))) == 0


def test_a_class_that_is_nowhere_annotated_can_still_be_tuned_for():
    only_small = discs(places(4), (200, 220), kinds=("6nm",))
    task = tune(TWO_SIZES, [only_small])
    assert len(task.thresholds) == 2
    assert f1(task, discs(places(5), (200, 220), kinds=("6nm",))) == 1


def test_a_number_for_each_class_or_none_at_all():
    with pytest.raises(SettingsError, match="1 thresholds for 2 classes"):
        replace(TWO_SIZES, thresholds=(0.5,))


def test_as_a_baseline_it_takes_over_classes_sizes_and_radii():
    task = baseline(replace(TWO_SIZES, match_nm=(4.0, 7.0)), [micrograph(1)])
    assert (task.classes, task.diameters_nm, task.match_nm) == (KINDS, (6, 12), (4.0, 7.0))
    assert task.thresholds


@pytest.mark.real
def test_on_real_micrographs_it_is_a_baseline_to_be_reckoned_with(shared_data):
    examples = {e.name: e for e in load(shared_data / "gold-synapses").examples}
    task = tune(replace(TWO_SIZES, match_nm=(5, 8.4), working_nm=0.0), [examples["S1"], examples["S8"]])
    held_out = [examples["S7"], examples["S15"]]
    assert task.score([look(task, one) for one in held_out], held_out)["f1"] > 0.93
