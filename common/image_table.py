"""The images table: one row a field of view, pixels validated and copied once, beside it."""

from pathlib import Path

import pandas as pd

from common.classes import COLORS
from common.errors import DataError
from common.images import Field

COLUMNS = [
    *("image_id", "source"),
    *COLORS,
    *("height", "width", "bit_depth", "cell_line", "sample_id", "duplicate_group", "labels", "split"),
]


def read_images(folder: Path) -> pd.DataFrame:
    """Read the images table of a folder that ``ingest`` wrote.

    Raises:
        DataError: there is no such table, or a column is missing.
    """
    path = folder / "images.parquet"
    if not path.is_file():
        raise DataError(f"{path}: no such table; run: dvc repro images")
    table = pd.read_parquet(path)
    if missing := [column for column in COLUMNS if column not in table]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; run: dvc repro -f images")
    return table


def fields_of(table: pd.DataFrame, folder: Path) -> list[Field]:
    """The files behind the rows of an images table, in its order."""
    return [
        Field(image_id, tuple(folder / path for path in paths))
        for image_id, *paths in table[["image_id", *COLORS]].itertuples(index=False)
    ]
