"""What a predict stage leaves: both parts after the steps of the recipe, complete in spite of what was left out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.classes import PROBABILITIES
from common.errors import DataError
from common.postprocess import Postprocess
from common.predictions import Predictions, read_image_predictions, read_predictions
from common.publishing import finished, publish, with_skipped

P = list(PROBABILITIES)
IMAGES = pd.DataFrame({"image_id": list("abcx"), "split": ["train", "test", "train", "train"]})
CELLS = pd.DataFrame({"image_id": ["a", "a", "b", "x"], "cell_id": [1, 2, 1, 7]})


def made(keys: pd.DataFrame) -> pd.DataFrame:
    values = np.random.default_rng(len(keys)).random((len(keys), len(P)), np.float32)
    return pd.concat([keys.reset_index(drop=True), pd.DataFrame(values, columns=P)], axis=1)


def predictions(ids: str) -> Predictions:
    return Predictions(
        made(CELLS[CELLS["image_id"].isin(list(ids))]), made(pd.DataFrame({"image_id": list(ids)}))
    )


def test_both_parts_are_whole_and_what_a_stage_left_out_is_nothing(tmp_path: Path) -> None:
    oof, test = predictions("ac"), predictions("b")
    publish(tmp_path, oof, test, IMAGES, CELLS, {"x"})
    found = read_predictions(tmp_path / "oof.parquet", CELLS[CELLS["image_id"] != "b"])
    pd.testing.assert_frame_equal(found.head(2), oof.cells, check_dtype=False)
    assert (found.loc[2:, P] == 0).all(axis=None)
    images = read_image_predictions(tmp_path / "oof_images.parquet", list("acx"))
    assert oof.images is not None
    pd.testing.assert_frame_equal(images.head(2), oof.images, check_dtype=False)
    assert (images.loc[2:, P] == 0).all(axis=None)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "test.parquet"), test.cells)


def test_who_speaks_of_cells_alone_publishes_cells_alone(tmp_path: Path) -> None:
    oof, test = (Predictions(predictions(ids).cells) for ids in ("ac", "b"))
    publish(tmp_path, oof, test, IMAGES, CELLS, {"x"})
    assert {path.name for path in tmp_path.iterdir()} == {"oof.parquet", "test.parquet"}


def test_a_cell_that_is_missing_without_a_reason_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"oof.parquet: 1 cells are missing, first x cell 7"):
        publish(tmp_path, predictions("ac"), predictions("b"), IMAGES, CELLS, set())


def test_with_nothing_left_out_a_table_stays_as_it_is() -> None:
    table = made(CELLS)
    pd.testing.assert_frame_equal(with_skipped(table, CELLS, set()), table)


def test_the_steps_of_a_recipe_concern_cells_and_images() -> None:
    raw, rule = predictions("ac"), Postprocess(negative="one_minus_max")
    for table in finished(raw, CELLS, rule):
        assert table is not None
        np.testing.assert_allclose(table["p_18"], 1 - table[P[:18]].max(axis=1), atol=1e-6)
    assert finished(Predictions(raw.cells), CELLS, rule).images is None
