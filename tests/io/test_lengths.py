import pytest

from graticule.io.lengths import in_um, tidy


@pytest.mark.parametrize("unit", ["micron", "Microns", "µm", "μm", "um", "\\u00B5m", "micrometre", " micrometers "])
def test_a_micrometre_has_many_names(unit):
    assert in_um(unit) == 1


@pytest.mark.parametrize(
    ("unit", "um"),
    [("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("inch", 25400), ("inches", 25400), ("m", 1e6), ("Å", 1e-4), ("pm", 1e-6)],
)
def test_other_units_are_converted(unit, um):
    assert in_um(unit) == um


@pytest.mark.parametrize("unit", ["banana", "pixel", "pixels", "", "s", "sec"])
def test_what_is_no_length_has_none(unit):
    assert in_um(unit) is None


def test_ratios_lose_digits_that_nobody_measured():
    assert tidy(1 / 1789.99999999) == 0.000558659218
