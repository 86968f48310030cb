import zipfile

import numpy as np
import pytest
import roifile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import AnnotationError, FormatError
from graticule.image import Image
from graticule.io import imagej_roi
from graticule.results import Points

IMAGE = Image(np.zeros((300, 400), np.uint8), "yx", (0.5, 0.25))
STACK = Image(np.zeros((20, 300, 400), np.uint8), "zyx", (2.0, 0.5, 0.25))
KINDS = ("6nm", "12nm")


def points(voxels, kind, image=IMAGE):
    return Points.marked(image.to_um(np.array(voxels, float)), np.array(kind, int), KINDS)


@pytest.mark.parametrize("suffix", [".roi", ".zip"])
@given(voxels=arrays(float, (5, 2), elements=st.floats(-0.4, 299)), kind=arrays(int, 5, elements=st.integers(0, 1)))
def test_saving_then_reading_gives_the_same_points(tmp_path_factory, suffix, voxels, kind):
    path = tmp_path_factory.mktemp("roi") / f"a{suffix}"
    before = points(voxels, kind)
    imagej_roi.write(before, path, IMAGE)
    after = imagej_roi.read(path, IMAGE, kinds=KINDS)
    # A zip holds one class after the other.
    order = np.argsort(kind, kind="stable") if suffix == ".zip" else np.arange(5)
    assert np.array_equal(after.kind, before.kind[order])
    assert np.abs(IMAGE.to_voxels(after.position_um) - voxels[order]).max() < 1e-3


@pytest.mark.parametrize("suffix", [".roi", ".zip"])
def test_slices_of_a_stack_come_back(tmp_path, suffix):
    before = points([[0, 5, 6], [19, 7.25, 8.5]], [0, 1], STACK)
    imagej_roi.write(before, tmp_path / f"a{suffix}", STACK)
    after = imagej_roi.read(tmp_path / f"a{suffix}", STACK, kinds=KINDS)
    assert after.position_um.tolist() == before.position_um.tolist()


def test_imagej_s_whole_numbers_are_pixel_centres(tmp_path):
    selection = roifile.ImagejRoi()
    selection.roitype = roifile.ROI_TYPE.POINT
    selection.left, selection.top, selection.right, selection.bottom = 7, 3, 10, 4
    selection.n_coordinates = 2
    selection.integer_coordinates = np.array([[0, 0], [2, 0]], np.int32)
    (tmp_path / "a.roi").write_bytes(selection.tobytes())
    found = imagej_roi.read(tmp_path / "a.roi", IMAGE)
    assert IMAGE.to_voxels(found.position_um).tolist() == [[3, 7], [3, 9]]
    assert found.kinds == ("object",)


def test_imagej_finds_whole_and_fractional_coordinates_in_what_we_write(tmp_path):
    imagej_roi.write(points([[3, 7.25], [3, 9]], [0, 0]), tmp_path / "a.roi", IMAGE)
    selection = roifile.ImagejRoi.fromfile(tmp_path / "a.roi")
    assert selection.roitype == roifile.ROI_TYPE.POINT
    assert selection.subpixelresolution
    assert selection.subpixel_coordinates.tolist() == [[7.25, 3], [9, 3]]
    assert (selection.integer_coordinates + np.array([selection.left, selection.top])).tolist() == [[7, 3], [9, 3]]
    assert [selection.left, selection.top, selection.right, selection.bottom] == [7, 3, 10, 4]


def test_a_zip_has_a_selection_per_class_that_occurs(tmp_path):
    imagej_roi.write(points([[1, 2]], [1]), tmp_path / "a.zip", IMAGE)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["12nm.roi"]
    assert imagej_roi.read(tmp_path / "a.zip", IMAGE).kinds == ("12nm",)


