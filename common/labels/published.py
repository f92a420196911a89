"""What other systems published, for labels to be made of."""

from pathlib import Path

import pandas as pd

from common.errors import DataError
from common.predictions import read_predictions


def read_out_of_fold(
    predictions: Path, system: str, images: pd.DataFrame, cells: pd.DataFrame
) -> pd.DataFrame:
    """Read what a system predicts for training cells with models that never saw their image's group.

    A label made of an in-fold prediction repeats what its model learned by heart. So no path can be given, only a
    system; of its tables only ``oof`` is read, which its predict stage makes fold by fold; and it must hold exactly
    the cells of the training images: a test table, a part, or the table of other folds' images is refused.

    Args:
        predictions: the folder data/predictions.
        system: ``approach/recipe``.
        images: an images table.
        cells: all cells, a cells table.

    Returns:
        A prediction table, sorted by cell.

    Raises:
        DataError: there is no such table, it is damaged, or it holds other cells.
    """
    train = images.loc[images["split"] == "train", "image_id"]
    path = predictions / system / "oof.parquet"
    try:
        return read_predictions(path, cells[cells["image_id"].isin(train)])
    except DataError as error:
        raise DataError(
            f"labels from {system}: {error}; labels are made of out-of-fold tables only"
        ) from None
