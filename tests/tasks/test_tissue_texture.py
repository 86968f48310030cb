from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import graticule
from graticule.arrays import texture
from graticule.arrays.intensity import levels
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.io import read
from graticule.io.dataset import load
from graticule.metrics.overlap import overlap
from graticule.results import Labels
from graticule.simulate.tissue import TissueScenes
from graticule.task import LabelFree, Outlining
from graticule.tasks import LABEL_FREE, TASKS
from graticule.tasks.masking import Masking
from graticule.tasks.tissue_baselines import TissueDog, TissueOtsu
from graticule.tasks.tissue_texture import TissueTexture, em_texture_masking
from tests.sections import SIDE, curtains, fine_grain, grain, island, section

MASKS = [name for name, kind in LABEL_FREE.items() if issubclass(kind, Masking)]


def as_image(pixels):
    return Image(pixels, "zyx"[-pixels.ndim :], (0.01,) * pixels.ndim)


def maps(task, pixels, tile=None):
    """The whole way from pixels to maps, in tiles of a given size."""
    image = as_image(pixels)
    forward = task.forward(task.measure(image), "cpu")
    grid = replace(task.grid, tile=tile) if tile else task.grid
    return run(forward, partial(task.prepare, levels=levels(image)), image, make_plan(image, grid))


def dice(found, true, known=None):
    return overlap(found, true, known).dice


# -- the contract --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKS)
def test_is_a_label_free_task_whose_results_are_labels(name):
    task: LabelFree = LABEL_FREE[name]()
    outlining: Outlining = LABEL_FREE[name]()
    assert task.name == name
    assert outlining.regions.kinds == ("tissue",)
    assert name not in TASKS, "what needs no training is not offered for it"


@pytest.mark.parametrize("name", MASKS)
@settings(max_examples=10)
@given(height=st.integers(1, 330), width=st.integers(1, 330), depth=st.sampled_from([0, 3]), tile=st.integers(20, 200))
def test_tiles_give_the_bits_of_the_whole(name, height, width, depth, tile):
    grey, _ = section(seed=1, shape=(330, 330))
    plane = grey[:height, :width]
    pixels = np.stack([plane, plane[::-1], plane[:, ::-1]]) if depth else plane
    task = LABEL_FREE[name]()
    assert np.array_equal(maps(task, pixels, (2, tile, tile)).data, maps(task, pixels).data)


@pytest.mark.parametrize("name", MASKS)
def test_a_byte_holds_a_confidence_without_loss(name):
    confidence = np.asarray(maps(LABEL_FREE[name](), section()[0]).data)
    graded = confidence * 255
    assert 0 <= confidence.min() and confidence.max() <= 1
    assert np.array_equal(np.round(graded).astype(np.uint8) / np.float32(255), confidence)


@pytest.mark.parametrize("name", MASKS)
def test_what_was_measured_is_kept_in_a_model_file_and_serves_another_image(name, tmp_path):
    task = LABEL_FREE[name]()
    weights = task.measure(as_image(section(seed=0)[0]))
    Checkpoint(task, weights).save(tmp_path / "m.safetensors")
    kept = Checkpoint.load(tmp_path / "m.safetensors")
    assert kept.task == task
    other = as_image(section(seed=1)[0])
    prepared = task.prepare(other.data, levels(other))[None]
    again = kept.task.forward(kept.weights, "cpu")(prepared)
    assert np.array_equal(again, task.forward(weights, "cpu")(prepared))


def test_calibration_finds_the_threshold_of_the_highest_dice():
    grey, truth = section()
    example = Example("section", as_image(grey), Labels(as_image(truth.astype(np.uint8))))
    task = TissueTexture(threshold=0.9)
    candidates = task.permissive().decode(maps(task, grey))
    calibrated = task.calibrate([candidates], [example])
    by_threshold = {
        t: task.score([replace(task, threshold=t).keep(candidates)], [example])["dice"]
        for t in (0.1, 0.5, 0.9, calibrated.threshold)
    }
    assert by_threshold[calibrated.threshold] == pytest.approx(max(by_threshold.values()), abs=0.002)
    assert task.averaged([task, replace(task, threshold=0.5)]).threshold == pytest.approx(0.7)


@pytest.mark.parametrize("task", [TissueTexture(), *(LABEL_FREE[name]() for name in MASKS)])
def test_settings_that_cannot_be_are_refused(task):
    with pytest.raises(SettingsError, match="threshold 2"):
        replace(task, threshold=2)
    with pytest.raises(SettingsError, match="min_region_size -1"):
        replace(task, min_region_size=-1)


# -- masks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_outline_of_tissue(seed):
    grey, truth = section(seed)
    mask, confidence = em_texture_masking(grey)
    assert mask.shape == confidence.shape == grey.shape
    assert (mask.dtype, confidence.dtype) == (np.uint8, np.float32)
    assert dice(mask, truth) > 0.95


