import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from graticule.errors import CheckpointError, DatasetError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Points
from graticule.simulate.particles import ParticleScenes
from graticule.task import Cycles, Phase, Recipe
from graticule.tasks.beads import Beads
from graticule.tasks.particles import Particles
from graticule.training import fit
from graticule.training.fit import ends_cycle, first_cycle, parameter_groups, rate_at, rate_share
from graticule.training.patches import heaped_patches, marked_patches
from graticule.workflows.ready import all_ready
from tests.synthetic import SPACING_UM, scattered

LEARN = [scattered(seed) for seed in (0, 1)]
CHOOSE = [scattered(2)]
fit_module = sys.modules["graticule.training.fit"]  # `graticule.training.fit` itself is the function
TINY = Beads(
    width=0.125,
    neck_channels=16,
    neck_rounds=1,
    head_channels=16,
    patch_px=64,
    batch=2,
    steps=3,
    epochs=(3,),
    average=0.5,
).resolve(LEARN)


def train(task=TINY, **more):
    return fit(task, all_ready(task, LEARN), all_ready(task, CHOOSE), device="cpu", **more)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


class Killed(Exception):
    pass


def killed_after(epochs):
    def watch(line, left):
        if line.epoch == epochs and line.phase == 0:
            raise Killed

    return watch


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, again, other = train(seed=1), train(seed=1), train(seed=2)
    assert same(one.weights, again.weights)
    assert not same(one.weights, other.weights)


@pytest.mark.parametrize("epochs", [(3,), (2, 1, 1)])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, epochs):
    task = replace(TINY, epochs=epochs)
    whole = train(task)
    state = tmp_path / "state"
    with pytest.raises(Killed):
        train(task, state_file=state, watch=killed_after(1))
    resumed = train(task, state_file=state)
    assert same(whole.weights, resumed.weights)
    assert whole.task == resumed.task
    assert [(e.phase, e.epoch, e.loss, e.score) for e in whole.history] == [
        (e.phase, e.epoch, e.loss, e.score) for e in resumed.history
    ]


def test_what_is_dropped_out_is_the_same_after_a_restart(tmp_path):
    scene = ParticleScenes(shape_px=(32, 64, 64), particles=(5, 5)).draw(3)
    quick = Particles(window_px=16, patch_px=20, channels=(4, 4, 6), batch=6, steps=3, epochs=3, cycle=3, drop=0.5)
    task = replace(quick, diameters_nm=(1800.0,), count=5).resolve([scene])
    ready, state = all_ready(task, [scene]), tmp_path / "state"
    whole = fit(task, ready, ready, device="cpu")
    with pytest.raises(Killed):
        fit(task, ready, ready, device="cpu", state_file=state, watch=killed_after(1))
    torch.rand(1)  # whatever else was drawn meanwhile
    assert same(whole.weights, fit(task, ready, ready, device="cpu", state_file=state).weights)


@pytest.mark.parametrize(("patience", "every"), [(1, 10), (3, 10), (3, 2)])
def test_a_training_that_has_waited_long_enough_examines_what_it_leaves(monkeypatch, patience, every):
    """Also where it would have been examined later only."""
    recipe = replace(
        TINY.recipe, patience=patience, validate_every=every, phases=(replace(TINY.recipe.phases[0], epochs=9),)
    )
    monkeypatch.setattr(type(TINY), "recipe", recipe)
    history = train(TINY).history
    assert history[-1].score is not None
    assert len(history) <= 9


def test_no_patch_is_drawn_twice(monkeypatch):
    """The published bug: the same patches every epoch, learnt by heart in seventeen."""
    keys = []
    draw = fit_module.draw_batch

    def spy(sources, task, key, step):
        keys.append((*key, step))
        return draw(sources, task, key, step)

    monkeypatch.setattr(fit_module, "draw_batch", spy)
    train(replace(TINY, epochs=(2, 1, 1)))
    assert len(keys) == len(set(keys)) == 4 * TINY.steps


