"""Parquet tables that one stage writes and others read."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pyarrow.lib import ArrowException

from common.errors import DataError

SKIPPED = "skipped.csv"


def read_table(path: Path, columns: Sequence[str], remedy: str) -> pd.DataFrame:
    """Read a table that must have ``columns``; it may have more.

    Args:
        remedy: what makes the table, like ``dvc repro segment``.

    Raises:
        DataError: the table is absent or damaged, or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such table; run: {remedy}")
    try:
        table = pd.read_parquet(path)
    except (ArrowException, OSError):
        raise DataError(f"{path}: is no Parquet or damaged; delete it and run: {remedy}") from None
    if missing := [column for column in columns if column not in table]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; delete it and run: {remedy}")
    return table


def read_skipped(folder: Path) -> set[str]:
    """The ids of images that a stage left out of its output ``folder`` because they cannot be used."""
    path = folder / SKIPPED
    return set(pd.read_csv(path, dtype=str, keep_default_na=False)["image_id"]) if path.exists() else set()


def read_folds(path: Path) -> pd.DataFrame:
    """Read data/folds.parquet: image_id, fold. Raises as ``read_table``."""
    return read_table(path, ["image_id", "fold"], "dvc repro folds")
