"""The DAG is honest: a stage depends on all code that shapes its output, and declares every file it touches."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.running import ROOT
from tests.test_imports import imported

# How a stage runs, not what it writes: editing these must not train everything anew.
ENGINE = ("cluster", "parallel", "processes", "progress")
WITHOUT_EFFECT = {
    f"common/{name}.py"
    for name in ("commands", "errors", "files", "params", "redaction", "tracking", *ENGINE)
}
PIPELINES = [
    ROOT / "dvc.yaml",
    ROOT / "segmenter/dvc.yaml",
    *sorted((ROOT / "approaches").glob("*/dvc.yaml")),
]


def stages() -> list[Any]:
    found = []
    for path in PIPELINES:
        for name, stage in YAML(typ="safe").load(path.read_text())["stages"].items():
            where = path.parent.name if path.parent != ROOT else "root"
            found.append(pytest.param(stage.get("do", stage), id=f"{where}:{name}"))
    return found


@cache
def code_behind(module: str) -> frozenset[str]:
    """The files of this repository that a module imports, directly or not, and its own."""
    path = ROOT / (module.replace(".", "/") + ".py")
    if module.split(".")[0] not in ("common", "approaches"):
        return frozenset()
    if not path.is_file():  # a name inside a module, or a package
        parent = module.rpartition(".")[0]
        return code_behind(parent) if "." in parent else frozenset()
    found = {str(path.relative_to(ROOT))}
    return frozenset(found.union(*(code_behind(name) for name in imported(path))))


def paths(entries: list[Any]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def declared(stage: dict[str, Any]) -> set[str]:
    return set().union(*(paths(stage.get(key, [])) for key in ("deps", "outs", "metrics", "params")))


@pytest.mark.parametrize("stage", stages())
def test_a_stage_depends_on_its_code(stage: dict[str, Any]) -> None:
    words = stage["cmd"].split()
    needed = code_behind(words[words.index("-m") + 1]) - WITHOUT_EFFECT
    given = paths(stage["deps"])
    missing = [f for f in sorted(needed) if not given & {f, *map(str, Path(f).parents)}]
    assert missing == []
    code = {d for d in given if d.startswith(("common/", "approaches/"))}
    unneeded = [d for d in sorted(code) if not any(f == d or f.startswith(f"{d}/") for f in needed)]
    assert unneeded == [], "the stage would run again for nothing"


@pytest.mark.parametrize("stage", stages())
def test_a_stage_declares_the_files_it_touches(stage: dict[str, Any]) -> None:
    prefixes = ("data/", "leaderboard/", "approaches/", "segmenter/", "${item}")
    touched = {word for word in stage["cmd"].split() if word.startswith(prefixes)}
    known = declared(stage)
    assert sorted(t for t in touched if not any(k == t or k.startswith(f"{t}/") for k in known)) == []


@pytest.mark.parametrize("stage", stages())
def test_truth_is_read_by_scorers_and_controls_only(stage: dict[str, Any]) -> None:
    allowed = ("common.stages.score", "common.stages.controls")
    reads_truth = any(dep.startswith("data/truth") for dep in paths(stage["deps"]))
    assert not reads_truth or any(module in stage["cmd"] for module in allowed)


def test_no_stage_depends_on_an_approach_folder() -> None:
    for parameter in stages():
        assert not [d for d in paths(parameter.values[0]["deps"]) if d.count("/") == 1 and "approaches/" in d]
