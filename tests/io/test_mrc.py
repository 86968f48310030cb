import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import describe, mrc, read, write

VOXELS = np.arange(5 * 30 * 40).reshape(5, 30, 40).astype(np.int16)
LENGTHS = st.floats(1e-4, 50)


def save(path, voxels=VOXELS, *, angstrom=(2, 3, 4), stack=False, **fields):
    """As mrcfile writes it; `angstrom` is x, y, z."""
    with mrcfile.new(path, voxels, overwrite=True) as file:
        if stack:
            file.set_image_stack()
        if angstrom:
            file.voxel_size = angstrom
        for name, value in fields.items():
            file.header[name] = value
    return path


# -- what was written comes back ---------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["int8", "int16", "uint16", "float32"]), st.sampled_from(["yx", "zyx"]))
def test_saving_then_reading_gives_the_same_image(tmp_path_factory, data, dtype, axes):
    shape = data.draw(st.tuples(*(st.integers(2, 9) for _ in axes)))
    voxels = data.draw(arrays(dtype, shape, elements=st.integers(0, 100), fill=st.nothing()))
    spacing, origin = (data.draw(st.tuples(*(LENGTHS for _ in axes))) for _ in range(2))
    path = tmp_path_factory.mktemp("mrc") / "a.mrc"
    write(Image(voxels, axes, spacing, origin), path)
    again = read(path)
    assert again.axes == axes
    assert again.data.dtype == dtype
    assert np.allclose(again.spacing_um, spacing, rtol=1e-6)
    assert np.allclose(again.origin_um, origin if axes == "zyx" else again.origin_um, rtol=1e-6)
    assert np.array_equal(again.data[...], voxels)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("voxels", [VOXELS, VOXELS[0], VOXELS.astype("f4") / 7])
def test_what_we_write_is_what_mrcfile_calls_valid(tmp_path, voxels, capsys):
    write(Image(voxels, "zyx"[-voxels.ndim :], (0.0004, 0.0003, 0.0002)[-voxels.ndim :]), tmp_path / "a.mrc")
    assert mrcfile.validate(tmp_path / "a.mrc"), capsys.readouterr().out
    with mrcfile.open(tmp_path / "a.mrc") as file:
        assert np.array_equal(file.data, voxels)
        assert [round(float(file.voxel_size[axis]), 5) for axis in "xy"] == [2, 3]
        assert float(file.header.rms) == pytest.approx(voxels.std(), rel=1e-4)


def test_the_same_image_is_written_in_the_same_bytes(tmp_path):
    for name in "ab":
        write(Image(VOXELS, "zyx", (1, 1, 1)), tmp_path / f"{name}.mrc")
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


def test_numbers_without_a_place_in_mrc_are_widened_or_refused(tmp_path):
    write(Image(VOXELS.astype(np.uint8), "zyx", (1, 1, 1)), tmp_path / "a.mrc")
    assert read(tmp_path / "a.mrc").data.dtype == np.uint16
    write(Image(VOXELS.astype(np.int64), "zyx", (1, 1, 1)), tmp_path / "b.mrc")
    assert np.array_equal(read(tmp_path / "b.mrc").data[...], VOXELS)
    with pytest.raises(FormatError, match=r"c\.mrc: found whole numbers beyond -32768 … 32767"):
        write(Image(VOXELS.astype(np.int64) * 100, "zyx", (1, 1, 1)), tmp_path / "c.mrc")
    with pytest.raises(FormatError, match=r"found 2 channels; MRC has one"):
        write(Image(VOXELS[:2], "cyx", (1, 1)), tmp_path / "c.mrc")
    assert not (tmp_path / "c.mrc").exists()


# -- axes and sizes ----------------------------------------------------------------------------------------------------


def test_lengths_are_in_angstrom(tmp_path):
    assert read(save(tmp_path / "a.mrc")).spacing_um == (0.0004, 0.0003, 0.0002)


def test_only_what_is_asked_for_is_read(tmp_path):
    image = read(save(tmp_path / "a.mrc"))
    assert not isinstance(image.data, np.ndarray)
    assert np.array_equal(image.data[1:3, :, 4], VOXELS[1:3, :, 4])


def test_a_stack_of_images_is_no_volume_until_somebody_says_so(tmp_path):
    path = save(tmp_path / "a.mrc", stack=True)
    assert "the header calls it a stack of images, not a volume" in describe(path).notes
    with pytest.raises(FormatError, match="--axes zyx"):
        read(path, spacing_um=(1,))
    assert read(path, axes="zyx", spacing_um=(3, 1, 1)).spacing_um == (3, 1, 1)


def test_a_size_of_zero_is_none(tmp_path):
    with pytest.raises(SpacingError, match="the MRC header gives a voxel size of 0; need the pixel size"):
        read(save(tmp_path / "a.mrc", angstrom=None))


def test_turned_axes_are_turned_back(tmp_path):
    path = save(tmp_path / "a.mrc", mapc=3, mapr=2, maps=1)
    image = read(path)
    assert np.array_equal(image.data[...], VOXELS.transpose(2, 1, 0))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_order_of_bytes_is_the_headers(tmp_path, order):
    save(tmp_path / "a.mrc", VOXELS.astype(f"{order}i2"))
    assert np.array_equal(read(tmp_path / "a.mrc").data[...], VOXELS)


def test_bytes_of_imod_are_unsigned_unless_it_says_otherwise(tmp_path):
    path = save(tmp_path / "a.mrc", np.full((2, 3, 4), -56, np.int8))
    assert read(path).data[0, 0, 0] == -56
    content = bytearray(path.read_bytes())
    content[152:156] = np.array([mrc.IMOD], "<i4").tobytes()
    path.write_bytes(content)
    assert read(path).data[0, 0, 0] == 200


# -- what is wrong -----------------------------------------------------------------------------------------------------


def says(source, message):
    with pytest.raises(FormatError, match=message) as refused:
        describe(source)
    assert "\n" not in str(refused.value)


def test_bad_files_are_refused_in_one_line(tmp_path):
    whole = save(tmp_path / "whole.mrc").read_bytes()
    (tmp_path / "cut.mrc").write_bytes(whole[:-1])
    says(tmp_path / "cut.mrc", r"cut\.mrc: found a truncated MRC \(13023 of 13024 bytes\)")
    (tmp_path / "head.mrc").write_bytes(whole[:500])
    says(tmp_path / "head.mrc", "found a damaged or unsupported MRC")
    (tmp_path / "text.mrc").write_text("hello there " * 200)
    says(tmp_path / "text.mrc", "found a damaged or unsupported MRC")
    says(save(tmp_path / "complex.mrc", VOXELS.astype("c8")), "found complex numbers")
    says(save(tmp_path / "a.mrc", mode=99), "Unrecognised mode")
    says(tmp_path / "none.mrc", "found no such file")
