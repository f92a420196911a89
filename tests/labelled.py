"""A small data set for tests of labels: two training images and a test image, two cells each."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.cells import KEYS, cell_mask_path, measure_cells, write_mask
from common.classes import PROBABILITIES
from common.labels.sources import Known

IMAGES = pd.DataFrame(
    {
        "image_id": ["a", "b", "c"],
        "labels": [[6, 11], [6], []],
        "sample_id": ["antibody", "antibody", "other"],
        "split": ["train", "train", "test"],
        "height": 40,
        "width": 40,
    }
)


def mask_of(*values: int) -> np.ndarray:
    """(40, 40) uint16: a cell at the top left, a crescent at the bottom right, ... with these values."""
    mask = np.zeros((40, 40), np.uint16)
    places = (slice(2, 12), slice(2, 12)), (slice(20, 38), slice(20, 38)), (slice(2, 12), slice(25, 35))
    for value, place in zip(values, places, strict=False):
        mask[place] = value
    if len(values) > 1:
        mask[20:34, 24:38] = 0  # its centroid lies outside, as that of a crescent
    return mask


def known(folder: Path, masks: dict[str, np.ndarray] | None = None) -> Known:
    """The data set, its masks written into ``folder``/masks."""
    given = masks or {image_id: mask_of(1, 2) for image_id in "abc"}
    (folder / "masks").mkdir(parents=True)
    for image_id, mask in given.items():
        write_mask(cell_mask_path(folder / "masks", image_id), mask)
    cells = pd.concat([measure_cells(i, m, m) for i, m in given.items()], ignore_index=True)
    folders: dict[str, Path | None] = {"masks": folder / "masks", "predictions": folder / "predictions"}
    return Known(IMAGES, cells, folders)


def publish(
    data: Known, system: str, table: str = "oof", split: str = "train", **classes: list[float]
) -> None:
    """Write a prediction table of one split's cells: 0 but for ``classes``, like p_6=[...], in the order of cells."""
    ids = IMAGES.loc[IMAGES["split"] == split, "image_id"]
    keys = data.cells.loc[data.cells["image_id"].isin(ids), KEYS].reset_index(drop=True)
    predictions = keys.assign(**dict.fromkeys(PROBABILITIES, 0.0)).assign(**classes)
    path = data.folder("predictions") / system / f"{table}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    predictions.to_parquet(path, index=False)
