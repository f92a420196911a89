"""What other systems published, for labels to be made of."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.errors import DataError
from common.files import atomic
from common.predictions import read_predictions
from common.tables import read_table


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


def write_embeddings(folder: Path, cells: pd.DataFrame, embeddings: np.ndarray) -> None:
    """Write out-of-fold embeddings of training cells: ``cells.parquet`` and ``embeddings.npy`` (float16).

    Args:
        folder: data/embeddings/<approach>/<recipe>.
        cells: image_id, cell_id and fold: that of the image, whose model made the embedding.
        embeddings: (N, D), a row for each of ``cells``.
    """
    with atomic(folder) as part:
        part.mkdir()
        cells[[*KEYS, "fold"]].to_parquet(part / "cells.parquet", index=False)
        np.save(part / "embeddings.npy", np.asarray(embeddings, np.float16))


def read_embeddings(
    embeddings: Path, system: str, images: pd.DataFrame, cells: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a system's out-of-fold embeddings: their cells (image_id, cell_id, fold), and (N, D) float16, memory-mapped.

    Raises:
        DataError: there are none, they are damaged, or they are not those of exactly the cells of training images.
    """
    folder, remedy = embeddings / system, f"the stage of {system} that writes embeddings"
    table = read_table(folder / "cells.parquet", [*KEYS, "fold"], remedy)
    train = images.loc[images["split"] == "train", "image_id"]
    wanted = pd.MultiIndex.from_frame(cells.loc[cells["image_id"].isin(train), KEYS])
    if table.duplicated(KEYS).any() or set(pd.MultiIndex.from_frame(table[KEYS])) != set(wanted):
        raise DataError(f"{folder}: does not hold each cell of the training images once; run again: {remedy}")
    try:
        values = np.load(folder / "embeddings.npy", mmap_mode="r")
    except (OSError, ValueError):
        raise DataError(f"{folder}/embeddings.npy: is absent or damaged; run again: {remedy}") from None
    if values.ndim != 2 or len(values) != len(table):
        raise DataError(
            f"{folder}/embeddings.npy: is {values.shape}, expected {len(table)} rows; run again: {remedy}"
        )
    return table, values
