"""A repository with one approach alone, and little data."""

import re
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.running import ROOT, run_in

APPROACHES = sorted(path.parent.name for path in ROOT.glob("approaches/*/dvc.yaml"))
LEAST = min(APPROACHES, key=lambda name: len((ROOT / "approaches" / name / "dvc.yaml").read_text()))
"""The approach with the fewest stages, where one is as good as another."""
THREADS = "1"
"""Another number of threads adds in another order, and trainings end elsewhere."""
SMALL: dict[str, dict[str, Any]] = {
    "images": {"simulate": {"fields": 9, "test_fields": 3, "side_px": 256}},
    "folds": {"ids": [0, 1]},
}


def change_params(path: Path, changes: dict[str, Any]) -> None:
    yaml = YAML()
    params = yaml.load(path.read_text())
    for section, values in changes.items():
        for key, value in values.items():
            if isinstance(value, dict):
                params[section][key].update(value)
            else:
                params[section][key] = value
    with path.open("w") as file:
        yaml.dump(params, file)


def shorten(recipe: Path) -> None:
    """Let trainings be short at scale demo, and labels be of few cells: nobody looks at what is learned here."""
    yaml = YAML()
    values = yaml.load(recipe.read_text())
    fewest = max([1, *(len(member.get("ensemble", [])) for member in values.get("members", {}).values())])
    for step in values["steps"]:
        changed = values["demo"].setdefault("steps", {}).setdefault(step, {})
        changed.setdefault("trainer", {})["epochs"] = fewest
        if quotas := changed.get("sampler", {}).get("quotas"):
            quotas["unit"] = 4
    for source in values.get("labels", []):
        if not isinstance(source, str) and source["kind"] == "denoise":
            source["graph"] = {"neighbours": 8, "eigenvectors": 4}  # of so few cells
    with recipe.open("w") as file:
        yaml.dump(values, file)


def read_by(approach: str) -> dict[str, set[str]]:
    """The other approaches whose tables or networks the stages of one depend on, with the recipes of these."""
    text = (ROOT / "approaches" / approach / "dvc.yaml").read_text()
    found: dict[str, set[str]] = {}
    for other, recipe in re.findall(r"- data/(?:embeddings|models|predictions)/(\w+)/(\w+)", text):
        if other != approach:
            found.setdefault(other, set()).add(recipe)
    return found


def lone_repository(folder: Path, approach: str, changes: dict[str, Any]) -> Path:
    """A git and DVC repository with common/, the root pipeline, one approach, and what it reads of others."""
    unwanted = shutil.ignore_patterns("__pycache__", "dvc.lock", ".*")
    others = read_by(approach)
    for name in ("common", *(f"approaches/{each}" for each in (approach, *others))):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for other, recipes in others.items():
        change_params(folder / f"approaches/{other}/params.yaml", {other: {"recipes": sorted(recipes)}})
    (folder / "data/source").mkdir(parents=True)  # never with what a user put there
    for name in (
        "data/source/README.md",
        "dvc.yaml",
        "params.yaml",
        ".dvcignore",
        ".gitignore",
        "data/.gitignore",
        "approaches/__init__.py",
    ):
        shutil.copy(ROOT / name, folder / name)
    for name in ("entries", "seeds"):
        (folder / "leaderboard" / name).mkdir(parents=True)
    (folder / "leaderboard/seeds/.gitkeep").touch()  # git keeps no empty folder
    change_params(folder / "params.yaml", changes)
    for recipe in folder.glob("approaches/*/recipes/*.yaml"):
        shorten(recipe)
    run_in(folder, "git", "init", "--quiet")
    run_in(folder, "dvc", "init", "--quiet")
    return folder
