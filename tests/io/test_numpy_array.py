import numpy as np
import pytest

from graticule.errors import FormatError
from graticule.io import numpy_array, read

STACK = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


def save(path, pixels, **options):
    np.save(path, pixels, **options)
    return path


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", "f8", "i4"])
def test_two_dimensions_are_an_image(tmp_path, dtype):
    path = save(tmp_path / "a.npy", STACK[0].astype(dtype))
    image = read(path, spacing_um=(0.1,))
    assert image.axes == "yx"
    assert np.asarray(image.data).dtype.isnative
    assert np.array_equal(image.data, STACK[0])


def test_more_dimensions_are_asked_for(tmp_path):
    path = save(tmp_path / "a.npy", STACK)
    with pytest.raises(FormatError, match=r"a\.npy: found 3 dimensions \(3 × 4 × 5\).*--axes zyx"):
        read(path, spacing_um=(1,))
    assert read(path, spacing_um=(1,), axes="zyx").shape == (3, 4, 5)
    assert read(path, spacing_um=(1,), axes="xyz").shape == (5, 4, 3)


def test_one_dimension_is_no_image(tmp_path):
    with pytest.raises(FormatError, match="need at least two dimensions"):
        numpy_array.describe(save(tmp_path / "a.npy", STACK[0, 0]))


def test_pickles_are_never_loaded(tmp_path):
    path = save(tmp_path / "a.npy", np.array([[print, None]], object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"a\.npy: found pickled Python objects"):
        numpy_array.describe(path)


def test_complex_numbers_are_refused(tmp_path):
    with pytest.raises(FormatError, match="complex"):
        numpy_array.describe(save(tmp_path / "a.npy", STACK[0].astype("c8")))


def test_booleans_are_bytes_and_fortran_order_is_no_matter(tmp_path):
    assert numpy_array.describe(save(tmp_path / "a.npy", STACK[0] > 3)).data.dtype == np.uint8
    found = numpy_array.describe(save(tmp_path / "b.npy", np.asfortranarray(STACK[0]))).data
    assert np.array_equal(found, STACK[0])


def test_cut_files_are_refused(tmp_path):
    path = save(tmp_path / "a.npy", STACK[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"a\.npy: found a damaged or unsupported NPY"):
        numpy_array.describe(path)


def test_large_arrays_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_array, "IN_MEMORY", 10)
    assert isinstance(numpy_array.describe(save(tmp_path / "a.npy", STACK[0])).data, np.memmap)
