"""Whatever comes from files and people is shown, never obeyed."""

from __future__ import annotations

import pytest

pytest.importorskip("gradio", reason="the extra [web] is not installed")

from graticule.web.dashboard import fragments

EVIL = "<script>alert(1)</script>\" onload='x'&"


@pytest.mark.parametrize(
    "made",
    [
        fragments.said(EVIL, "bad"),
        fragments.lines([EVIL, EVIL]),
        fragments.bar(1, 2, EVIL),
        fragments.table((EVIL,), [(EVIL, EVIL)], name=EVIL),
        fragments.command(["graticule", "predict", EVIL]),
        fragments.button("cancel", EVIL, EVIL),
        fragments.frame(EVIL, 0),
        fragments.review_frame(EVIL, EVIL),
        fragments.downloads(EVIL, 0, [("csv", EVIL)]),
        fragments.drawing(b"<svg/>", EVIL),
    ],
)
def test_nothing_leaves_its_place(made) -> None:
    assert "<script" not in made and "onload='" not in made
    assert made.count("<") == made.count(">")


def test_progress_without_an_end_has_no_value() -> None:
    assert "value" not in fragments.bar(0, 0, "waiting") and 'value="3" max="7"' in fragments.bar(3, 7, "on it")


def test_nothing_said_is_nothing_shown() -> None:
    assert fragments.said("") == "" and fragments.lines([]) == ""
