from dataclasses import dataclass, fields
from typing import Literal

import pytest
from cyclopts import App

from graticule.cli.task_flags import about, with_flags
from graticule.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for something.

    Attributes
    ----------
    rate
        How fast,
        in words of two lines.
    names, sizes_nm
        What there is.
    """

    rate: float = 0.5
    names: tuple[str, ...] = ()
    sizes_nm: tuple[float, ...] = (6.0, 12.0)
    mode: Literal["slow", "quick"] = "slow"
    often: bool = False
    pairs: tuple[tuple[str, float], ...] = ()


def command(folder: str, *, kind, settings, other: int = 1):
    """Do it."""
    return folder, kind, settings, other


@pytest.fixture
def typed():
    app = App(result_action="return_value")
    app.default(with_flags(command, Recipe))
    return lambda *words: app(list(words), exit_on_error=False, print_error=False)


def test_only_what_was_typed_is_a_setting(typed):
    assert typed("here") == ("here", Recipe, {}, 1)
    assert typed("here", "--rate", "0.5", "--other", "2") == ("here", Recipe, {"rate": 0.5}, 2)


def test_several_values_follow_one_flag(typed):
    _, _, settings, _ = typed("here", "--names", "6nm", "12nm", "--sizes-nm", "7", "13", "--often")
    assert settings == {"names": ("6nm", "12nm"), "sizes_nm": (7.0, 13.0), "often": True}


def test_help_is_the_docstring_with_the_true_default(typed, capsys):
    typed("--help")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "How fast, in words of two lines. [default: 0.5]" in said
    assert said.count("What there is.") == 2
    assert "[default: 6.0 12.0]" in said
    assert "--pairs" not in said


@pytest.mark.parametrize("kind", TASKS.values())
def test_every_setting_of_every_task_is_described(kind):
    from graticule.settings import descriptions

    said = descriptions(kind)
    assert not [field.name for field in fields(kind) if not said.get(field.name)]
    assert not set(said) - {field.name for field in fields(kind)}
    assert about(kind)
