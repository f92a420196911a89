"""Every approach alone: the real commands of its dvc.yaml on small data, and what comes out of them.

Each approach runs once, in a repository with common/, those whose published tables it reads, and nobody else; the tests
look at the result.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from common.cells import KEYS, read_cells
from common.image_table import read_images
from common.predictions import read_predictions
from common.submission import read_submission, validate_submission
from tests.lone import APPROACHES, SMALL, THREADS, lone_repository
from tests.running import run_in


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
