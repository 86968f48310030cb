import numpy as np
import pytest

from graticule.image import Image
from graticule.results import Labels, Points

KINDS = ("6nm", "12nm")


def points():
    return Points(
        np.arange(6.0).reshape(3, 2), np.array([0.9, 0.5, 0.7]), np.array([0, 1, 0]), KINDS, np.array([6.0, 12.0, 6.1])
    )


def test_selecting_points_selects_all_they_carry():
    chosen = points()[np.array([False, True, True])]
    assert chosen.confidence.tolist() == [0.5, 0.7]
    assert chosen.kind.tolist() == [1, 0]
    assert chosen.diameter_um is not None
    assert chosen.diameter_um.tolist() == [12.0, 6.1]


def test_points_of_a_kind():
    assert points().of_kind("6nm").position_um.tolist() == [[0, 1], [4, 5]]


def test_a_new_table_of_names_keeps_every_name():
    renamed = points().named(("12nm", "18nm", "6nm"))
    assert [renamed.kinds[k] for k in renamed.kind] == ["6nm", "12nm", "6nm"]


def test_a_table_that_lacks_a_name_in_use_is_refused():
    with pytest.raises(ValueError, match="12nm"):
        points().named(("6nm",))


def test_no_points_are_points():
    none = Points.none(3, KINDS)
    assert len(none) == 0
    assert none.position_um.shape == (0, 3)
    assert len(none.named(("12nm",))) == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"position_um": np.zeros(3)}, r"need \(N, ndim\)"),
        ({"confidence": np.ones(2)}, "3 positions"),
        ({"kind": np.array([0, 1, 2])}, "do not all name"),
        ({"diameter_um": np.ones(2)}, "diameters"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change, complaint):
    fields = {name: getattr(points(), name) for name in ("position_um", "confidence", "kind", "kinds", "diameter_um")}
    with pytest.raises(ValueError, match=complaint):
        Points(**{**fields, **change})


def test_labels_are_whole_numbers():
    with pytest.raises(ValueError, match="whole numbers"):
        Labels(Image(np.zeros((3, 3), np.float32), "yx", (1.0, 1.0)))
