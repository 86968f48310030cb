import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from graticule.errors import FormatError
from graticule.io import tiff, tiff_pixels
from graticule.io.lazy import Contiguous
from graticule.io.tiff_pixels import Recent, Segments

PIXELS = np.random.default_rng(0).integers(0, 60000, (5, 37, 50), np.uint16)
RGB = np.random.default_rng(0).integers(0, 250, (37, 50, 3), np.uint8)

LAYOUTS = {
    "strips": {"compression": "zlib", "rowsperstrip": 8},
    "one strip": {"compression": "zlib", "predictor": True},
    "tiles": {"compression": "zlib", "tile": (16, 32)},
    "tiles, predicted, big-endian": {"compression": "zlib", "tile": (16, 16), "predictor": True, "byteorder": ">"},
}


@pytest.fixture
def nothing_fits_in_memory(monkeypatch):
    monkeypatch.setattr(tiff_pixels, "IN_MEMORY", 0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("nothing_fits_in_memory")
def test_windows_of_compressed_pages_are_what_indexing_gives(tmp_path, layout):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **LAYOUTS[layout])
    lazily = tiff.describe(tmp_path / "a.tif").data
    assert isinstance(lazily, Segments)
    assert lazily.dtype == np.uint16

    @given(basic_indices(PIXELS.shape, allow_newaxis=False))
    def same(key):
        assert np.array_equal(lazily[key], PIXELS[key])

    same()


@given(key=basic_indices(RGB.shape, allow_newaxis=False), tiled=st.booleans())
def test_windows_of_colours_too(tmp_path_factory, key, tiled):
    path = tmp_path_factory.mktemp("rgb") / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression="zlib", tile=(16, 16) if tiled else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff_pixels, "IN_MEMORY", 0)
        lazily = tiff.describe(path).data
    assert isinstance(lazily, Segments)
    assert np.array_equal(lazily[key], RGB[key])


def counting(monkeypatch):
    """Every segment that is decoded, as (page, segment)."""
    seen = []
    decoded = Segments._decoded

    def counted(self, file, i, offset, *more):
        seen.append(offset)
        return decoded(self, file, i, offset, *more)

    monkeypatch.setattr(Segments, "_decoded", counted)
    return seen


def test_a_page_is_decoded_once_for_windows_beside_each_other(tmp_path, monkeypatch, nothing_fits_in_memory):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, compression="zlib", photometric="minisblack")
    lazily, seen = tiff.describe(tmp_path / "a.tif").data, counting(monkeypatch)
    for left in range(0, 50, 10):
        assert np.array_equal(lazily[:, :, left : left + 10], PIXELS[:, :, left : left + 10])
    assert len(seen) == len(PIXELS)


def test_what_is_kept_of_decoded_pages_has_a_limit(tmp_path, monkeypatch, nothing_fits_in_memory):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, compression="zlib", photometric="minisblack")
    recent = Recent(limit=2 * PIXELS[0].nbytes)
    monkeypatch.setattr(tiff_pixels, "RECENT", recent)
    lazily, seen = tiff.describe(tmp_path / "a.tif").data, counting(monkeypatch)
    for page in (0, 1, 0, 1, 2, 1, 0):
        assert np.array_equal(lazily[page, :9], PIXELS[page, :9])
        assert recent.bytes <= recent.limit
    assert len(seen) == 4


def test_two_images_keep_their_pages_apart(tmp_path, nothing_fits_in_memory):
    for name, voxels in (("a", PIXELS), ("b", PIXELS + 1)):
        tifffile.imwrite(tmp_path / f"{name}.tif", voxels, compression="zlib", photometric="minisblack")
    one, two = (tiff.describe(tmp_path / f"{name}.tif").data for name in "ab")
    assert np.array_equal(one[1, :5] + 1, two[1, :5])


@pytest.mark.parametrize("options", [{"imagej": True}, {"metadata": None}, {"byteorder": ">"}])
@pytest.mark.usefixtures("nothing_fits_in_memory")
def test_uncompressed_pages_are_mapped(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options)
    mapped = tiff.describe(tmp_path / "a.tif").data
    assert isinstance(mapped, Contiguous)
    assert np.array_equal(mapped[1:, ::-1], PIXELS[1:, ::-1])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
