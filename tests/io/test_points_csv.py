import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import AnnotationError
from graticule.image import Image
from graticule.io import points_csv, read
from graticule.results import Points

IMAGE = Image(np.zeros((300, 400), np.uint8), "yx", (0.5, 0.25))
STACK = Image(np.zeros((20, 300, 400), np.uint8), "zyx", (2.0, 0.5, 0.25), (7.0, 0.0, -3.0))


@pytest.fixture
def table(tmp_path):
    def written(content):
        path = tmp_path / "a.csv"
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return written


@st.composite
def points_on(draw, shape, spacing_um):
    """Points anywhere on an image of `shape` with that spacing, and the image."""
    image = Image(np.zeros(shape, np.uint8), "zyx"[-len(shape) :], spacing_um)
    n = draw(st.integers(0, 6))
    unit = arrays(float, (n, len(shape)), elements=st.floats(0, 1))
    position = image.to_um(draw(unit) * (np.array(shape) - 1))
    confidence = draw(arrays(float, n, elements=st.floats(0, 1)))
    kind = draw(arrays(int, n, elements=st.integers(0, 1)))
    diameter = draw(st.none() | arrays(float, n, elements=st.floats(1e-3, 10)))
    return Points(position, confidence, kind, ("6nm", 'a "b", c'), diameter), image


@given(st.data(), st.sampled_from([1e-4, 5.586592e-4, 0.1, 1, 30]), st.sampled_from([(300, 2000), (30, 20, 40)]))
def test_saving_then_reading_gives_the_same_points(tmp_path_factory, data, scale, shape):
    spacing = (scale, scale * 0.7, scale * 3)[: len(shape)]
    points, image = data.draw(points_on(shape, spacing))
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    points_csv.write(points, path, image)
    again = points_csv.read(path, image, kinds=points.kinds)
    assert np.abs(image.to_voxels(again.position_um) - image.to_voxels(points.position_um)).max(initial=0) < 1e-3
    assert np.allclose(again.confidence, points.confidence, rtol=1e-5, atol=1e-12)
    assert again.kinds == points.kinds
    assert np.array_equal(again.kind, points.kind)
    if points.diameter_um is None:
        assert again.diameter_um is None
    else:
        assert np.allclose(again.diameter_um, points.diameter_um, rtol=1e-6)


@given(st.data())
def test_pixels_and_micrometres_of_one_row_are_the_same_place(tmp_path_factory, data):
    points, image = data.draw(points_on((50, 60), (0.13, 0.4)))
    folder = tmp_path_factory.mktemp("csv")
    points_csv.write(points, folder / "a.csv", image)
    rows = [line.split(",") for line in (folder / "a.csv").read_text().splitlines()]
    for keep, name in ((slice(1, 3), "px.csv"), (slice(3, 5), "um.csv")):
        (folder / name).write_text("\n".join(",".join(row[keep]) for row in rows))
    px, um = (points_csv.read(folder / name, image).position_um for name in ("px.csv", "um.csv"))
    assert np.abs(image.to_voxels(px) - image.to_voxels(um)).max(initial=0) < 1e-3


def test_the_file_is_what_the_guide_says(tmp_path):
    points = Points(np.array([[1.0, 2.0]]), np.array([0.25]), np.array([0]), ("6nm",), np.array([0.006]))
    points_csv.write(points, tmp_path / "a.csv", IMAGE)
    assert (tmp_path / "a.csv").read_bytes() == (
        b"particle_id,x_px,y_px,x_um,y_um,class,confidence,diameter_nm\n1,8.0000,2.0000,2.000000,1.000000,6nm,0.25,6\n"
    )


def test_a_stack_has_z_too(tmp_path):
    points_csv.write(Points.marked(np.array([[9.0, 1.0, 2.0]])), tmp_path / "a.csv", STACK)
    header, row = (tmp_path / "a.csv").read_text().splitlines()
    assert header == "particle_id,x_px,y_px,z_px,x_um,y_um,z_um,class,confidence"
    assert row == "1,20.0000,2.0000,1.0000,2.000000,1.000000,9.000000,object,1"


