import sys

import pytest

pytest.importorskip("captum")


@pytest.fixture
def model(tmp_path):
    """A network that has learnt nothing and finds something everywhere: reasons do not ask for more."""
    import torch

    from graticule.checkpoint import Checkpoint
    from graticule.nets.forward import weights_of
    from graticule.tasks.tissue import Tissue

    task = Tissue(classes=("tissue",), dimensions=2, working_nm=(0.6, 0.6), thresholds=(0.0,), channels=(4, 8))
    torch.manual_seed(0)
    Checkpoint(task, weights_of(task.network())).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


QUICK = ("--objects", "1", "--steps", "2", "--patch-px", "96", "--device", "cpu")


def test_reasons_are_given_and_summed_up(graticule, picture, model, tmp_path):
    ended = graticule("explain", picture, "--model", model, "-o", "why", *QUICK, "--json")
    assert ended.code == 0, ended.err
    [one] = ended.json["objects"]
    assert one["class"] == "tissue" and one["why"] == "most certain"
    assert one["difference"] == pytest.approx(one["logit"] - one["logit_of_baseline"])
    assert (tmp_path / "why" / "picture" / "reasons.html").is_file()
    assert "1 of 1" in ended.err


def test_the_account_of_somebody_else_is_not_replaced_even_if_it_cannot_be_read(graticule, picture, model, tmp_path):
    (tmp_path / "why" / "picture").mkdir(parents=True)
    for account in ("{", "[]", '{"command": "predict"}'):
        (tmp_path / "why" / "picture" / "run.json").write_text(account)
        said = graticule("explain", picture, "--model", model, "-o", "why", *QUICK).complaint
        assert "another command's results" in said, account


def test_places_end_where_the_next_option_begins(graticule, picture, model):
    words = ("explain", picture, "--model", model, "-o", "why", "--at", "0.04", "0.05", "0.02", "0.03")
    ended = graticule(*words, *QUICK[2:], "--json")
    assert ended.code == 0, ended.err
    assert [one["why"].partition(";")[0] for one in ended.json["objects"]] == ["asked for"] * 2


def test_what_cannot_be_explained_is_said_in_a_line(graticule, picture, model, tmp_path):
    assert (
        "place in the image" in graticule("explain", picture, "--model", model, "-o", "w", "--at", "9", "9").complaint
    )
    assert "need one or more" in graticule("explain", picture, "--model", model, "-o", "w", "--objects", "0").complaint
    assert "--steps 1" in graticule("explain", picture, "--model", model, "-o", "w", "--steps", "1").complaint
    assert "without a network" in graticule("explain", picture, "--model", "tissue-texture", "-o", "w").complaint
    assert not (tmp_path / "w").exists()


def test_results_of_other_commands_are_not_replaced_and_earlier_reasons_are(graticule, picture, model, tmp_path):
    assert graticule("predict", picture, "--model", model, "-o", "found", "--device", "cpu").code == 0
    kept = {path.name for path in (tmp_path / "found" / "picture").iterdir()}
    words = ("explain", picture, "--model", model, "-o", "found", *QUICK)
    assert "another command's results" in graticule(*words).complaint
    assert {path.name for path in (tmp_path / "found" / "picture").iterdir()} == kept
    words = ("explain", picture, "--model", model, "-o", "why", *QUICK)
    assert [graticule(*words).code, graticule(*words).code] == [0, 0]


def test_without_captum_the_extra_is_named(graticule, picture, model, monkeypatch):
    ours = (
        "graticule.nets.attribution",
        "graticule.nets.explainer",
        "graticule.report.reasons",
        "graticule.workflows.explain",
    )
    for name in ours:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert "graticule[explain]" in graticule("explain", picture, "--model", model, "-o", "w", *QUICK).complaint