@pytest.mark.usefixtures("nothing_fits_in_memory")
def test_what_is_not_in_memory_can_be_sent_to_another_process(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options)
    sent = pickle.dumps(tiff.describe(tmp_path / "a.tif").data)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent)[...], PIXELS)


@pytest.mark.usefixtures("nothing_fits_in_memory")
def test_a_file_that_is_gone_meanwhile_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, compression="zlib")
    lazily = tiff.describe(tmp_path / "a.tif").data
    (tmp_path / "a.tif").unlink()
    with pytest.raises(FormatError, match=r"a\.tif"):
        lazily[0]


# -- damage ------------------------------------------------------------------------------------------------------------


def variants(folder: Path) -> dict[str, Path]:
    """One file of each kind there is to be cut."""
    paths = {}
    for name, options in {
        **LAYOUTS,
        "plain": {"metadata": None},
        "ImageJ": {"imagej": True},
        "OME": {"ome": True},
    }.items():
        paths[name] = folder / f"{name}.tif"
        tifffile.imwrite(paths[name], PIXELS, **options)
    paths["page by page"] = folder / "pages.tif"
    with tifffile.TiffWriter(paths["page by page"]) as file:
        for page in PIXELS:
            file.write(page, metadata=None, contiguous=False)
    # libtiff writes the list of tags behind the pixels.
    paths["tags last"] = folder / "last.tif"
    PIL.Image.fromarray(PIXELS[0].astype(np.uint8)).save(paths["tags last"])
    return paths


def test_cut_files_are_refused_wherever_they_are_cut(tmp_path):
    for name, path in variants(tmp_path).items():
        whole = path.read_bytes()
        tiff.describe(path)
        # Where nothing but padding or unused tags is cut, all pixels have to be right.
        expected = PIXELS[0].astype(np.uint8) if name == "tags last" else PIXELS
        for length in np.linspace(1, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:length])
            found = pixels_or_refusal(path)
            assert path.name in found if isinstance(found, str) else np.array_equal(found, expected), (name, length)


def pixels_or_refusal(path):
    try:
        return tiff.describe(path).data[...]
    except FormatError as error:
        return str(error)


@pytest.mark.parametrize("layout", ["plain", "strips", "tiles"])
@pytest.mark.usefixtures("nothing_fits_in_memory")
def test_cut_files_are_refused_when_opened_even_if_nothing_is_read_yet(tmp_path, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0], metadata=None, **LAYOUTS.get(layout, {}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"a\.tif: found a truncated TIFF \(\d+ of at least \d+ bytes\)"):
        tiff.describe(path)


def test_truncation_is_called_so(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True)
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"a\.tif: found a truncated TIFF"):
        tiff.describe(tmp_path / "a.tif")


def test_pages_without_data_are_no_silent_zeros(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0], rowsperstrip=8, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = list(file.pages.first.tags["StripByteCounts"].value)
        file.pages.first.tags["StripByteCounts"].overwrite([*counts[:-1], 0])
    with pytest.raises(FormatError, match="pieces that hold no data"):
        tiff.describe(path)


def test_files_of_a_series_that_are_not_there_are_missed(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PIXELS, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata
    elsewhere = xml.replace(
        '<TiffData IFD="0" PlaneCount="5"/>',
        '<TiffData FirstZ="0" IFD="0" PlaneCount="1"/><TiffData FirstZ="1" IFD="0" PlaneCount="1">'
        '<UUID FileName="b.ome.tif">urn:uuid:00000000-0000-0000-0000-000000000000</UUID></TiffData>',
    )
    assert elsewhere != xml
    tifffile.imwrite(path, PIXELS, description=elsewhere, metadata=None)
    with pytest.raises(FormatError, match="other, missing files"):
        tiff.describe(path)


def test_unknown_compression_names_the_package_that_knows_it(tmp_path):
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        PIL.Image.fromarray(RGB).save(tmp_path / "a.tif", compression="tiff_lzw")
        with pytest.raises(FormatError, match=r"a\.tif: found LZW compression.*imagecodecs"):
            tiff.describe(tmp_path / "a.tif")
    else:
        pytest.skip("imagecodecs is here and knows all of them")


def test_a_file_is_read_once(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS)
    reads = []
    original = tifffile.TiffPageSeries.asarray
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda s, **k: reads.append(1) or original(s, **k))
    tiff.describe(tmp_path / "a.tif")
    assert len(reads) == 1
