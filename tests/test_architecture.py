"""The house itself: who may import whom, what loads when, and what every module owes its reader."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import graticule

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "graticule"
MODULES = sorted(SOURCE.rglob("*.py"))
TWINNED_ROOMS = ("arrays", "io", "losses", "metrics")
EMPTY_WORDS = {"utils", "util", "common", "core", "helpers", "base", "factory", "manager", "misc"}
HEAVY = ("torch", "monai", "lightning_fabric", "matplotlib")

HELP_S = 1.5
"""Promised are 0.6 s, as benchmarks/install_size.sh measures; a test must also pass on a busy machine."""


def _name(module: Path) -> str:
    return str(module.relative_to(SOURCE))


@pytest.mark.parametrize("room", TWINNED_ROOMS)
def test_every_module_has_a_twin_test(room: str) -> None:
    modules = [m for m in sorted((SOURCE / room).rglob("*.py")) if m.name != "__init__.py"]
    twins = {m: ROOT / "tests" / m.relative_to(SOURCE).with_name(f"test_{m.name}") for m in modules}
    assert modules, f"{room} is empty"
    assert not [str(twin.relative_to(ROOT)) for twin in twins.values() if not twin.exists()]


def test_no_room_or_module_has_a_name_that_says_nothing() -> None:
    names = {m: set(m.relative_to(SOURCE).with_suffix("").parts) for m in MODULES}
    assert not {_name(m): words & EMPTY_WORDS for m, words in names.items() if words & EMPTY_WORDS}


def test_every_public_function_and_class_says_what_it_is_for() -> None:
    silent = []
    for module in MODULES:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            silent.append(_name(module))
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{_name(module)}: {node.name}")
    assert not silent


def test_every_public_name_can_be_imported_and_listed() -> None:
    assert dir(graticule) == sorted(graticule.__all__)
    assert all(getattr(graticule, name) is not None for name in graticule.__all__)
    with pytest.raises(AttributeError, match="no attribute 'foretell'"):
        _ = graticule.foretell  # type: ignore[attr-defined]


def test_arrows_point_one_way() -> None:
    """The contracts in pyproject.toml."""
    kept = _run([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"])
    assert "0 broken" in kept


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert _loaded_by("import graticule") == []


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["train", "beads", "--help"], ["predict", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    assert _loaded_by(_call(words)) == []


def test_help_comes_at_once() -> None:
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        _run([sys.executable, "-c", _call(["--help"])])
        durations.append(time.perf_counter() - start)
    assert min(durations) <= HELP_S


def _call(words: list[str]) -> str:
    """Python that runs the command line as a shell would, and survives its exit."""
    return f"""
import sys
from graticule.cli import main
sys.argv = {["graticule", *words]!r}
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
"""


def _loaded_by(code: str) -> list[str]:
    """Which of the heavy packages a new interpreter has loaded after running `code`."""
    after = f"{code}\nimport sys\nprint('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    return _run([sys.executable, "-c", after]).splitlines()[-1].split()[1:]


def _run(command: list[str]) -> str:
    """What the command printed; it has to succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