def test_is_what_prediction_gives():
    grey, _ = section()
    from graticule.workflows.predict import predict

    found = predict(as_image(grey), Checkpoint(TissueTexture(), {}), device="cpu")
    assert np.array_equal(np.asarray(found.image.data), em_texture_masking(grey)[0])


@settings(max_examples=12)
@given(gain=st.sampled_from([-3.0, -1.0, 0.01, 0.5, 40.0]), offset=st.floats(-1e4, 1e4))
def test_gain_offset_and_inversion_do_not_matter(gain, offset):
    grey, _ = section()
    plain, _ = em_texture_masking(grey)
    other, _ = em_texture_masking(grey * np.float64(gain) + offset)
    assert dice(other, plain) > 0.995


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_any_type_of_grey_levels_will_do(dtype):
    grey, _ = section()
    mask, _ = em_texture_masking((grey.astype(float) * 100).astype(dtype))
    assert dice(mask, em_texture_masking(grey)[0]) > 0.999


def test_planes_of_a_stack_are_judged_one_by_one_by_one_measure():
    planes = [section(seed)[0] for seed in (0, 1)]
    confidence = em_texture_masking(np.stack([*planes, planes[0]]))[1]
    assert np.array_equal(confidence[0], confidence[2])
    assert not np.array_equal(confidence[0], confidence[1])
    flipped = em_texture_masking(np.stack([planes[0], planes[0], planes[1]]))[1]
    assert np.mean(np.abs(flipped[0] - confidence[0])) < 0.02


def test_shading_and_charging_shadows_on_resin_are_resin():
    rng = np.random.default_rng(0)
    grey, truth = section()
    x = np.arange(SIDE)
    shaded = grey - 40.0 * x / SIDE
    shadow = np.where(truth, 0, 30 * np.exp(-(((x - 200) / 30) ** 2)))
    mask, _ = em_texture_masking((shaded - shadow + rng.normal(0, 0.3, grey.shape)).astype(np.float32))
    assert dice(mask, truth) > 0.9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (64, 64), (300, 200), (3, 40, 50)])
def test_a_constant_holds_no_tissue(shape):
    for value in (0, 7, 255):
        mask, confidence = em_texture_masking(np.full(shape, value, np.uint8))
        assert mask.shape == shape
        assert not mask.any()
        assert not confidence.any()


@pytest.mark.parametrize("sigma", [0, 0.6])
def test_resin_alone_holds_no_tissue(sigma):
    rng = np.random.default_rng(0)
    resin = 180 + 5 * grain(rng, sigma) + 20 * np.linspace(0, 1, SIDE)
    assert em_texture_masking(resin)[0].mean() < 0.01


def test_tissue_alone_is_all_tissue():
    rng = np.random.default_rng(0)
    tissue = 140 + 12 * grain(rng, 3) - 40 * (np.abs(grain(rng, 6)) < 0.2) + 3 * grain(rng, 0)
    assert em_texture_masking(tissue)[0].mean() > 0.99


def test_a_black_margin_is_no_tissue_and_does_not_change_what_is_inside():
    grey, truth = section()
    framed = np.zeros((SIDE + 160, SIDE + 160), np.uint8)
    framed[80:-80, 80:-80] = grey
    mask, _ = em_texture_masking(framed)
    assert mask[:60].sum() == 0
    assert dice(mask[80:-80, 80:-80], truth) > 0.93


