"""What outlining tasks ask of annotated images: one number for every axis, dimensions that agree, a patch that fits."""

import numpy as np
import pytest

from graticule.errors import AnnotationError, SettingsError
from graticule.example import Example
from graticule.image import Image
from graticule.results import Labels
from graticule.tasks.sizes import dimensions_of, fitting_patch, for_each_axis


def example(shape, name="a", spacing_um=0.01):
    image = Image(np.zeros(shape, np.uint8), "zyx"[-len(shape) :], (spacing_um,) * len(shape))
    return Example(name, image, Labels(image))


def test_one_number_is_for_every_axis_and_others_must_be_as_many_as_axes():
    assert for_each_axis((4.0,), 3, "working_nm") == (4.0, 4.0, 4.0)
    assert for_each_axis((4.0, 5.0), 2, "working_nm") == (4.0, 5.0)
    with pytest.raises(SettingsError, match="2 working_nm for 3 dimensions"):
        for_each_axis((4.0, 5.0), 3, "working_nm")


def test_planes_and_volumes_are_not_learnt_together():
    assert dimensions_of([example((5, 5)), example((6, 7), "b")]) == 2
    assert dimensions_of([], 2) == 2
    with pytest.raises(AnnotationError, match=r"planes \(a\) and volumes \(b\)"):
        dimensions_of([example((5, 5)), example((5, 5, 5), "b")])
    with pytest.raises(AnnotationError, match="dimensions is 3"):
        dimensions_of([example((5, 5))], 3)


@pytest.mark.parametrize(("multiple", "expected"), [(16, (64, 48)), ((8, 16), (64, 48)), (32, (64, 32))])
def test_a_patch_is_the_usual_one_or_what_three_quarters_of_the_smallest_image_hold(multiple, expected):
    assert fitting_patch([example((900, 66)), example((90, 900))], (0.01, 0.01), (256, 256), multiple) == expected


def test_a_patch_is_measured_on_the_working_voxels_and_never_smaller_than_one_multiple():
    assert fitting_patch([example((200, 200))], (0.02, 0.02), (256, 256), 16) == (64, 64)
    assert fitting_patch([example((10, 10))], (0.01, 0.01), (256, 256), 16) == (16, 16)
