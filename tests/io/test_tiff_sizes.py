import numpy as np
import pytest
import tifffile

from graticule.io import tiff

PIXELS = np.zeros((4, 6, 8), np.uint8)


def sizes(path, pixels=PIXELS[0], **options):
    tifffile.imwrite(path, pixels, **options)
    scan = tiff.describe(path)
    return scan.spacing_um, scan.notes[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


@pytest.mark.parametrize(
    ("unit", "per_unit", "um"),
    [
        ("micron", 10, 0.1),
        ("um", 10, 0.1),
        ("\\u00B5m", 4, 0.25),
        ("nm", 2, 0.0005),
        ("mm", 1000, 1.0),
        ("cm", 1e5, 0.1),
    ],
)
def test_imagej_gives_pixels_per_unit(path, unit, per_unit, um):
    found, note = sizes(path, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert found == pytest.approx((um, um))
    assert note == f"pixel size from ImageJ metadata, unit {unit}"


def test_imagej_pixels_need_not_be_square_nor_slices_as_thick(path):
    metadata = {"unit": "um", "spacing": 0.7, "axes": "ZYX"}
    assert sizes(path, PIXELS, imagej=True, resolution=(10, 5), metadata=metadata)[0] == (0.7, 0.2, 0.1)


def test_an_imagej_stack_without_depth_has_no_size(path):
    found, note = sizes(path, PIXELS, imagej=True, resolution=(10, 5), metadata={"unit": "um", "axes": "ZYX"})
    assert found is None
    assert "y 0.2 µm, x 0.1 µm; z not recorded" in note


@pytest.mark.parametrize("unit", ["banana", "pixel"])
def test_a_unit_that_is_no_length_is_named(path, unit):
    found, note = sizes(path, imagej=True, resolution=(10, 10), metadata={"unit": unit})
    assert found is None
    assert f"{unit!r}, which is no length" in note


@pytest.mark.parametrize(("unit", "dots"), [("inch", 72), ("inch", 300), ("cm", 28.35)])
def test_imagej_repeats_printing_resolutions_which_are_no_pixel_sizes(path, unit, dots):
    found, note = sizes(path, imagej=True, resolution=(dots, dots), metadata={"unit": unit})
    assert found is None
    assert "printing resolution" in note


def test_ome_gives_units_per_pixel(path):
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 100,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.2,
        "PhysicalSizeZ": 1,
    }
    found, note = sizes(path, PIXELS, ome=True, metadata=metadata)
    assert found == (1, 0.2, 0.1)
    assert "OME" in note


def test_ome_sizes_that_are_none_are_named(path):
    metadata = {"axes": "YX", "PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 1}
    assert sizes(path, ome=True, metadata=metadata)[0] is None
    assert "no length" in sizes(path, ome=True, metadata=metadata)[1]
    metadata = {"axes": "YX", "PhysicalSizeX": 0, "PhysicalSizeY": 1}
    assert sizes(path, ome=True, metadata=metadata)[0] is None


def test_ome_without_sizes_has_none(path):
    assert sizes(path, ome=True, metadata={"axes": "YX"}) == (None, "the file records no pixel size")


def test_dots_per_centimetre_are_a_microscope_s(path):
    found, note = sizes(path, resolution=(1e5, 2e5), resolutionunit="CENTIMETER", metadata=None)
    assert found == (0.05, 0.1)
    assert note == "pixel size from TIFF resolution, unit cm"


@pytest.mark.parametrize("dpi", [72, 96, 300, 1200])
@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_printing_resolutions_are_none(path, dpi, unit):
    dots = dpi if unit == "INCH" else dpi / 2.54
    found, note = sizes(path, resolution=(dots, dots), resolutionunit=unit, metadata=None)
    assert found is None
    assert "printing resolution" in note


@pytest.mark.parametrize("options", [{}, {"resolution": (10, 10), "resolutionunit": "NONE"}])
def test_a_resolution_without_a_unit_is_none(path, options):
    assert sizes(path, metadata=None, **options) == (None, "the file records no pixel size")


def test_fei_microscopes_give_metres(path):
    text = "[Scan]\r\nPixelWidth=2.5e-009\r\nPixelHeight=2.5e-009\r\n"
    found, note = sizes(path, metadata=None, extratags=[(34682, 2, len(text) + 1, text, True)])
    assert found == (0.0025, 0.0025)
    assert "FEI" in note


def test_zeiss_microscopes_name_their_unit(path):
    text = "0\r\n" * 40 + "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 5.5 nm\r\n"
    found, note = sizes(path, metadata=None, extratags=[(34118, 2, len(text) + 1, text, True)])
    assert found == (0.0055, 0.0055)
    assert "Zeiss" in note


def test_a_broken_ome_header_gives_no_size(path):
    found, _ = sizes(path, description='<?xml version="1.0"?><OME xmlns="x"><Pixels', metadata=None)
    assert found is None
