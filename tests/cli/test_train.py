import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.cli.options import COMMON
from graticule.cli.train import _stoppable
from graticule.cli.voice import Voice
from tests.cli.conftest import TINY
from tests.cli.test_app import SOURCE

LONGER = (*TINY[2:], "--epochs", "8")


def test_a_model_file_is_written_and_described(graticule, discs):
    ended = graticule("train", "beads", discs, "-o", "models/mine", *TINY, "--json")
    assert ended.code == 0
    assert ended.json["model"] == "models/mine.safetensors"
    assert ended.json["settings"]["classes"] == ["6nm", "12nm"]
    said = graticule("info", "models/mine.safetensors")
    assert "6nm (6 nm), counts from confidence" in said.out
    assert "discs-0" in said.out


def test_a_model_that_is_there_is_said_to_be_replaced(graticule, discs):
    assert "is replaced" not in graticule("train", "beads", discs, "-o", "m", *TINY).err
    assert "found m.safetensors; it is replaced" in graticule("train", "beads", discs, "-o", "m", *TINY).err


def test_progress_is_a_line_an_epoch_on_standard_error(graticule, discs):
    ended = graticule("train", "beads", discs, "-o", "m", *LONGER)
    lines = [line for line in ended.err.splitlines() if "epoch" in line]
    assert len(lines) == 8
    assert all("loss" in line and "F1" in line and "left" in line for line in lines)
    assert "loss" not in ended.out


def test_quiet_says_nothing(graticule, discs):
    ended = graticule("train", "beads", discs, "-o", "m", *TINY, "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_with_json_standard_output_is_one_object(graticule, discs):
    ended = graticule("train", "beads", discs, "-o", "m", *TINY, "--json")
    assert len(ended.out.splitlines()) == 1


def test_flags_count_for_more_than_the_settings_file_and_that_for_more_than_the_preset(graticule, discs, tmp_path):
    (tmp_path / "my.toml").write_text(
        "epochs = 1\nsteps = 2\nbatch = 2\npatch_px = 64\nencoder = 'resnet18'\nwidth = 0.25\n"
    )
    words = ("--preset", "midasmap", "--settings", "my.toml", "--steps", "3", "--neck-channels", "16")
    settings = graticule("train", "beads", discs, "-o", "m", *words, "--json").json["settings"]
    assert settings["steps"] == 3  # flag
    assert settings["epochs"] == [1]  # file
    assert settings["encoder"] == "resnet18"  # file
    assert settings["stem_skip"] is False  # preset
    assert settings["mining"] == 0.7  # the task's own


def test_diameters_go_to_the_classes_in_the_datasets_order(graticule, discs):
    settings = graticule("train", "beads", discs, "-o", "m", *TINY, "--diameters-nm", "7", "13", "--json").json[
        "settings"
    ]
    assert settings["classes"] == ["6nm", "12nm"]
    assert settings["diameters_nm"] == [7, 13]


def test_diameters_are_taken_from_the_dataset_where_none_are_given(graticule, discs):
    header = discs / "dataset.yaml"
    header.write_text(header.read_text() + "diameters_nm: {6nm: 6.5, 12nm: 12.5}\n")
    settings = graticule("train", "beads", discs, "-o", "m", *TINY, "--json").json["settings"]
    assert settings["diameters_nm"] == [6.5, 12.5]
    header.write_text(header.read_text().replace("12nm: 12.5", ""))
    assert "12nm" in graticule("train", "beads", discs, "-o", "m", *TINY).complaint


def test_some_of_the_classes_can_be_learnt_in_any_order(graticule, discs):
    settings = graticule("train", "beads", discs, "-o", "m", *TINY, "--classes", "12nm", "--json").json["settings"]
    assert settings["classes"] == ["12nm"]
    assert settings["diameters_nm"] == [12]


def test_a_model_can_be_trained_further_and_remembers_all_images_it_has_seen(graticule, discs, unseen, tmp_path):
    assert graticule("train", "beads", discs, "-o", "first", *TINY).code == 0
    assert graticule("train", "beads", unseen, "-o", "second", "--from", "first.safetensors", *TINY).code == 0
    assert "discs-0" in graticule("evaluate", discs, "--model", "second.safetensors").complaint


def test_a_training_begun_with_other_settings_is_not_resumed(graticule, discs, tmp_path):
    killed_after(2, discs, tmp_path, "m.safetensors")
    said = graticule("train", "beads", discs, "-o", "m", *LONGER, "--resume", "--learning-rate", "0.5").complaint
    assert "learning_rate" in said


@pytest.mark.timeout(600)
def test_a_killed_training_leaves_a_model_that_works_and_goes_on_to_the_same_weights(
    graticule, discs, picture, tmp_path
):
    ended = killed_after(2, discs, tmp_path, "killed.safetensors")
    assert ended.returncode == -signal.SIGKILL
    left = Checkpoint.load(tmp_path / "killed.safetensors")
    assert len(left.task.thresholds) == 2
    assert len(left.made_by["history"]) < 8
    assert graticule("predict", picture, "--model", "killed.safetensors", "-o", "found").code == 0

    assert graticule("train", "beads", discs, "-o", "killed", *LONGER, "--resume").code == 0
    assert graticule("train", "beads", discs, "-o", "whole", *LONGER).code == 0
    resumed, whole = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in ("killed", "whole"))
    assert resumed.task == whole.task
    assert list(resumed.weights) == list(whole.weights)
    assert all(resumed.weights[name].tobytes() == whole.weights[name].tobytes() for name in whole.weights)
    assert [e["epoch"] for e in resumed.made_by["history"]] == [e["epoch"] for e in whole.made_by["history"]]
    assert not list(tmp_path.glob("*.training*"))


