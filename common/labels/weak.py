"""The simplest label of a cell: what is known of its image."""

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES


def copy_image_labels(images: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Give every cell the labels of its image; cells of unlabelled images get no row.

    Args:
        images: an images table.
        cells: a cells table.

    Returns:
        A labels table: image_id, cell_id, 0/1 in ``p_0`` to ``p_18``, source = ``image``.
    """
    labels = cells[KEYS].merge(image_targets(images), on="image_id", how="inner", validate="many_to_one")
    return labels.assign(source="image")


def image_targets(images: pd.DataFrame) -> pd.DataFrame:
    """The labels of all images that have any: image_id and 0/1 in ``p_0`` to ``p_18``."""
    known = images[images["labels"].map(len) > 0]
    multi_hot = np.zeros((len(known), len(CLASSES)), np.float32)
    for row, labels in enumerate(known["labels"]):
        multi_hot[row, list(labels)] = 1
    by_image = pd.DataFrame(multi_hot, columns=list(PROBABILITIES))
    by_image.insert(0, "image_id", known["image_id"].to_numpy())
    return by_image
