"""Tables on disk: what is absent, damaged or incomplete is named with what makes it."""

from pathlib import Path

import pandas as pd
import pytest

from common.errors import DataError
from common.tables import read_folds, read_table


def test_a_table_is_read_with_columns_beyond_those_asked_for(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": ["a"], "fold": [1], "note": ["x"]})
    table.to_parquet(tmp_path / "folds.parquet")
    pd.testing.assert_frame_equal(read_folds(tmp_path / "folds.parquet"), table)


def test_an_absent_damaged_or_incomplete_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    with pytest.raises(DataError, match=r"cells.parquet: no such table; run: dvc repro segment"):
        read_table(path, ["image_id"], "dvc repro segment")
    pd.DataFrame({"image_id": ["a"] * 100}).to_parquet(path)
    with pytest.raises(DataError, match="lacks the columns cell_id; delete it and run: dvc repro segment"):
        read_table(path, ["image_id", "cell_id"], "dvc repro segment")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is no Parquet or damaged; delete it and run: dvc repro segment"):
        read_table(path, ["image_id"], "dvc repro segment")
