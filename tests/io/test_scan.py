from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import FormatError, SpacingError
from graticule.io.scan import (
    Scan,
    check_given_axes,
    check_is_file,
    check_plausible,
    check_signature,
    numeric,
    reading,
    renamed,
    squeezed,
    to_image,
)

PATH = Path("a.tif")


def scan(axes, spacing_um=None, dtype=np.uint8):
    lengths = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6, "q": 7, "s": 3}
    voxels = np.arange(np.prod([lengths[a] for a in axes])).reshape([lengths[a] for a in axes]).astype(dtype)
    return Scan(voxels, axes, spacing_um, ("no size in it",))


def test_what_is_known_is_kept():
    image = to_image(scan("zyx", (0.5, 0.1, 0.2)), PATH)
    assert (image.axes, image.shape, image.spacing_um) == ("zyx", (4, 5, 6), (0.5, 0.1, 0.2))


def test_a_missing_size_is_asked_for():
    with pytest.raises(SpacingError, match=r"a\.tif: no size in it; need the pixel size in µm; pass --spacing-um"):
        to_image(scan("yx"), PATH)


def test_a_given_size_overrides_the_file_and_one_number_counts_for_all_axes():
    assert to_image(scan("yx", (1.0, 1.0)), PATH, spacing_um=(0.2,)).spacing_um == (0.2, 0.2)
    assert to_image(scan("zyx"), PATH, spacing_um=(3, 2, 1)).spacing_um == (3, 2, 1)


@pytest.mark.parametrize("wrong", [(1, 2, 3), (0,), (-1, 1), (np.nan,), ()])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(SpacingError, match=r"a\.tif: found pixel size .* change --spacing-um"):
        to_image(scan("yx"), PATH, spacing_um=wrong)


@given(st.permutations("zyx"))
def test_axes_are_brought_in_order_and_so_are_sizes(order):
    axes = "".join(order)
    size = {"z": 3.0, "y": 2.0, "x": 1.0}
    known = scan(axes, tuple(size[a] for a in axes))
    for image in (to_image(known, PATH), to_image(known, PATH, spacing_um=(3, 2, 1))):
        assert (image.axes, image.shape, image.spacing_um) == ("zyx", (4, 5, 6), (3, 2, 1))
    assert image.data[1, 2, 3] == known.data[tuple({"z": 1, "y": 2, "x": 3}[a] for a in axes)]


def test_all_channels_come_first():
    assert to_image(scan("zcyx", (1, 1, 1)), PATH, channel="all").axes == "czyx"


def test_time_is_refused_with_the_way_out():
    with pytest.raises(FormatError, match=r"found 2 time points.*--axes zyx"):
        to_image(scan("tyx", (1, 1)), PATH)


@pytest.mark.parametrize(("axes", "suggestion"), [("qyx", "zyx"), ("qyxs", "zyxs"), ("zqyx", "zcyx")])
def test_an_unnamed_dimension_is_asked_for(axes, suggestion):
    with pytest.raises(FormatError, match=f"no word on what they are.*--axes {suggestion}"):
        to_image(scan(axes, (1, 1)), PATH)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(FormatError, match="without pixels"):
        to_image(Scan(np.zeros((0, 5)), "yx", (1, 1), ("",)), PATH)


def test_nan_is_refused_with_number_and_place():
    pixels = np.ones((20, 30), np.float32)
    pixels[5:15, 8:18] = np.nan
    with pytest.raises(FormatError, match=r"a\.tif: found 100 NaN and 0 infinite pixels of 600 \(at 5–14, 8–17"):
        to_image(Scan(pixels, "yx", (1, 1), ("",)), PATH)


def test_pixels_in_memory_are_not_copied():
    pixels = np.ones((20, 30), np.float32)
    assert np.shares_memory(to_image(Scan(pixels, "yx", (1, 1), ("",)), PATH).data, pixels)


def test_renaming_axes_forgets_a_size_that_was_for_others():
    assert renamed(scan("qyx", (1, 1)), "ZYX", PATH).spacing_um is None
    assert renamed(scan("qyx", (1, 1)), "cyx", PATH).spacing_um == (1, 1)


@pytest.mark.parametrize("wrong", ["zy", "zyy", "abc", "", "zyxc"])
def test_axes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(FormatError, match=r"a\.tif: found axes .* change --axes, e\.g\. to zyx"):
        check_given_axes(wrong, 3, PATH)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("a\nb"), OSError("c"), SyntaxError("d"), MemoryError()])
def test_whatever_a_library_raises_becomes_one_line_with_the_file(error):
    with pytest.raises(FormatError, match=r"^a\.tif: found .*") as caught, reading(PATH, "TIFF"):
        raise error
    assert "\n" not in str(caught.value)


def test_our_own_refusals_pass():
    with pytest.raises(SpacingError, match="mine"), reading(PATH, "TIFF"):
        raise SpacingError("mine")


def test_files_that_are_none_are_named(tmp_path):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "photo.tif").write_bytes(b"\xff\xd8\xff\xe0rest")
    (tmp_path / "text.tif").write_bytes(b"hello")
    with pytest.raises(FormatError, match="found no such file"):
        check_is_file(tmp_path / "gone.tif")
    with pytest.raises(FormatError, match="found a folder"):
        check_is_file(tmp_path)
    with pytest.raises(FormatError, match="found an empty file"):
        check_signature(tmp_path / "empty.tif", "TIFF")
    with pytest.raises(FormatError, match="found a JPEG inside; need a TIFF"):
        check_signature(tmp_path / "photo.tif", "TIFF")
    with pytest.raises(FormatError, match="found no TIFF inside"):
        check_signature(tmp_path / "text.tif", "TIFF")


def test_a_header_that_claims_the_impossible_is_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"x" * 100)
    check_plausible(path, (1000, 100), 1)
    with pytest.raises(FormatError, match="claims 100000 × 100000 pixels in 100 bytes"):
        check_plausible(path, (100000, 100000), 1)


@pytest.mark.parametrize(
    ("dtype", "found"), [("c8", "complex numbers"), ("U3", "values of type"), ("M8[s]", "values of")]
)
def test_pixels_are_numbers(dtype, found):
    with pytest.raises(FormatError, match=f"found {found}"):
        numeric(np.dtype(dtype), PATH)


def test_the_place_of_the_first_voxel_follows_its_axes():
    turned = Scan(np.zeros((4, 5, 6)), "xzy", (1.0, 3.0, 2.0), ("",), origin_um=(10.0, 30.0, 20.0))
    image = to_image(turned, PATH)
    assert (image.axes, image.spacing_um, image.origin_um) == ("zyx", (3, 2, 1), (30, 20, 10))


def test_dimensions_of_one_are_left_out_with_their_size():
    flat = Scan(np.arange(30).reshape(1, 1, 5, 6), "tzyx", (3.0, 2.0, 1.0), ("",), origin_um=(30.0, 20.0, 10.0))
    plane = squeezed(flat)
    assert (plane.axes, plane.spacing_um, plane.origin_um) == ("yx", (2.0, 1.0), (20.0, 10.0))
    assert np.array_equal(plane.data[...], np.arange(30).reshape(5, 6))
    assert squeezed(scan("tzyx")).axes == "tzyx"
