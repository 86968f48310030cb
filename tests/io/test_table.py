import pytest

from graticule.errors import AnnotationError
from graticule.io.table import Table


def table(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Table.read(path)


@pytest.mark.parametrize(
    "content",
    [
        "x_um,y_um\n1.5,2\n",
        "\ufeffx_um,y_um\r\n1.5,2\r\n",
        " x_um ; y_um \n 1,5 ; 2 \n",
        "x_um\ty_um\n1.5\t2\n",
        '"x_um","y_um"\n"1.5","2"\n\n\n',
        "X (µm),Y (μm)\n1.5,2",
        "x_micron,y [um]\n1.5,2,,\n",
        "x_um,y_um\n1.5,2\n".encode("utf-16"),
        "x_µm,y_µm\n1.5,2\n".encode("latin-1"),
    ],
)
def test_what_spreadsheets_write_is_understood(tmp_path, content):
    found = table(tmp_path, content)
    assert found.numbers("x_um").tolist() == [1.5]
    assert found.numbers("y_um").tolist() == [2]


def test_rows_are_called_as_a_spreadsheet_does(tmp_path):
    assert table(tmp_path, "x,y\n\n1,2\n3,4\n").rows == ["row 3", "row 4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n3\n", "row 3: found 1 cells; need 2"),
        ("x,y\n1,2,3\n", "row 2: found 3 cells; need 2"),
        ("1,2\n3,4\n", "found numbers in the first row; need column names"),
        ("x_um,X (um)\n3,4\n", "found two columns x_um"),
        ("", "found an empty file"),
        ("  \n \n", "found an empty file"),
        (";;\n", "found no column names"),
        (b"x,y\n1,\0\n", "binary data"),
    ],
)
def test_what_is_no_table_is_refused_with_the_row(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"a\.csv.*{message}"):
        table(tmp_path, content)


@pytest.mark.parametrize(
    ("cell", "found"), [("abc", "'abc'"), ("", "an empty cell"), ("nan", "'nan'"), ("inf", "'inf'"), ("1,5", "'1,5'")]
)
def test_what_is_no_number_is_refused_with_row_and_column(tmp_path, cell, found):
    read = table(tmp_path, f'x,y\n1,2\n"{cell}",4\n')
    with pytest.raises(AnnotationError, match=rf"a\.csv, row 3: found {found} in column x; need a number"):
        read.numbers("x")


def test_a_stray_quotation_mark_does_not_spread_over_lines(tmp_path):
    assert list(table(tmp_path, '"x_um,y_um\n1,2\n').columns) == ["x_um,y_um 1,2"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"gone\.csv: could not be read"):
        Table.read(tmp_path / "gone.csv")
