"""Image labels as labels of cells."""

import numpy as np
import pandas as pd

from common.classes import PROBABILITIES
from common.labels.weak import copy_image_labels

IMAGES = pd.DataFrame({"image_id": ["a", "b", "c"], "labels": [[0, 16], np.array([3]), []]})


def test_every_cell_of_a_labelled_image_gets_the_images_labels() -> None:
    cells = pd.DataFrame({"image_id": ["b", "a", "c", "a"], "cell_id": [4, 1, 1, 2], "area_px": 9})
    table = copy_image_labels(IMAGES, cells)
    assert list(table.columns) == ["image_id", "cell_id", *PROBABILITIES, "source"]
    found = {
        (row["image_id"], row["cell_id"]): [c for c in range(19) if row[f"p_{c}"] == 1]
        for _, row in table.iterrows()
    }
    assert found == {("b", 4): [3], ("a", 1): [0, 16], ("a", 2): [0, 16]}  # image c has no labels
    assert set(table[list(PROBABILITIES)].to_numpy().ravel()) == {0, 1}
    assert set(table["source"]) == {"image"}


def test_without_labels_there_are_no_rows() -> None:
    cells = pd.DataFrame({"image_id": ["c"], "cell_id": [1]})
    assert copy_image_labels(IMAGES[2:], cells).empty
