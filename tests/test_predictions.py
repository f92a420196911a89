"""The prediction table: what is one, and the words for what is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.classes import PROBABILITIES
from common.errors import DataError
from common.predictions import (
    check_predictions,
    read_image_predictions,
    read_predictions,
    write_image_predictions,
    write_predictions,
)

CELLS = pd.DataFrame({"image_id": ["a", "a", "b"], "cell_id": [1, 2, 1], "area_px": [5, 6, 7]})


def predictions() -> pd.DataFrame:
    probabilities = np.random.default_rng(0).random((len(CELLS), len(PROBABILITIES)))
    return CELLS[["image_id", "cell_id"]].join(pd.DataFrame(probabilities, columns=list(PROBABILITIES)))


def changed(column: str, value: float | str) -> pd.DataFrame:
    table = predictions()
    table[column] = table[column].astype(object) if isinstance(value, str) else table[column]
    table.loc[1, column] = value
    return table


def test_a_table_comes_back_sorted_by_cell_whatever_order_it_went_in(tmp_path: Path) -> None:
    write_predictions(predictions()[::-1], tmp_path / "new/oof.parquet", CELLS[::-1])
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "new/oof.parquet", CELLS), predictions())


def test_a_table_of_another_writer_comes_back_sorted_too(tmp_path: Path) -> None:
    predictions()[::-1].to_parquet(tmp_path / "oof.parquet")
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "oof.parquet"), predictions())


def test_probabilities_of_zero_and_one_are_allowed() -> None:
    check_predictions(changed("p_3", 0.0), "here")
    check_predictions(changed("p_3", 1.0), "here")


BAD_TABLES: dict[str, tuple[Callable[[], pd.DataFrame], str]] = {
    "missing column": (lambda: predictions().drop(columns="p_7"), r"columns are \[.*expected \[.*'p_7'"),
    "extra column": (lambda: predictions().assign(note=1), r"columns are \[.*'note'\], expected"),
    "other order": (lambda: predictions()[predictions().columns[::-1]], r"columns are \['p_18'.*expected"),
    "repeated": (
        lambda: pd.concat([predictions(), predictions()[1:2]]),
        "1 cells are there twice, first a cell 2",
    ),
    "missing": (
        lambda: predictions()[:2],
        "1 cells are missing, first b cell 1; expected each cell of data/cells",
    ),
    "unknown": (
        lambda: changed("cell_id", 9).iloc[[0, 1, 2]],
        "1 cells are .*, first a cell [29]; expected each cell",
    ),
    "extra": (
        lambda: pd.concat([predictions(), changed("cell_id", 9)[1:2]]),
        "not in the cells table, first a cell 9",
    ),
    "NaN": (lambda: changed("p_4", np.nan), "1 cells have NaN or infinity, first a cell 2"),
    "infinity": (lambda: changed("p_4", np.inf), "1 cells have NaN or infinity, first a cell 2"),
    "above one": (
        lambda: changed("p_4", 1.2),
        r"probabilities span \[.*, 1.2\], outside \[0, 1\], first a cell 2",
    ),
    "below zero": (
        lambda: changed("p_4", -0.1),
        r"probabilities span \[-0.1, .*outside \[0, 1\], first a cell 2",
    ),
    "text": (lambda: changed("p_4", "high"), "p_4 holds .*, expected numbers"),
    "text ids": (lambda: predictions().astype({"cell_id": str}), "cell_id holds .*, expected whole numbers"),
    "fractional ids": (
        lambda: predictions().astype({"cell_id": float}),
        "cell_id holds float64, expected whole",
    ),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_what_is_no_prediction_table_is_refused_with_origin_and_cell(tmp_path: Path, name: str) -> None:
    make, message = BAD_TABLES[name]
    with pytest.raises(DataError, match=f"^somewhere: .*{message}"):
        check_predictions(make(), "somewhere", CELLS)
    path = tmp_path / "oof.parquet"
    with pytest.raises(DataError, match=message):
        write_predictions(make(), path, CELLS)
    assert not list(tmp_path.iterdir())  # nothing is left, not even a part


def image_table(seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((3, len(PROBABILITIES)))
    return pd.DataFrame({"image_id": ["a", "b", "c"]}).join(pd.DataFrame(values, columns=list(PROBABILITIES)))


def test_image_probabilities_are_read_as_written_and_sorted(tmp_path: Path) -> None:
    path = tmp_path / "oof_images.parquet"
    write_image_predictions(image_table()[::-1], path, ["c", "a", "b"])
    pd.testing.assert_frame_equal(read_image_predictions(path, ["a", "b", "c"]), image_table())
    write_image_predictions(image_table()[:0], path, [])
    assert read_image_predictions(path, []).empty


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (image_table()[:2], "1 images are missing, first c"),
        (image_table().assign(image_id=["a", "b", "b"]), "1 images are there twice, first b"),
        (image_table().assign(p_3=[0, 1.5, 0]), r"probabilities span \[0, 1.5\], outside \[0, 1\], first b"),
        (image_table().assign(p_0=[0, 1, np.nan]), "1 images have NaN or infinity, first c"),
        (image_table().assign(cell_id=1), "columns are"),
        (image_table().assign(image_id=[1, 2, 3]), "image_id holds int64, expected text"),
        (image_table().assign(image_id=["a", "b", "d"]), "1 images are missing, first c"),
    ],
)
def test_image_tables_that_are_none_are_refused(tmp_path: Path, table: pd.DataFrame, fault: str) -> None:
    path = tmp_path / "test_images.parquet"
    with pytest.raises(DataError, match=fault):
        write_image_predictions(table, path, ["a", "b", "c"])
    assert not path.exists()
    table.to_parquet(path)
    with pytest.raises(DataError, match=f"test_images.parquet: {fault}"):
        read_image_predictions(path, ["a", "b", "c"])