def test_a_training_is_not_resumed_with_other_settings(tmp_path):
    with pytest.raises(Killed):
        train(state_file=tmp_path / "state", watch=killed_after(1))
    with pytest.raises(CheckpointError, match="steps"):
        train(replace(TINY, steps=4), state_file=tmp_path / "state")


def test_a_damaged_state_is_refused(tmp_path):
    state = tmp_path / "state"
    state.write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match="delete it"):
        train(state_file=state)


def test_every_model_that_is_kept_carries_its_threshold():
    kept = []
    train(keep=kept.append)
    assert kept
    assert all(len(f.task.thresholds) == 1 for f in kept)


def scored(monkeypatch, scores, as_good):
    """The history of a training whose models score so, one after the other, and what was kept."""
    left = iter(scores)
    monkeypatch.setattr(fit_module, "examine", lambda task, *_: (replace(task, thresholds=(0.5,)), next(left)))
    monkeypatch.setattr(Beads, "recipe", replace(TINY.recipe, as_good=as_good, patience=99))
    return train(replace(TINY, epochs=(len(scores),)))


@pytest.mark.parametrize(
    ("scores", "as_good", "kept"),
    [
        ((0.9, 0.9, 0.8), 0.0, [0, 1]),
        ((0.9, 0.89, 0.8), 0.0, [0]),
        ((0.9, 0.89, 0.8), 0.02, [0, 1]),
        ((0.9, 0.89, 0.87), 0.02, [0, 1]),  # held against the highest, not against the one before
        ((0.9, 0.8, 0.95), 0.02, [0, 2]),
    ],
)
def test_of_models_that_score_alike_the_later_is_kept(monkeypatch, scores, as_good, kept):
    fitted = scored(monkeypatch, scores, as_good)
    assert [n for n, epoch in enumerate(fitted.history) if epoch.best] == kept
    assert fitted.score == scores[kept[-1]]


def test_a_resumed_training_knows_the_score_of_what_is_kept_and_the_highest(tmp_path, monkeypatch):
    scores = iter((0.9, 0.89, 0.875, 0.875))
    monkeypatch.setattr(fit_module, "examine", lambda task, *_: (replace(task, thresholds=(0.5,)), next(scores)))
    monkeypatch.setattr(Beads, "recipe", replace(TINY.recipe, as_good=0.02, phases=(Phase(4, {"": 1e-3}),)))
    with pytest.raises(Killed):
        train(state_file=tmp_path / "state", watch=killed_after(3))
    after = train(state_file=tmp_path / "state")
    assert (after.score, [epoch.best for epoch in after.history]) == (0.89, [True, True, False, False])


def test_frozen_layers_do_not_move_and_their_norms_keep_their_statistics():
    task = replace(TINY, epochs=(1, 1, 1), average=0.0)
    before = {}
    torch.manual_seed(0)
    before = {k: v.numpy().copy() for k, v in task.network().state_dict().items()}
    stop = killed_after(1)
    kept = []
    with pytest.raises(Killed):
        train(task, seed=0, keep=kept.append, watch=stop)
    after = kept[0].weights
    encoder = [k for k in before if k.startswith("encoder.")]
    assert all(np.array_equal(before[k], after[k]) for k in encoder)
    assert not np.array_equal(before["neck.inlets.0.0.weight"], after["neck.inlets.0.0.weight"])


def test_learning_rates_go_by_the_longest_fitting_name():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "ab": torch.nn.Linear(2, 2), "c": torch.nn.Linear(2, 2)})
    groups = parameter_groups(network, Phase(1, {"a": 1.0, "ab": 2.0}))
    assert {g["peak"]: len(g["params"]) for g in groups} == {1.0: 2, 2.0: 2}
    assert not network["c"].weight.requires_grad