def test_the_same_points_give_the_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        imagej_roi.write(points([[1, 2], [3, 4]], [0, 1]), tmp_path / name, IMAGE)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_counters_are_numbered_classes(tmp_path):
    imagej_roi.write(points([[1, 2], [3, 4]], [0, 1]), tmp_path / "a.roi", IMAGE)
    assert imagej_roi.read(tmp_path / "a.roi", IMAGE).kinds == ("counter 0", "counter 1")
    with pytest.raises(AnnotationError, match="found counter 1; need 0 … 0"):
        imagej_roi.read(tmp_path / "a.roi", IMAGE, kinds=("6nm",))


def test_a_given_class_counts_for_all(tmp_path):
    imagej_roi.write(points([[1, 2], [3, 4]], [0, 1]), tmp_path / "a.zip", IMAGE)
    assert imagej_roi.read(tmp_path / "a.zip", IMAGE, kind="bead").kinds == ("bead",)


@pytest.mark.parametrize("name", ["0123-0456", "0001-0123-0456", "0123-0456-1", ""])
def test_names_that_imagej_makes_up_are_no_classes(tmp_path, name):
    selection = imagej_roi._selection(np.array([[1.0, 2.0]]), name, None)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0123-0456.roi", selection.tobytes())
    assert imagej_roi.read(tmp_path / "a.zip", IMAGE).kinds == ("object",)
    assert imagej_roi.read(tmp_path / "a.zip", IMAGE, kinds=("bead",)).kinds == ("bead",)


def test_an_unknown_class_is_refused_with_the_nearest(tmp_path):
    imagej_roi.write(points([[1, 2]], [0]), tmp_path / "a.zip", IMAGE)
    with pytest.raises(AnnotationError, match=r"a\.zip: found class '6nm'.*did you mean 6 nm\?"):
        imagej_roi.read(tmp_path / "a.zip", IMAGE, kinds=("6 nm", "12 nm"))


def test_no_points_are_an_empty_zip_and_no_selection(tmp_path):
    none = Points.none(2, KINDS)
    imagej_roi.write(none, tmp_path / "a.zip", IMAGE)
    assert len(imagej_roi.read(tmp_path / "a.zip", IMAGE, kinds=KINDS)) == 0
    with pytest.raises(AnnotationError, match="found no points"):
        imagej_roi.write(none, tmp_path / "a.roi", IMAGE)


def test_outlines_are_no_points(tmp_path):
    selection = roifile.ImagejRoi.frompoints([[1, 1], [5, 5], [1, 5]])
    (tmp_path / "a.roi").write_bytes(selection.tobytes())
    with pytest.raises(AnnotationError, match=r"a\.roi: found a freehand selection; need points"):
        imagej_roi.read(tmp_path / "a.roi", IMAGE)


def test_points_outside_are_refused(tmp_path):
    imagej_roi.write(points([[1, 2], [290, 300]], [0, 0]), tmp_path / "a.roi", IMAGE)
    small = Image(np.zeros((50, 60), np.uint8), "yx", (0.5, 0.25))
    with pytest.raises(AnnotationError, match="found 1 of 2 points outside the image, the furthest in point 2"):
        imagej_roi.read(tmp_path / "a.roi", small)


def test_a_stack_needs_slices(tmp_path):
    imagej_roi.write(points([[1, 2]], [0]), tmp_path / "a.zip", IMAGE)
    with pytest.raises(AnnotationError, match="points that belong to no slice"):
        imagej_roi.read(tmp_path / "a.zip", STACK)


def test_the_slice_of_a_whole_selection_counts_for_all_its_points(tmp_path):
    selection = imagej_roi._selection(np.array([[1.0, 2.0], [3.0, 4.0]]), "a", None)
    selection.position = 5
    (tmp_path / "a.roi").write_bytes(selection.tobytes())
    assert STACK.to_voxels(imagej_roi.read(tmp_path / "a.roi", STACK).position_um)[:, 0].tolist() == [4, 4]


@pytest.mark.parametrize("name", ["a.roi", "a.zip"])
def test_files_that_are_none_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense" * 20)
    with pytest.raises(FormatError, match=f"{name}: found a damaged or unsupported ImageJ selection"):
        imagej_roi.read(tmp_path / name, IMAGE)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FormatError, match="empty file"):
        imagej_roi.read(tmp_path / name, IMAGE)
