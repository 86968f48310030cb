"""What `check` tells of outlined objects: how many, how large in micrometres, how bright."""

import json

import numpy as np
import pytest
import tifffile

from graticule.example import Example
from graticule.image import Image
from graticule.io import dataset
from graticule.results import Labels, Points
from graticule.workflows.check import check
from graticule.workflows.outline_facts import BINS, outline_facts, outline_line

SPACING = (0.04, 0.01, 0.02)


def example(numbers, known=None, pixels=None, name="a"):
    numbers = np.asarray(numbers)
    spacing, axes = SPACING[-numbers.ndim :], "zyx"[-numbers.ndim :]
    pixels = np.where(numbers > 0, 60, 180).astype(np.uint8) if pixels is None else pixels
    complete = None if known is None else Image(np.asarray(known, np.uint8), axes, spacing)
    return Example(name, Image(pixels, axes, spacing), Labels(Image(numbers, axes, spacing)), complete)


def boxes():
    """Objects of 8, 27 and 64 voxels, the last at the edge."""
    numbers = np.zeros((12, 20, 20), np.uint16)
    numbers[2:4, 2:4, 2:4], numbers[2:5, 10:13, 10:13], numbers[8:12, 4:8, 4:8] = 3, 5, 900
    return numbers


def test_objects_are_counted_and_measured_in_cubic_micrometres():
    one = outline_facts(example(boxes()))
    voxel = np.prod(SPACING)
    assert (one.objects, one.cut, one.mask, one.unit) == (3, 1, False, "µm³")
    assert one.size == pytest.approx(np.percentile([8, 27, 64], (25, 50, 75)) * voxel, rel=1e-3)


@pytest.mark.parametrize("white", [1, 255])
def test_of_a_mask_the_parts_are_the_objects_and_that_is_said(white):
    one = outline_facts(example(np.where(boxes() > 0, white, 0)))
    assert (one.objects, one.cut, one.mask) == (3, 1, True)
    assert "3 parts of a mask, 1 cut by the edge" in outline_line("a", one)


def test_in_a_plane_sizes_are_areas():
    one = outline_facts(example(boxes()[3]))
    assert one.unit == "µm²"
    assert one.size[0] == pytest.approx((4 + 0.25 * 5) * 0.01 * 0.02, rel=1e-3)


def test_numbers_of_classes_are_no_objects_but_have_grey_levels():
    one = outline_facts(example(boxes()), ("tissue", "trachea"))
    assert one.objects is None and one.size == ()
    assert one.inside[2] == 60
    assert "objects" not in outline_line("a", one)


def test_grey_levels_inside_and_outside_are_told_where_the_annotation_is_complete():
    known = np.zeros((12, 20, 20))
    known[:6] = 1
    pixels = np.where(boxes() > 0, 60, 180).astype(np.uint8)
    pixels[6:] = 255
    one = outline_facts(example(boxes(), known, pixels))
    assert (one.inside, one.outside, one.objects) == ((60,) * 5, (180,) * 5, 2)
    assert len(one.levels) == len(one.inside_shares) + 1 <= BINS + 1
    assert sum(one.inside_shares) == pytest.approx(1) and sum(one.outside_shares) == pytest.approx(1)


def test_percentiles_are_those_of_the_pixels():
    pixels = np.arange(4800).reshape(12, 20, 20).astype(np.uint16)
    one = outline_facts(example(boxes(), pixels=pixels))
    assert one.inside == pytest.approx(np.percentile(pixels[boxes() > 0], (5, 25, 50, 75, 95)), rel=1e-3)


def test_every_range_of_a_histogram_holds_as_many_whole_levels():
    for top in (3, 90, 1000):
        pixels = np.arange(4800).reshape(12, 20, 20) % top
        one = outline_facts(example(boxes(), pixels=pixels))
        per_range = np.histogram(np.arange(top), one.levels)[0]
        assert set(per_range[:-1]) <= {per_range[0]} and per_range.sum() == top
        assert sum(one.outside_shares) == pytest.approx(1, abs=1e-3)


def test_nothing_outlined_has_no_sizes_and_points_have_no_outlines():
    one = outline_facts(example(np.zeros((4, 5), np.uint8)))
    assert (one.objects, one.size, one.inside) == (0, (), ())
    marked = Example("p", Image(np.zeros((4, 5)), "yx", (1.0, 1.0)), Points.none(2))
    assert outline_facts(marked) is None


@pytest.fixture
def folder(tmp_path):
    dataset.write(tmp_path / "set", [example(boxes(), name="one")], classes=("mitochondrion",))
    return tmp_path / "set"


def test_check_tells_all_that_in_words_and_for_programs(folder):
    report = check(folder)
    assert report.ok
    assert "one: outlined 3 objects, 1 cut by the edge; size 0.000216 µm³ (median; quartiles" in str(report)
    assert "grey inside 60" in str(report)
    (told,) = json.loads(json.dumps(report.as_dict()))["images"]
    assert told["outlined"]["objects"] == 3 and told["shares"]["mitochondrion"] == pytest.approx(0.0206, abs=1e-3)


def only(sentences):
    (sentence,) = sentences
    assert "\n" not in sentence
    return sentence


def test_labels_that_are_no_whole_numbers_are_refused_in_a_line(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", boxes().astype(np.float32))
    assert "values of type float32; need whole numbers" in only(check(folder).problems)


def test_labels_of_another_shape_are_refused_in_a_line(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", boxes()[:, :-1])
    assert "found labels of 12 × 19 × 20 pixels; need 12 × 20 × 20" in only(check(folder).problems)


def test_swapped_axes_are_called_that(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", boxes().transpose(1, 2, 0), photometric="minisblack")
    assert "its axes seem to be swapped: save it in the order z, y, x" in only(check(folder).problems)


def test_a_stack_whose_labels_are_all_zero_is_a_problem_said_once(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", np.zeros_like(boxes()))
    report = check(folder)
    assert "found 0 in every annotated voxel of all 1 images" in only(report.problems)
    assert not report.warnings


def test_a_mask_of_0_and_255_is_accepted_and_said(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", np.where(boxes() > 0, 255, 0).astype(np.uint8))
    report = check(folder)
    assert report.ok
    assert "labels of one are 0 and 255; 255 is taken as 1" in only(report.warnings)
    assert report.images[0].outlined.objects == 3


def test_numbers_below_zero_are_refused_in_a_line(folder):
    tifffile.imwrite(folder / "labels" / "one.tif", boxes().astype(np.int16) - 1)
    assert "found the number -1" in only(check(folder).problems)


def test_fractions_that_differ_only_by_rounding_have_a_histogram():
    pixels = np.where(boxes() > 0, 0.1 * 3, 0.3)
    assert pixels.min() < pixels.max()
    one = outline_facts(example(boxes(), pixels=pixels))
    assert sum(one.inside_shares) == pytest.approx(1)
