import numpy as np
import pytest

from graticule.errors import FormatError
from graticule.image import Image
from graticule.inference import make_plan
from graticule.task import Grid

GRID = Grid(spacing_um=(1.0, 1.0), tile=(32, 32), halo=(8, 8))


def test_a_plan_says_what_a_run_will_do():
    assert str(make_plan(Image(np.zeros((40, 60)), "yx", (1.0, 1.0)), GRID)).startswith("4 tile(s)")


def test_a_volume_is_refused_by_a_model_made_for_planes():
    with pytest.raises(FormatError, match="2D"):
        make_plan(Image(np.zeros((3, 40, 60)), "zyx", (1.0, 1.0, 1.0)), GRID)


def test_several_channels_are_refused():
    with pytest.raises(FormatError, match="--channel"):
        make_plan(Image(np.zeros((3, 40, 60)), "cyx", (1.0, 1.0)), GRID)
