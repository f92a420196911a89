"""The contract between approaches and everything else: one row a cell, one probability a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
IMAGE_COLUMNS = ["image_id", *PROBABILITIES]


class Predictions(NamedTuple):
    """What a system says of new images: a row a cell, and a row an image where it speaks of images."""

    cells: pd.DataFrame
    images: pd.DataFrame | None = None


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
    _check_values(table, origin, COLUMNS, "cells")
    if cells is not None:
        _check_rows(table, origin, cells[KEYS], "cells")


def check_image_predictions(table: pd.DataFrame, origin: str, image_ids: list[str]) -> None:
    """Refuse what is no table of image probabilities: image_id and ``p_0`` to ``p_18``, exactly ``image_ids``.

    Raises:
        DataError: as ``check_predictions``, of images.
    """
    _check_values(table, origin, IMAGE_COLUMNS, "images")
    _check_rows(table, origin, pd.DataFrame({"image_id": image_ids}, dtype=str), "images")


def _check_values(table: pd.DataFrame, origin: str, columns: list[str], what: str) -> None:
    if list(table.columns) != columns:
        raise DataError(f"{origin}: columns are {list(table.columns)}, expected {columns}")
    _check_types(table, origin)
    if (repeated := table.duplicated(_keys(table))).any():
        raise DataError(f"{origin}: {repeated.sum()} {what} are there twice, first {_name(table, repeated)}")
    probabilities = table[list(PROBABILITIES)].to_numpy(float)
    if (undefined := ~np.isfinite(probabilities).all(axis=1)).any():
        raise DataError(
            f"{origin}: {undefined.sum()} {what} have NaN or infinity, first {_name(table, undefined)}"
        )
    if (outside := ((probabilities < 0) | (probabilities > 1)).any(axis=1)).any():
        span = f"[{probabilities.min():.3g}, {probabilities.max():.3g}]"
        raise DataError(f"{origin}: probabilities span {span}, outside [0, 1], first {_name(table, outside)}")


def _keys(table: pd.DataFrame) -> list[str]:
    return [key for key in KEYS if key in table]


def _check_types(table: pd.DataFrame, origin: str) -> None:
    kinds: dict[str, tuple[Callable[[Any], bool], str]] = {
        "image_id": (is_string_dtype, "text"),
        "cell_id": (is_integer_dtype, "whole numbers"),
        **dict.fromkeys(PROBABILITIES, (is_numeric_dtype, "numbers")),
    }
    for column in map(str, table):
        fits, kind = kinds[column]
        if len(table) and not fits(table[column]):  # no row, no type
            raise DataError(f"{origin}: {column} holds {table[column].dtype}, expected {kind}")


def _check_rows(table: pd.DataFrame, origin: str, wanted: pd.DataFrame, what: str) -> None:
    keys = _keys(table)
    both = table[keys].merge(wanted, on=keys, how="outer", indicator=True)
    for side, word in (("right_only", "missing"), ("left_only", f"not in the {what} table")):
        if (wrong := both["_merge"] == side).any():
            raise DataError(
                f"{origin}: {wrong.sum()} {what} are {word}, first {_name(both, wrong)}; "
                f"expected {WANTED[what]} once; run the predict stage again"
            )


WANTED = {"cells": "each cell of data/cells.parquet", "images": "each image of the part"}


def _name(table: pd.DataFrame, rows: ArrayLike) -> str:
    first = table.loc[np.asarray(rows)].iloc[0]
    return f"{first['image_id']} cell {first['cell_id']}" if "cell_id" in table else str(first["image_id"])


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


def write_image_predictions(table: pd.DataFrame, path: Path, image_ids: list[str]) -> None:
    """Write image probabilities beside a prediction table: ``oof_images.parquet`` or ``test_images.parquet``.

    Args:
        table: see ``check_image_predictions``.
        image_ids: the images of the part, those without a cell too.
    """
    check_image_predictions(table, str(path), image_ids)
    with atomic(path) as part:
        table.sort_values("image_id").to_parquet(part, index=False)


def read_image_predictions(path: Path, image_ids: list[str]) -> pd.DataFrame:
    """Read image probabilities of exactly ``image_ids``, sorted by id. Raises as the checker."""
    table = read_table(path, ["image_id"], "the predict stage of its approach")
    check_image_predictions(table, str(path), image_ids)
    return table.sort_values("image_id", ignore_index=True)
