"""Particles: what is learnt from, what is looked at, and what becomes of windows."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from graticule.arrays.intensity import levels
from graticule.arrays.resample import to_spacing
from graticule.checkpoint import Checkpoint
from graticule.errors import AnnotationError, DatasetError, FormatError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.inference import make_plan, run
from graticule.nets.forward import weights_of
from graticule.results import Labels, Points
from graticule.simulate.particles import ParticleScenes
from graticule.task import Levels
from graticule.tasks import PRESETS, TASKS
from graticule.tasks.particles import FLOOR, MEASURED, Particles, share_of_volume
from graticule.tasks.particles_marks import look_of
from graticule.training.fit import draw_batch, fit, source_of
from graticule.training.patches import _light, _prepared, draw_patch
from graticule.workflows.cross_validate import find
from graticule.workflows.ready import all_ready

TASK = Particles(
    classes=("centriole",),
    diameters_nm=(1800.0,),
    match_nm=(900.0,),
    dimensions=3,
    polarity="bright",
    count=10,
    prior=0.05,
    window_nm=2400.0,
    channels=(4, 4, 4, 4, 6),
)
QUICK = Particles(
    window_px=16, patch_px=20, channels=(6, 6, 8), batch=12, steps=16, epochs=4, cycle=8, learning_rate=0.1
)
FLAT = replace(TASK, dimensions=2)
SCENES = ParticleScenes(shape_px=(32, 96, 96), particles=(8, 8), paired=0.0, smears=0.0)
CELLS = Image(np.zeros((24, 28, 32), np.float32), "zyx", (0.2, 0.2, 0.2), (0.05, 0.05, 0.05))


@pytest.fixture(scope="module")
def example():
    return SCENES.draw(3)


def clicks(example, count, seed=0):
    chosen = np.random.default_rng(seed).choice(len(example.truth), count, replace=False)
    return replace(example, truth=example.truth[np.sort(chosen)])


def with_weights(task, seed=0):
    torch.manual_seed(seed)
    return weights_of(task.network())


def maps_on(task, example, weights, tile=None):
    image = to_spacing(example.image, task.grid.spacing_um)
    grid = task.grid if tile is None else replace(task.grid, tile=tile)
    known = {**task.measure(image), **weights}
    prepare = partial(task.prepare, levels=levels(image))
    return run(task.forward(known, "cpu"), prepare, image, make_plan(image, grid)), image


# -- the window and the loss -------------------------------------------------------------------------------------------------


def test_the_target_says_where_windows_are_centred_on_a_click_and_where_none_can_be():
    click = np.array([[2.05, 3.05, 3.05]])
    target = TASK.target(Points.marked(click, kinds=TASK.classes), CELLS)
    places = np.stack(np.meshgrid(*[np.arange(n) for n in CELLS.shape], indexing="ij"), -1).reshape(-1, 3)
    away = np.linalg.norm(CELLS.to_um(places) - click, axis=1) / 1.8
    marked, beside, near = target.reshape(3, -1) > 0
    assert marked[away <= 0.14].all() and not marked[away > 0.16].any()
    assert beside[(away > 0.25) & (away < 0.37)].all() and not beside[away < 0.23].any()
    assert near[marked | beside].all() and not near[away > 0.39].any()


def test_a_marked_window_is_never_also_unlabelled_nor_is_one_beside_it():
    """Whatever the network says of windows near a click, the unlabelled part of the loss does not move."""
    target = torch.zeros(2, 3, 3, 3, 3)
    target[0, 0, 1, 1, 1] = target[0, 2] = 1
    known = torch.ones(2, 1, 3, 3, 3)
    maps = torch.zeros(2, 1, 3, 3, 3, requires_grad=True)
    only = replace(TASK, risk="supervised").loss(maps, target, known)
    only.backward()
    pulled = maps.grad[:, 0]
    assert pulled[0, 1, 1, 1] < 0, "towards being called a particle"
    assert (pulled[0].flatten()[[0, 5, 20]] == 0).all(), "near the click: neither marked nor unlabelled"
    assert (pulled[1] > 0).all(), "far from it, and unmarked: background"


@pytest.mark.parametrize("risk", ["binomial", "non-negative", "supervised"])
def test_every_risk_has_a_gradient_and_a_batch_without_unlabelled_windows_does_no_harm(risk):
    task = replace(TASK, risk=risk)
    target = torch.zeros(2, 3, 3, 3, 3)
    target[0, 0, 1, 1, 1] = target[0, 2] = 1
    for known in (torch.ones(2, 1, 3, 3, 3), torch.zeros(2, 1, 3, 3, 3)):
        maps = torch.randn(2, 1, 3, 3, 3, requires_grad=True)
        task.loss(maps, target, known).backward()
        assert torch.isfinite(maps.grad).all() and maps.grad.abs().sum() > 0


def test_the_weights_of_classifying_and_drawing_are_learnt():
    """At the best log variances, which are ln of the losses (halved for the classification), nothing pulls any more."""
    target = torch.zeros(1, 3, 1, 1, 1)
    target[:, 0] = target[:, 2] = 1
    logit, missed = torch.zeros(1, 1, 1, 1, 1), torch.full((1, 1, 1, 1, 1), 0.3)
    risk = float(torch.nn.functional.softplus(torch.zeros(1)))
    scales = torch.tensor([np.log(2 * risk), np.log(0.3)]).float().view(1, 2, 1, 1, 1).requires_grad_()
    TASK.loss(torch.cat([logit, missed, scales], 1), target, torch.zeros(1, 1, 1, 1, 1)).backward()
    assert scales.grad.abs().max() < 1e-6


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), marked=st.sampled_from([0.01, 1 / 3, 0.99]))
def test_a_batch_never_lacks_positives_nor_unlabelled_windows(example, seed, marked):
    task = replace(TASK, marked=marked, batch=6)
    [ready] = all_ready(task, [clicks(example, 3)])
    _, target, known = draw_batch([source_of(task, ready)], task, (seed, 0), 0)
    assert target[:, 0].any()
    unlabelled = (known[:, 0] > 0) & (target[:, 2] == 0)
    around = (target[:, 0] > 0).any(axis=(1, 2, 3))
    assert around[0] and not known[0].any(), "what was drawn around a click is no fair sample"
    assert unlabelled.any() or (known[-1] > 0).any()


@pytest.mark.parametrize(("company", "expected"), [(0.0, (0.0, 0.35)), (1.0, (0.45, 1.3))])
def test_a_companion_is_marked_too_as_far_away_as_particles_that_touch(example, company, expected):
    task = replace(TASK, company=company, zoom=0.0, patch_px=TASK.window_px + 16)
    [ready] = all_ready(task, [clicks(example, 1)])
    source, widest = source_of(task, ready), 0.0
    for seed in range(10):
        patch = draw_patch([source], task, np.random.default_rng(seed), marked=True)
        places = np.argwhere(patch.target[0] > 0) * task.grid.stride * task.grid.spacing_um[0] / 1.8
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
        widest = max(widest, float(apart.max(initial=0)))
    assert expected[0] <= widest <= expected[1]


def test_where_certainly_nothing_is_no_cell_may_be_a_centre(example):
    task = replace(TASK, zoom=0.0)
    [ready] = all_ready(task, [clicks(example, 1)])
    image = ready.example.image
    [place] = ready.example.truth.position_um
    refuted = replace(ready.example.truth, confidence=np.zeros(1))
    marked, beside, near = task.target(refuted, image)
    away = np.linalg.norm(image.to_um(np.argwhere(np.ones(image.shape))) - place, axis=1).reshape(image.shape)
    assert not marked.any() and np.array_equal(beside, near)
    assert np.array_equal(beside > 0, away < 0.38 * 1.8)


def test_heaps_come_last_and_are_as_bright_as_particles_and_none(example):
    task = replace(TASK, shaped=True, heaps=0.5, marked=0.25, batch=12)
    [ready] = all_ready(task, [clicks(example, 4)])
    pixels, target, known = draw_batch([source_of(task, ready)], task, (0, 0), 0)
    heaps = target[6:]
    assert not heaps[:, 0].any() and heaps[:, 1].any(axis=(1, 2, 3)).all(), (
        "no cell is a centre, some certainly are none"
    )
    assert not known[6:].any(), "they stand for nothing in the image"
    brightest = np.sinh(pixels).max(axis=(1, 2, 3, 4))
    assert 0.5 < np.median(brightest[6:]) / np.median(brightest[:3]) < 3


def test_only_particles_with_a_shape_are_told_from_heaps_and_who_did_not_say_hears_of_it(example):
    for shaped in (False, True):
        task = replace(TASK, shaped=shaped)
        assert (task.recipe.heaps > 0) == shaped
        assert any("--shaped" in remark for remark in task.remarks([example])) != shaped


def test_light_is_added_as_light_and_shown_to_the_network_as_it_is_prepared(example):
    seen = levels(example.image)
    pixels = np.asarray(example.image.data[20:22, 30:40, 30:40])
    prepared = TASK.prepare(pixels, seen)
    light = _light(prepared, TASK.recipe)
    assert np.allclose(light[0], (pixels - seen.centre) / (TASK.linear_to * seen.spread), rtol=1e-3, atol=1e-5)
    assert np.allclose(_prepared(light, TASK.recipe), prepared, rtol=1e-4)
    assert np.array_equal(_light(prepared, replace(TASK.recipe, compressed=False)), prepared)


# -- what is looked at -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 4])
def test_the_region_of_interest_holds_the_particles_and_little_else(seed):
    found = SCENES.draw(seed)
    assert TASK.region_recall([found]) == 1.0
    [(ready, region)] = TASK._regions([found])
    assert region.mean() < 0.25


def test_looking_everywhere_finds_nothing_lost(example):
    assert replace(TASK, focus=False).region_recall([example]) == 1.0


def spotted(bright, faint):
    """A plane of noise with so many bright and faint spots of a tenth of a µm, and the bright ones clicked."""
    rng = np.random.default_rng(1)
    pixels, spots = rng.normal(100, 1, (384, 384)), np.zeros((384, 384))
    clicked, others = (rng.integers(12, 372, (count, 2)) for count in (bright, faint))
    spots[tuple(clicked.T)] += 2000
    spots[tuple(others.T)] += 60
    image = Image((pixels + gaussian_filter(spots, 2.0)).astype(np.float32), "yx", (0.1, 0.1))
    return Example("spots", image, Points.marked(image.to_um(clicked.astype(float)), kinds=("spot",)))


def test_what_is_far_fainter_than_every_click_is_not_looked_at():
    found = spotted(10, 600)
    task = Particles(diameters_nm=(900.0,), count=20, window_px=16, patch_px=20).resolve([found])
    everything = replace(task, least_light=0.0)
    image = to_spacing(found.image, task.grid.spacing_um)
    ready = task.prepare(np.asarray(image.data), levels(image))
    less, more = (one.region(ready, one.measure(image)).mean() for one in (task, everything))
    assert task.region_recall([found]) == 1
    assert less < 0.5 * more


def test_one_click_in_ten_on_nothing_to_be_seen_does_not_change_how_faint_is_too_faint():
    found = spotted(20, 0)
    astray = replace(found, truth=replace(found.truth, position_um=found.truth.position_um.copy()))
    astray.truth.position_um[:2] = [[1.0, 37.0], [37.0, 1.0]]
    one, other = (Particles(diameters_nm=(900.0,), count=20).resolve([each]).least_light for each in (found, astray))
    assert other == pytest.approx(one, rel=0.1)


def test_low_recall_of_clicks_is_said_with_the_way_out(example):
    dark = Points.marked(np.array([[3.0, 0.3, 0.3], [0.3, 9.0, 0.3], [3.0, 9.0, 9.0]]), kinds=("centriole",))
    lines = list(TASK.remarks([replace(example, truth=dark)]))
    assert any("of the clicks lie in the region" in line and "--no-focus" in line for line in lines)
    assert not any("of the clicks" in line for line in TASK.remarks([example]))


# -- tiles and blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 96, 56), (26, 41, 150)])
def test_tiles_give_what_one_pass_gives(shape):
    scene = replace(SCENES, shape_px=shape, particles=(12, 12)).draw(1)
    weights = with_weights(TASK)
    whole, _ = maps_on(TASK, scene, weights)
    tiled, _ = maps_on(TASK, scene, weights, tile=(40, 48, 64))
    assert whole.data[0].max() > 0
    assert np.allclose(whole.data, tiled.data, atol=1e-4)


def test_a_network_that_pads_inside_gives_the_same_whatever_the_tiles_are():
    """Its answers depend on where pieces begin, so that must not depend on tiles, and so on memory."""
    task = replace(FLAT, net="efficientnet-b0", patch_px=24, focus=False)
    scene, rng = replace(SCENES, dimensions=2, shape_px=(40, 330)).draw(1), np.random.default_rng(0)
    shaken = {name: "running" not in name and value.dtype.kind == "f" for name, value in with_weights(task).items()}
    weights = {n: v + shaken[n] * rng.normal(0, 0.1, v.shape).astype(v.dtype) for n, v in with_weights(task).items()}
    whole, _ = maps_on(task, scene, weights)
    assert whole.data[0].std() > 1e-3
    tiled, _ = maps_on(task, scene, weights, tile=(128, 128))
    np.testing.assert_array_equal(whole.data, tiled.data)


def test_each_score_is_that_of_its_window_alone(example):
    """Dense prediction is the classifier of windows, window by window, at every second voxel, at the image's edge too."""
    weights = with_weights(TASK)
    maps, image = maps_on(TASK, example, weights)
    prepared = TASK.prepare(image.data, levels(image))
    padded = np.pad(prepared[0], 11)
    net = TASK.network().eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    cells = np.argwhere(maps.data[0] > 0)
    for cell in cells[:: len(cells) // 12]:
        window = padded[tuple(slice(2 * c, 2 * c + 24) for c in cell)]
        with torch.inference_mode():
            alone = float(net(torch.from_numpy(window)[None, None]).sigmoid())
        assert maps.data[(0, *cell)] == pytest.approx(alone, abs=1e-5)


def test_blocks_find_what_the_whole_finds(example):
    weights = with_weights(TASK, 2)
    maps, image = maps_on(TASK, example, weights)
    found = TASK.permissive().decode(maps)
    assert len(found) > 3
    plan = make_plan(image, replace(TASK.grid, tile=(32, 48, 48)))
    prepare = partial(TASK.prepare, levels=levels(image))
    forward = TASK.forward({**TASK.measure(image), **weights}, "cpu")
    again = []
    for block in plan.blocks:
        from graticule.inference.find import owned
        from graticule.inference.run import run_block

        part = TASK.permissive().decode(run_block(forward, prepare, image, plan, block, context=True))
        again.append(part[owned(image.to_voxels(part.position_um), block.write, plan.shape)])
    places = np.concatenate([part.position_um for part in again])
    assert len(places) == len(found)
    order, expected = np.lexsort(places.T.round(3)), np.lexsort(found.position_um.T.round(3))
    assert np.allclose(places[order], found.position_um[expected], atol=1e-3)


# -- from scores to particles ------------------------------------------------------------------------------------------------


def scored(*places, light=(), size=0.45):
    """Maps in which windows near each of `places` are sure, with particles of light there and at `light`."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in CELLS.shape], indexing="ij"), -1)
    um = CELLS.to_um(grid.reshape(-1, 3)).reshape(grid.shape)
    sure, bright = np.zeros(CELLS.shape, np.float32), np.zeros(CELLS.shape, np.float32)
    for place in places:
        sure = np.maximum(sure, 0.95 * np.exp(-(np.linalg.norm(um - place, axis=-1) ** 2) / (2 * 0.3**2)))
    for place in light:
        bright += np.exp(-(np.linalg.norm(um - place, axis=-1) ** 2) / (2 * size**2)).astype(np.float32)
    noise = 0.01 * np.random.default_rng(0).random(CELLS.shape)
    return replace(
        CELLS, data=np.stack([sure, bright + noise, np.full(CELLS.shape, 0.3)]).astype(np.float32), axes="czyx"
    )


@pytest.mark.parametrize("off", [[0.15, -0.1, 0.12], [0.0, 0.25, 0.0], [-0.1, 0.0, 0.1]])
def test_a_particle_comes_back_at_the_centre_of_its_light(off):
    truth = np.array([2.3, 2.8, 3.1])
    maps = scored(truth + np.array(off), light=[truth])
    moved, kept = TASK.decode(maps), replace(TASK, recentre=False).decode(maps)
    assert len(moved) == len(kept) == 1
    assert np.linalg.norm(moved.position_um[0] - truth) < 0.08
    assert np.linalg.norm(kept.position_um[0] - truth) > 0.1


def test_a_particle_is_not_moved_to_light_far_off():
    truth = np.array([2.3, 2.8, 3.1])
    maps = scored(truth, light=[truth + np.array([0.0, 0.7, 0.0])])
    moved, kept = TASK.decode(maps), replace(TASK, recentre=False).decode(maps)
    assert np.array_equal(moved.position_um, kept.position_um)


def test_windows_around_one_particle_are_merged_and_two_particles_are_not():
    one, other = np.array([2.3, 1.6, 3.1]), np.array([2.3, 4.2, 3.1])
    aside = np.array([0.0, 0.36, 0.0])
    around = [one + aside, one - aside, one + np.array([0.0, 0.0, 0.36])]
    maps = scored(*around, other, light=[one, other])
    assert len(TASK.decode(maps)) == 2
    assert len(replace(TASK, merge=0.0, suppression=0.05).decode(maps)) > 2


@pytest.mark.parametrize(("diameter_nm", "count"), [(400.0, 1), (1800.0, 0)])
def test_a_single_sure_window_is_a_particle_where_particles_are_that_small(diameter_nm, count):
    """Windows are averaged over a share of a particle: of nine cells across, one alone says nothing; of two it says all."""
    maps = scored()
    maps.data[0] = 0.02
    maps.data[0, 12, 14, 16] = 0.95
    task = replace(TASK, diameters_nm=(diameter_nm,), intensity_filter=False, thresholds=(0.5,))
    assert len(task.decode(maps)) == count


def test_what_is_dark_among_its_surroundings_is_dropped_if_that_is_asked_for():
    bright, dark = np.array([2.3, 1.6, 1.6]), np.array([2.3, 4.4, 4.6])
    maps = scored(bright, dark, light=[bright], size=0.8)
    data = maps.data.copy()
    data[2] = 0.75
    maps = replace(maps, data=data)
    assert len(replace(TASK, recentre=False).decode(maps)) == 1
    assert len(replace(TASK, recentre=False, intensity_filter=False).decode(maps)) == 2


def test_thresholds_count_after_everything_else():
    """So that candidates kept at a threshold are what decoding at that threshold gives."""
    maps = scored([2.3, 1.6, 1.6], [2.3, 4.2, 4.2], light=[[2.3, 1.6, 1.6], [2.3, 4.2, 4.2]])
    strict = replace(TASK, thresholds=(0.6,))
    assert np.array_equal(strict.keep(TASK.decode(maps)).position_um, strict.decode(maps).position_um)
    assert (TASK.decode(maps).confidence >= FLOOR).all()


# -- settings that follow from clicks ----------------------------------------------------------------------------------------


def test_the_prior_of_a_volume_is_the_published_formula():
    assert share_of_volume(60, 0.5, 1000.0) == pytest.approx(60 * 4 / 3 * np.pi * 0.125 / 1000)


def test_size_polarity_count_and_prior_follow_from_a_few_clicks():
    found = replace(SCENES, shape_px=(40, 128, 128), particles=(14, 14)).draw(5)
    task = Particles().resolve([clicks(found, 10)])
    assert task.polarity == "bright" and task.classes == ("centriole",)
    assert 900 < task.diameters_nm[0] < 2500
    assert task.count_interval[0] <= task.count <= task.count_interval[1]
    assert 10 <= task.count <= 30
    assert task.window_nm == pytest.approx(task.diameters_nm[0] * 4 / 3, rel=1e-3)
    assert 0 < task.prior < 0.5


def test_more_particles_mean_a_larger_prior_and_clicks_are_taken_off(example):
    few, many = (replace(TASK, prior=0.0, count=n).resolve([clicks(example, 4)]).prior for n in (6, 12))
    assert few < many
    assert replace(TASK, prior=0.0, count=8).resolve([example]).prior == pytest.approx(1e-4), "all of them are marked"


def test_fewer_particles_than_clicks_are_refused(example):
    with pytest.raises(SettingsError, match="found a count of 3 particles in an image, and 5 clicks in 1"):
        replace(TASK, prior=0.0, count=3).resolve([clicks(example, 5)])


def test_with_a_given_prior_the_count_is_estimated_for_whoever_asks(example):
    task = replace(TASK, prior=0.05, count=0.0).resolve([clicks(example, 5)])
    assert task.prior == 0.05
    assert task.count_interval[0] <= task.count <= task.count_interval[1] and task.count >= 5
    assert "about 0 in an image" not in next(task.remarks([clicks(example, 5)]))


@pytest.mark.parametrize("z_um", [0.1, 0.3, 0.5])
def test_far_apart_planes_do_not_make_particles_seem_larger(z_um):
    """Balls 0.59 µm across at half their height."""
    shape = (round(8 / z_um), 80, 80)
    places = np.array([(z, y, x) for z in (2.0, 5.5) for y in (2.0, 5.5) for x in (2.0, 5.5)])
    um = np.stack(np.meshgrid(np.arange(shape[0]) * z_um, *[np.arange(80) * 0.1] * 2, indexing="ij"), -1)
    light = sum(np.exp(-(((um - place) / 0.25) ** 2).sum(-1) / 2) for place in places)
    image = Image((100 + 1000 * light).astype(np.uint16), "zyx", (z_um, 0.1, 0.1))
    polarity, diameter_nm = look_of([Example("balls", image, Points.marked(places))])
    assert polarity == "bright"
    assert 550 < diameter_nm < 1000


def test_with_a_known_diameter_only_bright_is_told_from_dark(example):
    inverted = replace(example, image=replace(example.image, data=60_000 - np.asarray(example.image.data)))
    assert look_of([clicks(example, 3)], 1500.0) == ("bright", 1500.0)
    assert look_of([clicks(inverted, 3)], 1500.0) == ("dark", 1500.0)


def test_dark_particles_are_seen_as_dark():
    found = SCENES.draw(3)
    inverted = replace(found, image=replace(found.image, data=60_000 - found.image.data))
    task = Particles(count=8, diameters_nm=(1800.0,)).resolve([inverted])
    assert task.polarity == "dark"
    bright, dark = replace(task, polarity="bright"), task
    image = Levels(30.0, 5.0)
    pixels = np.array([[10.0, 60.0]])
    assert np.allclose(dark.prepare(pixels, image), -bright.prepare(pixels, image))


# -- bad input, one line each ------------------------------------------------------------------------------------------------


def test_fewer_than_three_clicks_are_refused(example):
    with pytest.raises(AnnotationError, match="found 2 clicked particles; need at least 3, better 10"):
        Particles().resolve([clicks(example, 2)])


def test_clicks_outside_the_image_are_refused(example):
    outside = Points.marked(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1.0, 1.0, 99.0]]))
    with pytest.raises(AnnotationError, match=r"found 1 of 3 clicks outside the image.*voxel size"):
        Particles().resolve([replace(example, truth=outside)])


def test_a_diameter_smaller_than_a_voxel_is_refused(example):
    with pytest.raises(SettingsError, match=r"found a diameter of 10 nm, and voxels of .* is --diameters-nm in nm"):
        Particles(diameters_nm=(10.0,), polarity="bright", count=8).resolve([example])


def test_a_window_larger_than_the_volume_is_refused(example):
    with pytest.raises(FormatError, match=r"need an image larger than a window; are the voxel size and --diameters-nm"):
        Particles(diameters_nm=(60_000.0,), polarity="bright", count=8).resolve([example])


@pytest.mark.parametrize("prior", [-0.1, 1.0, 1.5])
def test_an_impossible_prior_is_refused(prior):
    with pytest.raises(SettingsError, match="above 0 and below 1; give --count"):
        Particles(prior=prior)


def test_a_count_that_fills_more_than_the_image_is_refused(example):
    with pytest.raises(SettingsError, match="need a smaller --count or --diameters-nm"):
        Particles(diameters_nm=(1800.0,), polarity="bright", count=1e6).resolve([clicks(example, 4)])


def test_a_constant_volume_is_refused(example):
    constant = replace(example, image=replace(example.image, data=np.full(example.image.shape, 7, np.uint16)))
    with pytest.raises(FormatError, match="all alike; need one that shows something"):
        Particles(diameters_nm=(1800.0,), polarity="bright", count=8).resolve([constant])
    with pytest.raises(FormatError, match="found no spot in the images: they are all alike"):
        Particles(diameters_nm=(1800.0,), polarity="bright").resolve([constant])


def test_a_volume_of_one_plane_is_refused():
    thin = Image(np.zeros((1, 64, 64), np.uint16), "zyx", (0.2, 0.1, 0.1))
    marks = Points.marked(np.array([[0.0, 1, 1], [0, 2, 2], [0, 3, 3]]))
    with pytest.raises(FormatError, match="a single plane; need a plane"):
        Particles().resolve([Example("thin", thin, marks)])


def test_labels_two_classes_and_mixed_dimensions_are_refused(example):
    labels = Labels(replace(example.image, data=np.ones(example.image.shape, np.uint8)))
    with pytest.raises(AnnotationError, match="found labels; particles need points"):
        Particles().resolve([replace(example, truth=labels)])
    with pytest.raises(SettingsError, match="particles are of one; name it"):
        Particles(classes=("a", "b")).resolve([example])
    flat = ParticleScenes(dimensions=2, shape_px=(64, 64)).draw(0)
    with pytest.raises(FormatError, match="found planes and volumes in one dataset"):
        Particles().resolve([example, flat])


def test_impossible_settings_are_refused():
    for wrong in (
        *({"window_px": 23}, {"patch_px": 20}, {"count": -1.0}, {"thresholds": (0.1, 0.2)}, {"thresholds": (2.0,)}),
        *(
            {"diameters_nm": (-100.0,)},
            {"diameters_nm": (0.0,)},
            {"learning_rate": -1.0},
            {"marked": 2.0},
            {"marked": 0.0},
        ),
    ):
        with pytest.raises(SettingsError, match="need"):
            Particles(**wrong)
    with pytest.raises(SettingsError, match="multiple of 8"):
        Particles(net="efficientnet-b0", window_px=20)
    with pytest.raises(SettingsError, match="needs an even number from 18 on"):
        replace(TASK, window_px=16, patch_px=16).network()


def test_a_mask_that_marks_nothing_leaves_nothing_to_learn_from(example):
    task = replace(QUICK, diameters_nm=(1800.0,), count=8).resolve([example])
    [ready] = all_ready(task, [example])
    nowhere = replace(ready.example.image, data=np.zeros(ready.example.image.shape, np.uint8))
    empty = replace(ready, example=replace(ready.example, complete=nowhere))
    with pytest.raises(DatasetError, match="found nothing to learn from in the part of the images that is looked at"):
        fit(task, [empty], [empty], device="cpu")


# -- as one of the tasks -----------------------------------------------------------------------------------------------------


def test_it_is_one_of_the_tasks_with_the_published_network_as_a_preset():
    assert TASKS["particles"] is Particles
    published = replace(FLAT, **PRESETS["particles"]["efficientnet"])
    out = published.network().eval()(torch.zeros(1, 1, 24, 24))
    assert out.shape == (1, 1, 1, 1)
    assert published.grid.stride == 4


def test_what_was_measured_is_no_weight(example):
    weights = with_weights(TASK)
    image = to_spacing(example.image, TASK.grid.spacing_um)
    measured = TASK.measure(image)
    assert all(name.startswith(MEASURED) for name in measured) and not set(measured) & set(weights)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_small_network_learns_a_few_spots_in_seconds(dimensions):
    """So few steps make it sure of nothing, but the spots are what it is surest of."""
    scene = ParticleScenes(
        dimensions=dimensions,
        template="spot",
        length_um=0.8,
        shrink=0.0,
        paired=0.0,
        smears=0.0,
        strays=0.0,
        particles=(6, 6),
        shape_px=(96, 96) if dimensions == 2 else (16, 64, 64),
    ).draw(1)
    task = replace(QUICK, diameters_nm=(800.0,), count=6).resolve([scene])
    [ready] = all_ready(task, [scene])
    fitted = fit(task, [ready], [ready], device="cpu")
    assert fitted.task.thresholds == (0.5,)
    model = Checkpoint(fitted.task.permissive(), fitted.weights)
    found = find(model.task, [model], ready, False, "cpu")
    surest = found[np.argsort(-found.confidence)[: len(scene.truth)]]
    assert task.score([surest], [scene])["f1"] > 0.8
