"""The approach with the fewest stages, on real fields and after a kill."""

import subprocess
from pathlib import Path

from common.image_table import read_images
from common.submission import validate_submission
from tests.lone import LEAST, SMALL, lone_repository
from tests.running import run_in


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
