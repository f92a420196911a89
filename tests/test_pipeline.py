"""Every approach alone: the real commands of its dvc.yaml on small data, and what comes out of them.

Each approach runs once, in a repository with common/, those whose published tables it reads, and nobody else; the tests
look at the result.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from common.cells import KEYS, read_cells
from common.image_table import read_images
from common.predictions import read_predictions
from common.submission import read_submission, validate_submission
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


@pytest.fixture(scope="session", params=APPROACHES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one approach, all stages of which have run, two at a time."""
    named = tmp_path_factory.mktemp(request.param, numbered=False)
    folder = lone_repository(named, request.param, SMALL)
    run_in(folder, "hpa", "repro", OMP_NUM_THREADS=THREADS)
    run_in(folder, "git", "add", "--all")
    run_in(folder, "git", "commit", "--quiet", "--message", "all stages ran")
    return folder


def systems(folder: Path) -> list[Path]:
    """The predictions of the approach after which the folder is named."""
    return sorted(path.parent for path in folder.glob(f"data/predictions/{folder.name}/*/oof.parquet"))


def test_predictions_hold_each_cell_once(finished: Path) -> None:
    images, cells = read_images(finished / "data/images"), read_cells(finished / "data/cells.parquet")
    assert systems(finished)
    for system in systems(finished):
        for split, part in (("train", "oof"), ("test", "test")):
            ids = images.loc[images["split"] == split, "image_id"]
            table = read_predictions(system / f"{part}.parquet", cells[cells["image_id"].isin(ids)])
            assert len(table) > 0


def test_every_recipe_that_is_on_is_on_the_board(finished: Path) -> None:
    for system in systems(finished):
        name = f"{system.parent.name}/{system.name}"
        assert f"| {name} |" in (finished / "leaderboard/README.md").read_text()
        assert name in (finished / "leaderboard/board.html").read_text()


def test_the_submission_holds_the_predicted_cells(finished: Path) -> None:
    images = read_images(finished / "data/images")
    test = images[images["split"] == "test"]
    validate_submission(finished / "data/submission.csv", test)
    cells = read_cells(finished / "data/cells.parquet")
    counts = cells["image_id"].value_counts()
    for row, faults in read_submission(finished / "data/submission.csv"):
        assert not faults
        assert len(row.masks) == counts.get(row.image_id, 0)
        assert len(row.score) == 19 * len(row.masks)
        for mask in row.masks:
            assert mask["size"] == [256, 256]


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    said = run_in(finished, "dvc", "repro").stdout
    assert "Running stage" not in said
    assert run_in(finished, "git", "status", "--porcelain").stdout == ""


def test_a_clone_with_a_remote_has_nothing_to_do(finished: Path, tmp_path: Path) -> None:
    run_in(
        finished, "dvc", "remote", "add", "--local", "--default", "--force", "store", str(tmp_path / "store")
    )
    run_in(finished, "dvc", "push", "--quiet")
    run_in(tmp_path, "git", "clone", "--quiet", str(finished), "clone")
    clone = tmp_path / "clone"
    run_in(clone, "dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    run_in(clone, "dvc", "pull", "--quiet")
    assert "Running stage" not in run_in(clone, "dvc", "repro").stdout


def learning_rate(folder: Path, system: Path) -> str:
    """The key of the first learning rate in a recipe: that of its ``demo:`` block where this has one."""
    recipe = YAML().load(folder / "approaches" / system.parent.name / "recipes" / f"{system.name}.yaml")
    step = next(iter(recipe["steps"]))
    overridden = "optimizer" in recipe["demo"].get("steps", {}).get(step, {})
    return f"{'demo.' if overridden else ''}steps.{step}.optimizer.lr"


def test_an_experiment_runs_its_recipe_and_what_follows_from_it(finished: Path) -> None:
    system = systems(finished)[0]
    pipeline = f"approaches/{system.parent.name}"
    change = f"{pipeline}/recipes/{system.name}.yaml:{learning_rate(finished, system)}=5e-5"
    said = run_in(finished, "dvc", "exp", "run", "--temp", "-S", change).stdout
    ran = set(re.findall(r"Running stage '(?:.*:)?(\w+)", said))
    always = {"train", "predict", "score", "blend", "leaderboard"}
    own = set(YAML().load(finished / pipeline / "dvc.yaml")["stages"])
    assert always <= ran <= always | own | {"submission"}  # the blend may leave the system out
    assert "score@controls.prior' didn't change" in said
    assert "5e-05" in run_in(finished, "dvc", "exp", "show", "--csv", "--only-changed").stdout


def test_a_system_predicts_a_folder_of_images(finished: Path, tmp_path: Path) -> None:
    run_in(
        finished,
        "python",
        "-m",
        "common.cli.app",
        "simulate",
        str(tmp_path / "sim"),
        "--fields",
        "2",
        "--side-px",
        "256",
    )
    for system in systems(finished):
        out = tmp_path / system.name
        name = f"{system.parent.name}/{system.name}"
        said = run_in(
            finished,
            "python",
            "-m",
            "common.cli.app",
            "predict",
            str(tmp_path / "sim/train"),
            str(out),
            "--recipe",
            name,
        ).stdout
        table = pd.read_parquet(out / "cells.parquet")
        geometry = pd.read_parquet(out / "masks/cells.parquet")
        assert table[KEYS].equals(geometry.sort_values(KEYS, ignore_index=True)[KEYS])
        images = pd.DataFrame({"image_id": ["sim-00000", "sim-00001"], "width": 256, "height": 256})
        validate_submission(out / "submission.csv", images)
        for image_id in images["image_id"]:
            assert (out / "overlays" / f"{image_id}.png").is_file()
            assert image_id in said


def test_predictions_do_not_depend_on_the_run(finished: Path) -> None:
    system = systems(finished)[0]
    before = pd.read_parquet(system / "oof.parquet")
    run_in(
        finished,
        "dvc",
        "repro",
        "--quiet",
        "--force",
        "--single-item",
        f"approaches/{system.parent.name}/dvc.yaml:train",
        OMP_NUM_THREADS=THREADS,
    )
    run_in(finished, "dvc", "repro", "--quiet", OMP_NUM_THREADS=THREADS)
    pd.testing.assert_frame_equal(before, pd.read_parquet(system / "oof.parquet"), atol=1e-6)


def test_real_fields_run_to_a_board_and_a_submission(shared: Path, tmp_path: Path) -> None:
    real = {"images": {"source": "kaggle", "folder": str(shared / "data/fields")}, "folds": {"ids": [0, 1]}}
    folder = lone_repository(tmp_path, LEAST, real)
    run_in(folder, "dvc", "repro", "--quiet")
    images = read_images(folder / "data/images")
    assert len(images) == 5
    validate_submission(folder / "data/submission.csv", images)
    board = (folder / "leaderboard/README.md").read_text()
    assert f"{LEAST}/" in board


def test_a_killed_stage_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = lone_repository(tmp_path, LEAST, SMALL)
    command = ["python", "-m", "common.stages.images", "--out", "data/images", "--truth", "data/truth"]
    with subprocess.Popen(command, cwd=folder) as stage:
        while not list(folder.glob("data/.images.part-*/pixels/*")):
            assert stage.poll() is None, "the stage ended before it could be killed"
        stage.kill()
    assert not (folder / "data/images").exists()
    assert not (folder / "data/truth").exists()
    run_in(folder, *command)
    assert len(read_images(folder / "data/images")) == 12
    assert not list(folder.glob("data/.*.part-*"))
