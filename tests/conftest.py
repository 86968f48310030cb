"""What all tests may ask for."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# The machine's speed is no property of the code, and examples must be the same on every run.
hypothesis.settings.register_profile("graticule", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("graticule")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real micrographs beside the project, not part of it; mark tests that ask for them with `pytest.mark.real`."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA
