"""Names of lengths, as microscopes, ImageJ and OME write them."""

from __future__ import annotations

PER_UM = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "picometre": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "ångström": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
}
"""Micrometres per unit; µ in both its forms is spelt u here, plurals have lost their s."""


def in_um(unit: str) -> float | None:
    """How many micrometres one `unit` is; None where the word names no length.

    >>> in_um("Microns"), in_um("nm"), in_um("banana")
    (1.0, 0.001, None)
    """
    # ImageJ writes the micro sign as the six characters \u00B5; Unicode has a micro sign and a Greek mu.
    word = unit.strip().replace("\\u00B5", "u").replace("\\u00b5", "u").replace("\u212b", "å").lower()
    word = word.replace("\u00b5", "u").replace("\u03bc", "u")
    if word == "inches":
        return PER_UM["inch"]
    return PER_UM.get(word) or PER_UM.get(word.removesuffix("s"))


def tidy(length: float) -> float:
    """`length` without the digits that a stored ratio of two whole numbers cannot vouch for.

    >>> tidy(1 / 9.99999999987)
    0.1
    """
    return float(f"{length:.9g}")
