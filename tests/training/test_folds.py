from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graticule.errors import DatasetError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Labels, Points
from graticule.training.folds import Fold, check, hold_out, leave_one_out, leave_out, pick, slabs, specimens
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


# -- outlines ----------------------------------------------------------------------------------------------------------


def test_a_single_image_marked_on_one_side_only_is_cut_where_both_parts_get_some():
    places = ONE.image.to_um(np.array([[r, c] for r in (8.0, 30.0, 55.0, 80.0) for c in (10.0, 25.0)]))
    marked = replace(ONE, image=replace(ONE.image, data=np.zeros((96, 128), np.uint8)), truth=Points.marked(places))
    (learn,), (choose,) = hold_out([marked], seed=0)
    assert len(learn.truth) >= 4 and len(choose.truth) >= 2


def outlined(shape, seed=0, outlined_axis=0):
    """A volume that is outlined in the first half of one axis."""
    numbers = np.zeros(shape, np.uint8)
    np.moveaxis(numbers, outlined_axis, 0)[: shape[outlined_axis] // 2] = 1
    axes, spacing = "zyx"[-len(shape) :], (0.04,) * len(shape)
    pixels = np.arange(numbers.size, dtype=np.int64).reshape(shape)  # every voxel is known by its grey level
    return Example("volume", Image(pixels, axes, spacing), Labels(Image(numbers, axes, spacing)))


def voxels(parts):
    return [set(np.asarray(part.image.data).ravel().tolist()) for part in parts]


@given(st.tuples(*[st.integers(24, 60)] * 3), st.integers(2, 3))
@settings(max_examples=25, deadline=None)
def test_slabs_share_no_voxel_have_gaps_between_and_are_specimens_of_their_own(shape, count):
    volume = outlined(shape)
    axis = int(np.argmax(shape))
    if shape[axis] < count * 16 + 8:
        return
    parts = slabs(volume, count)
    assert len({part.specimen for part in parts}) == count
    assert len(leave_one_out(parts)) == count
    seen = voxels(parts)
    assert sum(map(len, seen)) == len(set().union(*seen)) < np.prod(shape)
    ends = [part.image.origin_um[axis] + 0.04 * part.image.shape[axis] for part in parts]
    gaps = [after.image.origin_um[axis] - end for end, after in zip(ends, parts[1:], strict=False)]
    assert all(gap > 0.04 for gap in gaps)
    assert all(part.truth.image.origin_um == part.image.origin_um for part in parts)


def test_planes_points_and_thin_volumes_are_not_cut_into_slabs():
    for example in (outlined((200, 200)), ONE, outlined((20, 40, 20))):
        with pytest.raises(DatasetError, match="annotate"):
            slabs(example, 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_volume_is_cut_where_both_parts_show_both_kinds(axis):
    (learn,), (choose,) = hold_out([outlined((64, 64, 64), outlined_axis=axis)], seed=0)
    for part in (learn, choose):
        assert 0.4 < np.mean(part.truth.image.data) < 0.6
    one, other = voxels([learn, choose])
    assert not one & other
    assert len(one) + len(other) < 64**3
    assert min(choose.image.shape) == 16


@pytest.mark.parametrize("share", [0.002, 0.15, 0.25, 0.5, 0.97])
@pytest.mark.parametrize("length", [3, 10, 64])
def test_however_much_is_held_out_both_parts_show_something_and_a_gap_lies_between(length, share):
    (learn,), (choose,) = hold_out([outlined((length, 3, 3))], 0, share)
    one, other = voxels([learn, choose])
    assert one and other and not one & other
    assert len(one) + len(other) < length * 9


@pytest.mark.parametrize("width", [12, 30, 60])
def test_a_single_image_outlined_in_the_middle_only_is_cut_where_both_parts_show_some(width):
    """As where one cell of a section is annotated."""
    numbers = np.zeros((80, 80), np.uint8)
    numbers[40 - width // 2 : 40 + width // 2, 40 - width // 2 : 40 + width // 2] = 1
    image = Image(numbers * 100, "yx", (0.01, 0.01))
    (learn,), (choose,) = hold_out([Example("cell", image, Labels(replace(image, data=numbers)))], seed=0, share=0.15)
    shown = [np.count_nonzero(part.truth.image.data) for part in (learn, choose)]
    assert shown[1] >= 0.05 * width**2
    assert shown[0] > shown[1] / 2
    assert learn.image.shape != choose.image.shape


def test_truth_and_mask_are_cut_with_the_image():
    volume = outlined((64, 32, 32))
    volume = replace(volume, complete=replace(volume.image, data=np.asarray(volume.image.data) % 2))
    (learn,), _ = hold_out([volume], seed=0)
    assert learn.image.shape == learn.truth.image.shape == learn.complete.shape
    assert np.array_equal(np.asarray(learn.complete.data), np.asarray(learn.image.data) % 2)
