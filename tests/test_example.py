import numpy as np
import pytest

from graticule.example import Example
from graticule.image import Image
from graticule.results import Points


def test_outside_the_mask_or_the_image_the_annotation_is_not_complete():
    mask = np.zeros((6, 6), np.uint8)
    mask[:3] = 1
    spacing = (0.5, 0.5)
    image = Image(np.zeros((6, 6)), "yx", spacing)
    example = Example("a", image, Points.none(2), Image(mask, "yx", spacing))
    where = image.to_um(np.array([[1, 1], [4, 1], [-2, 1], [1, 9]]))
    assert example.is_complete_at(where).tolist() == [True, False, False, False]


def test_an_image_is_its_own_specimen_unless_said_otherwise():
    assert Example("a", Image(np.zeros((2, 2)), "yx", (1.0, 1.0)), Points.none(2)).specimen == "a"


def test_a_mask_must_fit_its_image():
    with pytest.raises(ValueError, match="differ in shape"):
        Example(
            "a", Image(np.zeros((2, 2)), "yx", (1.0, 1.0)), Points.none(2), Image(np.zeros((2, 3)), "yx", (1.0, 1.0))
        )
