"""How a predict stage ends: its tables go through the steps of the recipe, are completed, checked and written."""

from pathlib import Path

import pandas as pd

from common.cells import KEYS
from common.classes import PROBABILITIES
from common.image_table import ids_of
from common.postprocess import Postprocess, postprocess, postprocess_images
from common.predictions import Predictions, write_image_predictions, write_predictions


def finished(found: Predictions, cells: pd.DataFrame, params: Postprocess) -> Predictions:
    """What networks found, after the steps of ``postprocess``; ``cells`` is the cells table."""
    images = None if found.images is None else postprocess_images(found.images, params)
    return Predictions(postprocess(found.cells, cells, params), images)


def publish(
    folder: Path,
    oof: Predictions,
    test: Predictions,
    images: pd.DataFrame,
    cells: pd.DataFrame,
    skipped: set[str],
) -> None:
    """Write both parts: ``{oof,test}.parquet``, and ``{oof,test}_images.parquet`` where images were predicted.

    Args:
        images, cells: the whole tables; a part must hold all that is its own.
        skipped: images that a stage before left out: they and their cells get probability 0 of every class.

    Raises:
        DataError: as ``check_predictions``.
    """
    for split, name, found in (("train", "oof", oof), ("test", "test", test)):
        ids = ids_of(images, split)
        wanted = cells[cells["image_id"].isin(ids)]
        write_predictions(with_skipped(found.cells, wanted, skipped), folder / f"{name}.parquet", wanted)
        if found.images is not None:
            whole = _with_skipped_images(found.images, ids & skipped)
            write_image_predictions(whole, folder / f"{name}_images.parquet", sorted(ids))


def with_skipped(table: pd.DataFrame, cells: pd.DataFrame, skipped: set[str]) -> pd.DataFrame:
    """Add those of ``cells`` whose image is ``skipped``, left out by a stage, with probability 0 of every class."""
    return _with_zeros(table, cells.loc[cells["image_id"].isin(skipped), KEYS])


def _with_skipped_images(table: pd.DataFrame, skipped: set[str]) -> pd.DataFrame:
    return _with_zeros(table, pd.DataFrame({"image_id": sorted(skipped)}, dtype=str))


def _with_zeros(table: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    zeros = keys.assign(**dict.fromkeys(PROBABILITIES, 0.0))
    return pd.concat([table, zeros], ignore_index=True) if len(keys) else table