def test_no_points_are_a_header(tmp_path, table):
    points_csv.write(Points.none(2), tmp_path / "a.csv", IMAGE)
    for path in (tmp_path / "a.csv", table("x_um,y_um,class\n")):
        points = points_csv.read(path, IMAGE, kinds=("6nm", "12nm"))
        assert len(points) == 0
        assert points.position_um.shape == (0, 2)
        assert points.kinds == ("6nm", "12nm")


def test_an_empty_file_is_no_table(table):
    with pytest.raises(AnnotationError, match=r"a\.csv: found an empty file.*x_um,y_um,class"):
        points_csv.read(table(""), IMAGE)


# -- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["x_um,y_um", "x_nm,y_nm", "x_px,y_px", "y_px,x_px"])
def test_columns_name_their_unit(table, header):
    row = {"x_um": "2", "y_um": "1", "x_nm": "2000", "y_nm": "1000", "x_px": "8", "y_px": "2"}
    path = table(f"{header}\n{','.join(row[name] for name in header.split(','))}\n")
    assert points_csv.read(path, IMAGE).position_um.tolist() == [[1, 2]]


@pytest.mark.parametrize("header", ["x,y", "X,Y", " ,X,Y"])
def test_bare_columns_need_a_unit(table, header):
    path = table(f"{header}\n{'1,' * header.count(' ')}8,2\n")
    with pytest.raises(AnnotationError, match=r"a\.csv: found columns x, y without a unit.*--points-unit px\|um\|nm"):
        points_csv.read(path, IMAGE)
    assert points_csv.read(path, IMAGE, unit="px").position_um.tolist() == [[1, 2]]
    assert points_csv.read(path, IMAGE, unit="um").position_um.tolist() == [[2, 8]]
    with pytest.raises(AnnotationError, match="found unit 'furlong'; need px, um or nm"):
        points_csv.read(path, IMAGE, unit="furlong")


def test_pixels_count_from_the_image_s_origin(table):
    path = table("x_px,y_px,z_px\n20,2,1\n")
    assert points_csv.read(path, STACK).position_um.tolist() == [[9, 1, 2]]


def test_micrometres_taken_for_pixels_are_noticed(table):
    path = table("x,y\n0.45,0.79\n0.43,0.78\n0.46,0.76\n")
    with pytest.raises(AnnotationError, match=r"all 3 points within 3 pixels.*--points-unit um"):
        points_csv.read(path, IMAGE, unit="px")


def test_points_outside_are_refused(table):
    with pytest.raises(AnnotationError, match=r"a\.csv: found 1 of 2 points outside the image, the furthest in row 3"):
        points_csv.read(table("x_um,y_um\n1,1\n500,1\n"), IMAGE)


def test_pixels_and_micrometres_that_differ_reveal_a_wrong_pixel_size(table):
    path = table("x_px,y_px,x_um,y_um\n8,2,2,1\n100,200,25,100\n")
    assert len(points_csv.read(path, IMAGE)) == 2
    wrong = Image(IMAGE.data, "yx", (0.6, 0.3))
    with pytest.raises(
        AnnotationError, match=r"row 3: found pixels and micrometres that differ by 33\.3 px.*--spacing-um"
    ):
        points_csv.read(path, wrong)


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("a,b", "need x_um,y_um"),
        ("x_um,y_px", "need x_um,y_um"),
        ("x_mu,y_um", "x_mu may be meant as x_um"),
        ("x_um,z_um", ""),
    ],
)
def test_other_columns_are_refused(table, header, hint):
    with pytest.raises(AnnotationError, match=rf"a\.csv: found columns .*{hint}.*rename them"):
        points_csv.read(table(f"{header}\n1,2\n"), IMAGE)