def test_the_learning_rate_climbs_then_falls():
    rates = [rate_share(t) for t in np.linspace(0, 1, 101)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[-1] < 0.05
    assert int(np.argmax(rates)) < 10


def test_images_without_a_bead_cannot_teach():
    empty = Example(
        "empty", Image(np.zeros((96, 96), np.uint8), "yx", (SPACING_UM, SPACING_UM)), Points.none(2, ("6nm",))
    )
    with pytest.raises(DatasetError, match="empty"):
        fit(TINY, all_ready(TINY, [empty]), all_ready(TINY, CHOOSE), device="cpu")


def test_a_small_network_learns_one_example_in_seconds():
    task = replace(TINY, width=0.25, steps=20, batch=4, epochs=(6,), learning_rate=4e-3, average=0.9, paste=0.0)
    fitted = fit(task, all_ready(task, LEARN[:1]), all_ready(task, LEARN[:1]), device="cpu")
    assert fitted.score == 1.0


# -- stochastic weight averaging, marked patches -----------------------------------------------------------------------


CYCLES = Cycles(begin=0.5, steps=4, highest=0.4, lowest=0.1, refresh=2)


@pytest.mark.parametrize("steps", [16, 30, 61])
def test_cycles_end_with_the_phase_and_each_falls_from_their_highest_rate_to_their_lowest(steps):
    first = first_cycle(steps, CYCLES)
    ends = [step for step in range(steps) if ends_cycle(step, steps, CYCLES)]
    assert ends[-1] == steps - 1
    assert np.diff([first - 1, *ends]).tolist() == [4] * len(ends)
    rates = [rate_at(step, steps, CYCLES) for step in range(steps)]
    assert [rates[end] for end in ends] == pytest.approx([0.1] * len(ends))
    assert [rates[end - 3] for end in ends] == pytest.approx([0.4] * len(ends))
    assert min(rates[2 : max(first, 3)]) >= 0.39 and max(rates) <= 1


class Averaged(Beads):
    """Beads, with weights averaged over cycles."""

    @property
    def recipe(self) -> Recipe:
        return replace(super().recipe, cycles=CYCLES, optimiser="sgd", average=0.0, marked=0.25, linear=True)


def test_what_cycles_keep_is_the_plain_mean_of_the_weights_at_their_ends(monkeypatch):
    task = Averaged(classes=TINY.classes, diameters_nm=TINY.diameters_nm, match_nm=TINY.match_nm, working_nm=TINY.working_nm,
                    width=0.125, neck_channels=8, head_channels=8,
                    epochs=(2,), steps=6, batch=3, patch_px=32, learning_rate=0.01)  # fmt: skip
    seen = []
    original = AveragedModel.update_parameters
    monkeypatch.setattr(
        AveragedModel,
        "update_parameters",
        lambda self, model: (
            seen.append({k: p.detach().clone() for k, p in model.named_parameters()}),
            original(self, model),
        ),
    )
    ready = all_ready(task, LEARN[:1])
    fitted = fit(task, ready, ready, device="cpu")
    assert len(seen) == 2, "twelve steps, half of them in cycles of four"
    for name in seen[0]:
        mean = torch.stack([one[name] for one in seen]).mean(dim=0)
        assert np.allclose(fitted.weights[name], mean.numpy(), atol=1e-6)


def test_every_batch_has_the_share_of_marked_patches_that_is_asked_and_they_come_first():
    task = replace(TINY, batch=8)
    recipe = replace(task.recipe, marked=0.25)
    assert marked_patches(recipe) == 2
    assert marked_patches(replace(recipe, marked=0.01)) == 1 and marked_patches(replace(recipe, marked=1.0)) == 7
    assert marked_patches(task.recipe) == 0


def test_heaps_are_of_the_patches_that_are_not_marked_and_leave_one_for_the_rest_of_the_image():
    recipe = replace(TINY, batch=8).recipe
    assert heaped_patches(recipe) == 0
    assert heaped_patches(replace(recipe, marked=0.25, heaps=0.25)) == 2
    assert heaped_patches(replace(recipe, marked=0.5, heaps=1.0)) == 3
    assert heaped_patches(replace(recipe, marked=1.0, heaps=1.0)) == 0
