import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graticule.cli import app
from graticule.cli.app import COMMANDS

SOURCE = Path(app.__file__).parents[2]


def in_a_process(*words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "graticule", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_help_names_every_command(graticule):
    ended = graticule("--help")
    assert ended.code == 0
    assert all(name in ended.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_of_every_common_option(graticule, name):
    words = [name, "beads", "--help"] if name in ("train", "tune", "cross-validate", "simulate") else [name, "--help"]
    ended = graticule(*words)
    assert ended.code == 0
    writes = (
        () if name in ("review", "report", "web") else ("--out", "-o")
    )  # these write where what they are about lies
    assert all(option in ended.out for option in (*writes, "--seed", "--quiet", "--json"))


def test_help_loads_neither_torch_nor_scipy_nor_matplotlib():
    code = "import sys\nfrom graticule.cli.app import run\nrun(['--help'])\nprint('loaded', *sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    loaded = set(out.splitlines()[-1].split())
    assert not loaded & {"torch", "monai", "lightning_fabric", "scipy", "numpy", "matplotlib"}


def test_an_unknown_option_is_one_line_with_the_nearest(graticule, discs):
    assert "--epochs" in graticule("train", "beads", discs, "-o", "m", "--epohs", "3").complaint


def test_an_unknown_command_is_one_line_with_the_nearest(graticule):
    assert "train" in graticule("trian").complaint
    assert "beads" in graticule("train", "baeds").complaint


def test_a_missing_argument_is_one_line(graticule):
    assert "out" in graticule("train", "beads", "folder").complaint
    assert "model" in graticule("predict", "image.tif", "-o", "found").complaint


def test_words_where_numbers_belong_are_one_line(graticule, discs):
    assert "many" in graticule("train", "beads", discs, "-o", "m", "--epochs", "many").complaint
    assert "banana" in graticule("predict", "a.tif", "--model", "m", "-o", "o", "--spacing-um", "banana").complaint


def test_with_json_an_error_is_an_object_too(graticule):
    ended = graticule("info", "nothing.tif", "--json")
    assert ended.code == 2
    assert "nothing.tif" in ended.json["failed"]["nothing.tif"]
    ended = graticule("evaluate", "nothing", "--model", "none", "--json")
    assert ended.json["exit_code"] == 2
    assert "none" in ended.json["error"]


def test_our_own_faults_exit_with_1_and_ask_for_a_report(graticule, monkeypatch):
    monkeypatch.setattr("graticule.workflows.inspect.about_image", lambda *_, **__: 1 / 0)
    ended = graticule("info", "x.tif")
    assert ended.code == 1
    [line] = ended.err.splitlines()
    assert line.startswith("graticule: this is our fault")
    assert "--traceback" in line
    with pytest.raises(ZeroDivisionError):
        graticule("info", "x.tif", "--traceback")


def test_ctrl_c_exits_with_130(graticule, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("graticule.workflows.inspect.about_image", stopped)
    assert graticule("info", "x.tif").code == 130


def test_exit_codes_and_the_last_line_in_a_process_of_its_own(tmp_path):
    done = in_a_process("simulate", "spots", "made", "--count", 2, "--size", 64, "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["images"] == 2
    refused = in_a_process("simulate", "spots", "made", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("graticule: made: found something there already")
    assert refused.stderr.count("\n") == 1


def test_the_version_is_said(graticule):
    assert graticule("--version").out.startswith("graticule ")
