"""What README and CONTRIBUTING tell people to type exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import graticule
from graticule.cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return [code for tag, code in FENCED.findall(text(page)) if tag == language]


def code(page: str) -> str:
    """All of the page that is set as code."""
    fenced = [body for _, body in FENCED.findall(text(page))]
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", FENCED.sub("", text(page)))])


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.-])graticule ([a-z][a-z-]+)", code(page)))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?<![\w-])make ([a-z][a-z-]*)", code(page)))
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_is_linked_exists(page: str) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text(page))
    assert not [name for name in linked if not (ROOT / name).exists()]


def test_python_in_the_readme_uses_names_that_exist() -> None:
    [block] = blocks("README.md", "python")
    used = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Attribute)]
    ours = {node.attr for node in used if isinstance(node.value, ast.Name) and node.value.id == "graticule"}
    assert ours
    assert ours <= set(graticule.__all__)


def test_the_readme_stays_short() -> None:
    assert len(text("README.md").splitlines()) <= 180
