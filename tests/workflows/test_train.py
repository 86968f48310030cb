from dataclasses import replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, DatasetError, SettingsError
from graticule.simulate import TissueScenes
from graticule.tasks.beads import Beads
from graticule.tasks.mitochondria import Mitochondria
from graticule.tasks.tissue import Tissue
from graticule.workflows.train import beginning, train
from tests.synthetic import scattered

EXAMPLES = [scattered(seed) for seed in range(4)]
TINY = Beads(width=0.125, neck_channels=16, neck_rounds=1, head_channels=16, patch_px=64, batch=2, steps=2, epochs=(2,))


class Killed(Exception):
    pass


def stop_after_one(line, left):
    raise Killed


def weights_equal(a, b):
    return all(np.array_equal(a.weights[k], b.weights[k]) for k in a.weights)


def test_a_model_says_what_it_learnt_from_and_what_chose_its_threshold(tmp_path):
    model = train(TINY, EXAMPLES, tmp_path / "m.safetensors", device="cpu")
    assert len(model.made_by["learnt_from"]) == 3
    assert len(model.made_by["chosen_on"]) == 1
    assert not set(model.made_by["learnt_from"]) & set(model.made_by["chosen_on"])
    assert weights_equal(Checkpoint.load(tmp_path / "m.safetensors"), model)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_killed_training_leaves_a_model_that_works_and_goes_on_when_resumed(tmp_path):
    whole = train(TINY, EXAMPLES, tmp_path / "whole.safetensors", device="cpu")
    out = tmp_path / "m.safetensors"
    with pytest.raises(Killed):
        train(TINY, EXAMPLES, out, device="cpu", watch=stop_after_one)
    assert len(Checkpoint.load(out).task.thresholds) == 1
    resumed = train(TINY, EXAMPLES, out, device="cpu", resume=True)
    assert weights_equal(resumed, whole)
    assert resumed.task == whole.task


def test_the_task_says_how_much_of_a_single_volume_is_held_out(monkeypatch, tmp_path):
    cut = []

    def seen(task, learn, choose, **options):
        cut.append((learn[0].example.image.shape, choose[0].example.image.shape))
        raise Killed

    monkeypatch.setattr("graticule.workflows.train.fit", seen)
    (volume,) = TissueScenes(shape_px=(32, 32, 100)).examples(1)
    for share in (0.15, 0.4):
        with pytest.raises(Killed):
            train(Mitochondria(held_out=share), [volume], tmp_path / "m.safetensors", device="cpu")
    held = [np.prod(choose) / np.prod(volume.image.shape) for _, choose in cut]
    assert held == pytest.approx([0.15, 0.4], abs=0.02)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match="without --resume"):
        train(TINY, EXAMPLES, tmp_path / "m.safetensors", resume=True)


def test_fine_tuning_begins_with_the_other_models_weights(tmp_path):
    first = train(TINY, EXAMPLES, tmp_path / "a.safetensors", device="cpu")
    task = TINY.resolve(EXAMPLES)
    begun = beginning(task, 0, first, None)
    assert begun.fresh == ()
    assert all(np.array_equal(begun.weights[k], first.weights[k]) for k in first.weights)
    second = train(replace(TINY, epochs=(1,)), EXAMPLES, tmp_path / "b.safetensors", device="cpu", start=first)
    assert not weights_equal(first, second)


def test_two_beginnings_at_once_are_refused(tmp_path):
    start = Checkpoint(TINY.resolve(EXAMPLES), {})
    with pytest.raises(DatasetError, match="give one"):
        beginning(TINY, 0, start, tmp_path / "encoder.pth")


def test_a_frozen_random_encoder_is_refused():
    with pytest.raises(SettingsError, match="--encoder-weights"):
        beginning(replace(TINY, epochs=(1, 1, 1)).resolve(EXAMPLES), 0, None, None)


def test_one_annotated_image_is_enough_to_begin(tmp_path):
    model = train(TINY, [scattered(0, count=14, shape=(128, 128))], tmp_path / "m.safetensors", device="cpu")
    assert model.made_by["learnt_from"] == ["discs-0-a"]


SMALL = Tissue(channels=(4, 8), epochs=1, steps=2, batch=2)


def test_a_mask_model_is_tuned_further_on_one_small_region(tmp_path):
    """A quarter of the region, with a gap, chooses when to stop; the rest teaches."""
    volumes = list(TissueScenes(shape_px=(32, 32, 32)).examples(3))
    start = train(SMALL, volumes, tmp_path / "start.safetensors", device="cpu")
    region = TissueScenes(shape_px=(64, 64, 64), domain="milled").draw(5)
    tuned = train(SMALL, [region], tmp_path / "tuned.safetensors", device="cpu", start=start)
    assert tuned.task.recipe.patch == (48, 48, 48)
    assert [name[-2:] for name in (*tuned.made_by["learnt_from"], *tuned.made_by["chosen_on"])] == ["-a", "-b"]
    assert len(tuned.made_by["images"]) == 4
    assert not weights_equal(tuned, start)
