"""The images table: one row a field of view, pixels validated and copied once, beside it."""

from pathlib import Path

import pandas as pd

from common.classes import COLORS
from common.images import Field
from common.tables import read_table

COLUMNS = [
    *("image_id", "source"),
    *COLORS,
    *("height", "width", "bit_depth", "cell_line", "sample_id", "duplicate_group", "labels", "split"),
]


def read_images(folder: Path) -> pd.DataFrame:
    """Read the images table of a folder that ``ingest`` wrote.

    Raises:
        DataError: see ``read_table``.
    """
    return read_table(folder / "images.parquet", COLUMNS, "dvc repro images")


def fields_of(table: pd.DataFrame, folder: Path) -> list[Field]:
    """The files behind the rows of an images table, in its order."""
    return [
        Field(image_id, tuple(folder / path for path in paths))
        for image_id, *paths in table[["image_id", *COLORS]].itertuples(index=False)
    ]


def ids_of(table: pd.DataFrame, split: str) -> set[str]:
    """The images of the part ``train`` or ``test``."""
    return set(table.loc[table["split"] == split, "image_id"])
