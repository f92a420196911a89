"""Imports point down: approaches know common, stages and commands know its leaves, and nobody knows a sibling."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT

SOURCES = sorted([*(ROOT / "common").rglob("*.py"), *(ROOT / "approaches").rglob("*.py")])
STEPS = ("common.stages", "common.cli")


def imported(path: Path) -> Iterator[str]:
    """The absolute names of all that a file imports, wherever in it; nothing is executed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_down(path: Path) -> None:
    own = module_of(path)
    approach = ".".join(own.split(".")[:2]) if own.startswith("approaches.") else "no approach"
    for name in imported(path):
        if name.startswith(STEPS):
            assert own.startswith("common.cli"), f"{own} imports a step: {name}"
            assert name.startswith("common.cli"), f"{own} imports a stage: {name}"
        foreign = name.startswith("approaches.") and not name.startswith(f"{approach}.")
        assert not foreign, f"{own} reaches into {name}"


@pytest.mark.parametrize(("library", "door"), [("wandb", "common.tracking"), ("ruamel", "common.params")])
def test_a_library_has_one_door(library: str, door: str) -> None:
    users = {module_of(p) for p in SOURCES for name in imported(p) if name.split(".")[0] == library}
    assert users == {door}


def test_common_names_no_approach() -> None:
    names = [path.parent.name for path in (ROOT / "approaches").glob("*/dvc.yaml")]
    assert names
    for path in (ROOT / "common").rglob("*.py"):
        for text in texts(without_docstrings(ast.parse(path.read_text()))):
            parts = re.split(
                r"[/.]", text
            )  # "x", "x/recipe", "approaches/x", "approaches.x": not the word x in prose
            assert not set(names) & set(parts), f"{path} names an approach: {text!r}"


def texts(tree: ast.Module) -> list[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node.value for node in nodes if isinstance(node.value, str)]


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return tree
