"""The contract between approaches and everything else: one row a cell, one probability a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.types import is_integer_dtype, is_numeric_dtype, is_string_dtype

from common.cells import KEYS
from common.classes import PROBABILITIES
from common.errors import DataError
from common.files import atomic
from common.tables import read_table

COLUMNS = [*KEYS, *PROBABILITIES]


def check_predictions(table: pd.DataFrame, origin: str, cells: pd.DataFrame | None = None) -> None:
    """Refuse what is no prediction table.

    Args:
        table: image_id, cell_id and ``p_0`` to ``p_18`` in [0, 1].
        origin: names the table in messages.
        cells: where given, the table must hold exactly these cells (image_id, cell_id), in any order.

    Raises:
        DataError: other columns or types; NaN; a probability outside [0, 1]; a cell that is missing, unknown or there
            twice. Names the first such cell.
    """
    if list(table.columns) != COLUMNS:
        raise DataError(f"{origin}: columns are {list(table.columns)}, expected {COLUMNS}")
    _check_types(table, origin)
    if (repeated := table.duplicated(KEYS)).any():
        raise DataError(f"{origin}: {repeated.sum()} cells are there twice, first {_name(table, repeated)}")
    probabilities = table[list(PROBABILITIES)].to_numpy(float)
    if (undefined := ~np.isfinite(probabilities).all(axis=1)).any():
        raise DataError(
            f"{origin}: {undefined.sum()} cells have NaN or infinity, first {_name(table, undefined)}"
        )
    if (outside := ((probabilities < 0) | (probabilities > 1)).any(axis=1)).any():
        span = f"[{probabilities.min():.3g}, {probabilities.max():.3g}]"
        raise DataError(f"{origin}: probabilities span {span}, outside [0, 1], first {_name(table, outside)}")
    if cells is not None:
        _check_cells(table, origin, cells)


def _check_types(table: pd.DataFrame, origin: str) -> None:
    kinds: dict[str, tuple[Callable[[Any], bool], str]] = {
        "image_id": (is_string_dtype, "text"),
        "cell_id": (is_integer_dtype, "whole numbers"),
        **dict.fromkeys(PROBABILITIES, (is_numeric_dtype, "numbers")),
    }
    for column, (fits, kind) in kinds.items():
        if len(table) and not fits(table[column]):  # no row, no type
            raise DataError(f"{origin}: {column} holds {table[column].dtype}, expected {kind}")


def _check_cells(table: pd.DataFrame, origin: str, cells: pd.DataFrame) -> None:
    both = table[KEYS].merge(cells[KEYS], on=KEYS, how="outer", indicator=True)
    for side, word in (("right_only", "missing"), ("left_only", "not in the cells table")):
        if (wrong := both["_merge"] == side).any():
            raise DataError(
                f"{origin}: {wrong.sum()} cells are {word}, first {_name(both, wrong)}; "
                "expected each cell of data/cells.parquet once; run the predict stage again"
            )


def _name(table: pd.DataFrame, rows: ArrayLike) -> str:
    first = table.loc[np.asarray(rows)].iloc[0]
    return f"{first['image_id']} cell {first['cell_id']}"


def write_predictions(table: pd.DataFrame, path: Path, cells: pd.DataFrame) -> None:
    """Write a prediction table whole or not at all; ``cells`` are those it must hold. Raises as the checker."""
    check_predictions(table, str(path), cells)
    with atomic(path) as part:
        table.sort_values(KEYS).to_parquet(part, index=False)


def read_predictions(path: Path, cells: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read a prediction table, sorted by cell. Raises as the checker, and where there is no such file."""
    table = read_table(path, KEYS, "the predict stage of its approach")
    check_predictions(table, str(path), cells)
    return table.sort_values(KEYS, ignore_index=True)
