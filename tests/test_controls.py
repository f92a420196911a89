"""The controls: by hand, and that no fold learns from itself."""

import numpy as np
import pandas as pd

from common.classes import PROBABILITIES
from common.controls import class_prior, image_labels, true_cells
from common.predictions import check_predictions

IMAGES = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d", "t"],
        "labels": [[0], [0, 1], [1], [2], []],
        "split": ["train"] * 4 + ["test"],
    }
)
FOLDS = pd.DataFrame({"image_id": ["a", "b", "c", "d"], "fold": [0, 0, 1, 1]})
CELLS = pd.DataFrame({"image_id": ["t", "a", "a", "c", "d", "b"], "cell_id": [1, 1, 2, 1, 1, 3]})


def first_classes(table: pd.DataFrame) -> dict[tuple[str, int], list[float]]:
    return {
        (row["image_id"], row["cell_id"]): [row[f"p_{c}"] for c in range(3)] for _, row in table.iterrows()
    }


def test_the_prior_is_the_class_frequency_of_the_other_folds() -> None:
    table = class_prior(IMAGES, CELLS, FOLDS)
    check_predictions(table, "prior", CELLS)
    others, own, all_of_them = [0, 0.5, 0.5], [1, 0.5, 0], [0.5, 0.5, 0.25]
    assert first_classes(table) == {
        ("t", 1): all_of_them,
        ("a", 1): others,
        ("a", 2): others,
        ("b", 3): others,
        ("c", 1): own,
        ("d", 1): own,
    }
    assert (table[list(PROBABILITIES[3:])] == 0).all(axis=None)


def test_the_prior_of_a_fold_does_not_see_its_own_labels() -> None:
    rng = np.random.default_rng(0)
    before = class_prior(IMAGES, CELLS, FOLDS)
    for fold in (0, 1):
        changed = IMAGES.copy()
        own = IMAGES["image_id"].isin(FOLDS.loc[FOLDS["fold"] == fold, "image_id"])
        changed["labels"] = [
            [int(rng.integers(5, 19))] if o else x for o, x in zip(own, IMAGES["labels"], strict=True)
        ]
        rows = CELLS["image_id"].isin(IMAGES.loc[own, "image_id"])
        after = class_prior(changed, CELLS, FOLDS)
        pd.testing.assert_frame_equal(before[rows], after[rows])
        assert not before[~rows].equals(after[~rows])


def test_image_labels_are_those_of_the_table_else_of_the_true_cells_else_none() -> None:
    truth = pd.DataFrame(0, index=range(3), columns=list(PROBABILITIES))
    truth.insert(0, "image_id", ["t", "t", "a"])
    truth.insert(1, "cell_id", [1, 2, 1])
    truth.loc[0, "p_1"] = truth.loc[1, "p_2"] = truth.loc[2, "p_2"] = 1
    table = image_labels(IMAGES, CELLS, truth)
    check_predictions(table, "image labels", CELLS)
    assert first_classes(table) == {
        ("t", 1): [0, 1, 1],
        ("a", 1): [1, 0, 0],
        ("a", 2): [1, 0, 0],
        ("c", 1): [0, 1, 0],
        ("d", 1): [0, 0, 1],
        ("b", 3): [1, 1, 0],
    }
    unknown = first_classes(image_labels(IMAGES, CELLS, truth[2:]))
    assert unknown["t", 1] == [0, 0, 0]


def test_found_cells_get_the_classes_of_the_true_cell_they_overlap_most() -> None:
    true = np.zeros((10, 30), np.uint16)
    true[:, :10], true[:, 10:20] = 7, 8
    found = np.zeros_like(true)
    found[:, :6], found[:, 6:18], found[:, 22:28] = 1, 2, 3  # mostly 7, mostly 8, nobody
    cells = pd.DataFrame({"image_id": ["b", "a", "a", "a"], "cell_id": [1, 3, 2, 1]})
    truth = pd.DataFrame(0, index=[0, 1], columns=["image_id", "cell_id", *PROBABILITIES]).astype(
        {"image_id": str}
    )
    truth["image_id"], truth["cell_id"] = "a", [7, 8]
    truth.loc[0, "p_0"] = truth.loc[1, "p_2"] = 1
    table = true_cells(cells, truth, [("a", found, true)])
    check_predictions(table, "true_cells", cells)
    none = [0, 0, 0]
    assert first_classes(table) == {("b", 1): none, ("a", 3): none, ("a", 2): [0, 0, 1], ("a", 1): [1, 0, 0]}
    unknown = true_cells(cells, truth[:1], [("a", found, true)])
    assert first_classes(unknown)["a", 2] == none
