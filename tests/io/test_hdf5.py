import json

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import describe, read, write

VOXELS = np.arange(5 * 30 * 40).reshape(5, 30, 40).astype(np.uint16)
DTYPES = ["uint8", "uint16", "uint32", "int16", "int64", "float32", "float64"]
LENGTHS = st.floats(1e-4, 50)


def save(path, **datasets):
    """Each dataset is an array, or an array and its attributes."""
    with h5py.File(path, "w") as file:
        for name, said in datasets.items():
            voxels, attributes = said if isinstance(said, tuple) else (said, {})
            file.create_dataset(name.replace("__", "/"), data=voxels, chunks=True, compression="gzip")
            file[name.replace("__", "/")].attrs.update(attributes)
    return path


# -- what was written comes back ---------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["yx", "zyx", "cyx", "czyx"]))
def test_saving_then_reading_gives_the_same_image(tmp_path_factory, data, dtype, axes):
    shape = data.draw(st.tuples(*(st.integers(2, 9) for _ in axes)))
    voxels = data.draw(arrays(dtype, shape, elements=st.integers(0, 100), fill=st.nothing()))
    ndim = 3 if "z" in axes else 2
    spacing, origin = (data.draw(st.tuples(*(LENGTHS for _ in range(ndim)))) for _ in range(2))
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    write(Image(voxels, axes, spacing, origin), path)
    again = read(path, channel="all")
    assert (again.axes, again.spacing_um, again.origin_um) == (axes, spacing, origin)
    assert again.data.dtype == dtype
    assert np.array_equal(again.data[...], voxels)


@given(st.data())
def test_windows_are_those_of_the_whole(tmp_path_factory, data):
    image = read(save(tmp_path_factory.mktemp("hdf5") / "a.h5", raw=VOXELS), axes="zyx", spacing_um=(1,))
    key = data.draw(st.tuples(*(st.slices(n) for n in VOXELS.shape)))
    assert np.array_equal(image.data[key], VOXELS[key])


def test_the_same_image_is_written_in_the_same_bytes(tmp_path):
    for name in "ab":
        write(Image(VOXELS, "zyx", (1, 1, 1)), tmp_path / f"{name}.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_name_for_the_dataset_may_be_given(tmp_path):
    write(Image(VOXELS, "zyx", (1, 2, 3)), f"{tmp_path}/a.h5:/volumes/raw")
    assert read(f"{tmp_path}/a.h5:/volumes/raw").spacing_um == (1, 2, 3)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["volumes/raw"].attrs["element_size_um"].tolist() == [1, 2, 3]
        assert [dim.label for dim in file["volumes/raw"].dims] == ["z", "y", "x"]


# -- axes and sizes as others write them -------------------------------------------------------------------------------


def test_three_sizes_for_three_dimensions_are_those_of_z_y_x(tmp_path):
    image = read(save(tmp_path / "a.h5", raw=(VOXELS, {"element_size_um": [0.3, 0.1, 0.2]})))
    assert (image.axes, image.spacing_um) == ("zyx", (0.3, 0.1, 0.2))


def test_the_axes_of_ilastik_are_believed(tmp_path):
    tags = json.dumps({"axes": [{"key": key} for key in "zyxc"]})
    voxels = np.stack([VOXELS, VOXELS + 1], axis=-1)
    path = save(tmp_path / "a.h5", exported_data=(voxels, {"axistags": tags, "element_size_um": [3, 1, 2]}))
    image = read(path, channel=1)
    assert (image.axes, image.spacing_um) == ("zyx", (3, 1, 2))
    assert np.array_equal(image.data[...], VOXELS + 1)


def test_labels_of_dimensions_are_believed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = VOXELS
        for dimension, axis in zip(file["raw"].dims, "XZY", strict=True):
            dimension.label = axis
    assert describe(tmp_path / "a.h5").axes == "xzy"


def test_what_the_file_does_not_say_is_asked_for(tmp_path):
    path = save(tmp_path / "a.h5", raw=VOXELS)
    with pytest.raises(FormatError, match="--axes zyx"):
        read(path)
    with pytest.raises(SpacingError, match="there is no attribute element_size_um; need the pixel size"):
        read(path, axes="zyx")
    zero = save(tmp_path / "b.h5", raw=(VOXELS, {"element_size_um": [0, 1, 1]}))
    with pytest.raises(SpacingError, match=r"gives a voxel size of \(0\.0, 1\.0, 1\.0\)"):
        read(zero)


# -- which dataset -----------------------------------------------------------------------------------------------------


def test_the_only_image_is_taken_and_one_of_several_asked_for(tmp_path):
    one = save(tmp_path / "one.h5", raw=VOXELS[0], table=np.arange(9))
    assert describe(one).data.shape == (30, 40)
    two = save(tmp_path / "two.h5", volumes__raw=VOXELS[0], volumes__labels=VOXELS[1])
    with pytest.raises(
        FormatError, match=r"found 2 datasets .*\(volumes/labels, volumes/raw\); need one; name it, e\.g"
    ):
        describe(two)
    assert np.array_equal(describe(f"{two}:/volumes/labels").data[...], VOXELS[1])
    with pytest.raises(FormatError, match="found no dataset 'cells' inside; need one of volumes/labels"):
        describe(f"{two}:cells")


# -- what is wrong -----------------------------------------------------------------------------------------------------


def says(source, message):
    with pytest.raises(FormatError, match=message) as refused:
        describe(source).data[...]
    assert "\n" not in str(refused.value)


def test_bad_files_are_refused_in_one_line(tmp_path):
    whole = save(tmp_path / "whole.h5", raw=VOXELS).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[:-500])
    says(tmp_path / "cut.h5", r"cut\.h5: found a damaged or unsupported HDF5 .*truncated")
    (tmp_path / "text.h5").write_text("hello there")
    says(tmp_path / "text.h5", "found no HDF5 inside")
    says(save(tmp_path / "bare.h5", table=np.arange(9)), "found 0 datasets that can be images")
    says(save(tmp_path / "complex.h5", raw=VOXELS * 1j), "found complex numbers")
    says(tmp_path / "none.h5", "found no such file")
    says("https://host/a.h5", "found an HDF5 file on the web")


def test_a_damaged_chunk_is_noticed(tmp_path):
    path = tmp_path / "a.h5"
    write(Image(np.random.default_rng(0).integers(0, 99, (300, 300)), "yx", (1, 1)), path)
    content = bytearray(path.read_bytes())
    content[-5000] ^= 255
    path.write_bytes(content)
    says(path, r"a\.h5: found voxels .* of 'data' that cannot be read")
