import numpy as np
import pytest

from graticule.errors import MemoryLimitError, SettingsError
from graticule.workflows.budget import budget, bytes_of, resident


@pytest.mark.parametrize(
    ("text", "number"), [("2GB", 2e9), ("1.5 g", 1.5e9), ("300MiB", 300e6), ("4000000", 4e6), ("1tb", 1e12)]
)
def test_memory_is_read_as_people_write_it(text, number):
    assert bytes_of(text) == number


@pytest.mark.parametrize("text", ["much", "", "GB", "2XB", "1.2.3GB", "-2GB"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(SettingsError, match="2GB"):
        bytes_of(text)


def test_the_blocks_get_what_the_program_does_not_take_itself():
    assert budget(None) is None
    assert budget(10**12) < 10**12 - resident() * 0.9
    with pytest.raises(MemoryLimitError, match="more with --memory"):
        budget(10**6)


def test_what_is_taken_now_is_seen():
    before = resident()
    taken = np.ones(50_000_000)
    assert resident() - before > 0.8 * taken.nbytes
