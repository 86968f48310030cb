from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import DatasetError
from graticule.training.folds import Fold, check, hold_out, leave_one_out, leave_out, pick, specimens
from tests.synthetic import scattered

ONE = scattered(0, count=8)


def examples(groups):
    return [replace(ONE, name=f"image{i}", specimen=group) for i, group in enumerate(groups)]


GROUPS = st.lists(st.sampled_from("abcde"), min_size=2, max_size=12).filter(lambda g: len(set(g)) > 1)


@given(GROUPS, st.integers(2, 4), st.one_of(st.none(), st.integers(0, 99)))
def test_every_specimen_is_held_out_once_and_never_on_both_sides(groups, folds, seed):
    data = examples(groups)
    made = leave_out(data, folds, seed)
    held = [name for fold in made for name in fold.held_out]
    assert sorted(held) == sorted(e.name for e in data)
    by_name = {e.name: e.specimen for e in data}
    for fold in made:
        assert not {by_name[n] for n in fold.train} & {by_name[n] for n in fold.held_out}
        assert set(fold.train) | set(fold.held_out) == set(by_name)


def test_leave_one_out_has_a_fold_a_specimen():
    folds = leave_one_out(examples("aabc"))
    assert [fold.held_out for fold in folds] == [("image0", "image1"), ("image2",), ("image3",)]


def test_a_fold_with_a_specimen_on_both_sides_is_refused():
    with pytest.raises(DatasetError, match="both sides"):
        check(Fold(("image0",), ("image1",)), examples("aa"))


def test_a_fold_of_another_dataset_is_refused():
    with pytest.raises(DatasetError, match="image9"):
        check(Fold(("image0",), ("image9",)), examples("ab"))


def test_one_specimen_cannot_be_left_out():
    with pytest.raises(DatasetError, match="at least 2"):
        leave_one_out(examples("aaa"))


def test_holding_out_takes_a_quarter_of_the_specimens():
    learn, choose = hold_out(examples("abcdefgh"), seed=0)
    assert (len(learn), len(choose)) == (6, 2)
    assert not set(specimens(learn)) & set(specimens(choose))


def test_a_single_image_is_cut_in_two_without_sharing_a_pixel_or_a_bead():
    (learn,), (choose,) = hold_out([ONE], seed=0)
    assert len(learn.truth) + len(choose.truth) <= len(ONE.truth)
    assert len(choose.truth) > 0
    end = learn.image.to_um([[learn.image.shape[0] - 1, 0]])[0, 0]
    assert choose.image.to_um([[0, 0]])[0, 0] > end


def test_picking_keeps_the_order_of_the_names():
    assert [e.name for e in pick(examples("abc"), ["image2", "image0"])] == ["image2", "image0"]
