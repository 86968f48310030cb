import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.io import omezarr_write


@given(st.sampled_from(["yx", "cyx", "zyx", "czyx"]), st.data())
def test_chunks_are_no_larger_than_the_image_and_hold_one_channel(axes, data):
    shape = data.draw(st.tuples(*(st.integers(1, 2000) for _ in axes)))
    chunks = omezarr_write.chunk_of(axes, shape)
    assert all(1 <= c <= n for c, n in zip(chunks, shape, strict=True))
    assert "c" not in axes or chunks[0] == 1


def test_writing_goes_on_after_a_pause(tmp_path):
    how = {"axes": "yx", "shape": (4, 4), "dtype": "u1", "spacing_um": (1, 1)}
    omezarr_write.create(tmp_path / "a", **how)[:2] = 1
    omezarr_write.open_level(tmp_path / "a")[2:] = 2
    assert np.array_equal(omezarr_write.open_level(tmp_path / "a")[:, 0], [1, 1, 2, 2])
    with pytest.raises(ValueError, match="exist"):
        omezarr_write.create(tmp_path / "a", **how)
