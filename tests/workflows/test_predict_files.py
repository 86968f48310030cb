"""Models as they are asked for."""

from pathlib import Path

import pytest

from graticule.errors import SettingsError
from graticule.workflows.predict_files import load_models


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1])
def test_a_single_threshold_at_which_nothing_is_decided_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="need a number above 0, up to 1"):
        load_models([Path("tissue-otsu")], [threshold])


def test_a_single_threshold_takes_the_place_of_the_methods_own() -> None:
    (model,) = load_models([Path("tissue-otsu")], [1.0])
    assert model.task.threshold == 1.0
