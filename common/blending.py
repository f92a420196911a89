"""Combines the prediction tables of several systems into one."""

from pathlib import Path

import pandas as pd

from common.cells import KEYS
from common.classes import PROBABILITIES
from common.errors import DataError
from common.predictions import COLUMNS, read_predictions
from common.roster import recipes_on, refuse_retired


def members(predictions: Path, approaches: Path) -> list[Path]:
    """The folders ``<approach>/<recipe>`` of published predictions.

    Raises:
        DataError: there is none, or one is of a recipe that is no longer on.
    """
    found = sorted(path.parent for path in predictions.glob("*/*/oof.parquet"))
    if not found:
        raise DataError(f"{predictions}: holds no predictions; run: dvc repro")
    on = recipes_on(approaches)
    for member in found:
        refuse_retired(f"{member.parent.name}/{member.name}", member, on)
    return found


def mean_of(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Average prediction tables cell by cell, whatever the order of their rows."""
    stacked = pd.concat(tables, ignore_index=True)
    mean = stacked.groupby(KEYS, sort=True)[list(PROBABILITIES)].mean()
    return mean.reset_index()[COLUMNS].astype(stacked.dtypes[COLUMNS].to_dict())


def blend(folders: list[Path], part: str, cells: pd.DataFrame) -> pd.DataFrame:
    """Blend one part (``oof`` or ``test``) of all members with equal weights.

    Raises:
        DataError: a member's table is faulty, or lacks one of ``cells``.
    """
    return mean_of([read_predictions(folder / f"{part}.parquet", cells) for folder in folders])
