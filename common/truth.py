"""What is known of single cells for scoring: never read by a stage that trains."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from common.cells import KEYS, cell_mask_path, read_mask
from common.classes import PROBABILITIES
from common.tables import read_table

COLUMNS = [*KEYS, *PROBABILITIES]


def read_truth(folder: Path) -> pd.DataFrame:
    """Read the truth table: image_id, cell_id and 0/1 in ``p_0`` to ``p_18``; no row where nothing is known.

    Raises:
        DataError: see ``read_table``.
    """
    return read_table(folder / "truth.parquet", COLUMNS, "dvc repro images")


def truth_maps(
    image_ids: list[str], masks: Path, truth_masks: Path
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each image's id, found and true cell mask, both (H, W) uint16, read when asked for.

    Raises:
        DataError: see ``read_mask``.
    """
    for image_id in image_ids:
        true = read_mask(cell_mask_path(truth_masks, image_id))
        yield image_id, read_mask(cell_mask_path(masks, image_id), true.shape), true
