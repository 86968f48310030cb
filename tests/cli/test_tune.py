import tomllib

import pytest

from tests.cli.conftest import TINY

pytest.importorskip("optuna")

FEW = (*TINY, "--trials", "1", "--device", "cpu")


def test_settings_are_found_and_training_takes_them(graticule, discs, tmp_path):
    ended = graticule("tune", "beads", discs, "-o", "t", *FEW, "--json")
    assert ended.code == 0
    assert ended.json["trials"] == 1
    assert "trial 0 (1 of 1): F1" in ended.err
    found = tomllib.loads((tmp_path / "t" / "best.toml").read_text())
    assert found["epochs"] == [1] and found["patch_px"] == 64
    made = graticule("train", "beads", discs, "-o", "m", "--settings", "t/best.toml", "--json")
    assert made.code == 0
    assert {name: made.json["settings"][name] for name in found} == found


def test_the_command_that_is_told_reads_the_images_as_the_search_did(graticule, discs):
    ended = graticule("tune", "beads", discs, "-o", "t", *FEW, "--spacing-um", "0.0006", "--channel", "0")
    assert f"graticule train beads {discs} --spacing-um 0.0006 --channel 0 --settings" in ended.out


def test_the_same_command_again_does_nothing_again(graticule, discs, tmp_path):
    words = ("tune", "beads", discs, "-o", "t", *FEW)
    assert graticule(*words).code == 0
    table = (tmp_path / "t" / "trials.csv").read_bytes()
    ended = graticule(*words)
    assert "found 1 trials that have ended" in ended.err
    assert (tmp_path / "t" / "trials.csv").read_bytes() == table


def test_images_to_leave_out_are_said(graticule, discs):
    ended = graticule("tune", "beads", discs, "-o", "t", *FEW, "--leave-out", "discs-2")
    assert "not opened: discs-2" in ended.err
    assert "name discs-2 there first" in ended.err
    assert "discs-7" in graticule("tune", "beads", discs, "-o", "t", *FEW, "--leave-out", "discs-7").complaint


def test_what_cannot_be_is_refused(graticule, discs, monkeypatch):
    assert "--trials 0" in graticule("tune", "beads", discs, "-o", "t", *TINY, "--trials", "0").complaint
    assert "--hours -1" in graticule("tune", "beads", discs, "-o", "t", *TINY, "--hours", "-1").complaint
    (discs.parent / "file").write_text("")
    assert "file" in graticule("tune", "beads", discs, "-o", "file", *FEW).complaint


def test_without_optuna_the_extra_is_named(graticule, discs, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert "graticule[tune]" in graticule("tune", "beads", discs, "-o", "t", *FEW).complaint
