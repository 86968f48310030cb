import numpy as np
import PIL.Image
import pytest

from graticule.errors import FormatError, SpacingError
from graticule.io import describe, raster, read

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (20, 30), np.uint8)
RGB = RNG.integers(0, 255, (20, 30, 3), np.uint8)


def save(path, pixels, mode=None, **options):
    image = PIL.Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_grey_pixels_come_back(tmp_path):
    scan = raster.describe(save(tmp_path / "a.png", GREY))
    assert scan.axes == "yx"
    assert scan.data.dtype == np.uint8
    assert np.array_equal(scan.data, GREY)


def test_16_bits_stay_16_bits(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    scan = raster.describe(save(tmp_path / "a.png", deep))
    assert scan.data.dtype == np.uint16
    assert np.array_equal(scan.data, deep)


def test_jpeg_is_read_by_either_suffix_in_any_case(tmp_path):
    for name in ("a.jpg", "b.jpeg", "c.JPG"):
        save(tmp_path / name, GREY, format="JPEG")
        assert describe(tmp_path / name).data.shape == (20, 30)


def test_black_and_white_is_zero_and_one(tmp_path):
    scan = raster.describe(save(tmp_path / "a.png", GREY > 100))
    assert scan.data.dtype == np.uint8
    assert np.array_equal(scan.data, GREY > 100)


def test_a_grey_palette_is_grey_and_a_coloured_one_is_rgb(tmp_path):
    palette = PIL.Image.fromarray(GREY).convert("P")
    palette.save(tmp_path / "a.png")
    assert np.array_equal(raster.describe(tmp_path / "a.png").data, GREY)
    PIL.Image.fromarray(RGB).quantize(16).save(tmp_path / "b.png")
    assert raster.describe(tmp_path / "b.png").axes == "yxs"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_asked_for_and_alpha_is_none(tmp_path, mode):
    path = save(tmp_path / "a.png", RGB, mode)
    with pytest.raises(FormatError, match=r"a\.png: found an RGB image with 3 colours.*--channel"):
        read(path, spacing_um=(1,))
    assert np.array_equal(read(path, spacing_um=(1,), channel="blue").data, RGB[..., 2])


def test_grey_with_alpha_is_grey(tmp_path):
    assert np.array_equal(raster.describe(save(tmp_path / "a.png", GREY, "LA")).data, GREY)


def test_16_bit_colours_are_refused_rather_than_cut_to_8(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    whole = bytearray(path.read_bytes())
    whole[24] = 16
    path.write_bytes(whole)
    with pytest.raises(FormatError, match=r"a\.png: found a 16-bit PNG of type RGB"):
        raster.describe(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_dots_per_inch_are_no_pixel_size(tmp_path, name):
    path = save(tmp_path / name, GREY, dpi=(300, 300))
    with pytest.raises(SpacingError, match=r"record no pixel size.*--spacing-um"):
        read(path)
    assert read(path, spacing_um=(0.1,)).spacing_um == (0.1, 0.1)


def test_a_turned_photograph_is_told_and_not_turned(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    scan = raster.describe(save(tmp_path / "a.jpg", GREY, exif=exif))
    assert scan.data.shape == (20, 30)
    assert any("EXIF" in note for note in scan.notes)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_cut_files_are_refused(tmp_path, name, part):
    path = save(tmp_path / name, GREY)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(FormatError, match=name):
        raster.describe(path)


def test_axes_may_be_given_but_must_fit(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    assert raster.describe(path, axes="yx").axes == "yx"
    with pytest.raises(FormatError, match="need 2 letters"):
        raster.describe(path, axes="zyx")


def test_large_micrographs_are_no_attack(tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 500)
    assert raster.describe(save(tmp_path / "a.png", GREY)).data.shape == (20, 30)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 200)
    assert raster.describe(save(tmp_path / "a.png", GREY)).data.shape == (20, 30)
