"""What a model says to who clicked."""

from dataclasses import replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import SettingsError
from graticule.results import Points
from graticule.simulate.particles import ParticleScenes
from graticule.tasks import Beads, Mitochondria
from graticule.tasks.particles import Particles
from graticule.training import fit
from graticule.workflows import clicks
from graticule.workflows.clicks import learning_curve, learns_from_clicks, next_windows
from graticule.workflows.ready import all_ready

SCENES = ParticleScenes(
    dimensions=2,
    template="spot",
    length_um=0.8,
    shrink=0.0,
    paired=0.0,
    smears=0.0,
    particles=(14, 14),
    shape_px=(128, 128),
)
TINY = Particles(
    diameters_nm=(800.0,),
    count=14,
    window_px=16,
    patch_px=20,
    channels=(6, 6, 8),
    batch=12,
    steps=12,
    epochs=3,
    cycle=6,
)


@pytest.fixture(scope="module")
def clicked():
    example = SCENES.draw(1)
    return replace(example, truth=example.truth[:6])


@pytest.fixture(scope="module")
def model(clicked):
    task = TINY.resolve([clicked])
    ready = all_ready(task, [clicked])
    fitted = fit(task, ready, ready, device="cpu")
    return Checkpoint(fitted.task, fitted.weights)


def test_what_to_label_next_is_unmarked_in_doubt_and_not_all_in_one_place(model, clicked):
    windows = next_windows(model, [clicked], count=5, device="cpu")
    assert 1 <= len(windows) <= 5
    places = np.array([window.position_um for window in windows])
    marked = clicked.truth.position_um
    apart = np.linalg.norm(places[:, None] - marked[None], axis=2)
    assert apart.min() > 0.4, "nobody is asked again"
    assert len({window.position_um for window in windows}) == len(windows)
    assert all(window.image == clicked.name for window in windows)


def test_where_everything_is_marked_nothing_is_asked(model, clicked, monkeypatch):
    monkeypatch.setattr(clicks, "find", lambda *_: Points.marked(clicked.truth.position_um, kinds=("spot",)))
    assert next_windows(model, [clicked], device="cpu") == []


def test_a_learning_curve_counts_every_click_that_was_left_out(clicked):
    class Said(list):
        def __call__(self, line):
            self.append(line)

    said = Said()
    example = replace(clicked, truth=SCENES.draw(1).truth[:12])
    steps = learning_curve(replace(TINY, epochs=1).resolve([example]), [example], device="cpu", say=said)
    assert [step.clicks for step in steps] == [4, 8]
    assert [step.of for step in steps] == [3 * 8, 3 * 4], "left out of each of three trainings"
    assert all(0 <= step.low <= step.found / step.of <= step.high <= 1 for step in steps)
    assert len(said) == 6


@pytest.mark.parametrize(("count", "of_thirds"), [(4, []), (7, [3]), (8, [3])])
def test_a_learning_curve_says_how_many_clicks_were_learnt_from(clicked, count, of_thirds):
    """Thirds of so few are too few to learn from, but for one or two of them."""
    example, said = replace(clicked, truth=SCENES.draw(1).truth[:count]), []
    task = replace(TINY, epochs=1).resolve([example])
    steps = learning_curve(task, [example], device="cpu", say=said.append)
    learnt = [int(line.split()[2]) for line in said]
    assert min(learnt) >= 3
    assert [step.clicks for step in steps if step.clicks <= count / 2] == of_thirds
    assert np.mean([n for n in learnt if n > count / 2]) == pytest.approx(steps[-1].clicks, abs=0.05)


def test_masks_do_not_make_background_of_clicks_that_are_left_out(clicked, monkeypatch):
    everywhere = replace(clicked.image, data=np.ones(clicked.image.shape, np.uint8))
    example = replace(clicked, truth=SCENES.draw(1).truth[:12], complete=everywhere)
    task = replace(TINY, epochs=1).resolve([example])
    priors, learnt = [], []

    def watched(again, ready, *given, **options):
        priors.append(again.prior)
        learnt.extend(one.example.complete for one in ready)
        return fit(again, ready, *given, **options)

    monkeypatch.setattr(clicks, "fit", watched)
    learning_curve(task, [example], device="cpu", say=lambda line: None)
    assert min(priors) > task.prior and set(learnt) == {None}


def test_nothing_is_asked_where_annotation_is_complete_and_all_the_rest_is_searched(model, clicked):
    left = np.zeros(clicked.image.shape, np.uint8)
    left[:, :64] = 1
    example = replace(clicked, complete=replace(clicked.image, data=left))
    windows = next_windows(model, [example], count=8, device="cpu")
    assert windows
    across = [float(clicked.image.to_voxels(np.array([window.position_um]))[0, 1]) for window in windows]
    assert min(across) > 63 and max(across) > 90


def test_clicks_that_are_left_out_do_not_say_how_faint_a_particle_may_be(clicked, monkeypatch):
    example = replace(clicked, truth=SCENES.draw(1).truth[:12])
    task = replace(TINY, epochs=1).resolve([example])
    learnt = []

    def watched(again, *given, **options):
        learnt.append(again.least_light)
        return fit(again, *given, **options)

    monkeypatch.setattr(clicks, "fit", watched)
    learning_curve(task, [example], device="cpu", say=lambda line: None)
    assert len(set(learnt)) > 1, "each fold measured its own clicks"


def test_only_tasks_that_hold_nothing_out_learn_from_clicks():
    assert learns_from_clicks(replace(TINY, dimensions=2, window_nm=1000.0))
    assert not learns_from_clicks(Beads(classes=("6nm",), diameters_nm=(6.0,), working_nm=0.5))
    assert not learns_from_clicks(Mitochondria(held_out=0.0)), "outlines are all there are"


def test_asking_another_task_for_a_learning_curve_is_refused():
    from graticule.cli.train import _refuse_without_clicks

    beads = Beads(classes=("6nm",), diameters_nm=(6.0,), working_nm=0.5)
    with pytest.raises(SettingsError, match="--learning-curve for beads; it is for tasks that learn from clicks"):
        _refuse_without_clicks(beads)
