"""RELION's tables: what is saved is read again, and others' tables are read as they mean it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule import io
from graticule.errors import AnnotationError, FormatError
from graticule.image import Image
from graticule.io import star
from graticule.results import Points

PLANE = Image(np.zeros((300, 400), np.uint8), "yx", (0.5, 0.25), (10.0, -3.0))
SQUARE = Image(np.zeros((300, 400), np.uint8), "yx", (0.00056, 0.00056))
STACK = Image(np.zeros((299, 300, 400), np.uint8), "zyx", (2.0, 0.5, 0.25))
KINDS = ("6nm", "12 nm gold")


@pytest.mark.parametrize("image", [PLANE, SQUARE, STACK], ids=["plane", "square pixels", "stack"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_saving_then_reading_gives_the_same_points_in_pixels_and_micrometres(
    image: Image, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    count = data.draw(st.integers(0, 6))
    voxels = data.draw(arrays(float, (count, image.ndim), elements=st.floats(-0.49, 298.4)))
    kind = data.draw(arrays(int, count, elements=st.integers(0, 1)))
    confidence = data.draw(arrays(float, count, elements=st.floats(0, 1)))
    before = Points(image.to_um(voxels), confidence, kind, KINDS)
    path = tmp_path_factory.mktemp("star") / "a.star"
    io.write(before, path, on=image)
    after = io.read_points(path, image)
    np.testing.assert_allclose(image.to_voxels(after.position_um), voxels, atol=1.01e-3)
    np.testing.assert_allclose(after.position_um, before.position_um, atol=1.01e-3 * max(image.spacing_um))
    np.testing.assert_allclose(after.confidence, confidence, atol=5.1e-7)
    assert after.kinds == KINDS and after.kind.tolist() == kind.tolist()


def points(voxels: object, image: Image = SQUARE) -> Points:
    return Points.marked(image.to_um(np.array(voxels, float)), np.array([0, 1]), KINDS)


def test_relion_finds_its_columns_pixel_size_and_optics(tmp_path: Path) -> None:
    star.write(points([[3, 7.25], [11, 9]]), tmp_path / "a.star", SQUARE, micrograph="grid 1.mrc", numbers=(4, 9))
    told = starfile.read(tmp_path / "a.star")
    assert list(told) == ["particles", "optics", "graticule_classes"]  # RELION takes the first for coordinates
    particles, optics = told["particles"], told["optics"]
    assert particles["rlnCoordinateX"].tolist() == [7.25, 9] and particles["rlnCoordinateY"].tolist() == [3, 11]
    assert particles["rlnClassNumber"].tolist() == [1, 2] and particles["rlnParticleId"].tolist() == [4, 9]
    assert set(particles["rlnMicrographName"]) == {"grid 1.mrc"} and "rlnCoordinateZ" not in particles
    assert optics["rlnImagePixelSize"].tolist() == optics["rlnMicrographPixelSize"].tolist() == [5.6]
    assert (tmp_path / "a.star").read_text().startswith("# version 30001\n")


def test_pixels_that_are_no_squares_have_no_single_size(tmp_path: Path) -> None:
    star.write(points([[3, 7], [11, 9]], PLANE), tmp_path / "a.star", PLANE)
    assert "rlnImagePixelSize" not in starfile.read(tmp_path / "a.star")["optics"]


def test_the_same_points_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a/x.star", "b/x.star"):
        star.write(points([[3, 7], [11, 9]]), tmp_path / name, SQUARE)
    assert (tmp_path / "a/x.star").read_bytes() == (tmp_path / "b/x.star").read_bytes()
    assert "starfile" not in (tmp_path / "a/x.star").read_text()


PICKED = """
data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnClassNumber #3
_rlnAnglePsi #4
_rlnAutopickFigureOfMerit #5
  10.5   20.0  2  -999.0  -999.0
  30.0   40.0  1  -999.0  -999.0