def test_ctrl_c_says_how_to_go_on(graticule, discs, tmp_path):
    process = killed_after(1, discs, tmp_path, "m.safetensors", signal.SIGINT)
    assert process.returncode == 130
    assert "--resume" in process.stderr
    assert "graticule: stopped" in process.stderr
    assert "beginning anew" in graticule("train", "beads", discs, "-o", "m", *TINY).err


@pytest.mark.parametrize("command", ["train", "cross-validate", "tune"])
def test_what_every_training_chooses_is_no_flag(graticule, discs, command):
    """It was taken, and changed nothing."""
    assert "--thresholds" in graticule(command, "beads", discs, "-o", "m", "--thresholds", "0.5").complaint


def test_ctrl_c_before_there_is_a_model_promises_none(tmp_path, capsys):
    voice, model = Voice(COMMON), tmp_path / "m.safetensors"
    (tmp_path / "m.safetensors.training").touch()
    for there, said in ((False, "there is no model yet; the same command with --resume goes on"), (True, "and works")):
        if there:
            model.touch()
        with pytest.raises(KeyboardInterrupt), _stoppable(voice, model):
            raise KeyboardInterrupt
        assert said in capsys.readouterr().err


def killed_after(epochs, dataset, folder, model, how=signal.SIGKILL):
    """Starts a training in a process of its own, and ends it once so many epochs are done."""
    command = [sys.executable, "-m", "graticule", "train", "beads", str(dataset), "-o", model, *LONGER]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}
    said = []
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if f"{epochs}/8" in line:
                process.send_signal(how)
    assert process.returncode != 0, "it was done before it could be ended"
    return subprocess.CompletedProcess(command, process.returncode, stderr="".join(said))


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(graticule, discs, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert graticule("train", "beads", discs, "-o", name, *TINY, "--seed", seed).code == 0
    a, b, c = (Checkpoint.load(tmp_path / f"{name}.safetensors").weights for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not all(np.array_equal(a[name], c[name]) for name in a)


def test_what_a_model_was_learnt_from_is_in_its_file(graticule, discs, tmp_path):
    assert graticule("train", "beads", discs, "-o", "m", *TINY).code == 0
    made_by = Checkpoint.load(tmp_path / "m.safetensors").made_by
    assert set(made_by["images"].values()) == {"discs-0", "discs-1", "discs-2", "discs-3"}
    assert "points/discs-0.csv" in made_by["dataset"]["sha256"]
    assert made_by["versions"]["torch"]
    assert json.dumps(made_by)


def test_images_kept_for_the_test_are_not_learnt_from_and_judge_alone(graticule, discs, tmp_path):
    header = discs / "dataset.yaml"
    names = sorted(path.stem for path in (discs / "images").iterdir())
    header.write_text(f"{header.read_text()}\nsplit: {{train: [{', '.join(names[:-1])}], test: [{names[-1]}]}}\n")
    ended = graticule("train", "beads", discs, "-o", "m", *TINY)
    assert ended.code == 0
    assert f"not learnt from: {names[-1]}" in ended.err
    seen = Checkpoint.load(tmp_path / "m.safetensors").made_by["images"].values()
    assert sorted(seen) == names[:-1]
    judged = graticule("evaluate", discs, "--model", "m.safetensors", "--json")
    assert (judged.code, list(judged.json["images"])) == (0, names[-1:])