def test_small_regions_are_dropped_and_small_holes_filled():
    grey, truth = section()
    assert em_texture_masking(grey, min_region_size=SIDE**2)[0].sum() == 0
    rows, columns = np.nonzero(ndimage.binary_erosion(truth, iterations=30))
    y, x = np.mgrid[:SIDE, :SIDE]
    vacuole = (y - rows[len(rows) // 2]) ** 2 + (x - columns[len(rows) // 2]) ** 2 < 18**2
    rng = np.random.default_rng(0)
    hollow = np.where(vacuole, 180 + 4 * rng.standard_normal(grey.shape), grey)
    mask, confidence = em_texture_masking(hollow)
    assert mask[vacuole].mean() > 0.97
    assert confidence[vacuole].mean() < 0.9


@pytest.mark.parametrize("kind", ["block-face", "milled", "inverted"])
def test_finds_tissue_in_simulated_micrographs(kind):
    scenes = TissueScenes(dimensions=2, domain=kind, tracheae=False)
    figures = [dice(em_texture_masking(e.image)[0], np.asarray(e.truth.image.data)) for e in scenes.examples(3, seed=1)]
    assert np.mean(figures) > 0.9


def test_block_size_is_no_dead_letter():
    grey, _ = section()
    assert not np.array_equal(em_texture_masking(grey, block_size=32)[1], em_texture_masking(grey, block_size=64)[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(bad):
    grey = section()[0].astype(np.float32)
    grey[5, 7] = bad
    with pytest.raises(FormatError, match="NaN"):
        em_texture_masking(grey)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2), (0, 5)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(FormatError, match="found an array of shape"):
        em_texture_masking(np.zeros(shape))


def test_several_channels_are_refused():
    with pytest.raises(FormatError, match="several channels"):
        em_texture_masking(Image(np.zeros((2, 40, 40)), "cyx", (1.0, 1.0)))


def test_is_one_of_the_names_a_script_needs():
    assert graticule.em_texture_masking is em_texture_masking


# -- every kind of evidence is needed ------------------------------------------------------------------------------------


def coarse_grain_and_noise(rng):
    """Weak blobs of a few pixels, which fine gradients do not see."""
    truth = island(rng)
    return np.where(truth, 2 * grain(rng, 1.5), 0) + 4 * grain(rng, 0), truth


def finest_grain_and_noise(rng):
    """Grain so fine that the difference of Gaussians hardly sees it."""
    truth = island(rng)
    return np.where(truth, 4 * fine_grain(rng), 0) + 4 * grain(rng, 0), truth


def grain_and_curtains(rng):
    """Fine straight stripes on the resin."""
    truth = island(rng)
    striped = ~truth & (np.arange(SIDE) % 128 < 50)
    return np.where(truth, 6 * grain(rng, 1), 0) + np.where(striped, 2 * curtains(rng), 0) + 4 * grain(rng, 0), truth


def soft_tissue(rng):
    """Tissue throughout, without anything fine."""
    return 20 * grain(rng, 8) + 4 * grain(rng, 0), np.ones((SIDE, SIDE), bool)


@pytest.mark.parametrize(
    ("term", "scene", "least"),
    [
        ("texture", coarse_grain_and_noise, 0.1),
        ("edges", finest_grain_and_noise, 0.3),
        ("tensor", grain_and_curtains, 0.02),
        ("variance", soft_tissue, 0.5),
    ],
)
def test_without_one_kind_of_evidence_masks_are_worse(term, scene, least):
    whole, without = TissueTexture(), TissueTexture(terms=tuple(t for t in texture.TERMS if t != term))
    figures = []
    for seed in range(3):
        grey, truth = scene(np.random.default_rng(seed))
        figures.append([dice(np.asarray(t.decode(maps(t, grey)).image.data), truth) for t in (whole, without)])
    with_it, without_it = np.mean(figures, axis=0)
    assert with_it > without_it + least


# -- real micrographs ----------------------------------------------------------------------------------------------------


def real_figure(task, folder):
    from graticule.workflows.predict import predict

    figures = []
    for example in load(folder).examples:
        found = predict(example.image, Checkpoint(task, {}), device="cpu")
        figures.append(task.score([found], [example])["dice"])
    return float(np.mean(figures))


@pytest.mark.real
def test_real_slices_are_masked_well_at_default_settings(shared_data):
    assert real_figure(TissueTexture(), shared_data / "resin") > 0.95
    assert real_figure(TissueTexture(), shared_data / "platelet") > 0.95


@pytest.mark.real
@pytest.mark.parametrize("term", ["texture", "tensor", "edges"])
def test_real_slices_are_masked_worse_on_one_specimen_or_the_other_without_one_kind_of_evidence(shared_data, term):
    without = TissueTexture(terms=tuple(t for t in texture.TERMS if t != term))
    folders = [shared_data / name for name in ("resin", "platelet")]
    losses = [real_figure(TissueTexture(), f) - real_figure(without, f) for f in folders]
    assert max(losses) > 0.002


@pytest.mark.real
@pytest.mark.parametrize("file", ["lucchi/images/testing_001-024.tif", "vnc-sstem/images/stack1.tif"])
def test_real_volumes_of_tissue_are_all_tissue(shared_data, file):
    planes = np.asarray(read(shared_data / file, spacing_um=(0.05, 0.005, 0.005)).data[::9])
    assert em_texture_masking(planes)[0].mean() > 0.95


@pytest.mark.real
def test_real_resin_between_cells_holds_no_tissue(shared_data):
    plane = np.asarray(load(shared_data / "platelet").examples[0].image.data[...])
    assert em_texture_masking(plane[715:795, 8:88])[0].mean() < 0.01


@pytest.mark.real
def test_real_slices_are_masked_better_than_by_the_baselines_beside_it(shared_data):
    def mean(task):
        weights = [3, 1]  # three slices of resin, one of platelets
        figures = [real_figure(task, shared_data / name) for name in ("resin", "platelet")]
        return np.average(figures, weights=weights)

    ours = mean(TissueTexture())
    assert ours > mean(TissueOtsu())
    assert ours > mean(TissueDog()) + 0.1