def test_a_stack_needs_z_and_an_image_has_none(table):
    with pytest.raises(AnnotationError, match="need x_um,y_um,z_um"):
        points_csv.read(table("x_um,y_um\n1,2\n"), STACK)
    with pytest.raises(AnnotationError, match="found column z_um, but the image has axes yx"):
        points_csv.read(table("x_um,y_um,z_um\n1,2,3\n"), IMAGE)


def test_classes_come_from_the_table_or_are_given(table):
    path = table("x_um,y_um,class\n1,1,12nm\n2,2,6nm\n")
    assert points_csv.read(path, IMAGE).kinds == ("12nm", "6nm")
    points = points_csv.read(path, IMAGE, kinds=("6nm", "12nm"))
    assert points.kinds == ("6nm", "12nm")
    assert points.kind.tolist() == [1, 0]
    assert points_csv.read(table("x_um,y_um\n1,1\n"), IMAGE, kind="6nm").kinds == ("6nm",)
    assert points_csv.read(table("x_um,y_um\n1,1\n"), IMAGE).kinds == ("object",)


def test_an_unknown_class_is_refused_with_the_nearest(table):
    path = table("x_um,y_um,class\n1,1,6nm\n1,1,12mn\n")
    with pytest.raises(AnnotationError, match=r"a\.csv, row 3: found class '12mn'.*did you mean 12nm\?"):
        points_csv.read(path, IMAGE, kinds=("6nm", "12nm"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abc,1,6nm,1,5", "row 2: found 'abc' in column x_um"),
        (",1,6nm,1,5", "row 2: found an empty cell in column x_um"),
        ("1,1,,1,5", "row 2: found no class"),
        ("1,1,6nm,1.5,5", "row 2: found 1.5 in column confidence; need 0 … 1"),
        ("1,1,6nm,1,-5", "row 2: found -5 in column diameter_nm"),
        ("1,1,6nm,1,x", "row 2: found 'x' in column diameter_nm"),
        ("1,1,6nm", "row 2: found 3 cells; need 5"),
    ],
)
def test_wrong_cells_are_refused_with_their_row(table, row, message):
    with pytest.raises(AnnotationError, match=message):
        points_csv.read(table(f"x_um,y_um,class,confidence,diameter_nm\n{row}\n"), IMAGE)


def test_unknown_columns_are_left_aside(table):
    assert len(points_csv.read(table("x_um,y_um,area,comment\n1,1,?,hello\n"), IMAGE)) == 1


@pytest.mark.real
def test_the_laboratory_s_own_tables_agree_with_the_exact_points_to_a_pixel(shared_data):
    folder = shared_data / "gold-synapses"
    for name in ("S1", "S7", "S8", "S13", "S15", "S27", "S29"):
        image = read(folder / "images" / f"{name}.jpg", spacing_um=(1 / 1790,))
        exact = points_csv.read(folder / "points" / f"{name}.csv", image, kinds=("6nm", "12nm"))
        for kind in exact.kinds:
            theirs = points_csv.read(folder / "original_csv" / f"{name}_{kind}.csv", image, unit="um", kind=kind)
            ours = exact.of_kind(kind)
            assert len(theirs) == len(ours)
            assert np.abs(image.to_voxels(theirs.position_um) - image.to_voxels(ours.position_um)).max() < 1


@pytest.mark.real
def test_the_laboratory_s_own_tables_are_refused_without_a_unit(shared_data):
    folder = shared_data / "gold-synapses"
    image = read(folder / "images" / "S1.jpg", spacing_um=(1 / 1790,))
    with pytest.raises(AnnotationError, match=r"S1_6nm\.csv.*--points-unit"):
        points_csv.read(folder / "original_csv" / "S1_6nm.csv", image, kind="6nm")
    with pytest.raises(AnnotationError, match="--points-unit um"):
        points_csv.read(folder / "original_csv" / "S1_6nm.csv", image, kind="6nm", unit="px")
