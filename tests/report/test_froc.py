"""A picture of finding more against being right."""

import numpy as np
import pytest
from matplotlib.image import imread

from graticule.metrics.events import Froc
from graticule.report.froc import draw_froc


@pytest.mark.parametrize("false", [[0.0, 0.0], [30.0, 0.2]])
def test_a_curve_is_drawn_whatever_it_is_like(tmp_path, false):
    curve = Froc(np.array([0.1, 0.9]), np.array([1.0, 0.3]), np.array([1.0, 0.4]), np.array(false))
    draw_froc(curve, (false[1], 0.3), tmp_path / "froc.png", title="rosettes")
    picture = imread(tmp_path / "froc.png")[..., :3]
    assert picture.shape[0] > 400 and picture.std() > 0.05
