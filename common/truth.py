"""What is known of single cells for scoring: never read by a stage that trains."""

from pathlib import Path

import pandas as pd

from common.cells import KEYS
from common.classes import PROBABILITIES
from common.tables import read_table

COLUMNS = [*KEYS, *PROBABILITIES]


def read_truth(folder: Path) -> pd.DataFrame:
    """Read the truth table: image_id, cell_id and 0/1 in ``p_0`` to ``p_18``; no row where nothing is known.

    Raises:
        DataError: see ``read_table``.
    """
    return read_table(folder / "truth.parquet", COLUMNS, "dvc repro images")
