"""Predicts images and their cells with the trained folds of a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd

from approaches.cam_seg.asking import Networks, ask, load_folds
from approaches.cam_seg.cell_labels import label_cells
from approaches.cam_seg.dataset import AskedImages
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.field_data import Inputs
from common.predictions import Predictions
from common.trained import trained_folds


def predict_out_of_fold(models: Path, inputs: Inputs, folds: pd.DataFrame) -> Predictions:
    """Predict each training image and its cells by the two networks of its fold."""
    parts = []
    for fold, members in folds.groupby("fold"):
        rows = inputs.rows(set(members["image_id"]))
        if len(rows):
            parts.append(predict(load_folds([models / f"fold-{fold}"]), inputs, rows))
    cells, images = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
    return Predictions(cells, images)


def predict_unseen(models: Path, inputs: Inputs, image_ids: set[str]) -> Predictions:
    """Predict images that no fold has seen, and their cells, by the maps and probabilities of all folds together."""
    return predict(load_folds(trained_folds(models)), inputs, inputs.rows(image_ids))


def predict(networks: Networks, inputs: Inputs, rows: np.ndarray) -> Predictions:
    """Predict the images in ``rows`` of the store."""
    recipe = networks.recipe
    images = AskedImages(inputs, rows, recipe, recipe.cells.size_px)
    tables, answers = inputs.cells_of(rows), []
    per_cell = [np.zeros((0, len(PROBABILITIES)))]
    for (_, seen, asker), table in zip(ask(networks, images, "prediction"), tables, strict=True):
        maps, probabilities = asker.ensemble(recipe.cells.size_px)
        ids = table["cell_id"].to_numpy(np.int64)
        found = label_cells(maps, probabilities, seen.masks, seen.protein, ids, recipe.cells)
        answers.append(probabilities)
        per_cell.append(found.confidence)
    keys = pd.concat([inputs.cells.head(0), *tables], ignore_index=True)[KEYS]
    of_images = np.reshape(answers, (len(answers), len(PROBABILITIES)))
    return Predictions(
        _table(keys, np.concatenate(per_cell)), _table(pd.DataFrame({"image_id": images.ids}), of_images)
    )


def _table(keys: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    # A mean of ones in single precision may lie a rounding above 1.
    found = pd.DataFrame(probabilities.clip(0, 1), columns=list(PROBABILITIES))
    return pd.concat([keys, found], axis=1)
