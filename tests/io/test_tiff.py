import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import read, tiff, tiff_pixels

PIXELS = np.arange(5 * 30 * 40).reshape(5, 30, 40).astype(np.uint16)
DTYPES = ["uint8", "uint16", "uint32", "int16", "int32", "float32", "float64"]


def save(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


# -- what was written comes back ---------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["yx", "zyx", "cyx", "czyx"]))
def test_saving_then_reading_gives_the_same_image(tmp_path_factory, data, dtype, axes):
    shape = data.draw(st.tuples(*(st.integers(2, 5) for _ in axes)))
    numbers = st.integers(0, 100)
    pixels = data.draw(arrays(dtype, shape, elements=numbers, fill=st.nothing()))
    ndim = 3 if "z" in axes else 2
    size = st.floats(1e-4, 50).map(lambda s: float(f"{s:.5g}"))
    image = Image(pixels, axes, data.draw(st.tuples(*(size for _ in range(ndim)))))
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    tiff.write(image, path)
    again = read(path, channel="all")
    assert again.axes == axes
    assert again.data.dtype == dtype
    assert np.array_equal(again.data, pixels)
    assert np.allclose(again.spacing_um, image.spacing_um, rtol=1e-6)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_both_kinds_of_metadata_keep_the_scale(tmp_path, name):
    tiff.write(Image(PIXELS, "zyx", (0.3, 0.1, 0.2)), tmp_path / name)
    image = read(tmp_path / name)
    assert (image.axes, image.spacing_um) == ("zyx", (0.3, 0.1, 0.2))
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.is_ome if "ome" in name else file.is_imagej


def test_labels_of_64_bits_are_written_as_32_if_they_fit(tmp_path):
    tiff.write(Image(np.array([[0, 70000]]), "yx", (1, 1)), tmp_path / "a.tif")
    assert read(tmp_path / "a.tif").data.tolist() == [[0, 70000]]
    with pytest.raises(FormatError, match=r"b\.tif: found whole numbers beyond"):
        tiff.write(Image(np.array([[0, -1]]), "yx", (1, 1)), tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


def test_masks_are_written_as_bytes(tmp_path):
    tiff.write(Image(np.eye(4, dtype=bool), "yx", (1, 1)), tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif").data, np.eye(4, dtype=np.uint8))


def test_what_tiff_cannot_hold_is_refused(tmp_path):
    with pytest.raises(FormatError, match="found values of type complex64"):
        tiff.write(Image(np.zeros((3, 4), "c8"), "yx", (1, 1)), tmp_path / "a.tif")


def test_an_image_is_written_plane_by_plane(tmp_path):
    class Planes:
        shape, dtype = PIXELS.shape, PIXELS.dtype

        def __getitem__(self, key):
            assert PIXELS[key].ndim == 2
            return PIXELS[key]

    tiff.write(Image(Planes(), "zyx", (1, 1, 1)), tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif").data, PIXELS)


def test_more_than_imagej_has_room_for_becomes_a_bigtiff_that_is_read_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "IMAGEJ_BYTES", 1000)
    monkeypatch.setattr(tiff_pixels, "IN_MEMORY", 0)
    tiff.write(Image(PIXELS, "zyx", (0.3, 0.1, 0.2)), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
    image = read(tmp_path / "a.tif")
    assert not isinstance(image.data, np.ndarray)
    assert image.spacing_um == (0.3, 0.1, 0.2)
    assert np.array_equal(image.data[2:4, 5], PIXELS[2:4, 5])


# -- axes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [None, {}])
def test_a_stack_that_does_not_say_what_it_is_is_described_but_not_read(tmp_path, metadata):
    path = save(tmp_path / "a.tif", PIXELS, metadata=metadata)
    assert "does not say what its dimension of 5 is" in " ".join(tiff.describe(path).notes)
    with pytest.raises(FormatError, match=r"a\.tif: found 3 dimensions.*--axes zyx"):
        read(path, spacing_um=(1,))
    image = read(path, spacing_um=(1,), axes="zyx")
    assert image.axes == "zyx"
    assert np.array_equal(image.data, PIXELS)


def test_given_axes_replace_the_file_s(tmp_path):
    path = save(tmp_path / "a.tif", PIXELS, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(FormatError, match=r"5 time points.*--axes zyx"):
        read(path, spacing_um=(1,))
    assert read(path, spacing_um=(1,), axes="zyx").axes == "zyx"
    assert "axes zyx as given; the file says tyx" in tiff.describe(path, axes="zyx").notes


def test_a_single_page_is_an_image(tmp_path):
    assert tiff.describe(save(tmp_path / "a.tif", PIXELS[0], metadata=None)).axes == "yx"


def test_channels_are_chosen_by_their_ome_names(tmp_path):
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}
    path = save(tmp_path / "a.ome.tif", PIXELS[:2], metadata=metadata)
    with pytest.raises(FormatError, match=r"0 \(DAPI\), 1 \(GFP\)"):
        read(path)
    assert np.array_equal(read(path, channel="GFP").data, PIXELS[1])


def test_colours_are_asked_for(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (6, 7, 3), np.uint8)
    path = save(tmp_path / "a.tif", rgb, photometric="rgb")
    with pytest.raises(FormatError, match="RGB image with 3 colours"):
        read(path, spacing_um=(1,))
    assert np.array_equal(read(path, spacing_um=(1,), channel="green").data, rgb[..., 1])


def test_a_colour_table_and_inverted_display_are_told(tmp_path):
    pixels = PIXELS[0].astype(np.uint8)
    palette = save(tmp_path / "a.tif", pixels, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    inverted = save(tmp_path / "b.tif", pixels, photometric="miniswhite")
    assert "colour table" in " ".join(tiff.describe(palette).notes)
    assert "0 is white" in " ".join(tiff.describe(inverted).notes)
    assert np.array_equal(tiff.describe(palette).data, pixels)
    assert np.array_equal(tiff.describe(inverted).data, pixels)


# -- pixels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "u1", "i2"])
def test_types_are_kept_in_native_order(tmp_path, dtype):
    pixels = PIXELS[0].astype(dtype)
    path = save(tmp_path / "a.tif", pixels, byteorder=">" if dtype[0] == ">" else "<")
    found = tiff.describe(path).data
    assert np.asarray(found).dtype.isnative
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(found, pixels)


def test_one_bit_is_zero_or_one(tmp_path):
    scan = tiff.describe(save(tmp_path / "a.tif", PIXELS[0] > 500))
    assert scan.data.dtype == np.uint8
    assert np.array_equal(scan.data, PIXELS[0] > 500)


def test_complex_numbers_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"a\.tif: found complex numbers"):
        tiff.describe(save(tmp_path / "a.tif", PIXELS[0].astype("c8")))


def test_nan_is_described_but_refused_as_an_image(tmp_path):
    pixels = PIXELS[0].astype(np.float32)
    pixels[2, 3] = np.nan
    path = save(tmp_path / "a.tif", pixels, imagej=True, resolution=(10, 10), metadata={"unit": "um"})
    tiff.describe(path)
    with pytest.raises(FormatError, match=r"a\.tif: found 1 NaN and 0 infinite pixels of 1200 \(at 2, 3"):
        read(path)


def test_several_images_in_one_file_are_one_too_many_but_thumbnails_are_not(tmp_path):
    for name, second in (("a.tif", PIXELS[0, 1:]), ("b.tif", PIXELS[0, ::4, ::4])):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(PIXELS[0], metadata=None)
            file.write(second, metadata=None)
    with pytest.raises(FormatError, match=r"a\.tif: found 2 images"):
        tiff.describe(tmp_path / "a.tif")
    assert tiff.describe(tmp_path / "b.tif").data.shape == (30, 40)


def test_nonsense_units_are_described_and_named_in_the_refusal(tmp_path):
    path = save(tmp_path / "a.tif", PIXELS[0], imagej=True, resolution=(2, 2), metadata={"unit": "banana"})
    assert tiff.describe(path).spacing_um is None
    with pytest.raises(SpacingError, match=r"a\.tif: .*'banana'.*--spacing-um"):
        read(path)
    assert read(path, spacing_um=(0.1,)).spacing_um == (0.1, 0.1)


def test_tifffile_stays_silent(tmp_path, capfd):
    path = save(tmp_path / "a.tif", PIXELS, metadata=None)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FormatError):
        tiff.describe(path)
    assert capfd.readouterr().err == ""
