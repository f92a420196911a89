"""The blend: cell by cell, never row by row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.blending import blend, mean_of, members
from common.classes import PROBABILITIES
from common.errors import DataError
from common.predictions import write_predictions
from tests.test_roster import publish

CELLS = pd.DataFrame({"image_id": ["a", "a", "b", "b"], "cell_id": [2, 10, 1, 3]})


def predictions(seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((len(CELLS), len(PROBABILITIES)))
    return CELLS.join(pd.DataFrame(values, columns=list(PROBABILITIES)))


def test_the_mean_is_of_cells_whatever_the_order_of_the_rows() -> None:
    one, two, three = predictions(0), predictions(1), predictions(2)
    expected = (one[list(PROBABILITIES)] + two[list(PROBABILITIES)] + three[list(PROBABILITIES)]) / 3
    rng = np.random.default_rng(0)
    for _ in range(5):
        shuffled = [table.iloc[rng.permutation(len(CELLS))] for table in (three, one, two)]
        mean = mean_of(shuffled)
        pd.testing.assert_frame_equal(mean[["image_id", "cell_id"]], CELLS)
        np.testing.assert_allclose(mean[list(PROBABILITIES)], expected)


def test_one_members_blend_is_itself() -> None:
    table = predictions(0).astype({name: np.float32 for name in PROBABILITIES})
    pd.testing.assert_frame_equal(mean_of([table]), table)


def test_files_are_blended_and_a_member_without_a_cell_is_named(tmp_path: Path) -> None:
    for name, seed in (("x/one", 0), ("x/two", 1)):
        write_predictions(predictions(seed)[:: 1 - 2 * seed], tmp_path / name / "oof.parquet", CELLS)
    folders = [tmp_path / "x/one", tmp_path / "x/two"]
    pd.testing.assert_frame_equal(blend(folders, "oof", CELLS), mean_of([predictions(0), predictions(1)]))
    predictions(1)[:3].to_parquet(tmp_path / "x/two/oof.parquet")
    with pytest.raises(DataError, match=r"x/two/oof.parquet: 1 cells are missing, first b cell 3"):
        blend(folders, "oof", CELLS)
    with pytest.raises(DataError, match=r"x/one/test.parquet: no such table"):
        blend(folders, "test", CELLS)


def test_members_are_the_published_folders_of_recipes_that_are_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no predictions; run: dvc repro"):
        members(tmp_path / "predictions", tmp_path / "approaches")
    for name in ("x/two", "x/one", "y/three"):
        (tmp_path / "predictions" / name).mkdir(parents=True)
        (tmp_path / "predictions" / name / "oof.parquet").touch()
    publish(tmp_path / "approaches", {"x": ["one", "two"], "y": ["three"]})
    found = members(tmp_path / "predictions", tmp_path / "approaches")
    assert [str(folder.relative_to(tmp_path / "predictions")) for folder in found] == [
        "x/one",
        "x/two",
        "y/three",
    ]
    publish(tmp_path / "approaches", {"x": ["one"]})
    with pytest.raises(DataError, match=r"predictions/x/two: x/two is no recipe that is on .*delete it"):
        members(tmp_path / "predictions", tmp_path / "approaches")