"""


def test_a_picker_s_table_is_read_and_its_merit_is_no_confidence(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_text(PICKED)
    found = star.read(tmp_path / "a.star", SQUARE)
    np.testing.assert_allclose(SQUARE.to_voxels(found.position_um), [[20, 10.5], [40, 30]])
    assert found.kinds == ("class 2", "class 1") and found.confidence.tolist() == [1, 1]
    assert star.read(tmp_path / "a.star", SQUARE, kinds=KINDS).kind.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["data_01.tif", "_a.mrc", "loop_.mrc", "stop_"])
def test_an_image_may_have_any_name(tmp_path: Path, name: str) -> None:
    star.write(
        Points.marked(np.array([[0.01, 0.02], [0.03, 0.01]]), kinds=("gold",)),
        tmp_path / "a.star",
        SQUARE,
        micrograph=name,
    )
    assert len(star.read(tmp_path / "a.star", SQUARE)) == 2


SEVERAL = "data_particles\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnMicrographName #3\n"


def test_of_several_micrographs_those_of_the_file_s_own_are_read(tmp_path: Path) -> None:
    text = SEVERAL + "1 2 Motion/b.mrc\n3 4 Motion/a.mrc\n5 6 Motion/b.mrc\n"
    for name, x in (("a", [3]), ("b", [1, 5])):
        (tmp_path / f"{name}.star").write_text(text)
        assert SQUARE.to_voxels(star.read(tmp_path / f"{name}.star", SQUARE).position_um)[:, 1] == pytest.approx(x)
    (tmp_path / "c.star").write_text(text)
    with pytest.raises(
        AnnotationError, match=r"particles of 2 micrographs \(Motion/b.mrc, Motion/a.mrc …\), none of them c"
    ):
        star.read(tmp_path / "c.star", SQUARE)


def test_what_relion_s_picker_leaves_open_is_no_class(tmp_path: Path) -> None:
    text = "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnClassNumber #3\n10 20 -999\n"
    (tmp_path / "a.star").write_text(text)
    assert star.read(tmp_path / "a.star", SQUARE, kind="6nm", kinds=KINDS).kind.tolist() == [0]
    (tmp_path / "a.star").write_text(text + "11 20 -2\n")
    with pytest.raises(AnnotationError, match="need a whole number from 0"):
        star.read(tmp_path / "a.star", SQUARE)


def test_a_table_without_classes_is_of_the_class_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_text("data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n10 20\n")
    assert star.read(tmp_path / "a.star", SQUARE, kind="6nm", kinds=KINDS).kind.tolist() == [0]
    assert star.read(tmp_path / "a.star", SQUARE).kinds == ("object",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data_\n\nloop_\n_rlnMicrographName #1\na.mrc\n", "no block with rlnCoordinateX"),
        ("hello\n", "no block with rlnCoordinateX"),
        (PICKED.replace("10.5", "here"), "particle 1: found 'here' for rlnCoordinateX"),
        (PICKED.replace("10.5", "1000"), "outside the image"),
        (PICKED.replace("  2 ", "  9 "), "found rlnClassNumber 9; need 1 … 2"),
        (PICKED + "\ndata_optics\n\nloop_\n_rlnMicrographPixelSize #1\n8.0\n", "found pixels of 8 Å"),
        (PICKED.replace("AnglePsi", "CoordinateZ"), "the image is a plane"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.star").write_text(text)
    with pytest.raises(AnnotationError, match=said) as refused:
        star.read(tmp_path / "a.star", SQUARE, kinds=KINDS)
    assert str(tmp_path / "a.star") in str(refused.value) and "\n" not in str(refused.value)


def test_a_stack_needs_planes_and_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_text(PICKED)
    with pytest.raises(AnnotationError, match="no rlnCoordinateZ, for a stack"):
        star.read(tmp_path / "a.star", STACK)
    (tmp_path / "b.star").write_text(PICKED + "1 2 3 4 5 6 7 8\n")
    with pytest.raises(FormatError, match="damaged or unsupported STAR table"):
        star.read(tmp_path / "b.star", SQUARE)
    (tmp_path / "c.star").write_bytes(b"")
    with pytest.raises(FormatError, match="empty file"):
        star.read(tmp_path / "c.star", SQUARE)
