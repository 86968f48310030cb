import json
from dataclasses import replace

import numpy as np
import pytest

from graticule.cli.cross_validate import summary
from graticule.errors import DatasetError
from graticule.metrics.detection import Tally
from graticule.simulate import TissueScenes
from graticule.tasks.beads import Beads
from graticule.tasks.rosettes import Rosettes
from graticule.tasks.tissue import Tissue
from graticule.workflows import cross_validate as module
from graticule.workflows.cross_validate import cross_validate
from tests.synthetic import scattered

EXAMPLES = [scattered(seed) for seed in range(4)]
TINY = Beads(width=0.125, neck_channels=16, neck_rounds=1, head_channels=16, patch_px=64, batch=2, steps=2, epochs=(1,))


def quiet(text):
    pass


def test_nothing_of_a_held_out_specimen_is_seen_before_it_is_scored(monkeypatch):
    """Every example that reaches training, stopping, thresholds or the baseline's tuning is written down, fold by fold."""
    seen, folds = set(), []
    fit, one_fold, baseline = module.fit, module.one_fold, module.BASELINES["beads"]

    def spying_fit(task, learn, choose, **more):
        seen.update(r.example.name for r in (*learn, *choose))
        return fit(task, learn, choose, **more)

    def spying_baseline(task, examples):
        seen.update(e.name for e in examples)
        return baseline(task, examples)

    def spying_fold(task, examples, fold, **more):
        seen.clear()
        report = one_fold(task, examples, fold, **more)
        folds.append((set(seen), fold.held_out))
        return report

    monkeypatch.setattr(module, "fit", spying_fit)
    monkeypatch.setattr(module, "one_fold", spying_fold)
    monkeypatch.setitem(module.BASELINES, "beads", spying_baseline)
    cross_validate(TINY, EXAMPLES, inner=2, device="cpu", say=quiet)
    assert len(folds) == 4
    for names, held_out in folds:
        assert names == {e.name for e in EXAMPLES} - set(held_out)


def test_counts_of_all_folds_are_pooled_and_the_baseline_stands_beside():
    result = cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", say=quiet)
    total = result.pooled()[""]
    assert total.tp + total.fn == sum(len(e.truth) for e in EXAMPLES[:3])
    assert result.pooled("baseline")["6nm"].f1 > 0.9


def test_finished_folds_are_not_done_again_and_the_answer_is_the_same(tmp_path, monkeypatch):
    first = cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", out=tmp_path, say=quiet)
    monkeypatch.setattr(module, "one_fold", None)
    assert cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", out=tmp_path, say=quiet).pooled() == first.pooled()


def test_folds_made_with_other_settings_are_refused(tmp_path):
    cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", out=tmp_path, say=quiet)
    with pytest.raises(DatasetError, match="other settings"):
        cross_validate(TINY, EXAMPLES[:3], inner=2, tta=True, device="cpu", out=tmp_path, say=quiet)


def test_a_stored_fold_that_leaks_is_refused(tmp_path):
    cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", out=tmp_path, say=quiet)
    path = sorted(tmp_path.glob("*.json"))[0]
    stored = json.loads(path.read_text())
    stored["report"]["inner"][0]["train"] += stored["report"]["inner"][0]["held_out"]
    path.write_text(json.dumps(stored))
    with pytest.raises(DatasetError, match="both sides"):
        cross_validate(TINY, EXAMPLES[:3], inner=2, device="cpu", out=tmp_path, say=quiet)


SMALL = Tissue(channels=(4, 8), epochs=1, steps=2, batch=2, patch_px=(16,))


def test_outlines_are_judged_on_the_images_own_voxels_and_texture_stands_beside():
    planes = list(TissueScenes(shape_px=(96, 80)).examples(3))
    said = []
    result = cross_validate(replace(SMALL, working_nm=(80.0,)), planes, inner=2, device="cpu", say=said.append)
    total = result.pooled()[""]
    assert total.tp + total.fn == sum(int(np.asarray(e.truth.image.data).sum()) for e in planes)
    assert all("dice" in fold.baseline for fold in result.folds)
    assert any("Dice" in line for line in said)


def test_a_single_volume_is_cut_into_slabs_none_of_which_is_on_both_sides():
    volume = TissueScenes(shape_px=(80, 24, 24)).draw(0)
    result = cross_validate(SMALL, [volume], inner=2, device="cpu", say=quiet)
    assert len(result.folds) == 3
    for fold in result.folds:
        assert not set(fold.fold.train) & set(fold.fold.held_out)
        assert len(fold.fold.held_out) == 1


def test_of_proposals_a_line_tells_events():
    scores = {"event_f1": 0.8, "met": 4.0, "events": 5.0, "false": 1.0, "dice": 0.7}
    report = module.FoldReport(module.Fold(("a",), ("b",)), (), {}, scores, {**scores, "event_f1": 0.5}, 12.0)
    assert "event F1 0.800 (met 4 of 5, false 1)  Dice 0.700  baseline event F1 0.500" in module.line(report)
    assert module.called(Rosettes) == "event F1"
    events = module.CrossValidation((report, report), 0).events()
    assert (events.tp, events.fp, events.fn) == (8, 2, 2)
    assert module.CrossValidation((replace(report, scores={"f1": 1.0}),), 0).events() is None


def test_of_single_objects_a_line_tells_how_many_are_met_split_and_merged():
    counts = {"objects_met": 4.0, "objects_true": 5.0, "objects_false": 1.0, "splits": 1.0, "merges": 0.0}
    scores = {"object_f1": 0.8, "dice": 0.7, **counts}
    report = module.FoldReport(module.Fold(("a",), ("b",)), (), {}, scores, {}, 12.0)
    assert "object F1 0.800 (met 4 of 5, false 1, split 1, merged 0)  Dice 0.700" in module.line(report)
    total = module.CrossValidation((report, report), 0)
    assert total.events() is None
    assert total.objects() == Tally(8, 2, 2)
    assert any("objects" in said and "missed 2" in said for said in summary("set", [total]))
